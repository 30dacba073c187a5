/* Info objects, before initialisation too. */
#include "check.h"

static void everything(void)
{
    MPI_Info info, copy;
    char key[MPI_MAX_INFO_KEY + 1], value[64];
    int count = -1, flag = -1, length = -1, room;
    EQUAL(MPI_Info_create(&info), MPI_SUCCESS);
    CHECK(info != MPI_INFO_NULL);
    MPI_Info_get_nkeys(info, &count);
    EQUAL(count, 0);
    MPI_Info_set(info, "colour", "green");
    MPI_Info_set(info, "shape", "round");
    MPI_Info_set(info, "size", "17");
    MPI_Info_set(info, "colour", "blue");
    MPI_Info_get_nkeys(info, &count);
    EQUAL(count, 3);

    /* Keys keep the order in which they came. */
    static const char *const keys[] = {"colour", "shape", "size"};
    for (int i = 0; i < 3; i++) {
        MPI_Info_get_nthkey(info, i, key);
        EQUAL(strcmp(key, keys[i]), 0);
    }

    room = sizeof value;
    MPI_Info_get_string(info, "colour", &room, value, &flag);
    EQUAL(flag, 1);
    EQUAL(strcmp(value, "blue"), 0);
    EQUAL(room, 5);
    /* Cut to the room there is, with its end. */
    room = 3;
    memset(value, 'x', sizeof value);
    MPI_Info_get_string(info, "colour", &room, value, &flag);
    EQUAL(flag, 1);
    EQUAL(strcmp(value, "bl"), 0);
    EQUAL(value[3], 'x');
    EQUAL(room, 5);
    room = 0;
    MPI_Info_get_string(info, "colour", &room, NULL, &flag);
    EQUAL(room, 5);
    room = sizeof value;
    MPI_Info_get_string(info, "weight", &room, value, &flag);
    EQUAL(flag, 0);

    /* The deprecated way. */
    MPI_Info_get_valuelen(info, "shape", &length, &flag);
    EQUAL(flag, 1);
    EQUAL(length, 5);
    MPI_Info_get(info, "shape", 63, value, &flag);
    EQUAL(flag, 1);
    EQUAL(strcmp(value, "round"), 0);

    MPI_Info_dup(info, &copy);
    MPI_Info_delete(info, "colour");
    MPI_Info_get_nkeys(info, &count);
    EQUAL(count, 2);
    MPI_Info_get_nkeys(copy, &count);
    EQUAL(count, 3);
    room = sizeof value;
    MPI_Info_get_string(copy, "colour", &room, value, &flag);
    EQUAL(flag, 1);
    MPI_Info_free(&info);
    CHECK(info == MPI_INFO_NULL);
    MPI_Info_free(&copy);
}

int main(int argc, char **argv)
{
    everything();
    start(&argc, &argv);
    everything();
    MPI_Info info;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    MPI_Info_create(&info);
    FAILS(MPI_ERR_INFO_NOKEY, MPI_Info_delete(info, "nothing"));
    FAILS(MPI_ERR_INFO_KEY, MPI_Info_set(info, "", "value"));
    MPI_Info_free(&info);
    return finish();
}
