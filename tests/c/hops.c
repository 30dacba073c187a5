/* A token goes round a ring of all ranks, and every rank waits for it in another of the ways that
 * MPI has: in a blocking call, or in a loop around a call that tells whether it has come. A rank
 * that polls must not keep the one it waits for from the processor.
 *
 *   hops                     checks that the token comes round by each of them
 *   hops LAPS [WAY]          as many laps, and prints microseconds a hop (for collectives: a call): for people
 *   hops -threads [LAPS]     two threads of each rank with a token of their own */
#include "check.h"
#include <pthread.h>

#define MANY 16

static int next, previous, laps = 20, timed;
static int in[MANY], out;
static MPI_Request never[MANY];

/* How a rank waits for the token, which it then has in in[0]. */
struct way {
    const char *name;
    void (*wait)(MPI_Comm comm);
    /* Whether the call is made by all at once instead of from rank to rank. */
    int together;
};

static void receive(MPI_Comm comm)
{
    MPI_Recv(in, 1, MPI_INT, previous, 0, comm, MPI_STATUS_IGNORE);
}

static void test(MPI_Comm comm)
{
    MPI_Request request;
    int flag = 0;
    MPI_Irecv(in, 1, MPI_INT, previous, 0, comm, &request);
    while (!flag)
        MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
}

/* Between two tests the program does a little of its own. */
static void test_and_work(MPI_Comm comm)
{
    MPI_Request request;
    int flag = 0;
    MPI_Irecv(in, 1, MPI_INT, previous, 0, comm, &request);
    while (!flag) {
        for (volatile int i = 0; i < 1000; i++)
            ;
        MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
    }
}

static void persistent(MPI_Comm comm)
{
    MPI_Request request;
    int flag = 0;
    MPI_Recv_init(in, 1, MPI_INT, previous, 0, comm, &request);
    MPI_Start(&request);
    while (!flag)
        MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
    /* Another test of an inactive request is no news. */
    MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
    CHECK(flag);
    MPI_Request_free(&request);
}

static void iprobe(MPI_Comm comm)
{
    int flag = 0;
    while (!flag)
        MPI_Iprobe(MPI_ANY_SOURCE, 0, comm, &flag, MPI_STATUS_IGNORE);
    receive(comm);
}

static void improbe(MPI_Comm comm)
{
    MPI_Message message;
    int flag = 0;
    while (!flag)
        MPI_Improbe(previous, 0, comm, &flag, &message, MPI_STATUS_IGNORE);
    MPI_Mrecv(in, 1, MPI_INT, &message, MPI_STATUS_IGNORE);
}

/* The token's receive among others that nothing comes for; posted anew by each wait. */
static MPI_Request *among(MPI_Comm comm)
{
    if (never[0] == MPI_REQUEST_NULL)
        for (int i = 0; i < MANY; i++)
            MPI_Irecv(&in[i], 1, MPI_INT, previous, i, comm, &never[i]);
    else
        MPI_Irecv(in, 1, MPI_INT, previous, 0, comm, &never[0]);
    return never;
}

static void test_many(MPI_Comm comm)
{
    MPI_Request *requests = among(comm);
    for (int flag = 0, i = 0; !flag; i = (i + 1) % MANY) {
        MPI_Test(&requests[i], &flag, MPI_STATUS_IGNORE);
        CHECK(!flag || i == 0);
    }
}

static void testany(MPI_Comm comm)
{
    MPI_Request *requests = among(comm);
    int flag = 0, index = -1;
    while (!flag)
        MPI_Testany(MANY, requests, &index, &flag, MPI_STATUS_IGNORE);
    EQUAL(index, 0);
}

static void testsome(MPI_Comm comm)
{
    MPI_Request *requests = among(comm);
    int count = 0, indices[MANY];
    while (count == 0)
        MPI_Testsome(MANY, requests, &count, indices, MPI_STATUSES_IGNORE);
    EQUAL(count, 1);
    EQUAL(indices[0], 0);
}

static void testall(MPI_Comm comm)
{
    MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
    int flag = 0;
    MPI_Irecv(in, 1, MPI_INT, previous, 0, comm, &requests[1]);
    while (!flag)
        MPI_Testall(2, requests, &flag, MPI_STATUSES_IGNORE);
}

static void get_status(MPI_Comm comm)
{
    MPI_Request request;
    int flag = 0;
    MPI_Irecv(in, 1, MPI_INT, previous, 0, comm, &request);
    while (!flag)
        MPI_Request_get_status(request, &flag, MPI_STATUS_IGNORE);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
}

