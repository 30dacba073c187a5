/* Every way to wait for requests and to test them. */
#include "check.h"

#define COUNT 16

static int next, previous, in[COUNT], out[COUNT];
static MPI_Request requests[COUNT];
static MPI_Status statuses[COUNT];

/* COUNT receives from the previous rank, request i with tag i. */
static void post(void)
{
    for (int i = 0; i < COUNT; i++) {
        in[i] = -1;
        out[i] = rank * 100 + i;
        MPI_Irecv(&in[i], 1, MPI_INT, previous, i, MPI_COMM_WORLD, &requests[i]);
    }
}

static void send_one(int i)
{
    MPI_Send(&out[i], 1, MPI_INT, next, i, MPI_COMM_WORLD);
}

static void received(int i, const MPI_Status *status)
{
    STATUS(status, previous, i, (int)sizeof(int));
    EQUAL(in[i], previous * 100 + i);
    CHECK(requests[i] == MPI_REQUEST_NULL);
}

/* What the calls say of a request that is null. */
static void empty(const MPI_Status *status)
{
    STATUS(status, MPI_ANY_SOURCE, MPI_ANY_TAG, 0);
}

static void one(void)
{
    MPI_Status status;
    int flag = 1;
    post();
    MPI_Test(&requests[0], &flag, &status);
    MPI_Barrier(MPI_COMM_WORLD);
    EQUAL(flag, 0);
    for (int i = 0; i < COUNT; i++)
        send_one(i);
    MPI_Wait(&requests[0], &status);
    received(0, &status);
    do
        MPI_Test(&requests[1], &flag, &status);
    while (!flag);
    received(1, &status);
    do
        MPI_Request_get_status(requests[2], &flag, &status);
    while (!flag);
    CHECK(requests[2] != MPI_REQUEST_NULL);
    STATUS(&status, previous, 2, (int)sizeof(int));
    MPI_Wait(&requests[2], &status);
    received(2, &status);
    MPI_Waitall(COUNT, requests, statuses);
    for (int i = 0; i < COUNT; i++)
        if (i < 3)
            empty(&statuses[i]);
        else
            received(i, &statuses[i]);
    MPI_Barrier(MPI_COMM_WORLD);
}

static void all(void)
{
    int flag = 1;
    post();
    MPI_Testall(COUNT, requests, &flag, statuses);
    MPI_Barrier(MPI_COMM_WORLD);
    EQUAL(flag, 0);
    for (int i = 0; i < COUNT - 1; i++)
        send_one(i);
    for (int i = 0; i < 100; i++) {
        MPI_Testall(COUNT, requests, &flag, statuses);
        EQUAL(flag, 0);
        /* Not all are done: none is taken away. */
        for (int k = 0; k < COUNT; k++)
            CHECK(requests[k] != MPI_REQUEST_NULL);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    send_one(COUNT - 1);
    do
        MPI_Testall(COUNT, requests, &flag, statuses);
    while (!flag);
    for (int i = 0; i < COUNT; i++)
        received(i, &statuses[i]);
    MPI_Testall(COUNT, requests, &flag, MPI_STATUSES_IGNORE);
    EQUAL(flag, 1);
    MPI_Barrier(MPI_COMM_WORLD);
}

static void any(void)
{
    int index, flag = 1;
    MPI_Status status;
    post();
    MPI_Testany(COUNT, requests, &index, &flag, &status);
    MPI_Barrier(MPI_COMM_WORLD);
    EQUAL(flag, 0);
    EQUAL(index, MPI_UNDEFINED);
    for (int i = COUNT - 1; i >= 0; i--) {
        /* Only request i can be done: nobody sends the next one before everybody has this one. */
        send_one(i);
        if (i % 2)
            MPI_Waitany(COUNT, requests, &index, &status);
        else
            do
                MPI_Testany(COUNT, requests, &index, &flag, &status);
            while (!flag);
        EQUAL(index, i);
        received(i, &status);
        MPI_Barrier(MPI_COMM_WORLD);
    }
    MPI_Waitany(COUNT, requests, &index, &status);
    EQUAL(index, MPI_UNDEFINED);
    empty(&status);
    MPI_Testany(COUNT, requests, &index, &flag, &status);
    EQUAL(index, MPI_UNDEFINED);
    EQUAL(flag, 1);
    empty(&status);
    MPI_Barrier(MPI_COMM_WORLD);
}

static void some(void)
{
    int count, done = 0, indices[COUNT];
    post();
    MPI_Testsome(COUNT, requests, &count, indices, statuses);
    MPI_Barrier(MPI_COMM_WORLD);
    EQUAL(count, 0);
    for (int i = 0; i < COUNT; i++)
        send_one(i);
    for (int turn = 0; done < COUNT; turn++) {
        if (turn % 2)
            MPI_Waitsome(COUNT, requests, &count, indices, statuses);
        else
            MPI_Testsome(COUNT, requests, &count, indices, statuses);
        CHECK(count >= turn % 2);
        for (int i = 0; i < count; i++)
            received(indices[i], &statuses[i]);
        done += count;
    }
    EQUAL(done, COUNT);
    MPI_Waitsome(COUNT, requests, &count, indices, statuses);
    EQUAL(count, MPI_UNDEFINED);
    MPI_Testsome(COUNT, requests, &count, indices, statuses);
    EQUAL(count, MPI_UNDEFINED);
    MPI_Barrier(MPI_COMM_WORLD);
}

static void nothing(void)
{
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Status status;
    int flag = 0, index = 0, count = 0, indices[1];
    MPI_Wait(&request, &status);
    empty(&status);
    MPI_Test(&request, &flag, &status);
    EQUAL(flag, 1);
    empty(&status);
    MPI_Request_get_status(request, &flag, &status);
    EQUAL(flag, 1);
    empty(&status);
    EQUAL(MPI_Waitall(0, NULL, MPI_STATUSES_IGNORE), MPI_SUCCESS);
    EQUAL(MPI_Waitany(0, NULL, &index, &status), MPI_SUCCESS);
    EQUAL(index, MPI_UNDEFINED);
    EQUAL(MPI_Waitsome(0, NULL, &count, indices, MPI_STATUSES_IGNORE), MPI_SUCCESS);
    EQUAL(count, MPI_UNDEFINED);
    EQUAL(MPI_Testall(0, NULL, &flag, MPI_STATUSES_IGNORE), MPI_SUCCESS);
    EQUAL(flag, 1);
}

/* A request that is given up still does its work. */
static void freed(void)
{
    int value = 41, got = 0;
    MPI_Request request;
    MPI_Isend(&value, 1, MPI_INT, next, 77, MPI_COMM_WORLD, &request);
    MPI_Request_free(&request);
    CHECK(request == MPI_REQUEST_NULL);
    MPI_Recv(&got, 1, MPI_INT, previous, 77, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    EQUAL(got, 41);
    got = 0;
    MPI_Irecv(&got, 1, MPI_INT, previous, 78, MPI_COMM_WORLD, &request);
    MPI_Request_free(&request);
    MPI_Send(&value, 1, MPI_INT, next, 78, MPI_COMM_WORLD);
    /* Messages do not overtake: when the second one is here, so is the first. */
    MPI_Sendrecv(&value, 1, MPI_INT, next, 79, &(int){0}, 1, MPI_INT, previous, 79, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    MPI_Barrier(MPI_COMM_WORLD);
    EQUAL(got, 41);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    next = (rank + 1) % size;
    previous = (rank + size - 1) % size;
    for (int round = 0; round < 20; round++) {
        one();
        all();
        any();
        some();
        nothing();
        freed();
    }
    return finish();
}
