/* So many messages of 8 bytes each way, posted in small groups: a receive, then a send. */
#include "check.h"

int main(int argc, char **argv)
{
    enum { GROUP = 16 };
    long messages = argc > 1 ? atol(argv[1]) : GROUP;
    start(&argc, &argv);
    double in[GROUP], out[GROUP] = {0};
    MPI_Request requests[2 * GROUP];
    for (long done = 0; done < messages; done += GROUP) {
        for (int at = 0; at < GROUP; at++) {
            MPI_Irecv(&in[at], 1, MPI_DOUBLE, 1 - rank, 1, MPI_COMM_WORLD, &requests[2 * at]);
            MPI_Isend(&out[at], 1, MPI_DOUBLE, 1 - rank, 1, MPI_COMM_WORLD, &requests[2 * at + 1]);
        }
        MPI_Waitall(2 * GROUP, requests, MPI_STATUSES_IGNORE);
    }
    return finish();
}
