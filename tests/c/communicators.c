/* Communicators: duplicates, splits, names, comparison; messages stay within theirs. */
#include "check.h"

static void names(void)
{
    char name[MPI_MAX_OBJECT_NAME];
    int length = -1;
    MPI_Comm comm;
    MPI_Comm_get_name(MPI_COMM_WORLD, name, &length);
    EQUAL(strcmp(name, "MPI_COMM_WORLD"), 0);
    EQUAL(length, 14);
    MPI_Comm_get_name(MPI_COMM_SELF, name, &length);
    EQUAL(strcmp(name, "MPI_COMM_SELF"), 0);
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    MPI_Comm_get_name(comm, name, &length);
    EQUAL(length, 0);
    MPI_Comm_set_name(comm, "ocean");
    MPI_Comm_get_name(comm, name, &length);
    EQUAL(strcmp(name, "ocean"), 0);
    EQUAL(length, 5);
    MPI_Comm_free(&comm);
    CHECK(comm == MPI_COMM_NULL);
}

static void compare(void)
{
    MPI_Comm comm, reversed;
    int result = -1;
    MPI_Comm_compare(MPI_COMM_WORLD, MPI_COMM_WORLD, &result);
    EQUAL(result, MPI_IDENT);
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    MPI_Comm_compare(MPI_COMM_WORLD, comm, &result);
    EQUAL(result, MPI_CONGRUENT);
    MPI_Comm_split(MPI_COMM_WORLD, 0, -rank, &reversed);
    MPI_Comm_compare(comm, reversed, &result);
    EQUAL(result, size > 1 ? MPI_SIMILAR : MPI_CONGRUENT);
    if (size > 1) {
        MPI_Comm_compare(MPI_COMM_WORLD, MPI_COMM_SELF, &result);
        EQUAL(result, MPI_UNEQUAL);
    }
    MPI_Comm_free(&comm);
    MPI_Comm_free(&reversed);
}

/* The same tag in two communicators: each message stays in its own. */
static void apart(void)
{
    MPI_Comm comms[2];
    MPI_Request requests[4];
    int next = (rank + 1) % size, previous = (rank + size - 1) % size, in[2] = {-1, -1},
        out[2] = {rank, 1000 + rank};
    MPI_Comm_dup(MPI_COMM_WORLD, &comms[0]);
    MPI_Comm_dup(comms[0], &comms[1]);
    for (int i = 0; i < 2; i++)
        MPI_Isend(&out[i], 1, MPI_INT, next, 1, comms[i], &requests[i]);
    for (int i = 1; i >= 0; i--)
        MPI_Irecv(&in[i], 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, comms[i], &requests[2 + i]);
    MPI_Waitall(4, requests, MPI_STATUSES_IGNORE);
    EQUAL(in[0], previous);
    EQUAL(in[1], 1000 + previous);
    for (int i = 0; i < 2; i++)
        MPI_Comm_free(&comms[i]);
}

static void split(void)
{
    MPI_Comm comm, again;
    int me = -1, count = -1, sum = -1, between = -1;
    for (int colours = 1; colours <= 3; colours++) {
        MPI_Comm_split(MPI_COMM_WORLD, rank % colours, rank, &comm);
        MPI_Comm_rank(comm, &me);
        MPI_Comm_size(comm, &count);
        EQUAL(me, rank / colours);
        EQUAL(count, (size - rank % colours + colours - 1) / colours);
        MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, comm);
        EQUAL(sum, count * (rank % colours) + colours * count * (count - 1) / 2);
        MPI_Comm_test_inter(comm, &between);
        EQUAL(between, 0);
        /* Of the split, in the opposite order. */
        MPI_Comm_split(comm, 0, -me, &again);
        MPI_Comm_rank(again, &me);
        EQUAL(me, count - 1 - rank / colours);
        MPI_Comm_free(&again);
        MPI_Comm_free(&comm);
    }
    MPI_Comm_split(MPI_COMM_WORLD, rank == 0 ? MPI_UNDEFINED : 1, 0, &comm);
    CHECK((comm == MPI_COMM_NULL) == (rank == 0));
    if (comm != MPI_COMM_NULL) {
        /* Equal keys: the order of the parent. */
        MPI_Comm_rank(comm, &me);
        EQUAL(me, rank - 1);
        MPI_Comm_free(&comm);
    }
}

