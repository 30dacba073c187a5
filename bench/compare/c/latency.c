/*
 * Half the time of a round trip between two ranks.
 *
 * An iteration is MPI_Send and MPI_Recv on rank 0, MPI_Recv and MPI_Send on rank 1, of the same
 * size. Rank 0's mean counts.
 */
#include "bench.h"

int main(int argc, char **argv)
{
    begin(argc, argv, NULL, round_trips());
    needs_two();
    unsigned char *sent = buffer(1, 'a'), *received = buffer(1, 'b');
    int me = job.rank, peer = 1 - me;
    heading("Latency", "Avg Latency(us)", NULL);
    for (size_t bytes = job.given.least; bytes <= job.given.most; bytes = next_size(bytes)) {
        int first = warm_up(bytes), turns = first + iterations(bytes), length = (int)bytes,
            wrong = 0;
        double seconds = 0;
        MPI_Barrier(MPI_COMM_WORLD);
        for (int turn = 0; turn < turns; turn++) {
            if (job.checks) {
                fill(sent, bytes, turn, me, peer);
                memset(received, 0, bytes);
                MPI_Barrier(MPI_COMM_WORLD);
            }
            if (me == 0) {
                double begun = turn >= first ? MPI_Wtime() : 0;
                MPI_Send(sent, length, MPI_CHAR, peer, 1, MPI_COMM_WORLD);
                MPI_Recv(received, length, MPI_CHAR, peer, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
                if (turn >= first)
                    seconds += MPI_Wtime() - begun;
            } else {
                MPI_Recv(received, length, MPI_CHAR, peer, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
                MPI_Send(sent, length, MPI_CHAR, peer, 1, MPI_COMM_WORLD);
            }
            if (job.checks)
                wrong += differs(received, bytes, turn, peer, me);
        }
        row(bytes, seconds * MICROSECONDS / 2 / iterations(bytes), 0, wrong);
    }
    return finish();
}
