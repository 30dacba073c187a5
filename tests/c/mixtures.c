/* Collective calls whose ranks give different arguments where the standard lets them, drawn from a
 * seed: all ranks draw what everybody gives, and so know what must come out.
 *
 *     mixtures SEED TRIALS [RANKS_PER_NODE]
 */
#include "check.h"
#include <limits.h>
#include <stdint.h>

#define MOST_RANKS 16

static uint64_t state;
static int per_node;
static long trial;

/* The same numbers on all ranks. */
static int draw(int below)
{
    state += 0x9e3779b97f4a7c15u;
    uint64_t x = state;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (int)((x ^ x >> 31) >> 33) % below;
}

/* Fisher and Yates. */
static void shuffle(int *all, int count)
{
    for (int i = count - 1; i > 0; i--) {
        int other = draw(i + 1), kept = all[i];
        all[i] = all[other];
        all[other] = kept;
    }
}

/* A communicator has these members of the world, in this order. */
static void has_members(MPI_Comm comm, const int *members, int count)
{
    int all[MOST_RANKS], made, own = rank;
    CHECK(comm != MPI_COMM_NULL);
    MPI_Comm_size(comm, &made);
    EQUAL(made, count);
    MPI_Allgather(&own, 1, MPI_INT, all, 1, MPI_INT, comm);
    for (int i = 0; i < count; i++)
        EQUAL(all[i], members[i]);
}

/* Those of a color, in the order of keys. */
static int of_color(const int *colors, const int *keys, int color, int *members)
{
    int count = 0;
    for (int i = 0; i < size; i++) {
        if (colors[i] != color)
            continue;
        int at = count++;
        for (; at > 0 && keys[members[at - 1]] > keys[i]; at--)
            members[at] = members[at - 1];
        members[at] = i;
    }
    return count;
}

static void is_split(MPI_Comm made, const int *colors, const int *keys)
{
    int members[MOST_RANKS];
    if (colors[rank] == MPI_UNDEFINED) {
        CHECK(made == MPI_COMM_NULL);
        return;
    }
    int count = of_color(colors, keys, colors[rank], members);
    has_members(made, members, count);
    MPI_Comm_free(&made);
}

static void split(void)
{
    int colors[MOST_RANKS], keys[MOST_RANKS];
    MPI_Comm made;
    for (int i = 0; i < size; i++) {
        colors[i] = draw(4) ? draw(3) : MPI_UNDEFINED;
        keys[i] = draw(5) - 2;
    }
    EQUAL(MPI_Comm_split(MPI_COMM_WORLD, colors[rank], keys[rank], &made), MPI_SUCCESS);
    is_split(made, colors, keys);
}

/* Some ask for one kind of split, some for nothing; with info objects that say different things, or
 * nothing. */
static void split_type(void)
{
    static const char *const WANTED[] = {NULL, "mpi_shared_memory", "no such thing"};
    static const char *const SETS[] = {NULL, "mpi://WORLD", "mpi://SELF"};
    int kind = draw(4), colors[MOST_RANKS], keys[MOST_RANKS], own = MPI_UNDEFINED;
    MPI_Info info = MPI_INFO_NULL;
    MPI_Comm made;
    for (int i = 0; i < size; i++) {
        int takes_part = draw(3), wanted = draw(3), node = per_node ? i / per_node : 0;
        keys[i] = draw(5) - 2;
        colors[i] = MPI_UNDEFINED;
        if (takes_part && kind == 0)
            colors[i] = node;
        if (takes_part && kind == 2 && wanted == 1)
            colors[i] = node;
        if (takes_part && kind == 3 && wanted > 0)
            colors[i] = wanted == 1 ? 100 : 200 + i;
        if (i != rank || !takes_part)
            continue;
        own = kind == 0   ? MPI_COMM_TYPE_SHARED
              : kind == 1 ? MPI_COMM_TYPE_HW_UNGUIDED
              : kind == 2 ? MPI_COMM_TYPE_HW_GUIDED
                          : MPI_COMM_TYPE_RESOURCE_GUIDED;
        if (kind > 0 && (kind == 1 || wanted > 0)) {
            MPI_Info_create(&info);
            if (kind == 2)
                MPI_Info_set(info, "mpi_hw_resource_type", WANTED[wanted]);
            if (kind == 3)
                MPI_Info_set(info, "mpi_pset_name", SETS[wanted]);
        }
    }
    EQUAL(MPI_Comm_split_type(MPI_COMM_WORLD, own, keys[rank], info, &made), MPI_SUCCESS);
    if (info != MPI_INFO_NULL)
        MPI_Info_free(&info);
    if (kind != 1) {
        is_split(made, colors, keys);
    } else if (made != MPI_COMM_NULL) {
        /* What the machine has decides. */
        int count, all = 0, one = 1;
        CHECK(own != MPI_UNDEFINED);
        MPI_Comm_size(made, &count);
        MPI_Allreduce(&one, &all, 1, MPI_INT, MPI_SUM, made);
        EQUAL(all, count);
        CHECK(count < size);
        MPI_Comm_free(&made);
    }
}

