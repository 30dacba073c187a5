/* The collectives that the benchmark programs call: each root, several lengths and types, in place
 * too, on the world and on parts. */
#include "check.h"
#include <time.h>
#include <unistd.h>

static const int counts[] = {0, 1, 3, 100, 5000, 100000};

/* Seconds of a clock that all ranks of a node share. */
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

/* Nobody leaves before the last one has come. */
static void barrier(MPI_Comm comm, int me, int of)
{
    for (int late = 0; late < of; late++) {
        if (me == late)
            usleep(2000);
        double come = now(), last, first;
        MPI_Barrier(comm);
        double left = now();
        MPI_Allreduce(&come, &last, 1, MPI_DOUBLE, MPI_MAX, comm);
        MPI_Allreduce(&left, &first, 1, MPI_DOUBLE, MPI_MIN, comm);
        CHECK(first >= last);
    }
}

static void rooted(MPI_Comm comm, int me, int of, int count)
{
    int *in = calloc(count + 1, sizeof *in), *out = calloc(count + 1, sizeof *out),
        *all = malloc((size_t)(count + 1) * of * sizeof *all);
    for (int root = 0; root < of; root += of > 4 ? 3 : 1) {
        for (int i = 0; i < count; i++)
            out[i] = me == root ? root * 7 + i : -1;
        out[count] = 4711;
        EQUAL(MPI_Bcast(out, count, MPI_INT, root, comm), MPI_SUCCESS);
        for (int i = 0; i < count; i++)
            EQUAL(out[i], root * 7 + i);
        EQUAL(out[count], 4711);

        for (int i = 0; i < count; i++)
            out[i] = me * 3 + i;
        memset(in, 0, (count + 1) * sizeof *in);
        EQUAL(MPI_Reduce(out, in, count, MPI_INT, MPI_SUM, root, comm), MPI_SUCCESS);
        for (int i = 0; i < count; i++)
            EQUAL(in[i], me == root ? 3 * of * (of - 1) / 2 + of * i : 0);
        if (me == root) {
            EQUAL(MPI_Reduce(MPI_IN_PLACE, out, count, MPI_INT, MPI_MAX, root, comm), MPI_SUCCESS);
            for (int i = 0; i < count; i++)
                EQUAL(out[i], 3 * (of - 1) + i);
        } else
            EQUAL(MPI_Reduce(out, NULL, count, MPI_INT, MPI_MAX, root, comm), MPI_SUCCESS);

        for (int i = 0; i < count; i++)
            out[i] = me * 1000 + i;
        EQUAL(MPI_Gather(out, count, MPI_INT, all, count, MPI_INT, root, comm), MPI_SUCCESS);
        if (me == root)
            for (int from = 0; from < of; from++)
                for (int i = 0; i < count; i++)
                    EQUAL(all[from * count + i], from * 1000 + i);
    }
    free(in);
    free(out);
    free(all);
}

static void allreduce(MPI_Comm comm, int me, int of, int count)
{
    double *in = calloc(count + 1, sizeof *in), *out = calloc(count + 1, sizeof *out);
    for (int i = 0; i < count; i++)
        out[i] = me + i * 0.5;
    EQUAL(MPI_Allreduce(out, in, count, MPI_DOUBLE, MPI_SUM, comm), MPI_SUCCESS);
    for (int i = 0; i < count; i++)
        CHECK(in[i] == of * (of - 1) / 2 + of * i * 0.5);
    EQUAL(MPI_Allreduce(MPI_IN_PLACE, out, count, MPI_DOUBLE, MPI_MIN, comm), MPI_SUCCESS);
    for (int i = 0; i < count; i++)
        CHECK(out[i] == i * 0.5);
    free(in);
    free(out);
}

/* One element, every operation that fits its type. */
static void operations(MPI_Comm comm, int me, int of)
{
    int value = me + 1, got = 0, bits = 1 << (me % 8), flag = me != 0;
    struct {
        double value;
        int index;
    } pair, best;
    /* The gap, too, may be sent: memory checkers look at it. */
    memset(&pair, 0, sizeof pair);
    pair.value = of - me;
    pair.index = me;
    MPI_Allreduce(&value, &got, 1, MPI_INT, MPI_MAX, comm);
    EQUAL(got, of);
    MPI_Allreduce(&value, &got, 1, MPI_INT, MPI_MIN, comm);
    EQUAL(got, 1);
    int small = me < 4 ? me + 1 : 1;
    MPI_Allreduce(&small, &got, 1, MPI_INT, MPI_PROD, comm);
    static const int factorial[] = {1, 1, 2, 6, 24};
    EQUAL(got, factorial[of < 4 ? of : 4]);
    MPI_Allreduce(&bits, &got, 1, MPI_INT, MPI_BOR, comm);
    EQUAL(got, of >= 8 ? 255 : (1 << of) - 1);
    MPI_Allreduce(&bits, &got, 1, MPI_INT, MPI_BAND, comm);
    EQUAL(got, of == 1 ? 1 : 0);
    MPI_Allreduce(&flag, &got, 1, MPI_INT, MPI_LAND, comm);
    EQUAL(got, 0);
    MPI_Allreduce(&flag, &got, 1, MPI_INT, MPI_LOR, comm);
    EQUAL(got, of > 1);
    MPI_Allreduce(&pair, &best, 1, MPI_DOUBLE_INT, MPI_MINLOC, comm);
    CHECK(best.value == 1);
    EQUAL(best.index, of - 1);
    MPI_Allreduce(&pair, &best, 1, MPI_DOUBLE_INT, MPI_MAXLOC, comm);
    CHECK(best.value == of);
    EQUAL(best.index, 0);
}

static void everything(MPI_Comm comm)
{
    int me, of;
    MPI_Comm_rank(comm, &me);
    MPI_Comm_size(comm, &of);
    barrier(comm, me, of);
    for (int c = 0; c < 6; c++) {
        rooted(comm, me, of, counts[c]);
        allreduce(comm, me, of, counts[c]);
    }
    operations(comm, me, of);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    everything(MPI_COMM_WORLD);
    everything(MPI_COMM_SELF);
    MPI_Comm part;
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, -rank, &part);
    everything(part);
    MPI_Comm_free(&part);

    /* Point-to-point traffic with any tag does not see the collectives' messages. */
    int value = -1, previous = (rank + size - 1) % size;
    MPI_Request request;
    MPI_Irecv(&value, 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &request);
    everything(MPI_COMM_WORLD);
    EQUAL(value, -1);
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Send(&rank, 1, MPI_INT, (rank + 1) % size, 0, MPI_COMM_WORLD);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    EQUAL(value, previous);
    return finish();
}
