/* Three sends a rank, and a barrier, whose own messages are no business of a tool. */
#include "check.h"

int main(int argc, char **argv)
{
    start(&argc, &argv);
    for (int i = 0; i < 3; i++) {
        MPI_Request request;
        int value;
        MPI_Irecv(&value, 1, MPI_INT, (rank + size - 1) % size, 0, MPI_COMM_WORLD, &request);
        MPI_Send(&rank, 1, MPI_INT, (rank + 1) % size, 0, MPI_COMM_WORLD);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
    }
    return finish();
}