/* Groups without a common member, or none, in any order; by all, or by the members alone. */
static void create(int is_of_group)
{
    int which[MOST_RANKS], members[MOST_RANKS], count = 0, tag = draw(100);
    int order[MOST_RANKS];
    MPI_Group world, group;
    MPI_Comm made = MPI_COMM_NULL;
    for (int i = 0; i < size; i++) {
        which[i] = draw(3);
        order[i] = i;
    }
    shuffle(order, size);
    for (int i = 0; i < size; i++)
        if (which[order[i]] == which[rank] && which[rank] > 0)
            members[count++] = order[i];
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    MPI_Group_incl(world, count, members, &group);
    if (!is_of_group)
        EQUAL(MPI_Comm_create(MPI_COMM_WORLD, group, &made), MPI_SUCCESS);
    else if (count > 0)
        EQUAL(MPI_Comm_create_group(MPI_COMM_WORLD, group, tag, &made), MPI_SUCCESS);
    if (count > 0) {
        has_members(made, members, count);
        MPI_Comm_free(&made);
    } else {
        CHECK(made == MPI_COMM_NULL);
    }
    if (group != MPI_GROUP_EMPTY)
        MPI_Group_free(&group);
    MPI_Group_free(&world);
}

/* Two groups; what counts at leaders and roots is nonsense elsewhere. */
static void inter(void)
{
    int side[MOST_RANKS], groups[2][MOST_RANKS], counts[2] = {0, 0}, leaders[2], high[2],
                                                 values[MOST_RANKS];
    for (int i = 0; i < size; i++)
        side[i] = i == 0 ? 0 : i == 1 ? 1 : draw(2);
    for (int i = 0; i < size; i++)
        groups[side[i]][counts[side[i]]++] = i;
    for (int i = 0; i < 2; i++) {
        leaders[i] = draw(counts[i]);
        high[i] = draw(2);
    }
    int mine = side[rank], other = !mine, own, tag = draw(1000);
    MPI_Comm local, made, merged;
    MPI_Comm_split(MPI_COMM_WORLD, mine, 0, &local);
    MPI_Comm_rank(local, &own);
    int leads = own == leaders[mine];
    EQUAL(MPI_Intercomm_create(local, leaders[mine], leads ? MPI_COMM_WORLD : MPI_COMM_NULL,
                               leads ? groups[other][leaders[other]] : -77, leads ? tag : -5,
                               &made),
          MPI_SUCCESS);
    /* From one rank of a group to the other group; and back by a gather. */
    int from = draw(2), root = draw(counts[from]), value = rank == groups[from][root] ? 4711 : -1;
    int role = mine != from ? root : own == root ? MPI_ROOT : MPI_PROC_NULL;
    int beside = role == MPI_PROC_NULL;
    EQUAL(MPI_Bcast(beside ? NULL : &value, beside ? 0 : 1, beside ? MPI_DATATYPE_NULL : MPI_INT,
                    role, made),
          MPI_SUCCESS);
    EQUAL(value, mine != from || role == MPI_ROOT ? 4711 : -1);
    int is_root = role == MPI_ROOT, sends = mine != from;
    EQUAL(MPI_Gather(sends ? &rank : NULL, sends ? 1 : -3, sends ? MPI_INT : MPI_DATATYPE_NULL,
                     is_root ? values : NULL, is_root ? 1 : -3,
                     is_root ? MPI_INT : MPI_DATATYPE_NULL, role, made),
          MPI_SUCCESS);
    for (int i = 0; is_root && i < counts[!from]; i++)
        EQUAL(values[i], groups[!from][i]);
    EQUAL(MPI_Intercomm_merge(made, high[mine], &merged), MPI_SUCCESS);
    if (high[0] != high[1]) {
        int members[MOST_RANKS], first = high[0];
        memcpy(members, groups[first], sizeof(int) * (size_t)counts[first]);
        memcpy(members + counts[first], groups[!first], sizeof(int) * (size_t)counts[!first]);
        has_members(merged, members, size);
    }
    MPI_Comm_free(&merged);
    MPI_Comm_free(&made);
    MPI_Comm_free(&local);
}

