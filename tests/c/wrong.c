/* Mistakes, one per run: the argument names it. Rank 0 makes it, with the error handler that every
 * program starts with. */
#include "check.h"

#define IS(name) (strcmp(mistake, name) == 0)

int main(int argc, char **argv)
{
    const char *mistake = argc > 1 ? argv[1] : "";
    int value = 0, me = 0;
    if (IS("before-init")) {
        MPI_Send(&value, 1, MPI_INT, 0, 0, MPI_COMM_WORLD);
        return 0;
    }
    start(&argc, &argv);
    me = rank;
    if (IS("after-finalize")) {
        MPI_Finalize();
        if (me == 0)
            MPI_Send(&value, 1, MPI_INT, 0, 0, MPI_COMM_WORLD);
        return 0;
    }
    if (IS("twice")) {
        MPI_Init(&argc, &argv);
        return 0;
    }
    if (me == 0) {
        if (IS("rank"))
            MPI_Send(&value, 1, MPI_INT, 4711, 0, MPI_COMM_WORLD);
        if (IS("tag"))
            MPI_Send(&value, 1, MPI_INT, 0, -5, MPI_COMM_WORLD);
        if (IS("count"))
            MPI_Send(&value, -3, MPI_INT, 0, 0, MPI_COMM_WORLD);
        if (IS("datatype"))
            MPI_Send(&value, 1, MPI_DATATYPE_NULL, 0, 0, MPI_COMM_WORLD);
        if (IS("comm"))
            MPI_Send(&value, 1, MPI_INT, 0, 0, MPI_COMM_NULL);
        if (IS("invented-comm"))
            MPI_Send(&value, 1, MPI_INT, 0, 0, (MPI_Comm)0x123456789abcdefL);
        if (IS("root"))
            MPI_Bcast(&value, 1, MPI_INT, 4711, MPI_COMM_WORLD);
        if (IS("freed-comm")) {
            MPI_Comm comm, freed;
            MPI_Comm_dup(MPI_COMM_SELF, &comm);
            freed = comm;
            MPI_Comm_free(&comm);
            MPI_Send(&value, 1, MPI_INT, 0, 0, freed);
        }
        if (IS("freed-request")) {
            MPI_Request request, freed;
            MPI_Recv_init(&value, 1, MPI_INT, 0, 0, MPI_COMM_SELF, &request);
            freed = request;
            MPI_Request_free(&request);
            MPI_Wait(&freed, MPI_STATUS_IGNORE);
        }
        if (IS("truncate")) {
            int two[2] = {0, 0};
            MPI_Request request;
            MPI_Isend(two, 2, MPI_INT, 0, 0, MPI_COMM_SELF, &request);
            MPI_Recv(&value, 1, MPI_INT, 0, 0, MPI_COMM_SELF, MPI_STATUS_IGNORE);
        }
        if (IS("unsupported"))
            MPI_Win_create(&value, sizeof value, 1, MPI_INFO_NULL, MPI_COMM_SELF, &(MPI_Win){0});
    }
    return finish();
}
