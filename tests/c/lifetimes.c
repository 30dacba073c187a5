/* Objects that outlive the handle they came from: what is under way in a communicator goes on when
 * it is freed, reports to its error handler, and is never taken for another communicator's; so for
 * the datatype and the operation of a collective.
 *
 * lifetimes          checks itself lifetimes fatal    the other way round: the freed communicator's
 * handler ends the job, although the world's returns */
#include "check.h"

/* More than a handle has generations. */
#define OTHERS 40

static int to, from, handled;

/* Makes what would be taken for a freed communicator if somebody had kept its number. */
static void make_others(MPI_Comm others[OTHERS])
{
    for (int i = 0; i < OTHERS; i++) {
        MPI_Comm_dup(MPI_COMM_WORLD, &others[i]);
        MPI_Comm_set_errhandler(others[i], MPI_ERRORS_ARE_FATAL);
    }
}

static void free_others(MPI_Comm others[OTHERS])
{
    for (int i = 0; i < OTHERS; i++)
        MPI_Comm_free(&others[i]);
}

/* Makes communicators until one has this number again; the others are freed. */
static MPI_Comm number_again(MPI_Comm wanted)
{
    MPI_Comm other = MPI_COMM_NULL;
    for (int i = 0; i < 40 * 256; i++) {
        MPI_Comm_dup(MPI_COMM_SELF, &other);
        if (other == wanted)
            return other;
        MPI_Comm_free(&other);
    }
    return other;
}

static MPI_Comm returning(void)
{
    MPI_Comm made;
    MPI_Comm_dup(MPI_COMM_WORLD, &made);
    MPI_Comm_set_errhandler(made, MPI_ERRORS_RETURN);
    return made;
}

/* Counts; and a freed communicator can still be asked who it is. */
static void handler(MPI_Comm *comm, int *code, ...)
{
    char name[MPI_MAX_OBJECT_NAME];
    int length = 0, class = -1, members = -1, mine = -1;
    handled++;
    MPI_Error_class(*code, &class);
    CHECK(class == MPI_ERR_TRUNCATE || class == MPI_ERR_IN_STATUS);
    MPI_Comm_get_name(*comm, name, &length);
    EQUAL(strcmp(name, "brief"), 0);
    MPI_Comm_size(*comm, &members);
    MPI_Comm_rank(*comm, &mine);
    EQUAL(members, size);
    EQUAL(mine, rank);
}

/* Receives too little of a message, and frees the communicator before it waits. */
static MPI_Request too_short(MPI_Comm *comm, int *one)
{
    static const int two[2] = {1, 2};
    MPI_Request request;
    MPI_Irecv(one, 1, MPI_INT, from, 7, *comm, &request);
    MPI_Send(two, 2, MPI_INT, to, 7, *comm);
    MPI_Comm_free(comm);
    return request;
}

static void receives(void)
{
    int one = 0, flag = 0, index = -1;
    MPI_Status status;
    MPI_Comm comm = returning();
    MPI_Request request = too_short(&comm, &one);
    FAILS(MPI_ERR_TRUNCATE, MPI_Wait(&request, &status));
    EQUAL(status.MPI_SOURCE, from);
    CHECK(request == MPI_REQUEST_NULL);

    comm = returning();
    request = too_short(&comm, &one);
    int code = MPI_SUCCESS;
    while (!flag && code == MPI_SUCCESS)
        code = MPI_Test(&request, &flag, &status);
    FAILS(MPI_ERR_TRUNCATE, code);

    comm = returning();
    request = too_short(&comm, &one);
    FAILS(MPI_ERR_IN_STATUS, MPI_Waitall(1, &request, &status));
    EQUAL(status.MPI_ERROR, MPI_ERR_TRUNCATE);

    comm = returning();
    request = too_short(&comm, &one);
    FAILS(MPI_ERR_TRUNCATE, MPI_Waitany(1, &request, &index, &status));

    /* The handler that counts is the last one that was set before the communicator was freed. */
    MPI_Errhandler counts;
    MPI_Comm_create_errhandler(handler, &counts);
    comm = returning();
    MPI_Comm_set_name(comm, "brief");
    MPI_Comm_set_errhandler(comm, counts);
    MPI_Errhandler_free(&counts);
    MPI_Comm kept = comm;
    handled = 0;
    request = too_short(&comm, &one);
    MPI_Comm other = number_again(kept);
    FAILS(MPI_ERR_TRUNCATE, MPI_Wait(&request, MPI_STATUS_IGNORE));
    EQUAL(handled, 1);
    if (other != MPI_COMM_NULL)
        MPI_Comm_free(&other);

    /* Both halves of an exchange. */
    int two[2] = {3, 4};
    comm = returning();
    MPI_Isendrecv(two, 2, MPI_INT, to, 1, &one, 1, MPI_INT, from, 1, comm, &request);
    MPI_Comm_free(&comm);
    FAILS(MPI_ERR_TRUNCATE, MPI_Wait(&request, MPI_STATUS_IGNORE));
}

