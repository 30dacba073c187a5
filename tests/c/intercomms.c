/* Intercommunicators: how they are made, what goes through them, what they are merged to; every
 * collective between the two groups. */
#include "check.h"
#include <stdint.h>

static MPI_Comm half, inter;
static int side, mine, ours, theirs;

/* What a rank of a side has at a place. */
static int32_t value(int of_side, int of, int at)
{
    return of_side * 1000003 + of * 1009 + at;
}

/* Halves of unequal size; the odd ones are in the second in reverse order. */
static void make(void)
{
    int first = size - size / 3, flag = -1, result;
    if (size == 2)
        first = 1;
    side = rank >= first;
    MPI_Comm_split(MPI_COMM_WORLD, side, side ? -rank : rank, &half);
    MPI_Comm_rank(half, &mine);
    MPI_Comm_size(half, &ours);
    theirs = size - ours;
    /* The leader of the first is its last rank, that of the second its rank 0. */
    int other_leader = side ? first - 1 : size - 1;
    EQUAL(MPI_Intercomm_create(half, side ? 0 : ours - 1, MPI_COMM_WORLD, other_leader, 12, &inter),
          MPI_SUCCESS);
    MPI_Comm_test_inter(inter, &flag);
    EQUAL(flag, 1);
    MPI_Comm_test_inter(half, &flag);
    EQUAL(flag, 0);
    int its_rank, its_size, remote;
    MPI_Comm_rank(inter, &its_rank);
    MPI_Comm_size(inter, &its_size);
    MPI_Comm_remote_size(inter, &remote);
    EQUAL(its_rank, mine);
    EQUAL(its_size, ours);
    EQUAL(remote, theirs);
    MPI_Group local, other, world;
    MPI_Comm_group(inter, &local);
    MPI_Comm_remote_group(inter, &other);
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    int zero = 0, where;
    MPI_Group_size(other, &its_size);
    EQUAL(its_size, theirs);
    MPI_Group_translate_ranks(other, 1, &zero, world, &where);
    EQUAL(where, side ? 0 : size - 1);
    MPI_Group_translate_ranks(local, 1, &zero, world, &where);
    EQUAL(where, side ? size - 1 : 0);
    MPI_Group_free(&local);
    MPI_Group_free(&other);
    MPI_Group_free(&world);
    MPI_Comm_compare(inter, half, &result);
    EQUAL(result, MPI_UNEQUAL);
    MPI_Comm_set_errhandler(half, MPI_ERRORS_RETURN);
    FAILS(MPI_ERR_COMM, MPI_Comm_remote_size(half, &remote));
}

static void messages(MPI_Comm comm)
{
    int32_t out = value(side, mine, 7), in = -1;
    MPI_Status status;
    MPI_Request request;
    for (int peer = 0; peer < theirs; peer++) {
        MPI_Isend(&out, 1, MPI_INT32_T, peer, 3, comm, &request);
        MPI_Recv(&in, 1, MPI_INT32_T, peer, 3, comm, &status);
        EQUAL(in, value(!side, peer, 7));
        EQUAL(status.MPI_SOURCE, peer);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
    }
    /* All to rank 0 of the other side, which takes them in any order. */
    MPI_Isend(&out, 1, MPI_INT32_T, 0, 4, comm, &request);
    if (mine == 0)
        for (int i = 0; i < theirs; i++) {
            MPI_Probe(MPI_ANY_SOURCE, 4, comm, &status);
            MPI_Recv(&in, 1, MPI_INT32_T, status.MPI_SOURCE, 4, comm, MPI_STATUS_IGNORE);
            EQUAL(in, value(!side, status.MPI_SOURCE, 7));
        }
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    MPI_Errhandler before;
    MPI_Comm_get_errhandler(comm, &before);
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    FAILS(MPI_ERR_RANK, MPI_Send(&out, 1, MPI_INT32_T, theirs, 3, comm));
    MPI_Comm_set_errhandler(comm, before);
    MPI_Errhandler_free(&before);
}

