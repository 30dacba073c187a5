/* Partitioned communication: partitions in any order, as many on one side as on the other or not,
 * again and again, started before and after the other side was made, of types with gaps, to this
 * rank itself and to nobody. */
#include "check.h"

static int value(int round, int at)
{
    return round * 100003 + at * 7 + 1;
}

/* A ring in which every rank sends as so many partitions what the next one receives as so many
 * others. */
static void ring(int sends, int receives, int total, int late)
{
    int *out = malloc(total * sizeof *out), *in = malloc(total * sizeof *in), flag;
    int next = (rank + 1) % size, before = (rank + size - 1) % size;
    MPI_Request requests[2];
    MPI_Status statuses[2];
    if (late)
        MPI_Barrier(MPI_COMM_WORLD);
    EQUAL(MPI_Precv_init(in, receives, total / receives, MPI_INT, before, 5, MPI_COMM_WORLD,
                         MPI_INFO_NULL, &requests[0]),
          MPI_SUCCESS);
    /* A receive may be started before anybody sends. */
    EQUAL(MPI_Start(&requests[0]), MPI_SUCCESS);
    EQUAL(MPI_Parrived(requests[0], 0, &flag), MPI_SUCCESS);
    if (!late)
        MPI_Barrier(MPI_COMM_WORLD);
    EQUAL(MPI_Psend_init(out, sends, total / sends, MPI_INT, next, 5, MPI_COMM_WORLD, MPI_INFO_NULL,
                         &requests[1]),
          MPI_SUCCESS);
    for (int round = 0; round < 4; round++) {
        for (int at = 0; at < total; at++) {
            out[at] = value(round, at + rank);
            /* In the first round it may be here already. */
            if (round > 0)
                in[at] = -1;
        }
        if (round > 0)
            EQUAL(MPI_Start(&requests[0]), MPI_SUCCESS);
        EQUAL(MPI_Start(&requests[1]), MPI_SUCCESS);
        /* From the last to the first, one by one, as a range, as a list. */
        if (round % 2 == 0) {
            for (int partition = sends - 1; partition >= 0; partition--)
                EQUAL(MPI_Pready(partition, requests[1]), MPI_SUCCESS);
        } else {
            int *list = malloc((sends / 2 + 1) * sizeof *list);
            for (int at = 0; at < sends / 2; at++)
                list[at] = sends - 1 - at;
            EQUAL(MPI_Pready_list(sends / 2, list, requests[1]), MPI_SUCCESS);
            EQUAL(MPI_Pready_range(0, sends - sends / 2 - 1, requests[1]), MPI_SUCCESS);
            free(list);
        }
        if (round < 2) {
            for (int partition = 0; partition < receives; partition++) {
                int first = partition * (total / receives);
                do
                    EQUAL(MPI_Parrived(requests[0], partition, &flag), MPI_SUCCESS);
                while (!flag);
                CHECK(total == 0 || in[first] == value(round, first + before));
            }
        }
        EQUAL(MPI_Waitall(2, requests, statuses), MPI_SUCCESS);
        STATUS(&statuses[0], before, 5, total * (int)sizeof *in);
        for (int at = 0; at < total; at++)
            EQUAL(in[at], value(round, at + before));
        EQUAL(MPI_Parrived(requests[0], receives - 1, &flag), MPI_SUCCESS);
        CHECK(flag);
    }
    MPI_Request_free(&requests[0]);
    MPI_Request_free(&requests[1]);
    free(out);
    free(in);
}

/* Two pairs of requests with one tag: they meet in the order in which they were made, in whatever
 * order they are started. */
static void pairs(void)
{
    int out[2] = {rank, 100 + rank}, in[2] = {-1, -1};
    int next = (rank + 1) % size, before = (rank + size - 1) % size;
    MPI_Request sends[2], receives[2];
    for (int i = 0; i < 2; i++) {
        MPI_Psend_init(&out[i], 1, 1, MPI_INT, next, 9, MPI_COMM_WORLD, MPI_INFO_NULL, &sends[i]);
        MPI_Precv_init(&in[i], 1, 1, MPI_INT, before, 9, MPI_COMM_WORLD, MPI_INFO_NULL,
                       &receives[i]);
    }
    for (int i = 1; i >= 0; i--) {
        MPI_Start(&sends[i]);
        MPI_Start(&receives[1 - i]);
        MPI_Pready(0, sends[i]);
    }
    MPI_Waitall(2, sends, MPI_STATUSES_IGNORE);
    MPI_Waitall(2, receives, MPI_STATUSES_IGNORE);
    CHECK(in[0] == before && in[1] == 100 + before);
    for (int i = 0; i < 2; i++) {
        MPI_Request_free(&sends[i]);
        MPI_Request_free(&receives[i]);
    }
}