/* Hints of each rank's own; and some have none. */
static void dup(void)
{
    static const char *const VALUES[] = {"true", "false"};
    int later = draw(2), all[MOST_RANKS];
    MPI_Info info = MPI_INFO_NULL;
    MPI_Comm made;
    for (int i = 0; i < size; i++) {
        int has = draw(2), value = draw(2);
        all[i] = i;
        if (i == rank && has) {
            MPI_Info_create(&info);
            MPI_Info_set(info, "mpi_assert_no_any_tag", VALUES[value]);
        }
    }
    if (later) {
        MPI_Request request;
        EQUAL(MPI_Comm_idup_with_info(MPI_COMM_WORLD, info, &made, &request), MPI_SUCCESS);
        EQUAL(MPI_Wait(&request, MPI_STATUS_IGNORE), MPI_SUCCESS);
    } else {
        EQUAL(MPI_Comm_dup_with_info(MPI_COMM_WORLD, info, &made), MPI_SUCCESS);
    }
    has_members(made, all, size);
    MPI_Comm_free(&made);
    if (info != MPI_INFO_NULL)
        MPI_Info_free(&info);
}

/* Three ways to have an even number of integers: one by one, two by two, and two by two with a gap.
 */
static MPI_Datatype shapes[3];

static int items(int shape, int count)
{
    return shape ? count / 2 : count;
}

static size_t place(int shape, int number)
{
    return shape == 2 ? (size_t)number / 2 * 3 + (size_t)number % 2 : (size_t)number;
}

static int value(int from, int to, int number)
{
    return (int)((trial * 31 + from) * 1009 + to * 101 + number) & INT_MAX;
}

static int *memory(long count)
{
    int *made = malloc(sizeof(int) * (size_t)(count * 3 / 2 + 8));
    for (long i = 0; i < count * 3 / 2 + 8; i++)
        made[i] = -7;
    return made;
}

static const int COUNTS[] = {0,    0,    2,    4,    8,    10,    12,    256,
                             1024, 2046, 2048, 2050, 8192, 16384, 16386, 40000};
#define COUNTED ((int)(sizeof COUNTS / sizeof *COUNTS))

