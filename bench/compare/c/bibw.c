/*
 * How much two ranks send to each other at once.
 *
 * An iteration is a window of MPI_Irecv and then one of MPI_Isend on both ranks; rank 0 waits for
 * its sends first, rank 1 for its receives. Rank 0's time counts: the bytes of both directions by
 * the sum of the iterations.
 */
#include "window.h"

int main(int argc, char **argv)
{
    begin(argc, argv, NULL, stream());
    needs_two();
    make_windows();
    int me = job.rank, peer = 1 - me;
    heading("Bandwidth in both directions", "Bandwidth (MB/s)", NULL);
    for (size_t bytes = job.given.least; bytes <= job.given.most; bytes = next_size(bytes)) {
        int first = warm_up(bytes), turns = first + iterations(bytes), wrong = 0;
        double seconds = 0;
        MPI_Barrier(MPI_COMM_WORLD);
        for (int turn = 0; turn < turns; turn++) {
            if (job.checks) {
                prepare_window(bytes, turn, me, peer);
                MPI_Barrier(MPI_COMM_WORLD);
            }
            double begun = turn >= first ? MPI_Wtime() : 0;
            start_receives(bytes, peer, 10 + peer);
            start_sends(bytes, peer, 10 + me);
            wait_for(me == 0 ? sends : receives);
            wait_for(me == 0 ? receives : sends);
            if (turn >= first)
                seconds += MPI_Wtime() - begun;
            if (job.checks)
                wrong += wrong_in_window(bytes, turn, me, peer);
        }
        row(bytes, 2.0 * (double)bytes * job.window * iterations(bytes) / MEGABYTE / seconds, 0,
            wrong);
    }
    return finish();
}