/* x -> ax + b in a pair {a, b}: a composition that does not commute. */
static void compose(void *left, void *right, int *count, MPI_Datatype *type)
{
    uint32_t *l = left, *r = right;
    (void)type;
    for (int i = 0; i < 2 * *count; i += 2) {
        uint32_t a = l[i] * r[i], b = l[i] * r[i + 1] + l[i + 1];
        r[i] = a, r[i + 1] = b;
    }
}

static void vector(int32_t *into, int of_side, int of, int count)
{
    for (int i = 0; i < count; i++)
        into[i] = value(of_side, of, i);
}

static void same(const int32_t *got, const int32_t *expected, int count)
{
    for (int i = 0; i < count; i++)
        EQUAL(got[i], expected[i]);
}

/* The composition of a side's vectors of pairs. */
static void composed(int32_t *into, int of_side, int number, int pairs)
{
    int32_t *left = malloc((2 * (size_t)pairs + 1) * sizeof *left);
    vector(into, of_side, number - 1, 2 * pairs);
    for (int i = number - 2; i >= 0; i--) {
        vector(left, of_side, i, 2 * pairs);
        compose(left, into, &pairs, NULL);
    }
    free(left);
}

/* The mark of the root for this process, if it is this rank of that side. */
static int root_mark(int of_side, int root)
{
    return side != of_side ? root : mine == root ? MPI_ROOT : MPI_PROC_NULL;
}

enum { NOW, LATER, AGAIN };

/* Runs a collective in one of three forms; the persistent one twice. */
#define RUN(form, name, ...)                                          \
    do {                                                              \
        MPI_Request request_;                                         \
        if ((form) == NOW)                                            \
            MPI_##name(__VA_ARGS__);                                  \
        else if ((form) == LATER) {                                   \
            MPI_I##name##_(__VA_ARGS__, &request_);                   \
            MPI_Wait(&request_, MPI_STATUS_IGNORE);                   \
        } else {                                                      \
            MPI_##name##_init(__VA_ARGS__, MPI_INFO_NULL, &request_); \
            for (int twice_ = 0; twice_ < 2; twice_++) {              \
                MPI_Start(&request_);                                 \
                MPI_Wait(&request_, MPI_STATUS_IGNORE);               \
            }                                                         \
            MPI_Request_free(&request_);                              \
        }                                                             \
    } while (0)
#define MPI_IBcast_ MPI_Ibcast
#define MPI_IGather_ MPI_Igather
#define MPI_IGatherv_ MPI_Igatherv
#define MPI_IScatter_ MPI_Iscatter
#define MPI_IScatterv_ MPI_Iscatterv
#define MPI_IAllgather_ MPI_Iallgather
#define MPI_IAllgatherv_ MPI_Iallgatherv
#define MPI_IAlltoall_ MPI_Ialltoall
#define MPI_IAlltoallv_ MPI_Ialltoallv
#define MPI_IAlltoallw_ MPI_Ialltoallw
#define MPI_IReduce_ MPI_Ireduce
#define MPI_IAllreduce_ MPI_Iallreduce
#define MPI_IReduce_scatter_ MPI_Ireduce_scatter
#define MPI_IReduce_scatter_block_ MPI_Ireduce_scatter_block
#define MPI_IBarrier_ MPI_Ibarrier