/* Every second number, as 4 partitions, into 2 partitions of numbers with gaps of their own. */
static void gaps(void)
{
    enum { EACH = 3000, ALL = 4 * EACH };
    int *out = calloc(2 * ALL, sizeof *out), *in = calloc(3 * ALL, sizeof *in);
    int next = (rank + 1) % size, before = (rank + size - 1) % size;
    MPI_Datatype second, third, wide;
    MPI_Request requests[2];
    MPI_Type_create_resized(MPI_INT, 0, 2 * sizeof(int), &second);
    MPI_Type_create_resized(MPI_INT, 0, 3 * sizeof(int), &third);
    MPI_Type_contiguous(EACH, third, &wide);
    MPI_Type_commit(&second);
    MPI_Type_commit(&wide);
    for (int at = 0; at < ALL; at++)
        out[2 * at] = value(rank, at);
    MPI_Psend_init(out, 4, EACH, second, next, 6, MPI_COMM_WORLD, MPI_INFO_NULL, &requests[0]);
    MPI_Precv_init(in, 2, 2, wide, before, 6, MPI_COMM_WORLD, MPI_INFO_NULL, &requests[1]);
    MPI_Startall(2, requests);
    int order[] = {2, 0, 3, 1};
    MPI_Pready_list(4, order, requests[0]);
    EQUAL(MPI_Waitall(2, requests, MPI_STATUSES_IGNORE), MPI_SUCCESS);
    for (int at = 0; at < ALL; at++)
        CHECK(in[3 * at] == value(before, at) && in[3 * at + 1] == 0 && in[3 * at + 2] == 0);
    MPI_Request_free(&requests[0]);
    MPI_Request_free(&requests[1]);
    MPI_Type_free(&second);
    MPI_Type_free(&third);
    MPI_Type_free(&wide);
    free(out);
    free(in);
}

/* Partitions without bytes arrive when they are sent, one by one, too. */
static void nothing(void)
{
    MPI_Request send, receive;
    int flag, data = 0;
    MPI_Psend_init(&data, 3, 0, MPI_INT, rank, 2, MPI_COMM_WORLD, MPI_INFO_NULL, &send);
    MPI_Precv_init(&data, 3, 0, MPI_INT, rank, 2, MPI_COMM_WORLD, MPI_INFO_NULL, &receive);
    for (int round = 0; round < 3; round++) {
        MPI_Start(&receive);
        MPI_Start(&send);
        for (int ready = 0; ready < 3; ready++) {
            for (int i = ready; i < 3; i++) {
                MPI_Parrived(receive, i, &flag);
                CHECK(!flag);
            }
            MPI_Pready(ready, send);
            do
                MPI_Parrived(receive, ready, &flag);
            while (!flag);
        }
        MPI_Wait(&send, MPI_STATUS_IGNORE);
        MPI_Wait(&receive, MPI_STATUS_IGNORE);
    }
    MPI_Request_free(&send);
    MPI_Request_free(&receive);
}

