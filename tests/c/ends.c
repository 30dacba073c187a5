/* Ways for one rank to come to its end while the others wait for it. Arguments: the way, and the
 * rank that goes it. Every rank says "ready" before. */
#include "check.h"
#include <signal.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    start(&argc, &argv);
    const char *way = argv[1];
    int who = argc > 2 ? atoi(argv[2]) : -1;
    MPI_Barrier(MPI_COMM_WORLD);
    printf("ready %d %d\n", rank, (int)getpid());
    fflush(stdout);
    if (rank == who) {
        if (strcmp(way, "segfault") == 0)
            *(volatile int *)8 = 1;
        if (strcmp(way, "kill") == 0)
            kill(getpid(), SIGKILL);
        if (strcmp(way, "abort") == 0)
            MPI_Abort(MPI_COMM_WORLD, 7);
        if (strcmp(way, "exit") == 0)
            exit(9);
        if (strcmp(way, "exit-0") == 0)
            exit(0);
        if (strcmp(way, "status") == 0) {
            MPI_Finalize();
            return 5;
        }
    }
    if (strcmp(way, "status") == 0) {
        MPI_Finalize();
        return 0;
    }
    /* For ever: nobody sends this. */
    int value;
    MPI_Recv(&value, 1, MPI_INT, MPI_ANY_SOURCE, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return finish();
}
