/*
 * How long ranks are in a blocking collective operation: `collective OPERATION [options]`.
 *
 * An iteration is one call, and a barrier after it that no time is taken of: no rank is a call
 * ahead of the others. Every rank times its own calls; the mean of all ranks' means counts. The
 * root is rank 0 throughout.
 *
 * The size is that of the vector in bcast, reduce, allreduce and reduce_scatter, which deals it out
 * in even shares (a share is one longer where that does not come out even), and of the block of
 * each rank in all others. The forms with a `v` are given equal blocks one behind the other: the
 * same work, told by counts and displacements. Reductions are sums of MPI_SIGNED_CHAR, so that all
 * sizes are whole numbers of elements and the standard allows the sum.
 */
#include "bench.h"

#define ROOT 0
#define TYPE MPI_SIGNED_CHAR
#define COMM MPI_COMM_WORLD

/* What a rank has before the call and behind it. */
enum shape {
    NOTHING = 0,
    FROM_ALL =
        1, /* what is received is a block of every rank, or their sum; otherwise it is the root's */
    TO_EACH = 2,   /* what is sent has a block for every rank; otherwise all get the same */
    AT_ROOT = 4,   /* only the root receives */
    SUM = 8,       /* elements are added */
    SHARES = 16,   /* the vector is dealt out in shares that `counts` has */
    SEND_ONE = 32, /* the root sends its one vector, and the others receive into theirs */
};

static unsigned char *sent, *received;
static size_t sent_blocks, received_blocks;
static int *counts, *places; /* of blocks, or of shares */

static void barrier(int n)
{
    (void)n;
    MPI_Barrier(COMM);
}
static void bcast(int n)
{
    MPI_Bcast(job.rank == ROOT ? sent : received, n, TYPE, ROOT, COMM);
}
static void reduce(int n)
{
    MPI_Reduce(sent, received, n, TYPE, MPI_SUM, ROOT, COMM);
}
static void allreduce(int n)
{
    MPI_Allreduce(sent, received, n, TYPE, MPI_SUM, COMM);
}
static void reduce_scatter(int n)
{
    (void)n;
    MPI_Reduce_scatter(sent, received, counts, TYPE, MPI_SUM, COMM);
}
static void reduce_scatter_block(int n)
{
    MPI_Reduce_scatter_block(sent, received, n, TYPE, MPI_SUM, COMM);
}
static void gather(int n)
{
    MPI_Gather(sent, n, TYPE, received, n, TYPE, ROOT, COMM);
}
static void gatherv(int n)
{
    MPI_Gatherv(sent, n, TYPE, received, counts, places, TYPE, ROOT, COMM);
}
static void scatter(int n)
{
    MPI_Scatter(sent, n, TYPE, received, n, TYPE, ROOT, COMM);
}
static void scatterv(int n)
{
    MPI_Scatterv(sent, counts, places, TYPE, received, n, TYPE, ROOT, COMM);
}
static void allgather(int n)
{
    MPI_Allgather(sent, n, TYPE, received, n, TYPE, COMM);
}
static void allgatherv(int n)
{
    MPI_Allgatherv(sent, n, TYPE, received, counts, places, TYPE, COMM);
}
static void alltoall(int n)
{
    MPI_Alltoall(sent, n, TYPE, received, n, TYPE, COMM);
}
static void alltoallv(int n)
{
    (void)n;
    MPI_Alltoallv(sent, counts, places, TYPE, received, counts, places, TYPE, COMM);
}

static const struct operation {
    const char *name;
    void (*call)(int bytes);
    enum shape shape;
} operations[] = {
    {"barrier", barrier, NOTHING},
    {"bcast", bcast, SEND_ONE},
    {"reduce", reduce, FROM_ALL | SUM | AT_ROOT},
    {"allreduce", allreduce, FROM_ALL | SUM},
    {"reduce_scatter", reduce_scatter, FROM_ALL | SUM | SHARES},
    {"reduce_scatter_block", reduce_scatter_block, FROM_ALL | SUM | TO_EACH},
    {"gather", gather, FROM_ALL | AT_ROOT},
    {"gatherv", gatherv, FROM_ALL | AT_ROOT},
    {"scatter", scatter, TO_EACH},
    {"scatterv", scatterv, TO_EACH},
    {"allgather", allgather, FROM_ALL},
    {"allgatherv", allgatherv, FROM_ALL},
    {"alltoall", alltoall, FROM_ALL | TO_EACH},
    {"alltoallv", alltoallv, FROM_ALL | TO_EACH},
};
#define OPERATIONS (sizeof operations / sizeof *operations)

/* An element that a rank adds: small, so that the sum of 63 ranks is one, and never 0, so that a
 * missing one is seen. */
static int summand(int turn, int rank, size_t element)
{
    return 1 + (int)((element * 5 + (size_t)turn * 3 + (size_t)rank * 7 + element / 11) % 4 < 2);
}

static int shape_has(const struct operation *operation, enum shape which)
{
    return (operation->shape & which) != 0;
}

