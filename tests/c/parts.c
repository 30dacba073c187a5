/* What MPI_INFO_ENV says of a process's part of a job (MPI 5.0, section 11.2.1). Arguments: the
 * ranks of its part. */
#include "check.h"

int main(int argc, char **argv)
{
    start(&argc, &argv);
    char value[MPI_MAX_INFO_VAL];
    int flag;
    MPI_Info_get(MPI_INFO_ENV, "maxprocs", sizeof value - 1, value, &flag);
    CHECK(flag && strcmp(value, argv[1]) == 0);
    MPI_Info_get(MPI_INFO_ENV, "soft", sizeof value - 1, value, &flag);
    CHECK(flag && strcmp(value, argv[1]) == 0);
    MPI_Info_get(MPI_INFO_ENV, "argv", sizeof value - 1, value, &flag);
    CHECK(flag && strcmp(value, argv[1]) == 0);
    MPI_Info_get(MPI_INFO_ENV, "command", sizeof value - 1, value, &flag);
    CHECK(flag && strcmp(value, argv[0]) == 0);
    return finish();
}