static void persistent(void)
{
    MPI_Comm comm = returning(), others[OTHERS], kept = comm;
    int out = 0, in = -1, two[2] = {5, 6}, one = 0;
    MPI_Request pair[2], longer, shorter, bsend;
    MPI_Send_init(&out, 1, MPI_INT, to, 3, comm, &pair[0]);
    MPI_Recv_init(&in, 1, MPI_INT, from, 3, comm, &pair[1]);
    MPI_Send_init(two, 2, MPI_INT, to, 4, comm, &longer);
    MPI_Recv_init(&one, 1, MPI_INT, from, 4, comm, &shorter);
    MPI_Bsend_init(two, 2, MPI_INT, to, 5, comm, &bsend);
    MPI_Comm_free(&comm);
    make_others(others);
    MPI_Comm same = number_again(kept);
    for (int i = 0; i < 3; i++) {
        out = rank * 10 + i;
        in = -1;
        /* Nobody else's message is taken, and nobody else takes ours. */
        int flag = 1;
        MPI_Startall(2, pair);
        FAILS(MPI_ERR_REQUEST, MPI_Start(&pair[1]));
        EQUAL(MPI_Waitall(2, pair, MPI_STATUSES_IGNORE), MPI_SUCCESS);
        EQUAL(in, from * 10 + i);
        for (int k = 0; k < OTHERS; k++) {
            MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, others[k], &flag, MPI_STATUS_IGNORE);
            EQUAL(flag, 0);
        }
        MPI_Start(&shorter);
        MPI_Start(&longer);
        FAILS(MPI_ERR_TRUNCATE, MPI_Wait(&shorter, MPI_STATUS_IGNORE));
        EQUAL(MPI_Wait(&longer, MPI_STATUS_IGNORE), MPI_SUCCESS);
        /* There is no buffer: an error of the freed communicator. */
        FAILS(MPI_ERR_BUFFER, MPI_Start(&bsend));
    }
    MPI_Request_free(&pair[0]);
    MPI_Request_free(&pair[1]);
    MPI_Request_free(&longer);
    MPI_Request_free(&shorter);
    MPI_Request_free(&bsend);
    free_others(others);
    if (same != MPI_COMM_NULL)
        MPI_Comm_free(&same);
}

static void partitioned(void)
{
    MPI_Comm comm = returning(), others[OTHERS];
    int out[4], in[4], few[2];
    MPI_Request send, receive, more, less;
    MPI_Psend_init(out, 4, 1, MPI_INT, to, 1, comm, MPI_INFO_NULL, &send);
    MPI_Precv_init(in, 2, 2, MPI_INT, from, 1, comm, MPI_INFO_NULL, &receive);
    MPI_Psend_init(out, 2, 2, MPI_INT, to, 2, comm, MPI_INFO_NULL, &more);
    MPI_Precv_init(few, 1, 2, MPI_INT, from, 2, comm, MPI_INFO_NULL, &less);
    MPI_Comm_free(&comm);
    make_others(others);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 4; k++) {
            out[k] = rank * 100 + i * 10 + k;
            in[k] = -1;
        }
        MPI_Start(&receive);
        MPI_Start(&send);
        FAILS(MPI_ERR_ARG, MPI_Pready(4, send));
        for (int k = 3; k >= 0; k--)
            MPI_Pready(k, send);
        MPI_Wait(&send, MPI_STATUS_IGNORE);
        MPI_Wait(&receive, MPI_STATUS_IGNORE);
        for (int k = 0; k < 4; k++)
            EQUAL(in[k], from * 100 + i * 10 + k);
        MPI_Start(&less);
        MPI_Start(&more);
        MPI_Pready_range(0, 1, more);
        MPI_Wait(&more, MPI_STATUS_IGNORE);
        FAILS(MPI_ERR_TRUNCATE, MPI_Wait(&less, MPI_STATUS_IGNORE));
    }
    MPI_Request_free(&send);
    MPI_Request_free(&receive);
    MPI_Request_free(&more);
    MPI_Request_free(&less);
    free_others(others);
}

static void matched(void)
{
    static int big[100000], got[100000];
    for (int length = 2; length <= 100000; length *= 50000) {
        MPI_Comm comm = returning(), others[OTHERS];
        int one = 0, flag = 0;
        MPI_Message first = MPI_MESSAGE_NULL, second;
        MPI_Request sends[3], request;
        MPI_Status status;
        for (int i = 0; i < 3; i++)
            MPI_Isend(big, length, MPI_INT, to, i, comm, &sends[i]);
        while (!flag)
            MPI_Improbe(from, 0, comm, &flag, &first, MPI_STATUS_IGNORE);
        MPI_Mprobe(from, 1, comm, &second, MPI_STATUS_IGNORE);
        MPI_Message third;
        MPI_Mprobe(from, 2, comm, &third, MPI_STATUS_IGNORE);
        MPI_Comm_free(&comm);
        make_others(others);
        FAILS(MPI_ERR_COUNT, MPI_Mrecv(&one, -1, MPI_INT, &first, &status));
        FAILS(MPI_ERR_TRUNCATE, MPI_Mrecv(&one, 1, MPI_INT, &first, &status));
        EQUAL(status.MPI_SOURCE, from);
        CHECK(first == MPI_MESSAGE_NULL);
        EQUAL(MPI_Imrecv(&one, 1, MPI_INT, &second, &request), MPI_SUCCESS);
        FAILS(MPI_ERR_TRUNCATE, MPI_Wait(&request, &status));
        EQUAL(MPI_Mrecv(got, length, MPI_INT, &third, &status), MPI_SUCCESS);
        MPI_Waitall(3, sends, MPI_STATUSES_IGNORE);
        free_others(others);
    }
}

