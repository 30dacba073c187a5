/* Messages do not overtake: same sender, same tag, lengths that take different protocols. With
 * wildcards, and with many requests outstanding. */
#include "check.h"

#define MESSAGES 600
#define OUTSTANDING 1000

static int length_of(int i)
{
    static const int lengths[] = {4, 4, 70000, 4, 9000, 64, 4, 40, 41, 20000, 4, 300000};
    return lengths[i % 12];
}

/* Each rank sends to the next one; the receiver posts its receives after the fact, then before. */
static void one_sender(void)
{
    int next = (rank + 1) % size, previous = (rank + size - 1) % size;
    static unsigned char in[MESSAGES / 10][300000 + GUARD], out[MESSAGES / 10][300000];
    MPI_Request requests[2 * (MESSAGES / 10)];
    MPI_Status status;
    for (int round = 0; round < 10; round++) {
        int count = MESSAGES / 10;
        int early = round % 2;
        for (int i = 0; i < count; i++) {
            fill(out[i], length_of(i), round * count + i);
            clear(in[i], length_of(i));
        }
        for (int i = 0; early && i < count; i++)
            MPI_Irecv(in[i], 300000, MPI_BYTE, previous, 5, MPI_COMM_WORLD, &requests[i]);
        for (int i = 0; i < count; i++)
            MPI_Isend(out[i], length_of(i), MPI_BYTE, next, 5, MPI_COMM_WORLD,
                      &requests[count + i]);
        for (int i = 0; i < count; i++) {
            if (early)
                MPI_Wait(&requests[i], &status);
            else
                MPI_Recv(in[i], 300000, MPI_BYTE, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD,
                         &status);
            STATUS(&status, previous, 5, length_of(i));
            CONTENT(in[i], length_of(i), round * count + i);
        }
        EQUAL(MPI_Waitall(count, &requests[count], MPI_STATUSES_IGNORE), MPI_SUCCESS);
        MPI_Barrier(MPI_COMM_WORLD);
    }
}

/* Everybody sends to rank 0, which takes what comes. */
static void any_source(void)
{
    if (rank == 0) {
        int *expected = calloc(size, sizeof *expected);
        static int in[80000];
        for (int i = 0; i < (size - 1) * MESSAGES; i++) {
            MPI_Status status;
            MPI_Recv(in, 80000, MPI_INT, MPI_ANY_SOURCE, i % 3 ? MPI_ANY_TAG : 6, MPI_COMM_WORLD,
                     &status);
            CHECK(status.MPI_SOURCE > 0 && status.MPI_SOURCE < size);
            EQUAL(status.MPI_TAG, 6);
            EQUAL(in[0], expected[status.MPI_SOURCE]);
            expected[status.MPI_SOURCE]++;
        }
        for (int i = 1; i < size; i++)
            EQUAL(expected[i], MESSAGES);
        free(expected);
    } else {
        static int out[80000];
        for (int i = 0; i < MESSAGES; i++) {
            out[0] = i;
            MPI_Send(out, length_of(i) / 4, MPI_INT, 0, 6, MPI_COMM_WORLD);
        }
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

/* Receives are matched in the order they were posted, specific ones and wildcards alike. */
static void posting_order(void)
{
    int next = (rank + 1) % size, previous = (rank + size - 1) % size;
    int in[6] = {-1, -1, -1, -1, -1, -1};
    MPI_Request requests[6];
    MPI_Irecv(&in[0], 1, MPI_INT, previous, 2, MPI_COMM_WORLD, &requests[0]);
    MPI_Irecv(&in[1], 1, MPI_INT, MPI_ANY_SOURCE, 1, MPI_COMM_WORLD, &requests[1]);
    MPI_Irecv(&in[2], 1, MPI_INT, previous, MPI_ANY_TAG, MPI_COMM_WORLD, &requests[2]);
    MPI_Irecv(&in[3], 1, MPI_INT, previous, 1, MPI_COMM_WORLD, &requests[3]);
    MPI_Irecv(&in[4], 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &requests[4]);
    MPI_Irecv(&in[5], 1, MPI_INT, previous, 1, MPI_COMM_WORLD, &requests[5]);
    MPI_Barrier(MPI_COMM_WORLD);
    /* Tags in sending order, and the receive each one finds. */
    static const int tag[6] = {1, 1, 2, 1, 1, 1}, finds[6] = {1, 2, 0, 3, 4, 5};
    for (int i = 0; i < 6; i++)
        MPI_Send(&i, 1, MPI_INT, next, tag[i], MPI_COMM_WORLD);
    MPI_Waitall(6, requests, MPI_STATUSES_IGNORE);
    for (int i = 0; i < 6; i++)
        EQUAL(in[finds[i]], i);
    MPI_Barrier(MPI_COMM_WORLD);
}

/* Many requests at once, received in the opposite order of their tags. */
static void many(void)
{
    int next = (rank + 1) % size, previous = (rank + size - 1) % size;
    static int in[OUTSTANDING], out[OUTSTANDING];
    static MPI_Request requests[2 * OUTSTANDING];
    for (int posted_first = 0; posted_first < 2; posted_first++) {
        for (int i = 0; i < OUTSTANDING; i++)
            out[i] = rank * OUTSTANDING + i;
        for (int i = 0; posted_first && i < OUTSTANDING; i++)
            MPI_Irecv(&in[i], 1, MPI_INT, previous, OUTSTANDING - i, MPI_COMM_WORLD, &requests[i]);
        for (int i = 0; i < OUTSTANDING; i++)
            MPI_Isend(&out[i], 1, MPI_INT, next, 1 + i, MPI_COMM_WORLD, &requests[OUTSTANDING + i]);
        for (int i = 0; !posted_first && i < OUTSTANDING; i++)
            MPI_Irecv(&in[i], 1, MPI_INT, previous, OUTSTANDING - i, MPI_COMM_WORLD, &requests[i]);
        EQUAL(MPI_Waitall(2 * OUTSTANDING, requests, MPI_STATUSES_IGNORE), MPI_SUCCESS);
        for (int i = 0; i < OUTSTANDING; i++)
            EQUAL(in[i], previous * OUTSTANDING + OUTSTANDING - 1 - i);
        MPI_Barrier(MPI_COMM_WORLD);
    }
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    one_sender();
    any_source();
    posting_order();
    many();
    return finish();
}
