/* A rank that returns from main without MPI_Finalize, and what the others do then. Arguments: what they do, and which rank leaves. */
#include "check.h"
#include <unistd.h>

enum { LONG = 1 << 20 };

static int value[LONG];

int main(int argc, char **argv)
{
    start(&argc, &argv);
    const char *what = argv[1];
    int who = atoi(argv[2]), right = (rank + 1) % size, left = (rank + size - 1) % size;
    /* Once around, short and long; what the one that leaves has sent arrives though it is gone. */
    for (int count = 1; count <= LONG; count += LONG - 1)
        MPI_Sendrecv_replace(value, count, MPI_INT, right, 1, left, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (rank == who) {
        MPI_Send(value, 1, MPI_INT, right, 2, MPI_COMM_WORLD);
        return 0;
    }
    if (strcmp(what, "finalize") == 0) {
        if (left == who) {
            sleep(3);
            MPI_Recv(value, 1, MPI_INT, left, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        }
        /* Eager, to one that is gone: nobody need receive it. */
        if (right == who)
            MPI_Send(value, 1, MPI_INT, right, 3, MPI_COMM_WORLD);
        /* And nothing else that is collective. */
        MPI_Finalize();
        printf("through\n");
        return 0;
    }
    if (right != who && strcmp(what, "sleep-receive") == 0)
        sleep(60);
    if (strcmp(what, "receive") == 0 || strcmp(what, "sleep-receive") == 0)
        MPI_Recv(value, 1, MPI_INT, who, 4, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (strcmp(what, "send") == 0)
        MPI_Ssend(value, 1, MPI_INT, who, 4, MPI_COMM_WORLD);
    if (strcmp(what, "long-send") == 0)
        MPI_Send(value, LONG, MPI_INT, who, 4, MPI_COMM_WORLD);
    if (strcmp(what, "any") == 0)
        MPI_Recv(value, 1, MPI_INT, MPI_ANY_SOURCE, 4, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (strcmp(what, "probe") == 0)
        MPI_Probe(who, 4, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (strcmp(what, "barrier") == 0)
        MPI_Barrier(MPI_COMM_WORLD);
    return finish();
}
