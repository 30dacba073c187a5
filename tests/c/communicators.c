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
    int next = (rank + 1) % size, previous = (rank + size - 1) % size, in[2] = {-1, -1}, out[2] = {rank, 1000 + rank};
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
    static MPI_Comm comms[200];
    int sum;
    for (int i = 0; i < 2000; i++) {
        MPI_Comm_dup(MPI_COMM_WORLD, &comms[0]);
        MPI_Comm_free(&comms[0]);
    }
    for (int i = 0; i < 200; i++)
        MPI_Comm_dup(i ? comms[i - 1] : MPI_COMM_WORLD, &comms[i]);
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, comms[199]);
    EQUAL(sum, size * (size - 1) / 2);
    for (int i = 0; i < 200; i++)
        MPI_Comm_free(&comms[i]);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    names();
    compare();
    apart();
    split();
    freed_early();
    many();
    return finish();
}