/* A communicator that is freed while a message is under way still delivers it. */
static void freed_early(void)
{
    MPI_Comm comm;
    MPI_Request requests[2];
    int next = (rank + 1) % size, previous = (rank + size - 1) % size;
    unsigned char *out = buffer_of(1048576), *in = buffer_of(1048576);
    fill(out, 1048576, rank);
    clear(in, 1048576);
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    MPI_Irecv(in, 1048576, MPI_BYTE, previous, 1, comm, &requests[0]);
    MPI_Isend(out, 1048576, MPI_BYTE, next, 1, comm, &requests[1]);
    MPI_Comm_free(&comm);
    MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
    CONTENT(in, 1048576, previous);
    free(in);
    free(out);
}

/* Many, one after another and at once: their identities are used again or never run out. */
static void many(void)
{
    static MPI_Comm comms[5000];
    int sum;
    for (int i = 0; i < 10000; i++) {
        MPI_Comm_dup(MPI_COMM_WORLD, &comms[0]);
        MPI_Comm_free(&comms[0]);
    }
    for (int i = 0; i < 5000; i++)
        MPI_Comm_dup(i ? comms[i - 1] : MPI_COMM_WORLD, &comms[i]);
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, comms[4999]);
    EQUAL(sum, size * (size - 1) / 2);
    for (int i = 0; i < 5000; i++)
        MPI_Comm_free(&comms[i]);
}

/* Communicators of groups: everybody calls, or the members only. */
static void of_groups(void)
{
    MPI_Group world, odd, first;
    MPI_Comm comm, pair;
    int *odds = malloc(size * sizeof *odds), number = 0, its_size, its_rank, sum, zero = 0;
    for (int i = 1; i < size; i += 2)
        odds[number++] = i;
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    MPI_Group_incl(world, number, odds, &odd);
    MPI_Group_excl(world, number, odds, &first);
    /* Two disjoint groups in one call. */
    MPI_Comm_create(MPI_COMM_WORLD, rank % 2 ? odd : first, &comm);
    MPI_Comm_size(comm, &its_size);
    MPI_Comm_rank(comm, &its_rank);
    EQUAL(its_size, rank % 2 ? number : size - number);
    EQUAL(its_rank, rank / 2);
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, comm);
    for (int i = rank % 2; i < size; i += 2)
        sum -= i;
    EQUAL(sum, 0);
    MPI_Comm_free(&comm);
    MPI_Comm_create(MPI_COMM_WORLD, odd, &comm);
    CHECK((comm == MPI_COMM_NULL) == (rank % 2 == 0));
    if (comm != MPI_COMM_NULL)
        MPI_Comm_free(&comm);
    if (rank % 2) {
        /* The others do not even know. */
        MPI_Comm_create_group(MPI_COMM_WORLD, odd, 7, &pair);
        MPI_Comm_rank(pair, &its_rank);
        EQUAL(its_rank, rank / 2);
        MPI_Barrier(pair);
        MPI_Comm_disconnect(&pair);
        CHECK(pair == MPI_COMM_NULL);
    }
    MPI_Comm_create(MPI_COMM_WORLD, MPI_GROUP_EMPTY, &comm);
    CHECK(comm == MPI_COMM_NULL);
    MPI_Group_free(&first);
    MPI_Group_incl(world, 1, &zero, &first);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    if (rank > 0)
        FAILS(MPI_ERR_GROUP, MPI_Comm_create(MPI_COMM_SELF, first, &comm));
    MPI_Group_free(&first);
    MPI_Group_free(&odd);
    MPI_Group_free(&world);
    free(odds);
}

