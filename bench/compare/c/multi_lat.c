/*
 * Half the time of a round trip while all pairs of ranks are at it: rank n of the first half with
 * rank n of the second.
 *
 * An iteration is that of latency.c. Both ranks of a pair time it, the one from its send to the end
 * of its receive, the other from its receive to the end of its send; the mean of all ranks counts.
 * Pairs do not wait for each other between the iterations of a size.
 */
#include "bench.h"

int main(int argc, char **argv)
{
    begin(argc, argv, NULL, round_trips());
    int half = pairs(), me = job.rank, first_half = me < half, idle = me >= 2 * half;
    int peer = first_half ? me + half : me - half;
    unsigned char *sent = buffer(1, 'a'), *received = buffer(1, 'b');
    heading("Latency of all pairs at once", "Avg Latency(us)", NULL);
    for (size_t bytes = job.given.least; bytes <= job.given.most; bytes = next_size(bytes)) {
        int first = warm_up(bytes), turns = idle && !job.checks ? 0 : first + iterations(bytes);
        int length = (int)bytes, wrong = 0;
        double seconds = 0, sum = 0;
        MPI_Barrier(MPI_COMM_WORLD);
        for (int turn = 0; turn < turns; turn++) {
            if (job.checks) {
                fill(sent, bytes, turn, me, peer);
                memset(received, 0, bytes);
                MPI_Barrier(MPI_COMM_WORLD);
            }
            if (idle)
                continue;
            double begun = turn >= first ? MPI_Wtime() : 0;
            if (first_half) {
                MPI_Send(sent, length, MPI_CHAR, peer, 1, MPI_COMM_WORLD);
                MPI_Recv(received, length, MPI_CHAR, peer, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            } else {
                MPI_Recv(received, length, MPI_CHAR, peer, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
                MPI_Send(sent, length, MPI_CHAR, peer, 1, MPI_COMM_WORLD);
            }
            if (turn >= first)
                seconds += MPI_Wtime() - begun;
            if (job.checks)
                wrong += differs(received, bytes, turn, peer, me);
        }
        MPI_Reduce(&seconds, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
        row(bytes, sum * MICROSECONDS / 2 / iterations(bytes) / (2 * half), 0, wrong);
    }
    return finish();
}