static void collectives(MPI_Comm comm, int form, int count)
{
    /* Room for a block for each rank, and for a pair more than `count` items. */
    size_t room = ((size_t)count + 2) * (size_t)(size + 1) * (size_t)(size + 1);
    int32_t *in = malloc(room * sizeof *in), *out = malloc(room * sizeof *out),
            *expected = malloc(room * sizeof *expected);
    int *counts = malloc(4 * (size_t)(size + 1) * sizeof *counts), *displs = counts + size + 1;
    int *other_counts = displs + size + 1, *other_displs = other_counts + size + 1;
    MPI_Datatype *types = malloc((size_t)(size + 1) * sizeof *types);
    for (int i = 0; i < size + 1; i++)
        types[i] = MPI_INT32_T;
    MPI_Op composition;
    MPI_Op_create(compose, 0, &composition);

    RUN(form, Barrier, comm);
    for (int of_side = 0; of_side < 2; of_side++) {
        int members = side == of_side ? ours : theirs, others = side == of_side ? theirs : ours;
        for (int root = 0; root < members; root += members > 2 ? members - 1 : 1) {
            int mark = root_mark(of_side, root), is_root = mark == MPI_ROOT,
                takes_part = side != of_side;
            vector(in, of_side, root, count);
            if (takes_part)
                memset(in, 0, (size_t)count * sizeof *in);
            RUN(form, Bcast, in, count, MPI_INT32_T, mark, comm);
            vector(expected, of_side, root, count);
            if (takes_part)
                same(in, expected, count);

            /* Blocks of the other side to the root, and back. */
            vector(in, side, mine, count);
            memset(out, 0, (size_t)count * (size_t)others * sizeof *out);
            RUN(form, Gather, in, count, MPI_INT32_T, out, count, MPI_INT32_T, mark, comm);
            for (int i = 0; i < others; i++)
                vector(expected + i * count, !of_side, i, count);
            if (is_root)
                same(out, expected, count * others);
            if (is_root)
                memcpy(in, out, (size_t)count * (size_t)others * sizeof *in);
            memset(out, 0, (size_t)count * sizeof *out);
            RUN(form, Scatter, in, count, MPI_INT32_T, out, count, MPI_INT32_T, mark, comm);
            vector(expected, side, mine, count);
            if (takes_part)
                same(out, expected, count);

            /* As many items as the rank, and gaps. */
            int own = count ? mine % 3 : 0;
            for (int i = 0, at = 0; i < others; i++) {
                counts[i] = count ? i % 3 : 0, displs[i] = at;
                at += counts[i] + 1;
            }
            vector(in, side, mine, own);
            memset(out, 0, 3 * (size_t)(others + 1) * sizeof *out);
            RUN(form, Gatherv, in, own, MPI_INT32_T, out, counts, displs, MPI_INT32_T, mark, comm);
            if (is_root)
                for (int i = 0; i < others; i++) {
                    vector(expected, !of_side, i, counts[i]);
                    same(out + displs[i], expected, counts[i]);
                    EQUAL(out[displs[i] + counts[i]], 0);
                }
            if (is_root)
                memcpy(in, out, 3 * (size_t)(others + 1) * sizeof *in);
            memset(out, 0, 3 * sizeof *out);
            RUN(form, Scatterv, in, counts, displs, MPI_INT32_T, out, own, MPI_INT32_T, mark, comm);
            vector(expected, side, mine, own);
            if (takes_part)
                same(out, expected, own);

            int pairs = count / 2;
            vector(in, side, mine, 2 * pairs);
            memset(out, 0, 2 * (size_t)pairs * sizeof *out);
            RUN(form, Reduce, in, out, pairs, MPI_INT64_T, composition, mark, comm);
            composed(expected, !of_side, others, pairs);
            if (is_root)
                same(out, expected, 2 * pairs);
        }
    }

    vector(in, side, mine, count);
    memset(out, 0, (size_t)count * (size_t)theirs * sizeof *out);
    RUN(form, Allgather, in, count, MPI_INT32_T, out, count, MPI_INT32_T, comm);
    for (int i = 0; i < theirs; i++)
        vector(expected + i * count, !side, i, count);
    same(out, expected, count * theirs);
    int own = count ? mine % 4 : 0;
    for (int i = 0, at = 0; i < theirs; i++) {
        counts[i] = count ? i % 4 : 0, displs[i] = at;
        at += counts[i] + 1;
    }
    RUN(form, Allgatherv, in, own, MPI_INT32_T, out, counts, displs, MPI_INT32_T, comm);
    for (int i = 0; i < theirs; i++)
        same(out + displs[i], expected + i * count, counts[i] < count ? counts[i] : 0);

    /* Rank i of one side has for rank j of the other what both know. */
    for (int i = 0; i < theirs; i++)
        vector(in + i * count, side, 100 * mine + i, count);
    RUN(form, Alltoall, in, count, MPI_INT32_T, out, count, MPI_INT32_T, comm);
    for (int i = 0; i < theirs; i++)
        vector(expected + i * count, !side, 100 * i + mine, count);
    same(out, expected, count * theirs);
    for (int i = 0; i < theirs; i++) {
        /* The length depends on both ranks, and not on who asks. */
        int length = (side ? 3 * i + mine : 3 * mine + i) % 5;
        length = length < count ? length : count;
        counts[i] = other_counts[i] = length;
        displs[i] = other_displs[i] = i * count;
    }
    memset(out, 0, (size_t)count * (size_t)theirs * sizeof *out);
    RUN(form, Alltoallv, in, counts, displs, MPI_INT32_T, out, other_counts, other_displs,
        MPI_INT32_T, comm);
    for (int i = 0; i < theirs; i++)
        same(out + i * count, expected + i * count, counts[i]);
    for (int i = 0; i < theirs; i++)
        displs[i] *= 4, other_displs[i] *= 4;
    memset(out, 0, (size_t)count * (size_t)theirs * sizeof *out);
    RUN(form, Alltoallw, in, counts, displs, types, out, other_counts, other_displs, types, comm);
    for (int i = 0; i < theirs; i++)
        same(out + i * count, expected + i * count, counts[i]);

    int pairs = count / 2;
    vector(in, side, mine, 2 * pairs);
    RUN(form, Allreduce, in, out, pairs, MPI_INT64_T, composition, comm);
    composed(expected, !side, theirs, pairs);
    same(out, expected, 2 * pairs);

    /* As many pairs in all on both sides: some for each rank of either. */
    int block = (count % 4) * theirs, all = block * ours;
    if ((size_t)(2 * all) > room)
        MPI_Abort(MPI_COMM_WORLD, 2);
    vector(in, side, mine, 2 * all);
    composed(expected, !side, theirs, all);
    RUN(form, Reduce_scatter_block, in, out, block, MPI_INT64_T, composition, comm);
    same(out, expected + 2 * mine * block, 2 * block);
    /* The first has what the others have less. */
    for (int i = 0; i < ours; i++)
        counts[i] = i ? block / 2 : all - (ours - 1) * (block / 2);
    memset(out, 0, 2 * (size_t)(all + 1) * sizeof *out);
    RUN(form, Reduce_scatter, in, out, counts, MPI_INT64_T, composition, comm);
    int begin = mine ? counts[0] + (mine - 1) * counts[1] : 0;
    same(out, expected + 2 * begin, 2 * counts[mine]);
    EQUAL(out[2 * counts[mine]], 0);

    MPI_Op_free(&composition);
    free(types), free(counts), free(in), free(out), free(expected);
}