/* Groups that overlap, one after another with one tag: some members are ahead of others. */
static void overlapping_groups(void)
{
    MPI_Group world, some;
    MPI_Comm comm;
    int ranks[64], its_size;
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    for (unsigned set = 1; set < 200; set++) {
        int number = 0, mine = 0;
        for (int i = 0; i < size; i++)
            if ((set * 2654435761u >> (i + 3)) & 1) {
                mine |= i == rank;
                ranks[number++] = i;
            }
        if (!mine)
            continue;
        MPI_Group_incl(world, number, ranks, &some);
        MPI_Comm_create_group(MPI_COMM_WORLD, some, 0, &comm);
        MPI_Comm_size(comm, &its_size);
        EQUAL(its_size, number);
        MPI_Barrier(comm);
        MPI_Comm_free(&comm);
        MPI_Group_free(&some);
    }
    MPI_Group_free(&world);
}

/* Duplicates that are made while something else goes on: nobody waits for the others in the call.
 */
static void later(void)
{
    MPI_Comm comms[3];
    MPI_Request requests[3];
    MPI_Info info;
    int next = (rank + 1) % size, previous = (rank + size - 1) % size, token = rank, got = -1, sum;
    MPI_Info_create(&info);
    MPI_Info_set(info, "mpi_assert_no_any_tag", "true");
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            MPI_Comm_idup_with_info(MPI_COMM_WORLD, info, &comms[i], &requests[i]);
        else
            MPI_Comm_idup(MPI_COMM_WORLD, &comms[i], &requests[i]);
        /* Rank 0 waits for a message that its sender sends after its own call. */
        MPI_Sendrecv(&token, 1, MPI_INT, next, i, &got, 1, MPI_INT, previous, i, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE);
    }
    MPI_Waitall(3, requests, MPI_STATUSES_IGNORE);
    for (int i = 2; i >= 0; i--) {
        int result;
        MPI_Comm_compare(comms[i], MPI_COMM_WORLD, &result);
        EQUAL(result, MPI_CONGRUENT);
        MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, comms[i]);
        EQUAL(sum, size * (size - 1) / 2);
    }
    char value[8];
    int flag, length = sizeof value;
    MPI_Info used;
    MPI_Comm_get_info(comms[1], &used);
    MPI_Info_get_string(used, "mpi_assert_no_any_tag", &length, value, &flag);
    CHECK(flag && strcmp(value, "true") == 0);
    MPI_Info_free(&used);
    MPI_Info_set(info, "mpi_assert_no_any_tag", "perhaps");
    MPI_Comm_set_errhandler(comms[1], MPI_ERRORS_RETURN);
    FAILS(MPI_ERR_INFO_VALUE, MPI_Comm_set_info(comms[1], info));
    MPI_Info_free(&info);
    for (int i = 0; i < 3; i++)
        MPI_Comm_free(&comms[i]);
}

/* Those on one host share memory, unless they were told to use a network. */
static void by_type(void)
{
    MPI_Comm comm;
    int its_size, its_rank, length, here = 0, behind = 0;
    char name[MPI_MAX_PROCESSOR_NAME] = "", *names = malloc(size * sizeof name);
    MPI_Get_processor_name(name, &length);
    MPI_Allgather(name, sizeof name, MPI_CHAR, names, sizeof name, MPI_CHAR, MPI_COMM_WORLD);
    for (int i = 0; i < size; i++)
        if (strcmp(names + i * sizeof name, name) == 0) {
            here++;
            behind += i > rank;
        }
    free(names);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, -rank, MPI_INFO_NULL, &comm);
    MPI_Comm_size(comm, &its_size);
    EQUAL(its_size, here);
    MPI_Comm_rank(comm, &its_rank);
    EQUAL(its_rank, behind);
    MPI_Comm_free(&comm);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_HW_UNGUIDED, 0, MPI_INFO_NULL, &comm);
    EQUAL(comm == MPI_COMM_NULL, here == size);
    if (comm != MPI_COMM_NULL) {
        MPI_Comm_size(comm, &its_size);
        EQUAL(its_size, here);
        MPI_Comm_free(&comm);
    }
    MPI_Comm_split_type(MPI_COMM_WORLD, rank ? MPI_UNDEFINED : MPI_COMM_TYPE_SHARED, 0,
                        MPI_INFO_NULL, &comm);
    CHECK((comm == MPI_COMM_NULL) == (rank > 0));
    if (rank == 0)
        MPI_Comm_free(&comm);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    names();
    compare();
    apart();
    split();
    freed_early();
    of_groups();
    overlapping_groups();
    later();
    by_type();
    many();
    return finish();
}
