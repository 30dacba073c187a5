/* MPI_Abort on a communicator: "world", "named", "unnamed", "null" or "invalid". */
#include "check.h"

int main(int argc, char **argv)
{
    MPI_Comm comm = MPI_COMM_WORLD;
    start(&argc, &argv);
    const char *which = argv[1];
    if (strcmp(which, "named") == 0 || strcmp(which, "unnamed") == 0)
        MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    if (strcmp(which, "named") == 0)
        MPI_Comm_set_name(comm, "the solver's");
    if (strcmp(which, "null") == 0)
        comm = MPI_COMM_NULL;
    if (strcmp(which, "invalid") == 0)
        memset(&comm, 0x7e, sizeof comm);
    MPI_Abort(comm, 7);
    return finish();
}
