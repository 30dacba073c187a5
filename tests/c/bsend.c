/* Buffered sends and the room that they have: two threads never get the room of one message, and
 * what was received gives its room back, whether or not the sender has called the library since.
 * Wants two ranks. */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 4
#define EACH 3
#define LONG (1 << 20)

static int other;

/* A page that both ranks have, to signal past the library. */
static volatile int *shared_page(void)
{
    char name[] = "/tmp/ferrite-bsend-XXXXXX";
    int file = -1;
    if (rank == 0) {
        file = mkstemp(name);
        CHECK(file >= 0 && ftruncate(file, 4096) == 0);
    }
    MPI_Bcast(name, sizeof name, MPI_CHAR, 0, MPI_COMM_WORLD);
    void *page;
    FILE *opened = fopen(name, "r+");
    CHECK(opened != NULL);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(opened), 0);
    CHECK(page != MAP_FAILED);
    MPI_Barrier(MPI_COMM_WORLD);
    fclose(opened);
    if (rank == 0) {
        close(file);
        unlink(name);
    }
    return page;
}

/* There is room for one message, which the sender learns to be free again by no call of the
 * library. */
static void quiet(int length)
{
    volatile int *received = shared_page();
    unsigned char *data = buffer_of(length);
    int size_of_one = length + MPI_BSEND_OVERHEAD, detached;
    void *room = malloc(size_of_one);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (rank == 0)
        MPI_Buffer_attach(room, size_of_one);
    for (int round = 1; round <= 50; round++) {
        if (rank == 0) {
            fill(data, length, round);
            EQUAL(MPI_Bsend(data, length, MPI_BYTE, 1, 1, MPI_COMM_WORLD), MPI_SUCCESS);
            /* Where the receiver cannot fetch a message by itself, this has to help sooner or
             * later. */
            for (long turn = 0; *received != round; turn++) {
                int flag;
                if (turn > 100000)
                    MPI_Iprobe(1, 2, MPI_COMM_WORLD, &flag, MPI_STATUS_IGNORE);
                sched_yield();
            }
        } else {
            clear(data, length);
            MPI_Recv(data, length, MPI_BYTE, 0, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            CONTENT(data, length, round);
            *received = round;
        }
    }
    if (rank == 0)
        MPI_Buffer_detach(&room, &detached);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_ARE_FATAL);
    MPI_Barrier(MPI_COMM_WORLD);
    free(room);
    free(data);
    munmap((void *)received, 4096);
}

static pthread_barrier_t together;
static int sent[THREADS], rounds;

static void *one_of(void *argument)
{
    int thread = *(int *)argument;
    unsigned char *data = buffer_of(LONG);
    fill(data, LONG, thread);
    for (int round = 0; round < rounds; round++) {
        pthread_barrier_wait(&together);
        sent[thread] = MPI_Bsend(data, LONG, MPI_BYTE, 1, thread, MPI_COMM_WORLD) == MPI_SUCCESS;
        pthread_barrier_wait(&together);
        if (thread == 0) {
            int count = 0, which = -1;
            for (int i = 0; i < THREADS; i++) {
                count += sent[i];
                which = sent[i] ? i : which;
            }
            EQUAL(count, 1);
            MPI_Send(&which, 1, MPI_INT, 1, 100, MPI_COMM_WORLD);
            MPI_Recv(NULL, 0, MPI_INT, 1, 101, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        }
    }
    free(data);
    return NULL;
}

/* Several threads want the room that is there for one. The message stays in it until all have
 * tried. */
static void rivals(void)
{
    int size_of_one = LONG + MPI_BSEND_OVERHEAD, numbers[THREADS], detached;
    void *room = malloc(size_of_one);
    rounds = 200;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (rank == 0) {
        pthread_t threads[THREADS];
        MPI_Buffer_attach(room, size_of_one);
        pthread_barrier_init(&together, NULL, THREADS);
        for (int i = 0; i < THREADS; i++) {
            numbers[i] = i;
            pthread_create(&threads[i], NULL, one_of, &numbers[i]);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        MPI_Buffer_detach(&room, &detached);
    } else {
        unsigned char *data = buffer_of(LONG);
        for (int round = 0; round < rounds; round++) {
            int which = -1;
            MPI_Recv(&which, 1, MPI_INT, 0, 100, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            clear(data, LONG);
            MPI_Recv(data, LONG, MPI_BYTE, 0, which, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            CONTENT(data, LONG, which);
            MPI_Send(NULL, 0, MPI_INT, 0, 101, MPI_COMM_WORLD);
        }
        free(data);
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_ARE_FATAL);
    MPI_Barrier(MPI_COMM_WORLD);
    free(room);
}

static int length;

static void *fair(void *argument)
{
    int thread = *(int *)argument;
    unsigned char *data = buffer_of(length);
    MPI_Request start, receive;
    MPI_Bsend_init(data, length, MPI_BYTE, other, thread, MPI_COMM_WORLD, &start);
    for (int round = 0; round < 40; round++) {
        if (rank == 0) {
            for (int i = 0; i < EACH; i++) {
                fill(data, length, round + thread + i);
                if (i == 0) {
                    MPI_Start(&start);
                    MPI_Wait(&start, MPI_STATUS_IGNORE);
                } else {
                    MPI_Bsend(data, length, MPI_BYTE, other, thread, MPI_COMM_WORLD);
                }
            }
            MPI_Recv(NULL, 0, MPI_BYTE, other, 50 + thread, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        } else {
            for (int i = 0; i < EACH; i++) {
                clear(data, length);
                MPI_Irecv(data, length, MPI_BYTE, other, thread, MPI_COMM_WORLD, &receive);
                MPI_Wait(&receive, MPI_STATUS_IGNORE);
                CONTENT(data, length, round + thread + i);
            }
            MPI_Send(NULL, 0, MPI_BYTE, other, 50 + thread, MPI_COMM_WORLD);
        }
    }
    MPI_Request_free(&start);
    free(data);
    return NULL;
}

/* Each thread has its share of the room, and uses no more: it sends again when it knows that all
 * was received. */
static void shares(int bytes)
{
    int all = THREADS * EACH * (bytes + MPI_BSEND_OVERHEAD), numbers[THREADS], detached;
    void *room = malloc(all);
    pthread_t threads[THREADS];
    length = bytes;
    MPI_Buffer_attach(room, all);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, fair, &numbers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    MPI_Buffer_detach(&room, &detached);
    EQUAL(detached, all);
    MPI_Barrier(MPI_COMM_WORLD);
    free(room);
}

int main(int argc, char **argv)
{
    int provided;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    EQUAL(provided, MPI_THREAD_MULTIPLE);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    EQUAL(size, 2);
    other = 1 - rank;
    for (int i = 0; i < LENGTH_COUNT; i += 3)
        quiet(LENGTHS[i]);
    quiet(LONG);
    rivals();
    shares(100);
    shares(70000);
    shares(LONG);
    return finish();
}
