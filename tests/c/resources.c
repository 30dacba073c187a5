/* What the processes of a node share beyond its memory: information about it, and communicators by
 * it. */
#include "check.h"

static MPI_Comm split(int kind, const char *key, const char *value)
{
    MPI_Info info = MPI_INFO_NULL;
    MPI_Comm made = MPI_COMM_NULL;
    if (key) {
        MPI_Info_create(&info);
        MPI_Info_set(info, key, value);
    }
    EQUAL(MPI_Comm_split_type(MPI_COMM_WORLD, kind, rank, info, &made), MPI_SUCCESS);
    if (key)
        MPI_Info_free(&info);
    return made;
}

/* The size of such a communicator, whose members count themselves; 0 for none. */
static int size_of(MPI_Comm made)
{
    int one = 1, sum, its_size;
    if (made == MPI_COMM_NULL)
        return 0;
    MPI_Comm_size(made, &its_size);
    MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, made);
    EQUAL(sum, its_size);
    MPI_Comm_free(&made);
    return its_size;
}

int main(int argc, char **argv)
{
    int number, is_bound = argc > 1 && strcmp(argv[1], "bound") == 0;
    MPI_Info info;
    start(&argc, &argv);
    EQUAL(MPI_Get_hw_resource_info(&info), MPI_SUCCESS);
    MPI_Info_get_nkeys(info, &number);
    CHECK(number == 7);
    for (int at = 0; at < number; at++) {
        char key[MPI_MAX_INFO_KEY + 1], value[8];
        int room = sizeof value, flag;
        MPI_Info_get_nthkey(info, at, key);
        CHECK(strncmp(key, "hwloc://", 8) == 0);
        MPI_Info_get_string(info, key, &room, value, &flag);
        int has_one = strcmp(value, "true") == 0;
        CHECK(flag && (has_one || strcmp(value, "false") == 0));
        int members = size_of(split(MPI_COMM_TYPE_HW_GUIDED, "mpi_hw_resource_type", key));
        EQUAL(members > 0, has_one);
        EQUAL(size_of(split(MPI_COMM_TYPE_RESOURCE_GUIDED, "mpi_hw_resource_type", key + 8)),
              members);
        /* Where each rank has a processor of its own, it has nobody's company there. */
        if (is_bound && strcmp(key, "hwloc://PU") == 0)
            EQUAL(members, 1);
    }
    MPI_Info_free(&info);
    EQUAL(size_of(split(MPI_COMM_TYPE_HW_GUIDED, "mpi_hw_resource_type", "mpi_shared_memory")),
          size_of(split(MPI_COMM_TYPE_SHARED, NULL, NULL)));
    EQUAL(size_of(split(MPI_COMM_TYPE_RESOURCE_GUIDED, "mpi_pset_name", "mpi://WORLD")), size);
    EQUAL(size_of(split(MPI_COMM_TYPE_RESOURCE_GUIDED, "mpi_pset_name", "mpi://SELF")), 1);
    EQUAL(size_of(split(MPI_COMM_TYPE_HW_GUIDED, "mpi_pset_name", "mpi://WORLD")), 0);
    EQUAL(size_of(split(MPI_COMM_TYPE_HW_GUIDED, "mpi_hw_resource_type", "hwloc://Moon")), 0);
    EQUAL(size_of(split(MPI_COMM_TYPE_HW_GUIDED, NULL, NULL)), 0);
    /* Without a guide: a part of all, or nothing. */
    int part = size_of(split(MPI_COMM_TYPE_HW_UNGUIDED, NULL, NULL));
    CHECK(part < size || part == 0);
    /* What it is a part of is told, so that it can be asked for by name. */
    MPI_Comm unguided, guided;
    char name[MPI_MAX_INFO_VAL];
    int room = sizeof name, is_told;
    MPI_Info_create(&info);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_HW_UNGUIDED, rank, info, &unguided);
    MPI_Info_get_string(info, "mpi_hw_resource_type", &room, name, &is_told);
    EQUAL(is_told, unguided != MPI_COMM_NULL);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_HW_GUIDED, rank, info, &guided);
    EQUAL(size_of(guided), part);
    EQUAL(size_of(unguided), part);
    MPI_Info_free(&info);
    if (is_bound && size > 1)
        CHECK(part > 0);
    return finish();
}
