/* Collectives one after another in a random order, on communicators that overlap, among ranks that
 * sleep now and then; and more communicators alive than shared memory has room for. The seed is the
 * first argument; every rank draws the same numbers. */
#include "check.h"
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define MOST 40000

static uint64_t state;

static uint32_t draw(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

/* An element of 64 bits is a pair {a, b} that stands for x -> ax + b: a composition that does not
 * commute. */
static void compose(void *left, void *right, int *count, MPI_Datatype *type)
{
    uint32_t *l = left, *r = right;
    (void)type;
    for (int i = 0; i < 2 * *count; i += 2) {
        uint32_t a = l[i] * r[i], b = l[i] * r[i + 1] + l[i + 1];
        r[i] = a, r[i + 1] = b;
    }
}

static uint32_t value(int of_rank, uint32_t round, int i)
{
    return (uint32_t)(of_rank + 1) * 2654435761u ^ (round * 40503u + (uint32_t)i * 69069u);
}

static uint32_t *in, *out, *expected;

static void contribution(uint32_t *into, int of_rank, uint32_t round, int count)
{
    for (int i = 0; i < count; i++)
        into[i] = value(of_rank, round, i);
}

/* What a reduction of all gives. */
static void reduced(int of, uint32_t round, int count, MPI_Op op, MPI_Op composition)
{
    contribution(expected, of - 1, round, count);
    uint32_t *left = malloc(((size_t)count + 1) * sizeof *left);
    for (int from = of - 2; from >= 0; from--) {
        contribution(left, from, round, count);
        if (op == composition) {
            int pairs = count / 2;
            compose(left, expected, &pairs, NULL);
        } else
            for (int i = 0; i < count; i++)
                expected[i] = op == MPI_SUM           ? expected[i] + left[i]
                              : expected[i] > left[i] ? expected[i]
                                                      : left[i];
    }
    free(left);
}

static void same(const uint32_t *left, const uint32_t *right, size_t count)
{
    for (size_t i = 0; i < count; i++)
        EQUAL(left[i], right[i]);
}

static void one(MPI_Comm comm, uint32_t round, MPI_Op composition)
{
    int me, of;
    MPI_Comm_rank(comm, &me);
    MPI_Comm_size(comm, &of);
    uint32_t what = draw(9), length = draw(4), how = draw(3), in_place = draw(2);
    int root = (int)draw((uint32_t)of), sleeper = (int)draw(24);
    int count = length == 0   ? (int)draw(13)
                : length == 1 ? (int)draw(600)
                : length == 2 ? (int)draw(5000)
                              : (int)draw(MOST);
    MPI_Op op = how == 0 ? MPI_SUM : how == 1 ? MPI_MAX : composition;
    MPI_Datatype type = MPI_UINT32_T;
    int items = count;
    if (op == composition)
        type = MPI_UINT64_T, items = count / 2, count = 2 * items;
    if (me == sleeper)
        usleep(1500);
    contribution(in, me, round, count);
    switch (what) {
    case 0:
        MPI_Barrier(comm);
        break;
    case 1:
        if (me != root)
            memset(in, 0, (size_t)count * sizeof *in);
        MPI_Bcast(in, count, MPI_UINT32_T, root, comm);
        contribution(expected, root, round, count);
        same(in, expected, (size_t)count);
        break;
    case 2:
        reduced(of, round, count, op, composition);
        if (in_place && me == root)
            MPI_Reduce(MPI_IN_PLACE, in, items, type, op, root, comm);
        else
            MPI_Reduce(in, out, items, type, op, root, comm);
        if (me == root)
            same(in_place ? in : out, expected, (size_t)count);
        break;
    case 3:
        reduced(of, round, count, op, composition);
        MPI_Allreduce(in_place ? MPI_IN_PLACE : in, in_place ? in : out, items, type, op, comm);
        same(in_place ? in : out, expected, (size_t)count);
        break;
    case 6:
        contribution(in, me, round, count * of);
        memset(out, 0, (size_t)count * sizeof *out);
        MPI_Scatter(in, count, MPI_UINT32_T, in_place && me == root ? MPI_IN_PLACE : out, count,
                    MPI_UINT32_T, root, comm);
        contribution(expected, root, round, count * of);
        if (!in_place || me != root)
            same(out, expected + (size_t)me * (size_t)count, (size_t)count);
        break;
    case 7:
        contribution(in, me, round, count * of);
        MPI_Alltoall(in, count, MPI_UINT32_T, out, count, MPI_UINT32_T, comm);
        for (int from = 0; from < of; from++) {
            contribution(expected, from, round, count * of);
            same(out + (size_t)from * (size_t)count, expected + (size_t)me * (size_t)count,
                 (size_t)count);
        }
        break;
    case 8:
        contribution(in, me, round, count * of);
        reduced(of, round, count * of, op, composition);
        MPI_Reduce_scatter_block(in, out, items, type, op, comm);
        same(out, expected + (size_t)me * (size_t)count, (size_t)count);
        break;
    default:
        for (int from = 0; from < of; from++)
            contribution(expected + (size_t)from * (size_t)count, from, round, count);
        memset(out, 0, (size_t)count * (size_t)of * sizeof *out);
        if (in_place && (what == 5 || me == root))
            contribution(out + (size_t)me * (size_t)count, me, round, count);
        if (what == 4)
            MPI_Gather(in_place && me == root ? MPI_IN_PLACE : in, count, MPI_UINT32_T, out, count,
                       MPI_UINT32_T, root, comm);
        else
            MPI_Allgather(in_place ? MPI_IN_PLACE : in, count, MPI_UINT32_T, out, count,
                          MPI_UINT32_T, comm);
        if (what == 5 || me == root)
            same(out, expected, (size_t)count * (size_t)of);
    }
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    int rounds = argc > 2 ? atoi(argv[2]) : 400;
    size_t bytes = ((size_t)MOST + 1) * (size_t)size * sizeof *in;
    in = malloc(bytes), out = malloc(bytes), expected = malloc(bytes);
    MPI_Op composition;
    MPI_Op_create(compose, 0, &composition);

    MPI_Comm comms[4] = {MPI_COMM_WORLD, MPI_COMM_NULL, MPI_COMM_NULL, MPI_COMM_NULL};
    MPI_Comm_dup(MPI_COMM_WORLD, &comms[1]);
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, -rank, &comms[2]);
    MPI_Comm_split(MPI_COMM_WORLD, rank / 3, rank, &comms[3]);
    for (int i = 0; i < rounds; i++) {
        uint32_t which = draw(4), seed = draw(1u << 30);
        uint64_t kept = state;
        /* Parts of a split have other sizes, so that what they draw differs: each goes on from the
         * same place. */
        state = seed;
        one(comms[which], (uint32_t)i, composition);
        state = kept;
        if (i % 50 == 49) {
            /* A board that was given back is given to another. */
            MPI_Comm_free(&comms[1]);
            MPI_Comm_split(MPI_COMM_WORLD, 0, (rank + i) % size, &comms[1]);
        }
    }
    for (int i = 1; i < 4; i++)
        MPI_Comm_free(&comms[i]);

    enum { MANY = 5000 };
    MPI_Comm *many = malloc(MANY * sizeof *many);
    for (int i = 0; i < MANY; i++)
        EQUAL(MPI_Comm_dup(MPI_COMM_WORLD, &many[i]), MPI_SUCCESS);
    for (int i = 0; i < MANY; i += 37)
        one(many[i], (uint32_t)i, composition);
    for (int i = 0; i < MANY; i++)
        EQUAL(MPI_Comm_free(&many[i]), MPI_SUCCESS);
    for (int i = 0; i < MANY; i++) {
        EQUAL(MPI_Comm_dup(MPI_COMM_WORLD, &many[0]), MPI_SUCCESS);
        if (i % 100 == 0)
            one(many[0], (uint32_t)i, composition);
        EQUAL(MPI_Comm_free(&many[0]), MPI_SUCCESS);
    }
    free(many);
    MPI_Op_free(&composition);
    free(in), free(out), free(expected);
    return finish();
}
