/* Groups: algebra, ranges, translation, and those of communicators. */
#include "check.h"

static void is(MPI_Group group, int count, const int *ranks)
{
    MPI_Group world;
    int got = -1, translated[64], own[64];
    MPI_Group_size(group, &got);
    EQUAL(got, count);
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    for (int i = 0; i < count; i++)
        own[i] = i;
    MPI_Group_translate_ranks(group, count, own, world, translated);
    for (int i = 0; i < count; i++)
        EQUAL(translated[i], ranks[i]);
    MPI_Group_free(&world);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    MPI_Group world, even, odd, all, none, reversed, range, less;
    int result = -1, me = -1, count = 0, evens[64], odds[64], back[64], one_by_one[64];
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    MPI_Group_rank(world, &me);
    EQUAL(me, rank);
    for (int i = 0; i < size; i++) {
        one_by_one[i] = i;
        back[i] = size - 1 - i;
        if (i % 2 == 0)
            evens[count++] = i;
        else
            odds[i / 2] = i;
    }
    is(world, size, one_by_one);
    MPI_Group_incl(world, count, evens, &even);
    is(even, count, evens);
    MPI_Group_excl(world, count, evens, &odd);
    is(odd, size - count, odds);
    MPI_Group_rank(even, &me);
    EQUAL(me, rank % 2 ? MPI_UNDEFINED : rank / 2);

    MPI_Group_union(even, odd, &all);
    MPI_Group_compare(all, world, &result);
    EQUAL(result, size <= 2 ? MPI_IDENT : MPI_SIMILAR);
    MPI_Group_intersection(even, odd, &none);
    CHECK(none == MPI_GROUP_EMPTY);
    MPI_Group_difference(world, even, &less);
    MPI_Group_compare(less, odd, &result);
    EQUAL(result, MPI_IDENT);
    if (size > 1) {
        MPI_Group_compare(even, odd, &result);
        EQUAL(result, MPI_UNEQUAL);
    }
    MPI_Group_intersection(world, even, &range);
    MPI_Group_compare(range, even, &result);
    EQUAL(result, MPI_IDENT);
    MPI_Group_free(&range);

    int backwards[1][3] = {{size - 1, 0, -1}}, steps[1][3] = {{0, size - 1, 2}};
    MPI_Group_range_incl(world, 1, backwards, &reversed);
    is(reversed, size, back);
    MPI_Group_range_incl(world, 1, steps, &range);
    MPI_Group_compare(range, even, &result);
    EQUAL(result, MPI_IDENT);
    MPI_Group_free(&range);
    MPI_Group_range_excl(world, 1, steps, &range);
    MPI_Group_compare(range, odd, &result);
    EQUAL(result, MPI_IDENT);
    MPI_Group_free(&range);

    /* Ranks that the other group does not have, and nobody. */
    int from[2] = {0, MPI_PROC_NULL}, to[2] = {-1, -1};
    MPI_Group_translate_ranks(world, 2, from, odd, to);
    EQUAL(to[0], MPI_UNDEFINED);
    EQUAL(to[1], MPI_PROC_NULL);

    /* The group of a communicator has its order. */
    MPI_Comm comm;
    MPI_Group of_comm;
    MPI_Comm_split(MPI_COMM_WORLD, 0, -rank, &comm);
    MPI_Comm_group(comm, &of_comm);
    MPI_Group_compare(of_comm, reversed, &result);
    EQUAL(result, MPI_IDENT);
    MPI_Comm_free(&comm);
    is(of_comm, size, back);
    MPI_Group_free(&of_comm);
    MPI_Group *groups[] = {&world, &even, &odd, &all, &reversed, &less};
    for (int i = 0; i < 6; i++) {
        if (*groups[i] != MPI_GROUP_EMPTY)
            MPI_Group_free(groups[i]);
    }
    return finish();
}
