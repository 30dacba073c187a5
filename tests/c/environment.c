/* What a program may ask before, during and after: versions, names, clocks, states; and conversions
 * between handles. */
#include "check.h"

static void always(int initialised, int finished)
{
    int version = -1, subversion = -1, flag = -1, length = -1;
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    EQUAL(MPI_Get_version(&version, &subversion), MPI_SUCCESS);
    EQUAL(version, MPI_VERSION);
    EQUAL(subversion, MPI_SUBVERSION);
    EQUAL(MPI_Get_library_version(text, &length), MPI_SUCCESS);
    EQUAL(length, strlen(text));
    CHECK(strstr(text, "Ferrite") != NULL);
    MPI_Initialized(&flag);
    EQUAL(flag, initialised);
    MPI_Finalized(&flag);
    EQUAL(flag, finished);
    EQUAL(MPI_Abi_get_version(&version, &subversion), MPI_SUCCESS);
    EQUAL(version, MPI_ABI_VERSION);
    EQUAL(subversion, MPI_ABI_SUBVERSION);
}

int main(int argc, char **argv)
{
    always(0, 0);
    start(&argc, &argv);
    always(1, 0);

    char name[MPI_MAX_PROCESSOR_NAME];
    int length = -1;
    MPI_Get_processor_name(name, &length);
    CHECK(length > 0);
    EQUAL(length, strlen(name));

    double before = MPI_Wtime(), tick = MPI_Wtick(), after = MPI_Wtime();
    CHECK(after >= before && tick > 0 && tick < 1e-3);

    MPI_Aint address, displaced;
    char bytes[16];
    MPI_Get_address(bytes, &address);
    displaced = MPI_Aint_add(address, 5);
    EQUAL(MPI_Aint_diff(displaced, address), 5);
    MPI_Get_address(bytes + 5, &address);
    EQUAL(address, displaced);

    CHECK(MPI_Comm_f2c(MPI_Comm_c2f(MPI_COMM_WORLD)) == MPI_COMM_WORLD);
    CHECK(MPI_Type_f2c(MPI_Type_c2f(MPI_DOUBLE)) == MPI_DOUBLE);
    CHECK(MPI_Op_f2c(MPI_Op_c2f(MPI_SUM)) == MPI_SUM);
    CHECK(MPI_Request_f2c(MPI_Request_c2f(MPI_REQUEST_NULL)) == MPI_REQUEST_NULL);
    CHECK(MPI_Comm_fromint(MPI_Comm_toint(MPI_COMM_SELF)) == MPI_COMM_SELF);
    MPI_Comm comm;
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    CHECK(MPI_Comm_f2c(MPI_Comm_c2f(comm)) == comm);
    MPI_Comm_free(&comm);

    MPI_Status status;
    memset(&status, 0, sizeof status);
    MPI_Status_set_elements(&status, MPI_INT, 3);
    int count = -1;
    MPI_Get_count(&status, MPI_INT, &count);
    EQUAL(count, 3);

    void *memory = NULL;
    MPI_Alloc_mem(1000, MPI_INFO_NULL, &memory);
    CHECK(memory != NULL);
    memset(memory, 1, 1000);
    MPI_Free_mem(memory);

    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    always(1, 1);
    if (rank == 0)
        printf("passed\n");
    return 0;
}