/* The counts and displacements of a size, where there are several. */
static void lay_out(const struct operation *operation, int bytes)
{
    if (sent_blocks == 1 && received_blocks == 1 && !shape_has(operation, SHARES))
        return;
    for (int rank = 0, place = 0; rank < job.ranks; place += counts[rank++]) {
        counts[rank] = bytes;
        if (shape_has(operation, SHARES))
            counts[rank] = bytes / job.ranks + (rank < bytes % job.ranks);
        places[rank] = place;
    }
}

static void prepare(const struct operation *operation, size_t bytes, int turn)
{
    if (shape_has(operation, SUM))
        for (size_t element = 0; element < bytes * sent_blocks; element++)
            sent[element] = (unsigned char)summand(turn, job.rank, element);
    else
        for (size_t block = 0; block < sent_blocks; block++)
            fill(sent + block * bytes, bytes, turn, job.rank,
                 shape_has(operation, TO_EACH) ? (int)block : 0);
    memset(received, 0, bytes * received_blocks);
}

/* Whether a rank received what it should not. */
static int is_wrong(const struct operation *operation, size_t bytes, int turn)
{
    int me = job.rank, wrong = 0;
    if (operation->shape == NOTHING || (me != ROOT && shape_has(operation, AT_ROOT)))
        return 0;
    if (shape_has(operation, SEND_ONE) && me == ROOT)
        return 0;
    if (shape_has(operation, SUM)) {
        int share = shape_has(operation, SHARES) || shape_has(operation, TO_EACH);
        size_t from = share ? (size_t)places[me] : 0, number = share ? (size_t)counts[me] : bytes;
        for (size_t element = 0; element < number; element++) {
            int sum = 0;
            for (int rank = 0; rank < job.ranks; rank++)
                sum += summand(turn, rank, from + element);
            wrong |= received[element] != (unsigned char)sum;
        }
        return wrong;
    }
    int to = shape_has(operation, TO_EACH) ? me : 0;
    if (!shape_has(operation, FROM_ALL))
        return differs(received, bytes, turn, ROOT, to);
    for (int from = 0; from < job.ranks; from++)
        wrong |= differs(received + (size_t)from * bytes, bytes, turn, from, to);
    return wrong;
}

static const struct operation *find(const char *name)
{
    for (size_t i = 0; name && i < OPERATIONS; i++)
        if (strcmp(operations[i].name, name) == 0)
            return &operations[i];
    return NULL;
}

int main(int argc, char **argv)
{
    struct defaults with_data = {1, 1 << 20, 1, 1000, 100, 100, 10, ":hm:i:x:c"};
    struct defaults without = {0, 0, 0, 1000, 100, 1000, 100, ":hi:x:"};
    const struct operation *operation = find(argc > 1 ? argv[1] : NULL);
    if (!operation) {
        char names[512] = "";
        begin(1, argv, NULL, without);
        for (size_t i = 0; i < OPERATIONS; i++)
            snprintf(names + strlen(names), sizeof names - strlen(names), " %s",
                     operations[i].name);
        refuse("the first word names an operation, one of:%s", names);
    }
    begin(argc, argv, operation->name, operation->shape == NOTHING ? without : with_data);
    if (job.ranks < 2)
        refuse("at least two ranks are needed, and the job has 1");
    sent_blocks = shape_has(operation, TO_EACH) ? (size_t)job.ranks : 1;
    received_blocks =
        shape_has(operation, FROM_ALL) && !shape_has(operation, SUM) ? (size_t)job.ranks : 1;
    if (sent_blocks * job.given.most > INT_MAX || received_blocks * job.given.most > INT_MAX)
        refuse("-m: blocks of %zu bytes of %d ranks are more than an int can count", job.given.most,
               job.ranks);
    sent = buffer(sent_blocks, 'a');
    received = buffer(received_blocks, 'b');
    counts = malloc((size_t)job.ranks * sizeof *counts);
    places = malloc((size_t)job.ranks * sizeof *places);
    heading(operation->name, "Avg Latency(us)", NULL);
    for (size_t bytes = job.given.least; bytes <= job.given.most; bytes = next_size(bytes)) {
        int first = warm_up(bytes), turns = first + iterations(bytes), wrong = 0;
        double seconds = 0, sum = 0;
        lay_out(operation, (int)bytes);
        MPI_Barrier(COMM);
        for (int turn = 0; turn < turns; turn++) {
            if (job.checks) {
                prepare(operation, bytes, turn);
                MPI_Barrier(COMM);
            }
            double begun = MPI_Wtime();
            operation->call((int)bytes);
            double ended = MPI_Wtime();
            MPI_Barrier(COMM);
            if (turn >= first)
                seconds += ended - begun;
            if (job.checks)
                wrong += is_wrong(operation, bytes, turn);
        }
        MPI_Reduce(&seconds, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, COMM);
        row(bytes, sum * MICROSECONDS / iterations(bytes) / job.ranks, 0, wrong);
    }
    return finish();
}
