/*
 * How much and how many messages the ranks of the first half send to those of the second, all pairs
 * at once.
 *
 * An iteration is that of bw.c, in each pair, after two barriers of all ranks. The mean of the
 * senders' times counts: the bytes and the messages of all pairs by it.
 */
#include "window.h"

int main(int argc, char **argv)
{
    begin(argc, argv, NULL, stream());
    int half = pairs(), me = job.rank, sender = me < half, receiver = !sender && me < 2 * half;
    int peer = sender ? me + half : me - half;
    char answer = 0;
    make_windows();
    heading("Bandwidth and message rate of all pairs at once", "MB/s", "Messages/s");
    for (size_t bytes = job.given.least; bytes <= job.given.most; bytes = next_size(bytes)) {
        int first = warm_up(bytes), turns = first + iterations(bytes), wrong = 0;
        double seconds = 0, sum = 0;
        MPI_Barrier(MPI_COMM_WORLD);
        for (int turn = 0; turn < turns; turn++) {
            if (job.checks)
                prepare_window(bytes, turn, me, peer);
            MPI_Barrier(MPI_COMM_WORLD);
            MPI_Barrier(MPI_COMM_WORLD);
            if (sender) {
                double begun = turn >= first ? MPI_Wtime() : 0;
                start_sends(bytes, peer, 100);
                wait_for(sends);
                MPI_Recv(&answer, 1, MPI_CHAR, peer, 101, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
                if (turn >= first)
                    seconds += MPI_Wtime() - begun;
            } else if (receiver) {
                start_receives(bytes, peer, 100);
                wait_for(receives);
                MPI_Send(&answer, 1, MPI_CHAR, peer, 101, MPI_COMM_WORLD);
                if (job.checks)
                    wrong += wrong_in_window(bytes, turn, me, peer);
            }
        }
        MPI_Reduce(&seconds, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
        double rate = (double)half * job.window * iterations(bytes) / (sum / half);
        row(bytes, rate * (double)bytes / MEGABYTE, rate, wrong);
    }
    return finish();
}
