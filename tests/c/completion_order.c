/* Of several requests that are complete, the calls tell the one first that was first, whatever
 * their places in the array: a program may take what comes last for the last. Requests of every
 * kind, completed one by one in an order of the test's choice. */
#include "check.h"

enum kind { RECEIVE, PERSISTENT, GENERALIZED, BARRIER, PARTITIONED, SEND, REDUCTION, KINDS };
#define COUNT (3 * KINDS)

static int next, previous, in[COUNT], out[COUNT], sum[COUNT];
static MPI_Comm comms[COUNT];
static MPI_Request requests[COUNT], parts[COUNT];
/* The places in the order in which their requests are completed. */
static int order[COUNT];

/* Persistent, for a request whose operation is complete when it starts may be a constant, of no
 * age. */
static void collective(int i)
{
    if (i % KINDS == BARRIER)
        MPI_Barrier_init(comms[i], MPI_INFO_NULL, &requests[i]);
    else
        MPI_Allreduce_init(&out[i], &sum[i], 1, MPI_INT, MPI_SUM, comms[i], MPI_INFO_NULL,
                           &requests[i]);
}

static int is_persistent(int i)
{
    return i % KINDS != RECEIVE && i % KINDS != GENERALIZED && i % KINDS != SEND;
}

static void begin(int i)
{
    switch ((enum kind)(i % KINDS)) {
    case RECEIVE:
        MPI_Irecv(&in[i], 1, MPI_INT, previous, i, MPI_COMM_WORLD, &requests[i]);
        break;
    case PERSISTENT:
        MPI_Recv_init(&in[i], 1, MPI_INT, previous, i, MPI_COMM_WORLD, &requests[i]);
        MPI_Start(&requests[i]);
        break;
    case GENERALIZED:
        start_generalized(&requests[i]);
        break;
    case SEND:
        MPI_Issend(&out[i], 1, MPI_INT, next, i, MPI_COMM_WORLD, &requests[i]);
        break;
    case PARTITIONED:
        MPI_Psend_init(&out[i], 1, 1, MPI_INT, next, i, MPI_COMM_WORLD, MPI_INFO_NULL, &parts[i]);
        MPI_Precv_init(&in[i], 1, 1, MPI_INT, previous, i, MPI_COMM_WORLD, MPI_INFO_NULL,
                       &requests[i]);
        MPI_Start(&parts[i]);
        MPI_Start(&requests[i]);
        break;
    default:
        collective(i);
        /* The last rank joins when the request is to be completed. */
        if (rank != size - 1)
            MPI_Start(&requests[i]);
    }
}

static void complete(int i)
{
    int flag = 0;
    MPI_Barrier(MPI_COMM_WORLD);
    switch ((enum kind)(i % KINDS)) {
    case RECEIVE:
    case PERSISTENT:
        MPI_Send(&out[i], 1, MPI_INT, next, i, MPI_COMM_WORLD);
        break;
    case GENERALIZED:
        MPI_Grequest_complete(requests[i]);
        break;
    case SEND: {
        MPI_Request receive;
        MPI_Irecv(&in[i], 1, MPI_INT, previous, i, MPI_COMM_WORLD, &receive);
        MPI_Wait(&receive, MPI_STATUS_IGNORE);
        break;
    }
    case PARTITIONED:
        MPI_Pready(0, parts[i]);
        break;
    default:
        if (rank == size - 1)
            MPI_Start(&requests[i]);
    }
    while (!flag)
        MPI_Request_get_status(requests[i], &flag, MPI_STATUS_IGNORE);
}

/* Starts all, and completes the first `complete_count` of the order. */
static void prepare(int complete_count)
{
    for (int i = 0; i < COUNT; i++) {
        requests[i] = parts[i] = MPI_REQUEST_NULL;
        out[i] = rank + i;
        begin(i);
    }
    for (int n = 0; n < complete_count; n++)
        complete(order[n]);
}

/* A request that is done; persistent ones are freed. */
static void done(int i)
{
    if (is_persistent(i))
        MPI_Request_free(&requests[i]);
    CHECK(requests[i] == MPI_REQUEST_NULL);
}

static void tidy(void)
{
    MPI_Waitall(COUNT, requests, MPI_STATUSES_IGNORE);
    for (int i = 0; i < COUNT; i++) {
        if (requests[i] != MPI_REQUEST_NULL)
            MPI_Request_free(&requests[i]);
        if (i % KINDS == PARTITIONED) {
            MPI_Wait(&parts[i], MPI_STATUS_IGNORE);
            MPI_Request_free(&parts[i]);
        }
    }
}

static void one_by_one(int waits)
{
    prepare(COUNT);
    for (int n = 0; n < COUNT; n++) {
        int index = -1, flag = 1;
#if MPI_VERSION > 4 || (MPI_VERSION == 4 && MPI_SUBVERSION >= 1)
        MPI_Request_get_status_any(COUNT, requests, &index, &flag, MPI_STATUS_IGNORE);
        CHECK(flag);
        EQUAL(index, order[n]);
#endif
        if (waits)
            MPI_Waitany(COUNT, requests, &index, MPI_STATUS_IGNORE);
        else
            MPI_Testany(COUNT, requests, &index, &flag, MPI_STATUS_IGNORE);
        CHECK(flag);
        EQUAL(index, order[n]);
        done(index);
    }
    tidy();
}

static void several(int waits)
{
    int count = -1, indices[COUNT], half = COUNT / 2;
    MPI_Status statuses[COUNT];
    prepare(half);
#if MPI_VERSION > 4 || (MPI_VERSION == 4 && MPI_SUBVERSION >= 1)
    MPI_Request_get_status_some(COUNT, requests, &count, indices, statuses);
    EQUAL(count, half);
    for (int n = 0; n < half; n++)
        EQUAL(indices[n], order[n]);
#endif
    if (waits)
        MPI_Waitsome(COUNT, requests, &count, indices, statuses);
    else
        MPI_Testsome(COUNT, requests, &count, indices, statuses);
    EQUAL(count, half);
    for (int n = 0; n < half; n++) {
        EQUAL(indices[n], order[n]);
        if (indices[n] % KINDS == RECEIVE || indices[n] % KINDS == PERSISTENT)
            STATUS(&statuses[n], previous, indices[n], (int)sizeof(int));
        done(indices[n]);
    }
    /* What has been told is no longer there; the rest is. */
    for (int n = half; n < COUNT; n++)
        complete(order[n]);
    tidy();
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    next = (rank + 1) % size;
    previous = (rank + size - 1) % size;
    for (int i = 0; i < COUNT; i++)
        MPI_Comm_dup(MPI_COMM_WORLD, &comms[i]);
    for (int seed = 1; seed <= 3; seed++) {
        for (int i = 0; i < COUNT; i++)
            order[i] = i;
        unsigned random = (unsigned)seed;
        for (int i = COUNT - 1; i > 0; i--) {
            random = random * 1103515245u + 12345u;
            int other = (int)(random >> 16) % (i + 1), kept = order[i];
            order[i] = order[other];
            order[other] = kept;
        }
        for (int waits = 0; waits < 2; waits++) {
            one_by_one(waits);
            several(waits);
        }
    }
    for (int i = 0; i < COUNT; i++)
        MPI_Comm_free(&comms[i]);
    return finish();
}