/* The three forms of a call, waited for. */
#define CALL(form, name, lower, ...)                                                        \
    do {                                                                                    \
        MPI_Request request_;                                                               \
        if ((form) == 0) {                                                                  \
            EQUAL(MPI_##name(__VA_ARGS__, MPI_COMM_WORLD), MPI_SUCCESS);                    \
        } else if ((form) == 1) {                                                           \
            EQUAL(MPI_I##lower(__VA_ARGS__, MPI_COMM_WORLD, &request_), MPI_SUCCESS);       \
            EQUAL(MPI_Wait(&request_, MPI_STATUS_IGNORE), MPI_SUCCESS);                     \
        } else {                                                                            \
            EQUAL(MPI_##name##_init(__VA_ARGS__, MPI_COMM_WORLD, MPI_INFO_NULL, &request_), \
                  MPI_SUCCESS);                                                             \
            MPI_Start(&request_);                                                           \
            EQUAL(MPI_Wait(&request_, MPI_STATUS_IGNORE), MPI_SUCCESS);                     \
            MPI_Request_free(&request_);                                                    \
        }                                                                                   \
    } while (0)

/* Blocks that all ranks have of one length, each described in its rank's own way; what does not
 * count at a rank is nonsense. */
static void equal_blocks(void)
{
    int which = draw(6), form = draw(3), count = COUNTS[draw(COUNTED)], root = draw(size),
        in_place = draw(2);
    int out[MOST_RANKS], in[MOST_RANKS];
    for (int i = 0; i < size; i++) {
        out[i] = draw(3);
        in[i] = draw(3);
    }
    int mine = out[rank], theirs = in[rank], is_root = rank == root;
    int *from = memory((long)count * size), *into = memory((long)count * size);
    MPI_Datatype none = MPI_DATATYPE_NULL;
    int here = items(mine, count), there = items(theirs, count);
    size_t step = place(theirs, count), sent = place(mine, count);
    switch (which) {
    case 0:
        for (int i = 0; is_root && i < count; i++)
            into[place(theirs, i)] = value(root, 0, i);
        CALL(form, Bcast, bcast, count ? into : NULL, there, shapes[theirs], root);
        for (int i = 0; i < count; i++)
            EQUAL(into[place(theirs, i)], value(root, 0, i));
        break;
    case 1:
        in_place &= is_root;
        for (int i = 0; i < count; i++)
            *(in_place ? into + step * (size_t)rank + place(theirs, i) : from + place(mine, i)) =
                value(rank, 0, i);
        if (in_place)
            CALL(form, Gather, gather, MPI_IN_PLACE, -9, none, into, there, shapes[theirs], root);
        else if (is_root)
            CALL(form, Gather, gather, from, here, shapes[mine], into, there, shapes[theirs], root);
        else
            CALL(form, Gather, gather, from, here, shapes[mine], NULL, -9, none, root);
        for (int i = 0; is_root && i < size; i++)
            for (int j = 0; j < count; j++)
                EQUAL(into[step * (size_t)i + place(theirs, j)], value(i, 0, j));
        break;
    case 2:
        in_place &= is_root;
        for (int i = 0; is_root && i < size; i++)
            for (int j = 0; j < count; j++)
                from[sent * (size_t)i + place(mine, j)] = value(root, i, j);
        if (in_place)
            CALL(form, Scatter, scatter, from, here, shapes[mine], MPI_IN_PLACE, -9, none, root);
        else if (is_root)
            CALL(form, Scatter, scatter, from, here, shapes[mine], into, there, shapes[theirs],
                 root);
        else
            CALL(form, Scatter, scatter, NULL, -9, none, into, there, shapes[theirs], root);
        for (int i = 0; !in_place && i < count; i++)
            EQUAL(into[place(theirs, i)], value(root, rank, i));
        break;
    case 3:
        for (int i = 0; i < count; i++)
            from[place(mine, i)] = value(rank, 0, i);
        CALL(form, Allgather, allgather, from, here, shapes[mine], into, there, shapes[theirs]);
        for (int i = 0; i < size; i++)
            for (int j = 0; j < count; j++)
                EQUAL(into[step * (size_t)i + place(theirs, j)], value(i, 0, j));
        break;
    case 4:
        for (int i = 0; i < size; i++)
            for (int j = 0; j < count; j++)
                from[sent * (size_t)i + place(mine, j)] = value(rank, i, j);
        CALL(form, Alltoall, alltoall, from, here, shapes[mine], into, there, shapes[theirs]);
        for (int i = 0; i < size; i++)
            for (int j = 0; j < count; j++)
                EQUAL(into[step * (size_t)i + place(theirs, j)], value(i, rank, j));
        break;
    default:
        in_place &= is_root;
        for (int i = 0; i < count; i++)
            (in_place ? into : from)[i] = rank + i;
        if (in_place)
            CALL(form, Reduce, reduce, MPI_IN_PLACE, into, count, MPI_INT, MPI_SUM, root);
        else
            CALL(form, Reduce, reduce, from, is_root ? into : NULL, count, MPI_INT, MPI_SUM, root);
        for (int i = 0; is_root && i < count; i++)
            EQUAL(into[i], size * (size - 1) / 2 + size * i);
    }
    free(from);
    free(into);
}

/* Blocks of any length, none among them, each described in its ranks' own ways. */
static void any_blocks(void)
{
    int which = draw(5), form = draw(3), root = draw(size), counts[MOST_RANKS][MOST_RANKS],
        out[MOST_RANKS], in[MOST_RANKS], most = 0;
    for (int i = 0; i < size; i++) {
        out[i] = draw(3);
        in[i] = draw(3);
        for (int j = 0; j < size; j++) {
            counts[i][j] = COUNTS[draw(draw(2) ? 4 : COUNTED)];
            most = counts[i][j] > most ? counts[i][j] : most;
        }
    }
    int mine = out[rank], theirs = in[rank], is_root = rank == root,
        gathers = which == 1 || which == 3;
    MPI_Datatype none = MPI_DATATYPE_NULL, sent_types[MOST_RANKS], taken_types[MOST_RANKS];
    int sent[MOST_RANKS], taken[MOST_RANKS], sent_at[MOST_RANKS], taken_at[MOST_RANKS];
    int unit[3] = {1, 2, 2}, extent[3] = {1, 2, 3}, bytes = which == 4 ? (int)sizeof(int) : 0;
    int *from = memory((long)most * size), *into = memory((long)most * size);
    for (int i = 0; i < size; i++) {
        int to = gathers ? counts[rank][0] : counts[rank][i],
            back = gathers ? counts[i][0] : counts[i][rank];
        sent[i] = to / unit[mine];
        taken[i] = back / unit[theirs];
        sent_at[i] = i * (most / unit[mine]);
        taken_at[i] = i * (most / unit[theirs]);
        if (bytes) {
            sent_at[i] *= extent[mine] * bytes;
            taken_at[i] *= extent[theirs] * bytes;
        }
        /* A block of no items may have no type. */
        sent_types[i] = to ? shapes[mine] : none;
        taken_types[i] = back ? shapes[theirs] : none;
        for (int j = 0; j < to; j++)
            from[place(mine, most) * (size_t)i + place(mine, j)] = value(rank, gathers ? 0 : i, j);
    }
    int is_here[MOST_RANKS];
    for (int i = 0; i < size; i++)
        is_here[i] = 1;
    switch (which) {
    case 0:
        CALL(form, Alltoallv, alltoallv, from, sent, sent_at, shapes[mine], into, taken, taken_at,
             shapes[theirs]);
        break;
    case 1:
        if (is_root)
            CALL(form, Gatherv, gatherv, from, sent[0], shapes[mine], into, taken, taken_at,
                 shapes[theirs], root);
        else
            CALL(form, Gatherv, gatherv, from, sent[0], shapes[mine], NULL, NULL, NULL, none, root);
        for (int i = 0; i < size; i++)
            is_here[i] = is_root;
        break;
    case 2:
        if (is_root)
            CALL(form, Scatterv, scatterv, from, sent, sent_at, shapes[mine],
                 into + taken_at[root] * extent[theirs], taken[root], shapes[theirs], root);
        else
            CALL(form, Scatterv, scatterv, NULL, NULL, NULL, none,
                 into + taken_at[root] * extent[theirs], taken[root], shapes[theirs], root);
        for (int i = 0; i < size; i++)
            is_here[i] = i == root;
        break;
    case 3:
        CALL(form, Allgatherv, allgatherv, from, sent[0], shapes[mine], into, taken, taken_at,
             shapes[theirs]);
        break;
    default:
        CALL(form, Alltoallw, alltoallw, from, sent, sent_at, sent_types, into, taken, taken_at,
             taken_types);
    }
    for (int i = 0; i < size; i++)
        for (int j = 0; is_here[i] && j < (gathers ? counts[i][0] : counts[i][rank]); j++)
            EQUAL(into[place(theirs, most) * (size_t)i + place(theirs, j)],
                  value(i, gathers ? 0 : rank, j));
    free(from);
    free(into);
}

/* A graph whose edges any rank gives; blocks of a length that both ends of an edge know. */
static void graph(void)
{
    int edges[64][3], count = draw(24), given = 0, froms[64], ones[64], tos[64];
    for (int i = 0; i < count; i++) {
        edges[i][0] = draw(size);
        edges[i][1] = draw(size);
        edges[i][2] = draw(size);
        /* One edge from a rank to another: which of several comes first is the implementation's
         * business. */
        for (int j = 0; j < i; j++)
            if (edges[j][0] == edges[i][0] && edges[j][1] == edges[i][1]) {
                i--;
                count--;
                break;
            }
    }
    for (int i = 0; i < count; i++)
        if (edges[i][2] == rank) {
            froms[given] = edges[i][0];
            ones[given] = 1;
            tos[given++] = edges[i][1];
        }
    MPI_Comm made;
    EQUAL(MPI_Dist_graph_create(MPI_COMM_WORLD, given, given ? froms : NULL, given ? ones : NULL,
                                given ? tos : NULL, MPI_UNWEIGHTED, MPI_INFO_NULL, 0, &made),
          MPI_SUCCESS);
    int ins, outs, weighted, sources[64], targets[64], sent[64], taken[64], sent_at[64],
        taken_at[64], most = 50;
    MPI_Dist_graph_neighbors_count(made, &ins, &outs, &weighted);
    MPI_Dist_graph_neighbors(made, ins, sources, MPI_UNWEIGHTED, outs, targets, MPI_UNWEIGHTED);
    int *from = memory((long)most * (outs + 1)), *into = memory((long)most * (ins + 1)),
        expected = 0;
    for (int i = 0; i < count; i++)
        expected += edges[i][1] == rank;
    EQUAL(ins, expected);
    for (int i = 0; i < outs; i++) {
        sent[i] = (rank * 7 + targets[i] * 3) % 5 * 10;
        sent_at[i] = i * most;
        for (int j = 0; j < sent[i]; j++)
            from[sent_at[i] + j] = value(rank, targets[i], j);
    }
    for (int i = 0; i < ins; i++) {
        taken[i] = (sources[i] * 7 + rank * 3) % 5 * 10;
        taken_at[i] = i * most;
    }
    EQUAL(
        MPI_Neighbor_alltoallv(from, sent, sent_at, MPI_INT, into, taken, taken_at, MPI_INT, made),
        MPI_SUCCESS);
    for (int i = 0; i < ins; i++)
        for (int j = 0; j < taken[i]; j++)
            EQUAL(into[taken_at[i] + j], value(sources[i], rank, j));
    free(from);
    free(into);
    MPI_Comm_free(&made);
}

/* A grid of some ranks, whose neighbours at the rim are nobody. */
static void grid(void)
{
    int wide = 1 + draw(size), high = size / wide ? 1 + draw(size / wide) : 1,
        sizes[2] = {high, wide}, periods[2] = {draw(2), draw(2)};
    MPI_Comm made, row;
    EQUAL(MPI_Cart_create(MPI_COMM_WORLD, 2, sizes, periods, 0, &made), MPI_SUCCESS);
    if (rank >= wide * high) {
        CHECK(made == MPI_COMM_NULL);
        return;
    }
    int all[4] = {-1, -1, -1, -1}, neighbours[4], remain[2] = {0, 1}, members[MOST_RANKS];
    MPI_Cart_shift(made, 0, 1, &neighbours[0], &neighbours[1]);
    MPI_Cart_shift(made, 1, 1, &neighbours[2], &neighbours[3]);
    EQUAL(MPI_Neighbor_allgather(&rank, 1, MPI_INT, all, 1, MPI_INT, made), MPI_SUCCESS);
    for (int i = 0; i < 4; i++)
        EQUAL(all[i], neighbours[i] == MPI_PROC_NULL ? -1 : neighbours[i]);
    EQUAL(MPI_Cart_sub(made, remain, &row), MPI_SUCCESS);
    for (int i = 0; i < wide; i++)
        members[i] = rank / wide * wide + i;
    has_members(row, members, wide);
    MPI_Comm_free(&row);
    MPI_Comm_free(&made);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    CHECK(size <= MOST_RANKS);
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    long trials = argc > 2 ? atol(argv[2]) : 100;
    per_node = argc > 3 ? atoi(argv[3]) : 0;
    MPI_Datatype pair;
    shapes[0] = MPI_INT;
    MPI_Type_contiguous(2, MPI_INT, &pair);
    MPI_Type_contiguous(2, MPI_INT, &shapes[1]);
    MPI_Type_create_resized(pair, 0, 3 * sizeof(int), &shapes[2]);
    MPI_Type_commit(&shapes[1]);
    MPI_Type_commit(&shapes[2]);
    MPI_Type_free(&pair);
    for (trial = 0; trial < trials; trial++) {
        state = seed * 1000003 + (unsigned)trial;
        int which = draw(12);
        if (getenv("FERRITE_TEST_LOUD") && rank == 0)
            fprintf(stderr, "trial %ld: kind %d\n", trial, which);
        if (which == 0)
            split();
        else if (which == 1)
            split_type();
        else if (which == 2)
            create(draw(2));
        else if (which == 3 && size > 1)
            inter();
        else if (which == 4)
            dup();
        else if (which == 5)
            graph();
        else if (which == 6)
            grid();
        else if (which < 10)
            equal_blocks();
        else
            any_blocks();
    }
    MPI_Type_free(&shapes[1]);
    MPI_Type_free(&shapes[2]);
    return finish();
}
