/* MPI_THREAD_MULTIPLE: four threads a rank, each with traffic of its own tag to the next rank and
 * answers from there, by different calls; one of them probes. Then threads of one rank wait for
 * each other through messages to oneself. */
#include "check.h"
#include <pthread.h>

#define THREADS 4
#define ROUNDS 400

static int next, previous;

static const int lengths[] = {0, 8, 41, 1024, 9000, 70000};

/* What a thread's message carries: nobody else's will do. */
static unsigned seed_of(int from, int thread, int round)
{
    return from * 1000 + thread * 100 + round;
}

static void check_message(unsigned char *in, const MPI_Status *status, int thread, int round,
                          int length)
{
    STATUS(status, previous, 10 + thread, length);
    CONTENT(in, length, seed_of(previous, thread, round));
}

static void *traffic(void *argument)
{
    int thread = *(int *)argument, tag = 10 + thread;
    unsigned char *out = buffer_of(70000), *in = buffer_of(70000);
    MPI_Request requests[2];
    MPI_Status statuses[2], status;
    for (int round = 0; round < ROUNDS; round++) {
        int length = lengths[(round + thread) % 6];
        fill(out, length, seed_of(rank, thread, round));
        clear(in, length);
        if (thread == 0) {
            MPI_Sendrecv(out, length, MPI_BYTE, next, tag, in, length, MPI_BYTE, previous, tag,
                         MPI_COMM_WORLD, &status);
            check_message(in, &status, thread, round, length);
        } else if (thread == 1) {
            MPI_Irecv(in, length, MPI_BYTE, previous, tag, MPI_COMM_WORLD, &requests[0]);
            MPI_Isend(out, length, MPI_BYTE, next, tag, MPI_COMM_WORLD, &requests[1]);
            MPI_Waitall(2, requests, statuses);
            check_message(in, &statuses[0], thread, round, length);
        } else if (thread == 2) {
            MPI_Message message;
            MPI_Isend(out, length, MPI_BYTE, next, tag, MPI_COMM_WORLD, &requests[0]);
            MPI_Mprobe(MPI_ANY_SOURCE, tag, MPI_COMM_WORLD, &message, &status);
            STATUS(&status, previous, tag, length);
            MPI_Mrecv(in, length, MPI_BYTE, &message, &status);
            check_message(in, &status, thread, round, length);
            MPI_Wait(&requests[0], MPI_STATUS_IGNORE);
        } else {
            int done = 0, flag;
            MPI_Irecv(in, length, MPI_BYTE, previous, tag, MPI_COMM_WORLD, &requests[0]);
            MPI_Issend(out, length, MPI_BYTE, next, tag, MPI_COMM_WORLD, &requests[1]);
            while (!done) {
                MPI_Testall(2, requests, &done, statuses);
                MPI_Iprobe(MPI_ANY_SOURCE, 9999, MPI_COMM_WORLD, &flag, MPI_STATUS_IGNORE);
                EQUAL(flag, 0);
            }
            check_message(in, &statuses[0], thread, round, length);
        }
    }
    free(out);
    free(in);
    return NULL;
}

/* Each thread passes a token on to the next thread of its own rank. */
static void *token(void *argument)
{
    int thread = *(int *)argument, value;
    for (int round = 0; round < 5 * ROUNDS; round++) {
        if (thread == 0) {
            MPI_Send(&round, 1, MPI_INT, 0, 101, MPI_COMM_SELF);
            MPI_Recv(&value, 1, MPI_INT, 0, 100, MPI_COMM_SELF, MPI_STATUS_IGNORE);
        } else {
            MPI_Recv(&value, 1, MPI_INT, 0, 100 + thread, MPI_COMM_SELF, MPI_STATUS_IGNORE);
            MPI_Send(&value, 1, MPI_INT, 0, 100 + (thread + 1) % THREADS, MPI_COMM_SELF);
        }
        if (thread == 0)
            EQUAL(value, round);
    }
    return NULL;
}

static void together(void *(*work)(void *))
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        EQUAL(pthread_create(&threads[i], NULL, work, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void *another(void *argument)
{
    int main_thread = 1;
    MPI_Is_thread_main(&main_thread);
    EQUAL(main_thread, 0);
    return argument;
}

int main(int argc, char **argv)
{
    int provided = -1, level = -1, main_thread = 0;
    EQUAL(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided), MPI_SUCCESS);
    EQUAL(provided, MPI_THREAD_MULTIPLE);
    MPI_Query_thread(&level);
    EQUAL(level, MPI_THREAD_MULTIPLE);
    MPI_Is_thread_main(&main_thread);
    EQUAL(main_thread, 1);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    next = (rank + 1) % size;
    previous = (rank + size - 1) % size;
    pthread_t thread;
    EQUAL(pthread_create(&thread, NULL, another, NULL), 0);
    pthread_join(thread, NULL);
    together(traffic);
    MPI_Barrier(MPI_COMM_WORLD);
    together(token);
    return finish();
}
