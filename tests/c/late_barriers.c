/* Ranks that come to a barrier at nearly the same time, while no messages move: each is about to
 * sleep when the last one comes. The first argument is the number of rounds. */
#include "check.h"
#include <time.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    int rounds = argc > 1 ? atoi(argv[1]) : 1000;
    unsigned state = 12345 + (unsigned)rank;
    for (int i = 0; i < rounds; i++) {
        state = state * 1103515245 + 12345;
        double until = now() + (state >> 16) % 40 * 1e-6;
        while (now() < until)
            ;
        EQUAL(MPI_Barrier(MPI_COMM_WORLD), MPI_SUCCESS);
    }
    return finish();
}