#if MPI_VERSION > 4 || (MPI_VERSION == 4 && MPI_SUBVERSION >= 1)
static void get_status_any(MPI_Comm comm)
{
    MPI_Request *requests = among(comm);
    int flag = 0, index = -1;
    while (!flag)
        MPI_Request_get_status_any(MANY, requests, &index, &flag, MPI_STATUS_IGNORE);
    EQUAL(index, 0);
    MPI_Wait(&requests[0], MPI_STATUS_IGNORE);
}

static void get_status_some(MPI_Comm comm)
{
    MPI_Request *requests = among(comm);
    int count = 0, indices[MANY];
    while (count == 0)
        MPI_Request_get_status_some(MANY, requests, &count, indices, MPI_STATUSES_IGNORE);
    EQUAL(count, 1);
    EQUAL(indices[0], 0);
    MPI_Wait(&requests[0], MPI_STATUS_IGNORE);
}

static void get_status_all(MPI_Comm comm)
{
    MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
    int flag = 0;
    MPI_Irecv(in, 1, MPI_INT, previous, 0, comm, &requests[1]);
    while (!flag)
        MPI_Request_get_status_all(2, requests, &flag, MPI_STATUSES_IGNORE);
    MPI_Wait(&requests[1], MPI_STATUS_IGNORE);
}
#endif

/* The program completes its request itself when the token has come. */
static void generalized(MPI_Comm comm)
{
    MPI_Request request;
    int flag = 0, come = 0;
    start_generalized(&request);
    while (!flag) {
        MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
        if (!flag && !come)
            MPI_Iprobe(previous, 0, comm, &come, MPI_STATUS_IGNORE);
        if (!flag && come)
            MPI_Grequest_complete(request);
    }
    receive(comm);
}

static void barrier(MPI_Comm comm)
{
    MPI_Barrier(comm);
}

static void ibarrier(MPI_Comm comm)
{
    MPI_Request request;
    int flag = 0;
    MPI_Ibarrier(comm, &request);
    while (!flag)
        MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
}

static void allreduce(MPI_Comm comm)
{
    int one = 1, sum = 0;
    MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, comm);
    EQUAL(sum, size);
}

static void iallreduce(MPI_Comm comm)
{
    MPI_Request request;
    int one = 1, sum = 0, flag = 0;
    MPI_Iallreduce(&one, &sum, 1, MPI_INT, MPI_SUM, comm, &request);
    while (!flag)
        MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
    EQUAL(sum, size);
}

static const struct way WAYS[] = {
    {"Recv", receive, 0},
    {"Test", test, 0},
    {"Test and work", test_and_work, 0},
    {"Test, persistent", persistent, 0},
    {"Test, 16 in turn", test_many, 0},
    {"Test, generalized", generalized, 0},
    {"Iprobe", iprobe, 0},
    {"Improbe", improbe, 0},
    {"Testany", testany, 0},
    {"Testsome", testsome, 0},
    {"Testall", testall, 0},
    {"Request_get_status", get_status, 0},
#if MPI_VERSION > 4 || (MPI_VERSION == 4 && MPI_SUBVERSION >= 1)
    {"Request_get_status_any", get_status_any, 0},
    {"Request_get_status_some", get_status_some, 0},
    {"Request_get_status_all", get_status_all, 0},
#endif
    {"Barrier", barrier, 1},
    {"Ibarrier and Test", ibarrier, 1},
    {"Allreduce", allreduce, 1},
    {"Iallreduce and Test", iallreduce, 1},
};

static void report(const char *name, double seconds, int hops)
{
    if (timed && rank == 0) {
        printf("%-28s %10.2f us\n", name, seconds * 1e6 / hops);
        fflush(stdout);
    }
}

/* The token's value is the number of hops it has made. */
static void go_round(const struct way *way, MPI_Comm comm)
{
    for (int i = 0; i < MANY; i++)
        never[i] = MPI_REQUEST_NULL;
    MPI_Barrier(comm);
    double since = MPI_Wtime();
    for (int lap = 0; lap < laps; lap++) {
        if (way->together) {
            way->wait(comm);
            continue;
        }
        if (rank == 0) {
            out = lap * size;
            MPI_Send(&out, 1, MPI_INT, next, 0, comm);
        }
        in[0] = -1;
        way->wait(comm);
        EQUAL(in[0], lap * size + (rank + size - 1) % size);
        if (rank != 0) {
            out = in[0] + 1;
            MPI_Send(&out, 1, MPI_INT, next, 0, comm);
        }
    }
    report(way->name, MPI_Wtime() - since, way->together ? laps : laps * size);
    for (int i = 0; i < MANY; i++)
        if (never[i] != MPI_REQUEST_NULL) {
            MPI_Cancel(&never[i]);
            MPI_Wait(&never[i], MPI_STATUS_IGNORE);
        }
}