static void merged(void)
{
    for (int high = 0; high < 3; high++) {
        MPI_Comm all;
        int its_size, its_rank, says = high == 2 ? 0 : side == high;
        MPI_Intercomm_merge(inter, says, &all);
        MPI_Comm_size(all, &its_size);
        MPI_Comm_rank(all, &its_rank);
        EQUAL(its_size, size);
        if (high < 2)
            EQUAL(its_rank, says ? theirs + mine : mine);
        int32_t sum = 0, one = rank;
        MPI_Allreduce(&one, &sum, 1, MPI_INT32_T, MPI_SUM, all);
        EQUAL(sum, size * (size - 1) / 2);
        MPI_Comm_free(&all);
    }
}

static void copies(void)
{
    MPI_Comm made, later, parts;
    MPI_Request request;
    int result, flag;
    MPI_Comm_dup(inter, &made);
    MPI_Comm_compare(made, inter, &result);
    EQUAL(result, MPI_CONGRUENT);
    MPI_Comm_idup(inter, &later, &request);
    /* It has a name already, and a handler can be chosen for it. */
    MPI_Errhandler handler;
    EQUAL(MPI_Comm_set_errhandler(later, MPI_ERRORS_RETURN), MPI_SUCCESS);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    MPI_Comm_get_errhandler(later, &handler);
    CHECK(handler == MPI_ERRORS_RETURN);
    /* Beside the root nothing is looked at. */
    if (side == 0) {
        int sum = 0;
        EQUAL(MPI_Reduce(NULL, &sum, mine ? -1 : 1, mine ? MPI_BYTE : MPI_INT, MPI_SUM,
                         mine ? MPI_PROC_NULL : MPI_ROOT, later),
              MPI_SUCCESS);
        if (mine == 0)
            CHECK(sum > 0);
    } else {
        int one = 1;
        EQUAL(MPI_Reduce(&one, NULL, 1, MPI_INT, MPI_SUM, 0, later), MPI_SUCCESS);
    }
    messages(made);
    messages(later);
    collectives(later, NOW, 5);
    MPI_Comm_free(&later);

    /* Those who are even on both sides, and an odd part that only one side has. */
    int color = side && mine % 2 ? MPI_UNDEFINED : mine % 2;
    MPI_Comm_split(made, color, -mine, &parts);
    EQUAL(parts == MPI_COMM_NULL, mine % 2);
    if (parts != MPI_COMM_NULL) {
        int its_size, remote, got = -1;
        MPI_Comm_test_inter(parts, &flag);
        EQUAL(flag, 1);
        MPI_Comm_size(parts, &its_size);
        MPI_Comm_remote_size(parts, &remote);
        EQUAL(its_size, (ours + 1) / 2);
        EQUAL(remote, (theirs + 1) / 2);
        MPI_Allreduce(&mine, &got, 1, MPI_INT, MPI_MAX, parts);
        EQUAL(got, (theirs - 1) / 2 * 2);
        MPI_Comm_free(&parts);
    }
    /* The first of each side. */
    MPI_Group group, first;
    int zero = 0;
    MPI_Comm_group(made, &group);
    MPI_Group_incl(group, 1, &zero, &first);
    MPI_Comm_create(made, first, &parts);
    EQUAL(parts == MPI_COMM_NULL, mine != 0);
    if (mine == 0) {
        int32_t out = side, in = -1;
        MPI_Sendrecv(&out, 1, MPI_INT32_T, 0, 1, &in, 1, MPI_INT32_T, 0, 1, parts,
                     MPI_STATUS_IGNORE);
        EQUAL(in, !side);
        MPI_Comm_free(&parts);
    }
    MPI_Group_free(&group);
    MPI_Group_free(&first);
    MPI_Comm_free(&made);
}