/* An operation on pairs: the type that it gets is the one that was freed. */
static void add_pairs(void *in, void *inout, int *count, MPI_Datatype *type)
{
    MPI_Count bytes = -1;
    MPI_Type_size_c(*type, &bytes);
    EQUAL(bytes, 2 * sizeof(int));
    for (int i = 0; i < 2 * *count; i++)
        ((int *)inout)[i] += ((int *)in)[i];
}

static void free_and_replace(MPI_Op *op, MPI_Datatype *type)
{
    MPI_Datatype again;
    MPI_Op other;
    MPI_Op_free(op);
    MPI_Type_free(type);
    for (int i = 0; i < 40 * 256; i++) {
        MPI_Type_contiguous(5, MPI_DOUBLE, &again);
        MPI_Type_free(&again);
        MPI_Op_create(add_pairs, 1, &other);
        MPI_Op_free(&other);
    }
}

static void collectives(void)
{
    MPI_Datatype pair;
    MPI_Op op;
    MPI_Comm comm = returning(), others[OTHERS];
    int mine[6], sum[6], told[6] = {0}, again[6];
    MPI_Request requests[3], start;
    for (int i = 0; i < 6; i++)
        mine[i] = rank + i;
    if (rank == 0)
        for (int i = 0; i < 6; i++)
            told[i] = 7 + i;
    MPI_Type_contiguous(2, MPI_INT, &pair);
    MPI_Type_commit(&pair);
    MPI_Op_create(add_pairs, 1, &op);
    /* The first rank comes last, so that the others have freed all of it before anything can end.
     */
    if (rank == 0)
        MPI_Barrier(MPI_COMM_WORLD);
    MPI_Allreduce_init(mine, again, 3, pair, op, comm, MPI_INFO_NULL, &start);
    MPI_Iallreduce(mine, sum, 3, pair, op, comm, &requests[0]);
    MPI_Ibcast(told, 3, pair, 0, comm, &requests[1]);
    MPI_Ibarrier(comm, &requests[2]);
    MPI_Comm_free(&comm);
    free_and_replace(&op, &pair);
    if (rank != 0)
        MPI_Barrier(MPI_COMM_WORLD);
    make_others(others);
    MPI_Waitall(3, requests, MPI_STATUSES_IGNORE);
    for (int i = 0; i < 6; i++) {
        EQUAL(sum[i], size * (size - 1) / 2 + size * i);
        EQUAL(told[i], 7 + i);
    }
    for (int turn = 0; turn < 2; turn++) {
        memset(again, 0, sizeof again);
        MPI_Start(&start);
        MPI_Wait(&start, MPI_STATUS_IGNORE);
        EQUAL(memcmp(again, sum, sizeof sum), 0);
    }
    MPI_Request_free(&start);
    free_others(others);

    /* The original of a duplicate on its way. */
    MPI_Comm twin;
    MPI_Request idup;
    comm = returning();
    MPI_Comm_idup(comm, &twin, &idup);
    MPI_Comm_free(&comm);
    MPI_Wait(&idup, MPI_STATUS_IGNORE);
    int one = 0;
    MPI_Request request = too_short(&twin, &one);
    FAILS(MPI_ERR_TRUNCATE, MPI_Wait(&request, MPI_STATUS_IGNORE));
}

/* A freed type stays what it is for a reduction, but its handle cannot be freed again. */
static void freed_twice(void)
{
    MPI_Datatype pair, kept;
    MPI_Op op;
    MPI_Comm comm = returning();
    int mine[2] = {1, 1}, sum[2];
    MPI_Request request;
    MPI_Type_contiguous(2, MPI_INT, &pair);
    MPI_Type_commit(&pair);
    MPI_Op_create(add_pairs, 1, &op);
    MPI_Allreduce_init(mine, sum, 1, pair, op, comm, MPI_INFO_NULL, &request);
    kept = pair;
    MPI_Type_free(&pair);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    FAILS(MPI_ERR_TYPE, MPI_Type_free(&kept));
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_ARE_FATAL);
    MPI_Start(&request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    EQUAL(sum[0], size);
    MPI_Request_free(&request);
    MPI_Op_free(&op);
    MPI_Comm_free(&comm);
}

static void fatal(void)
{
    int one = 0;
    MPI_Comm comm;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_ARE_FATAL);
    MPI_Request request = too_short(&comm, &one);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    printf("went on\n");
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    to = (rank + 1) % size;
    from = (rank + size - 1) % size;
    if (argc > 1) {
        fatal();
    } else {
        receives();
        persistent();
        partitioned();
        matched();
        collectives();
        freed_twice();
    }
    return finish();
}