static void wrong(void)
{
    int data[4] = {0}, flag;
    MPI_Request send, receive;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    FAILS(MPI_ERR_ARG,
          MPI_Psend_init(data, -1, 1, MPI_INT, 0, 0, MPI_COMM_WORLD, MPI_INFO_NULL, &send));
    FAILS(MPI_ERR_RANK,
          MPI_Psend_init(data, 1, 1, MPI_INT, size, 0, MPI_COMM_WORLD, MPI_INFO_NULL, &send));
    FAILS(MPI_ERR_ARG, MPI_Precv_init(data, 1, 1, MPI_INT, MPI_ANY_SOURCE, 0, MPI_COMM_WORLD,
                                      MPI_INFO_NULL, &receive));
    FAILS(MPI_ERR_ARG, MPI_Precv_init(data, 1, 1, MPI_INT, 0, MPI_ANY_TAG, MPI_COMM_WORLD,
                                      MPI_INFO_NULL, &receive));
    MPI_Psend_init(data, 4, 1, MPI_INT, rank, 1, MPI_COMM_WORLD, MPI_INFO_NULL, &send);
    MPI_Precv_init(data, 1, 2, MPI_INT, rank, 1, MPI_COMM_WORLD, MPI_INFO_NULL, &receive);
    FAILS(MPI_ERR_REQUEST, MPI_Pready(0, send));
    MPI_Start(&send);
    FAILS(MPI_ERR_ARG, MPI_Pready(4, send));
    FAILS(MPI_ERR_ARG, MPI_Pready(-1, send));
    FAILS(MPI_ERR_REQUEST, MPI_Pready(0, receive));
    FAILS(MPI_ERR_REQUEST, MPI_Parrived(send, 0, &flag));
    EQUAL(MPI_Pready(2, send), MPI_SUCCESS);
    FAILS(MPI_ERR_ARG, MPI_Pready(2, send));
    FAILS(MPI_ERR_REQUEST, MPI_Start(&send));
    MPI_Pready_range(0, 1, send);
    MPI_Pready(3, send);
    MPI_Wait(&send, MPI_STATUS_IGNORE);
    /* Half as much room as there are data. */
    MPI_Start(&receive);
    FAILS(MPI_ERR_TRUNCATE, MPI_Wait(&receive, MPI_STATUS_IGNORE));
    MPI_Request_free(&send);
    MPI_Request_free(&receive);

    /* No room at all, and nothing to receive. */
    MPI_Psend_init(data, 4, 1, MPI_INT, rank, 1, MPI_COMM_WORLD, MPI_INFO_NULL, &send);
    MPI_Precv_init(data, 0, 1, MPI_INT, rank, 1, MPI_COMM_WORLD, MPI_INFO_NULL, &receive);
    MPI_Start(&send);
    MPI_Start(&receive);
    MPI_Pready_range(0, 3, send);
    MPI_Wait(&send, MPI_STATUS_IGNORE);
    FAILS(MPI_ERR_TRUNCATE, MPI_Wait(&receive, MPI_STATUS_IGNORE));
    MPI_Request_free(&send);
    MPI_Request_free(&receive);
    for (int partitions = 0; partitions < 5; partitions += 4) {
        MPI_Status status;
        int count = -1;
        MPI_Psend_init(data, 0, 1, MPI_INT, rank, 1, MPI_COMM_WORLD, MPI_INFO_NULL, &send);
        MPI_Precv_init(data, partitions, 1, MPI_INT, rank, 1, MPI_COMM_WORLD, MPI_INFO_NULL,
                       &receive);
        for (int round = 0; round < 2; round++) {
            MPI_Start(&receive);
            MPI_Start(&send);
            MPI_Wait(&send, MPI_STATUS_IGNORE);
            EQUAL(MPI_Wait(&receive, &status), MPI_SUCCESS);
            MPI_Get_count(&status, MPI_INT, &count);
            EQUAL(count, 0);
        }
        MPI_Request_free(&send);
        MPI_Request_free(&receive);
    }

    MPI_Psend_init(data, 2, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_COMM_WORLD, MPI_INFO_NULL, &send);
    MPI_Precv_init(data, 2, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_COMM_WORLD, MPI_INFO_NULL, &receive);
    MPI_Start(&send);
    MPI_Start(&receive);
    MPI_Pready_range(0, 1, send);
    MPI_Status status;
    EQUAL(MPI_Wait(&send, MPI_STATUS_IGNORE), MPI_SUCCESS);
    EQUAL(MPI_Wait(&receive, &status), MPI_SUCCESS);
    EQUAL(status.MPI_SOURCE, MPI_PROC_NULL);
    MPI_Request_free(&send);
    MPI_Request_free(&receive);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    for (int late = 0; late < 2; late++) {
        ring(1, 1, 1, late);
        ring(8, 8, 64, late);
        ring(12, 4, 1200, late);
        ring(4, 12, 120000, late);
        ring(3, 1, 300000, late);
        ring(1, 5, 1000, late);
    }
    pairs();
    gaps();
    nothing();
    wrong();
    return finish();
}