static void wrong(void)
{
    MPI_Comm made;
    int32_t in = 0, out;
    MPI_Comm_set_errhandler(inter, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(half, MPI_ERRORS_RETURN);
    FAILS(MPI_ERR_ROOT, MPI_Bcast(&in, 1, MPI_INT32_T, theirs, inter));
    FAILS(MPI_ERR_COMM, MPI_Scan(&in, &out, 1, MPI_INT32_T, MPI_SUM, inter));
    FAILS(MPI_ERR_BUFFER, MPI_Allreduce(MPI_IN_PLACE, &out, 1, MPI_INT32_T, MPI_SUM, inter));
    FAILS(MPI_ERR_COMM, MPI_Intercomm_merge(half, 0, &made));
    FAILS(MPI_ERR_COMM, MPI_Intercomm_create(inter, 0, MPI_COMM_WORLD, 0, 1, &made));
    FAILS(MPI_ERR_RANK, MPI_Intercomm_create(half, ours, MPI_COMM_WORLD, 0, 1, &made));
    /* All of a group hear of what only its leader sees. */
    FAILS(mine == 0 ? MPI_ERR_RANK : MPI_ERR_OTHER,
          MPI_Intercomm_create(half, 0, MPI_COMM_WORLD, size, 1, &made));
    FAILS(mine == 0 ? MPI_ERR_TAG : MPI_ERR_OTHER,
          MPI_Intercomm_create(half, 0, MPI_COMM_WORLD, side ? 0 : size - 1, -1, &made));
    int dims[1] = {0}, periods[1] = {0};
    MPI_Dims_create(ours, 1, dims);
    FAILS(MPI_ERR_COMM, MPI_Cart_create(inter, 1, dims, periods, 0, &made));
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    if (size < 2)
        return finish();
    make();
    messages(inter);
    for (int form = NOW; form <= AGAIN; form++)
        for (int count = 0; count <= 9; count += 3)
            collectives(inter, form, count);
    collectives(inter, NOW, 20000 / size);
    collectives(inter, LATER, 20000 / size);
    merged();
    copies();
    wrong();
    MPI_Comm_free(&inter);
    MPI_Comm_free(&half);
    return finish();
}