/* The token is a message of two partitions. */
static void go_round_in_parts(MPI_Comm comm)
{
    MPI_Request receiving, sending;
    int from[2], to[2];
    MPI_Precv_init(from, 2, 1, MPI_INT, previous, 0, comm, MPI_INFO_NULL, &receiving);
    MPI_Psend_init(to, 2, 1, MPI_INT, next, 0, comm, MPI_INFO_NULL, &sending);
    MPI_Barrier(comm);
    double since = MPI_Wtime();
    for (int lap = 0; lap < laps; lap++) {
        from[0] = from[1] = -1;
        MPI_Start(&receiving);
        for (int turn = 0; turn < 2; turn++) {
            if (turn == (rank == 0 ? 0 : 1)) {
                MPI_Start(&sending);
                for (int i = 0; i < 2; i++) {
                    to[i] = rank == 0 ? lap + i : from[i];
                    MPI_Pready(i, sending);
                }
            } else {
                for (int i = 0; i < 2; i++)
                    for (int flag = 0; !flag;)
                        MPI_Parrived(receiving, i, &flag);
                EQUAL(from[0], lap);
                EQUAL(from[1], lap + 1);
            }
        }
        MPI_Wait(&receiving, MPI_STATUS_IGNORE);
        MPI_Wait(&sending, MPI_STATUS_IGNORE);
    }
    report("Parrived", MPI_Wtime() - since, laps * size);
    MPI_Request_free(&receiving);
    MPI_Request_free(&sending);
}

/* One of two threads of each rank, whose token goes round a communicator of its own. */
static void *go_round_beside(void *argument)
{
    MPI_Comm comm = *(MPI_Comm *)argument;
    for (int lap = 0; lap < laps; lap++) {
        int token = lap * size, flag = 0;
        MPI_Request request;
        if (rank == 0)
            MPI_Send(&token, 1, MPI_INT, next, 0, comm);
        MPI_Irecv(&token, 1, MPI_INT, previous, 0, comm, &request);
        while (!flag)
            MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
        EQUAL(token, lap * size + (rank + size - 1) % size);
        token++;
        if (rank != 0)
            MPI_Send(&token, 1, MPI_INT, next, 0, comm);
    }
    return NULL;
}

static void two_threads(void)
{
    MPI_Comm comms[2];
    pthread_t thread;
    MPI_Comm_dup(MPI_COMM_WORLD, &comms[0]);
    MPI_Comm_dup(MPI_COMM_WORLD, &comms[1]);
    double since = MPI_Wtime();
    CHECK(pthread_create(&thread, NULL, go_round_beside, &comms[1]) == 0);
    go_round_beside(&comms[0]);
    CHECK(pthread_join(thread, NULL) == 0);
    MPI_Barrier(MPI_COMM_WORLD);
    report("Test, two threads", MPI_Wtime() - since, laps * size);
    MPI_Comm_free(&comms[0]);
    MPI_Comm_free(&comms[1]);
}

int main(int argc, char **argv)
{
    int threads = argc > 1 && strcmp(argv[1], "-threads") == 0, given;
    MPI_Init_thread(&argc, &argv, threads ? MPI_THREAD_MULTIPLE : MPI_THREAD_SINGLE, &given);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    next = (rank + 1) % size;
    previous = (rank + size - 1) % size;
    argc -= threads;
    argv += threads;
    timed = argc > 1;
    if (timed)
        laps = atoi(argv[1]);
    CHECK(laps > 0);
    if (threads) {
        EQUAL(given, MPI_THREAD_MULTIPLE);
        two_threads();
        return finish();
    }
    const char *only = argc > 2 ? argv[2] : NULL;
    for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++) {
        MPI_Comm comm;
        if (only && strcmp(only, WAYS[i].name) != 0)
            continue;
        MPI_Comm_dup(MPI_COMM_WORLD, &comm);
        go_round(&WAYS[i], comm);
        MPI_Comm_free(&comm);
    }
    if (!only || strcmp(only, "Parrived") == 0)
        go_round_in_parts(MPI_COMM_WORLD);
    return finish();
}
