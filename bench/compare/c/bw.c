/*
 * How much one rank sends to another.
 *
 * An iteration is a window of MPI_Isend on rank 0 and of MPI_Irecv on rank 1, each with
 * MPI_Waitall, and then an answer of one byte from rank 1, for which rank 0 waits. Rank 0's time
 * counts: the bytes of all windows by the sum of the iterations.
 */
#include "window.h"

int main(int argc, char **argv)
{
    begin(argc, argv, NULL, stream());
    needs_two();
    make_windows();
    int me = job.rank, peer = 1 - me;
    char answer = 0;
    heading("Bandwidth", "Bandwidth (MB/s)", NULL);
    for (size_t bytes = job.given.least; bytes <= job.given.most; bytes = next_size(bytes)) {
        int first = warm_up(bytes), turns = first + iterations(bytes), wrong = 0;
        double seconds = 0;
        MPI_Barrier(MPI_COMM_WORLD);
        for (int turn = 0; turn < turns; turn++) {
            if (job.checks) {
                prepare_window(bytes, turn, me, peer);
                MPI_Barrier(MPI_COMM_WORLD);
            }
            if (me == 0) {
                double begun = turn >= first ? MPI_Wtime() : 0;
                start_sends(bytes, peer, 100);
                wait_for(sends);
                MPI_Recv(&answer, 1, MPI_CHAR, peer, 101, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
                if (turn >= first)
                    seconds += MPI_Wtime() - begun;
            } else {
                start_receives(bytes, peer, 100);
                wait_for(receives);
                MPI_Send(&answer, 1, MPI_CHAR, peer, 101, MPI_COMM_WORLD);
                if (job.checks)
                    wrong += wrong_in_window(bytes, turn, me, peer);
            }
        }
        row(bytes, (double)bytes * job.window * iterations(bytes) / MEGABYTE / seconds, 0, wrong);
    }
    return finish();
}
