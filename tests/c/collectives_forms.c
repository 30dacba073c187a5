/* Every collective in its blocking, nonblocking and persistent form, with MPI_IN_PLACE and without,
 * on integers in a row, on integers with gaps between them, and with an operation that does not
 * commute. */
#include "check.h"

/* How a call is made: at once, by a request, or by a persistent request that is started twice. */
enum form { NOW, LATER, AGAIN, FORMS };

#define CALL(form, name, init, ...)                                                       \
    do {                                                                                  \
        MPI_Request request_ = MPI_REQUEST_NULL;                                          \
        if (form == NOW) {                                                                \
            EQUAL(MPI_##name(__VA_ARGS__), MPI_SUCCESS);                                  \
        } else if (form == LATER) {                                                       \
            EQUAL(MPI_I##init(__VA_ARGS__, &request_), MPI_SUCCESS);                      \
            EQUAL(MPI_Wait(&request_, MPI_STATUS_IGNORE), MPI_SUCCESS);                   \
            CHECK(request_ == MPI_REQUEST_NULL);                                          \
        } else {                                                                          \
            EQUAL(MPI_##name##_init(__VA_ARGS__, MPI_INFO_NULL, &request_), MPI_SUCCESS); \
            for (int round_ = 0; round_ < 2; round_++) {                                  \
                PREPARE;                                                                  \
                EQUAL(MPI_Start(&request_), MPI_SUCCESS);                                 \
                EQUAL(MPI_Wait(&request_, MPI_STATUS_IGNORE), MPI_SUCCESS);               \
            }                                                                             \
            EQUAL(MPI_Request_free(&request_), MPI_SUCCESS);                              \
        }                                                                                 \
    } while (0)

static int *in, *out;
static size_t room;

/* Integer `i` of a buffer of items with `step` integers each, of which the first counts. */
static MPI_Datatype types[2];
static const int STEPS[2] = {1, 3};
static MPI_Datatype type;
static int step;

static int value(int from, int i)
{
    return from * 1000 + i % 997;
}

static void fresh(void)
{
    for (size_t i = 0; i < room; i++)
        in[i] = out[i] = -7;
}

static void put(int *buffer, int at, int count, int from, int first)
{
    for (int i = 0; i < count; i++)
        buffer[(at + i) * step] = value(from, first + i);
}

static void expect(const int *buffer, int at, int count, int from, int first, const char *what)
{
    for (int i = 0; i < count; i++)
        if (buffer[(at + i) * step] != value(from, first + i)) {
            fprintf(stderr, "%s: rank %d, item %d is %d, not %d\n", what, rank, at + i,
                    buffer[(at + i) * step], value(from, first + i));
            CHECK(!"the items");
        }
}

/* Gaps, and what lies behind `count` items, are as they were. */
static void untouched(const int *buffer, int count, const char *what)
{
    for (size_t i = 0; i < room; i++)
        if ((i % step || i >= (size_t)count * step) && buffer[i] != -7) {
            fprintf(stderr, "%s: rank %d wrote to %zu\n", what, rank, i);
            CHECK(!"the gaps");
        }
}

static int sum(int first, int end, int i)
{
    int all = 0;
    for (int from = first; from < end; from++)
        all += value(from, i);
    return all;
}

/* x -> a x + b, packed in an integer; their composition does not commute. */
static void compose(void *left, void *right, int *count, MPI_Datatype *of)
{
    MPI_Aint lb, extent;
    MPI_Type_get_extent(*of, &lb, &extent);
    for (int i = 0; i < *count; i++) {
        unsigned *l = (unsigned *)((char *)left + i * extent),
                 *r = (unsigned *)((char *)right + i * extent);
        unsigned a = *l >> 16, b = *l & 0xffff, c = *r >> 16, d = *r & 0xffff;
        *r = (a * c & 0xffff) << 16 | ((a * d + b) & 0xffff);
    }
}

static unsigned composed(int first, int end, int i)
{
    unsigned all = 0;
    for (int from = end - 1; from >= first; from--) {
        unsigned left = value(from, i) * 65537u + 3;
        int one = 1;
        MPI_Datatype of = MPI_INT;
        if (from == end - 1)
            all = left;
        else
            compose(&left, &all, &one, &of);
    }
    return all;
}

static void rooted(enum form form, int n)
{
    for (int root = 0; root < size; root += size > 2 ? size - 1 : 1) {
        fresh();
        if (rank == root)
            put(out, 0, n, root, 0);
#define PREPARE            \
    if (rank != root && n) \
    memset(out, -1, 4)
        CALL(form, Bcast, bcast, out, n, type, root, MPI_COMM_WORLD);
        expect(out, 0, n, root, 0, "bcast");
        untouched(out, n, "bcast");
#undef PREPARE
#define PREPARE (void)0
        fresh();
        put(in, 0, n, rank, 0);
        CALL(form, Gather, gather, in, n, type, out, n, type, root, MPI_COMM_WORLD);
        for (int from = 0; rank == root && from < size; from++)
            expect(out, from * n, n, from, 0, "gather");
        untouched(out, rank == root ? n * size : 0, "gather");
        if (rank == root)
            put(out, root * n, n, rank, 0);
        CALL(form, Gather, gather, rank == root ? MPI_IN_PLACE : in, n, type, out, n, type, root,
             MPI_COMM_WORLD);
        for (int from = 0; rank == root && from < size; from++)
            expect(out, from * n, n, from, 0, "gather in place");

        fresh();
        for (int to = 0; rank == root && to < size; to++)
            put(in, to * n, n, to, 5);
        CALL(form, Scatter, scatter, in, n, type, out, n, type, root, MPI_COMM_WORLD);
        expect(out, 0, n, rank, 5, "scatter");
        untouched(out, n, "scatter");
        CALL(form, Scatter, scatter, in, n, type, rank == root ? MPI_IN_PLACE : (void *)out, n,
             type, root, MPI_COMM_WORLD);
        expect(out, 0, n, rank, 5, "scatter in place");

        /* Blocks of n, n + 1, ... items, from the back to the front with holes. */
        int counts[64], places[64], all = 0;
        for (int i = size - 1; i >= 0; i--) {
            counts[i] = i % 3 == 2 ? 0 : n + i;
            places[i] = all;
            all += counts[i] + 1;
        }
        int mine = counts[rank];
        fresh();
        put(in, 0, mine, rank, 0);
        CALL(form, Gatherv, gatherv, in, mine, type, out, counts, places, type, root,
             MPI_COMM_WORLD);
        for (int from = 0; rank == root && from < size; from++) {
            expect(out, places[from], counts[from], from, 0, "gatherv");
            EQUAL(out[(places[from] + counts[from]) * step], -7);
        }
        CALL(form, Gatherv, gatherv, rank == root ? MPI_IN_PLACE : in, mine, type, out, counts,
             places, type, root, MPI_COMM_WORLD);
        for (int from = 0; rank == root && from < size; from++)
            expect(out, places[from], counts[from], from, 0, "gatherv in place");
        fresh();
        for (int to = 0; rank == root && to < size; to++)
            put(in, places[to], counts[to], to, 5);
        CALL(form, Scatterv, scatterv, in, counts, places, type, out, mine, type, root,
             MPI_COMM_WORLD);
        expect(out, 0, mine, rank, 5, "scatterv");
        untouched(out, mine, "scatterv");
        CALL(form, Scatterv, scatterv, in, counts, places, type,
             rank == root ? MPI_IN_PLACE : (void *)out, mine, type, root, MPI_COMM_WORLD);
        expect(out, 0, mine, rank, 5, "scatterv in place");
#undef PREPARE
    }
}

static void everybody(enum form form, int n)
{
#define PREPARE (void)0
    fresh();
    put(in, 0, n, rank, 0);
    CALL(form, Allgather, allgather, in, n, type, out, n, type, MPI_COMM_WORLD);
    for (int from = 0; from < size; from++)
        expect(out, from * n, n, from, 0, "allgather");
    untouched(out, n * size, "allgather");
    for (int from = 0; from < size; from++)
        if (from != rank)
            put(out, from * n, n, 0, 3);
    CALL(form, Allgather, allgather, MPI_IN_PLACE, n, type, out, n, type, MPI_COMM_WORLD);
    for (int from = 0; from < size; from++)
        expect(out, from * n, n, from, 0, "allgather in place");

    /* Blocks of different lengths; of one length, which lie elsewhere on each rank: in a row, or
     * apart and in reverse order. */
    for (int equal = 0; equal < 2; equal++) {
        int counts[64], places[64], all = 0, apart = !(equal && rank % 2);
        for (int i = size - 1; i >= 0; i--) {
            counts[i] = equal ? n : i % 3 == 2 ? 0 : n + i;
            places[i] = apart ? all : i * n;
            all += counts[i] + 1;
        }
        fresh();
        put(in, 0, counts[rank], rank, 0);
        CALL(form, Allgatherv, allgatherv, in, counts[rank], type, out, counts, places, type,
             MPI_COMM_WORLD);
        for (int from = 0; from < size; from++) {
            expect(out, places[from], counts[from], from, 0, "allgatherv");
            if (apart)
                EQUAL(out[(places[from] + counts[from]) * step], -7);
        }
        for (int from = 0; from < size; from++)
            if (from != rank)
                put(out, places[from], counts[from], 0, 3);
        CALL(form, Allgatherv, allgatherv, MPI_IN_PLACE, counts[rank], type, out, counts, places,
             type, MPI_COMM_WORLD);
        for (int from = 0; from < size; from++)
            expect(out, places[from], counts[from], from, 0, "allgatherv in place");
    }

    fresh();
    for (int to = 0; to < size; to++)
        put(in, to * n, n, rank, to * n);
    CALL(form, Alltoall, alltoall, in, n, type, out, n, type, MPI_COMM_WORLD);
    for (int from = 0; from < size; from++)
        expect(out, from * n, n, from, rank * n, "alltoall");
    untouched(out, n * size, "alltoall");
#undef PREPARE
#define PREPARE                       \
    for (int to = 0; to < size; to++) \
    put(out, to *n, n, rank, to *n)
    PREPARE;
    CALL(form, Alltoall, alltoall, MPI_IN_PLACE, n, type, out, n, type, MPI_COMM_WORLD);
    for (int from = 0; from < size; from++)
        expect(out, from * n, n, from, rank * n, "alltoall in place");
#undef PREPARE
#define PREPARE (void)0

    /* Rank r sends r + c items to rank c, where r + c is odd none. */
    int sent[64], from_at[64], received[64], to_at[64], sends = 0, receives = 0;
    for (int i = 0; i < size; i++) {
        sent[i] = received[i] = (rank + i) % 2 ? 0 : n + rank + i;
        from_at[i] = sends;
        to_at[i] = receives;
        sends += sent[i];
        receives += received[i] + 1;
    }
    fresh();
    for (int to = 0; to < size; to++)
        put(in, from_at[to], sent[to], rank, to);
    CALL(form, Alltoallv, alltoallv, in, sent, from_at, type, out, received, to_at, type,
         MPI_COMM_WORLD);
    for (int from = 0; from < size; from++)
        expect(out, to_at[from], received[from], from, rank, "alltoallv");
    /* The same by types of their own: bytes from integers with gaps. */
    MPI_Datatype from_types[64], to_types[64];
    int from_bytes[64], to_bytes[64];
    for (int i = 0; i < size; i++) {
        from_types[i] = type;
        to_types[i] = sent[i] ? type : MPI_DATATYPE_NULL;
        from_bytes[i] = from_at[i] * step * 4;
        to_bytes[i] = to_at[i] * step * 4;
    }
    for (size_t i = 0; i < room; i++)
        out[i] = -7;
    CALL(form, Alltoallw, alltoallw, in, sent, from_bytes, from_types, out, received, to_bytes,
         to_types, MPI_COMM_WORLD);
    for (int from = 0; from < size; from++)
        expect(out, to_at[from], received[from], from, rank, "alltoallw");
#undef PREPARE
#define PREPARE                       \
    for (int to = 0; to < size; to++) \
    put(out, to_at[to], received[to], rank, to)
    PREPARE;
    CALL(form, Alltoallv, alltoallv, MPI_IN_PLACE, NULL, NULL, MPI_DATATYPE_NULL, out, received,
         to_at, type, MPI_COMM_WORLD);
    for (int from = 0; from < size; from++)
        expect(out, to_at[from], received[from], from, rank, "alltoallv in place");
#undef PREPARE
}

/* Reductions; with gaps an operation of the program is needed, as predefined ones take no derived
 * types. */
static void reductions(enum form form, int n, MPI_Op op, int ordered)
{
#define RESULT(first, end, i) (ordered ? (int)composed(first, end, i) : sum(first, end, i))
#define OPERAND(from, i) (ordered ? (int)(value(from, i) * 65537u + 3) : value(from, i))
#define RESULTS(buffer, count, first, end, at, what)                                            \
    for (int i = 0; i < (count); i++)                                                           \
        if ((buffer)[i * step] != RESULT(first, end, (at) + i)) {                               \
            fprintf(stderr, "%s: rank %d, item %d is %d\n", what, rank, i, (buffer)[i * step]); \
            CHECK(!"the result");                                                               \
        }
#define OPERANDS(buffer, count)       \
    for (int i = 0; i < (count); i++) \
    (buffer)[i * step] = OPERAND(rank, i)
#define PREPARE (void)0
    int root = size - 1;
    fresh();
    OPERANDS(in, n);
    CALL(form, Reduce, reduce, in, out, n, type, op, root, MPI_COMM_WORLD);
    if (rank == root)
        RESULTS(out, n, 0, size, 0, "reduce");
    untouched(out, rank == root ? n : 0, "reduce");
    fresh();
    OPERANDS(in, n);
    CALL(form, Allreduce, allreduce, in, out, n, type, op, MPI_COMM_WORLD);
    RESULTS(out, n, 0, size, 0, "allreduce");
    untouched(out, n, "allreduce");
    fresh();
    OPERANDS(in, n);
    CALL(form, Scan, scan, in, out, n, type, op, MPI_COMM_WORLD);
    RESULTS(out, n, 0, rank + 1, 0, "scan");
    untouched(out, n, "scan");
    fresh();
    OPERANDS(in, n);
    CALL(form, Exscan, exscan, in, out, n, type, op, MPI_COMM_WORLD);
    if (rank)
        RESULTS(out, n, 0, rank, 0, "exscan");
    untouched(out, rank ? n : 0, "exscan");
    fresh();
    OPERANDS(in, n * size);
    CALL(form, Reduce_scatter_block, reduce_scatter_block, in, out, n, type, op, MPI_COMM_WORLD);
    RESULTS(out, n, 0, size, n * rank, "reduce_scatter_block");
    untouched(out, n, "reduce_scatter_block");
    int counts[64], before = 0, all = 0;
    for (int i = 0; i < size; i++) {
        counts[i] = i % 3 == 1 ? 0 : n + i;
        before += i < rank ? counts[i] : 0;
        all += counts[i];
    }
    fresh();
    OPERANDS(in, all);
    CALL(form, Reduce_scatter, reduce_scatter, in, out, counts, type, op, MPI_COMM_WORLD);
    RESULTS(out, counts[rank], 0, size, before, "reduce_scatter");
    untouched(out, counts[rank], "reduce_scatter");
#undef PREPARE
#define PREPARE OPERANDS(out, n)
    fresh();
    OPERANDS(in, n);
    PREPARE;
    CALL(form, Reduce, reduce, rank == root ? MPI_IN_PLACE : in, out, n, type, op, root,
         MPI_COMM_WORLD);
    if (rank == root)
        RESULTS(out, n, 0, size, 0, "reduce in place");
    PREPARE;
    CALL(form, Allreduce, allreduce, MPI_IN_PLACE, out, n, type, op, MPI_COMM_WORLD);
    RESULTS(out, n, 0, size, 0, "allreduce in place");
    PREPARE;
    CALL(form, Scan, scan, MPI_IN_PLACE, out, n, type, op, MPI_COMM_WORLD);
    RESULTS(out, n, 0, rank + 1, 0, "scan in place");
    PREPARE;
    CALL(form, Exscan, exscan, MPI_IN_PLACE, out, n, type, op, MPI_COMM_WORLD);
    if (rank)
        RESULTS(out, n, 0, rank, 0, "exscan in place");
#undef PREPARE
#define PREPARE OPERANDS(out, n *size + all)
    PREPARE;
    CALL(form, Reduce_scatter_block, reduce_scatter_block, MPI_IN_PLACE, out, n, type, op,
         MPI_COMM_WORLD);
    RESULTS(out, n, 0, size, n * rank, "reduce_scatter_block in place");
    PREPARE;
    CALL(form, Reduce_scatter, reduce_scatter, MPI_IN_PLACE, out, counts, type, op, MPI_COMM_WORLD);
    RESULTS(out, counts[rank], 0, size, before, "reduce_scatter in place");
#undef PREPARE
}

static void barriers(enum form form)
{
#define PREPARE (void)0
    MPI_Request request;
    if (form == NOW) {
        MPI_Barrier(MPI_COMM_WORLD);
    } else if (form == LATER) {
        int flag = 0;
        MPI_Ibarrier(MPI_COMM_WORLD, &request);
        while (!flag)
            MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
    } else {
        MPI_Barrier_init(MPI_COMM_WORLD, MPI_INFO_NULL, &request);
        for (int i = 0; i < 3; i++) {
            MPI_Start(&request);
            MPI_Wait(&request, MPI_STATUS_IGNORE);
        }
        MPI_Request_free(&request);
    }
}

/* Many at once, ended in another order than they were started, while messages pass and the
 * communicator is freed. */
static void many(void)
{
    enum { MANY = 1000 };
    static int given[MANY], got[MANY];
    static MPI_Request requests[MANY];
    int token = rank, from = -1, next = (rank + 1) % size, previous = (rank + size - 1) % size;
    MPI_Comm comm;
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    for (int i = 0; i < MANY; i++) {
        given[i] = value(rank, i);
        if (i % 3 == 0)
            MPI_Iallreduce(&given[i], &got[i], 1, MPI_INT, MPI_SUM, comm, &requests[i]);
        else if (i % 3 == 1) {
            got[i] = rank == i % size ? value(rank, i) : -1;
            MPI_Ibcast(&got[i], 1, MPI_INT, i % size, comm, &requests[i]);
        } else
            MPI_Iscan(&given[i], &got[i], 1, MPI_INT, MPI_SUM, comm, &requests[i]);
    }
    MPI_Comm_free(&comm);
    MPI_Sendrecv(&token, 1, MPI_INT, next, 0, &from, 1, MPI_INT, previous, 0, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    EQUAL(from, previous);
    for (int i = MANY - 1; i >= MANY / 2; i--)
        MPI_Wait(&requests[i], MPI_STATUS_IGNORE);
    MPI_Waitall(MANY / 2, requests, MPI_STATUSES_IGNORE);
    for (int i = 0; i < MANY; i++)
        EQUAL(got[i], i % 3 == 0   ? sum(0, size, i)
                      : i % 3 == 1 ? value(i % size, i)
                                   : sum(0, rank + 1, i));
}

/* Persistent operations may be started in any order. */
static void any_order(void)
{
    int given[2] = {rank, 2 * rank}, got[2];
    MPI_Request requests[2];
    for (int i = 0; i < 2; i++)
        MPI_Allreduce_init(&given[i], &got[i], 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD, MPI_INFO_NULL,
                           &requests[i]);
    for (int round = 0; round < 5; round++) {
        int first = (rank + round) % 2;
        MPI_Start(&requests[first]);
        MPI_Start(&requests[1 - first]);
        MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
        EQUAL(got[0], size * (size - 1) / 2);
        EQUAL(got[1], size * (size - 1));
    }
    MPI_Request_free(&requests[0]);
    MPI_Request_free(&requests[1]);
}

static void wrong(void)
{
    int one = 1, two = 0, counts[64] = {0};
    MPI_Request request;
    FAILS(MPI_ERR_ROOT, MPI_Scatter(&one, 1, MPI_INT, &two, 1, MPI_INT, size, MPI_COMM_WORLD));
    FAILS(MPI_ERR_COUNT,
          MPI_Ialltoall(&one, -1, MPI_INT, &two, 1, MPI_INT, MPI_COMM_WORLD, &request));
    FAILS(MPI_ERR_BUFFER, MPI_Alltoall(&one, 1, MPI_INT, MPI_IN_PLACE, 1, MPI_INT, MPI_COMM_WORLD));
    FAILS(MPI_ERR_OP, MPI_Scan(&one, &two, 1, MPI_DOUBLE_INT, MPI_SUM, MPI_COMM_WORLD));
    FAILS(MPI_ERR_OP, MPI_Allreduce(&one, &two, 1, types[1], MPI_SUM, MPI_COMM_WORLD));
    FAILS(MPI_ERR_TYPE, MPI_Bcast(&one, 1, MPI_DATATYPE_NULL, 0, MPI_COMM_WORLD));
    FAILS(MPI_ERR_ARG, MPI_Alltoallv(&one, NULL, counts, MPI_INT, &two, counts, counts, MPI_INT,
                                     MPI_COMM_WORLD));
    counts[rank] = -1;
    FAILS(MPI_ERR_COUNT, MPI_Reduce_scatter(&one, &two, counts, MPI_INT, MPI_SUM, MPI_COMM_WORLD));
    FAILS(MPI_ERR_ARG,
          MPI_Igatherv(&one, 1, MPI_INT, &two, counts, counts, MPI_INT, 0, MPI_COMM_WORLD, NULL));
    MPI_Barrier_init(MPI_COMM_WORLD, MPI_INFO_NULL, &request);
    MPI_Start(&request);
    FAILS(MPI_ERR_REQUEST, MPI_Start(&request));
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    MPI_Request_free(&request);
}

int main(int argc, char **argv)
{
    static const int COUNTS[] = {0, 1, 5, 300, 20000};
    start(&argc, &argv);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    MPI_Op ordered;
    MPI_Op_create(compose, 0, &ordered);
    room = ((size_t)20000 + size) * (2 * size + 2) * 3;
    in = malloc(room * sizeof *in);
    out = malloc(room * sizeof *out);
    types[0] = MPI_INT;
    MPI_Type_create_resized(MPI_INT, 0, 12, &types[1]);
    MPI_Type_commit(&types[1]);
    for (enum form form = NOW; form < FORMS; form++) {
        barriers(form);
        for (int t = 0; t < 2; t++)
            for (int c = 0; c < 5; c++) {
                type = types[t];
                step = STEPS[t];
                rooted(form, COUNTS[c]);
                everybody(form, COUNTS[c]);
                reductions(form, COUNTS[c], ordered, 1);
                if (t == 0)
                    reductions(form, COUNTS[c], MPI_SUM, 0);
            }
    }
    many();
    any_order();
    wrong();
    MPI_Op_free(&ordered);
    MPI_Type_free(&types[1]);
    free(in);
    free(out);
    return finish();
}
