/* A rank that returns from main without MPI_Finalize, and what the others do then. Arguments: what
 * they do, which rank leaves, and "threads" for a wait in another thread. */
#include "check.h"
#include <pthread.h>
#include <unistd.h>

enum { LONG = 1 << 20 };

static int value[LONG];

static void *receive_any(void *unused)
{
    MPI_Recv(value, 1, MPI_INT, MPI_ANY_SOURCE, 4, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return unused;
}

int main(int argc, char **argv)
{
    int level = MPI_THREAD_SINGLE;
    if (argc > 3) {
        EQUAL(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level), MPI_SUCCESS);
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        MPI_Comm_size(MPI_COMM_WORLD, &size);
    } else {
        start(&argc, &argv);
    }
    const char *what = argv[1];
    int who = atoi(argv[2]), right = (rank + 1) % size, left = (rank + size - 1) % size;
    /* Once around, short and long; what the one that leaves has sent arrives though it is gone. */
    for (int count = 1; count <= LONG; count += LONG - 1)
        MPI_Sendrecv_replace(value, count, MPI_INT, right, 1, left, 1, MPI_COMM_WORLD,
                             MPI_STATUS_IGNORE);
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
    if (strcmp(what, "any") == 0 && level == MPI_THREAD_MULTIPLE) {
        pthread_t thread;
        EQUAL(pthread_create(&thread, NULL, receive_any, NULL), 0);
        pthread_join(thread, NULL);
    } else if (strcmp(what, "any") == 0) {
        receive_any(NULL);
    }
    if (strcmp(what, "probe") == 0)
        MPI_Probe(who, 4, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (strcmp(what, "barrier") == 0)
        MPI_Barrier(MPI_COMM_WORLD);
    return finish();
}
