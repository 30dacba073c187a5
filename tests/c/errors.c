/* Error classes, codes, strings and handlers; and every mistake in a call of point-to-point, with
 * its class. */
#include "check.h"

static int handled, handled_code;
static MPI_Comm handled_comm;

static void handler(MPI_Comm *comm, int *code, ...)
{
    handled++;
    handled_code = *code;
    handled_comm = *comm;
}

static void classes_and_strings(void)
{
    char text[MPI_MAX_ERROR_STRING];
    int length = -1, class = -1, code = -1, again = -1;
    static const int classes[] = {MPI_SUCCESS,   MPI_ERR_BUFFER,  MPI_ERR_COUNT,
                                  MPI_ERR_TYPE,  MPI_ERR_TAG,     MPI_ERR_COMM,
                                  MPI_ERR_RANK,  MPI_ERR_REQUEST, MPI_ERR_TRUNCATE,
                                  MPI_ERR_OTHER, MPI_ERR_ARG,     MPI_ERR_ROOT,
                                  MPI_ERR_GROUP, MPI_ERR_OP,      MPI_ERR_UNSUPPORTED_OPERATION};
    for (unsigned i = 0; i < sizeof classes / sizeof *classes; i++) {
        EQUAL(MPI_Error_class(classes[i], &class), MPI_SUCCESS);
        EQUAL(class, classes[i]);
        EQUAL(MPI_Error_string(classes[i], text, &length), MPI_SUCCESS);
        EQUAL(length, strlen(text));
        CHECK(length > 0 && length < MPI_MAX_ERROR_STRING);
    }
    /* The program's own. */
    MPI_Add_error_class(&class);
    CHECK(class > MPI_ERR_LASTCODE);
    MPI_Add_error_code(class, &code);
    MPI_Add_error_string(code, "the tide is out");
    MPI_Error_class(code, &again);
    EQUAL(again, class);
    MPI_Error_string(code, text, &length);
    EQUAL(strcmp(text, "the tide is out"), 0);
    int *last = NULL, flag = 0;
    MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_LASTUSEDCODE, &last, &flag);
    EQUAL(flag, 1);
    CHECK(*last >= code);
}

static void handlers(void)
{
    MPI_Errhandler mine, got;
    MPI_Comm comm;
    MPI_Comm_get_errhandler(MPI_COMM_WORLD, &got);
    CHECK(got == MPI_ERRORS_ARE_FATAL);
    MPI_Errhandler_free(&got);
    MPI_Comm_create_errhandler(handler, &mine);
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    MPI_Comm_set_errhandler(comm, mine);
    MPI_Errhandler_free(&mine);
    CHECK(mine == MPI_ERRHANDLER_NULL);

    int code = MPI_Send(NULL, -1, MPI_INT, 0, 0, comm), class = -1;
    EQUAL(handled, 1);
    CHECK(handled_comm == comm);
    EQUAL(handled_code, code);
    MPI_Error_class(code, &class);
    EQUAL(class, MPI_ERR_COUNT);

    /* A duplicate inherits the handler; calling it by hand works too. */
    MPI_Comm twin;
    MPI_Comm_dup(comm, &twin);
    MPI_Comm_call_errhandler(twin, MPI_ERR_OTHER);
    EQUAL(handled, 2);
    CHECK(handled_comm == twin);
    EQUAL(handled_code, MPI_ERR_OTHER);
    MPI_Comm_set_errhandler(twin, MPI_ERRORS_RETURN);
    FAILS(MPI_ERR_COUNT, MPI_Send(NULL, -1, MPI_INT, 0, 0, twin));
    EQUAL(handled, 2);
    MPI_Comm_free(&twin);
    MPI_Comm_free(&comm);
}

static void mistakes(void)
{
    int value = 0, flag;
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Status status;
    MPI_Message message;
    MPI_Comm comm, freed;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);

    FAILS(MPI_ERR_RANK, MPI_Send(&value, 1, MPI_INT, size, 0, MPI_COMM_WORLD));
    FAILS(MPI_ERR_RANK, MPI_Send(&value, 1, MPI_INT, -7, 0, MPI_COMM_WORLD));
    FAILS(MPI_ERR_RANK, MPI_Send(&value, 1, MPI_INT, MPI_ANY_SOURCE, 0, MPI_COMM_WORLD));
    FAILS(MPI_ERR_RANK, MPI_Isend(&value, 1, MPI_INT, size, 0, MPI_COMM_WORLD, &request));
    FAILS(MPI_ERR_RANK, MPI_Recv(&value, 1, MPI_INT, size, 0, MPI_COMM_WORLD, &status));
    FAILS(MPI_ERR_RANK, MPI_Irecv(&value, 1, MPI_INT, -7, 0, MPI_COMM_WORLD, &request));
    FAILS(MPI_ERR_RANK, MPI_Probe(size, 0, MPI_COMM_WORLD, &status));
    FAILS(MPI_ERR_RANK, MPI_Improbe(size, 0, MPI_COMM_WORLD, &flag, &message, &status));
    FAILS(MPI_ERR_RANK, MPI_Sendrecv(&value, 1, MPI_INT, size, 0, &value, 1, MPI_INT, rank, 0,
                                     MPI_COMM_WORLD, &status));
    FAILS(MPI_ERR_RANK, MPI_Send_init(&value, 1, MPI_INT, size, 0, MPI_COMM_WORLD, &request));

    int *limit = NULL;
    MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &limit, &flag);
    FAILS(MPI_ERR_TAG, MPI_Send(&value, 1, MPI_INT, rank, -5, MPI_COMM_WORLD));
    FAILS(MPI_ERR_TAG, MPI_Send(&value, 1, MPI_INT, rank, MPI_ANY_TAG, MPI_COMM_WORLD));
    if (*limit < 0x7fffffff)
        FAILS(MPI_ERR_TAG, MPI_Send(&value, 1, MPI_INT, rank, *limit + 1, MPI_COMM_WORLD));
    FAILS(MPI_ERR_TAG, MPI_Recv(&value, 1, MPI_INT, rank, -5, MPI_COMM_WORLD, &status));
    FAILS(MPI_ERR_TAG, MPI_Iprobe(rank, -5, MPI_COMM_WORLD, &flag, &status));

    FAILS(MPI_ERR_COUNT, MPI_Send(&value, -1, MPI_INT, rank, 0, MPI_COMM_WORLD));
    FAILS(MPI_ERR_COUNT, MPI_Irecv(&value, -1, MPI_INT, rank, 0, MPI_COMM_WORLD, &request));
    FAILS(MPI_ERR_COUNT, MPI_Send_c(&value, -1, MPI_INT, rank, 0, MPI_COMM_WORLD));

    FAILS(MPI_ERR_TYPE, MPI_Send(&value, 1, MPI_DATATYPE_NULL, rank, 0, MPI_COMM_WORLD));
    FAILS(MPI_ERR_TYPE, MPI_Recv(&value, 1, MPI_DATATYPE_NULL, rank, 0, MPI_COMM_WORLD, &status));

    /* Buffers of one call must not overlap. */
    int four[4] = {0}, one = 1, zero = 0, two = 2;
    MPI_Datatype type = MPI_INT;
    FAILS(MPI_ERR_BUFFER,
          MPI_Gatherv(&four[1], 1, MPI_INT, four, &one, &one, MPI_INT, 0, MPI_COMM_SELF));
    FAILS(MPI_ERR_BUFFER,
          MPI_Scatterv(four, &two, &zero, MPI_INT, &four[1], 2, MPI_INT, 0, MPI_COMM_SELF));
    FAILS(MPI_ERR_BUFFER,
          MPI_Allgatherv(&four[1], 1, MPI_INT, four, &one, &one, MPI_INT, MPI_COMM_SELF));
    FAILS(MPI_ERR_BUFFER,
          MPI_Alltoallv(four, &one, &two, MPI_INT, four, &one, &two, MPI_INT, MPI_COMM_SELF));
    FAILS(MPI_ERR_BUFFER,
          MPI_Alltoallw(four, &one, &zero, &type, four, &one, &zero, &type, MPI_COMM_SELF));
    /* Beside a block is not on it. */
    EQUAL(MPI_Gatherv(&four[0], 1, MPI_INT, four, &one, &one, MPI_INT, 0, MPI_COMM_SELF),
          MPI_SUCCESS);
    FAILS(MPI_ERR_BUFFER, MPI_Reduce_local(MPI_IN_PLACE, four, 4, MPI_INT, MPI_SUM));
    FAILS(MPI_ERR_BUFFER, MPI_Reduce_local(four, MPI_IN_PLACE, 4, MPI_INT, MPI_SUM));
    FAILS(MPI_ERR_BUFFER, MPI_Reduce_local(NULL, four, 4, MPI_INT, MPI_SUM));
    FAILS(MPI_ERR_BUFFER, MPI_Reduce_local(four, &four[1], 2, MPI_INT, MPI_SUM));

    FAILS(MPI_ERR_BUFFER, MPI_Exscan(four, four, 4, MPI_INT, MPI_SUM, MPI_COMM_SELF));

    /* A communicator that could not be made is none; without a place for it nothing is made, and
     * the process's handler is asked, because nothing is wrong with the communicator that was
     * given. */
    int wide[2] = {size, 2}, periods[2] = {0, 0};
    MPI_Group group;
    MPI_Comm_group(MPI_COMM_SELF, &group);
    comm = MPI_COMM_WORLD;
    FAILS(MPI_ERR_DIMS, MPI_Cart_create(MPI_COMM_WORLD, 2, wide, periods, 0, &comm));
    CHECK(comm == MPI_COMM_NULL);
    comm = MPI_COMM_WORLD;
    FAILS(MPI_ERR_COMM, MPI_Comm_split(MPI_COMM_NULL, 0, 0, &comm));
    CHECK(comm == MPI_COMM_NULL);
    MPI_Comm_dup(MPI_COMM_SELF, &comm);
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_ARE_FATAL);
    FAILS(MPI_ERR_ARG, MPI_Comm_create(comm, group, NULL));
    FAILS(MPI_ERR_ARG, MPI_Comm_create_group(comm, group, 0, NULL));
    FAILS(MPI_ERR_ARG, MPI_Comm_split(comm, 0, 0, NULL));
    FAILS(MPI_ERR_ARG, MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, NULL));
    MPI_Comm_free(&comm);
    MPI_Group_free(&group);

    FAILS(MPI_ERR_COMM, MPI_Send(&value, 1, MPI_INT, rank, 0, MPI_COMM_NULL));
    FAILS(MPI_ERR_COMM, MPI_Comm_rank(MPI_COMM_NULL, &value));
    MPI_Comm_dup(MPI_COMM_SELF, &comm);
    freed = comm;
    MPI_Comm_free(&comm);
    FAILS(MPI_ERR_COMM, MPI_Comm_size(freed, &value));
    FAILS(MPI_ERR_COMM, MPI_Send(&value, 1, MPI_INT, 0, 0, freed));

    MPI_Request released;
    MPI_Recv_init(&value, 1, MPI_INT, 0, 0, MPI_COMM_SELF, &request);
    released = request;
    MPI_Request_free(&request);
    FAILS(MPI_ERR_REQUEST, MPI_Wait(&released, &status));
    request = MPI_REQUEST_NULL;
    FAILS(MPI_ERR_REQUEST, MPI_Start(&request));
    FAILS(MPI_ERR_REQUEST, MPI_Request_free(&request));
    FAILS(MPI_ERR_REQUEST, MPI_Cancel(&request));

    FAILS(MPI_ERR_ROOT, MPI_Bcast(&value, 1, MPI_INT, size, MPI_COMM_WORLD));
    FAILS(MPI_ERR_OP, MPI_Allreduce(&value, &flag, 1, MPI_INT, MPI_OP_NULL, MPI_COMM_WORLD));

    /* More buffered than there is room for. */
    FAILS(MPI_ERR_BUFFER, MPI_Bsend(&value, 1, MPI_INT, rank, 0, MPI_COMM_WORLD));

    /* After all this the library still works. */
    int next = (rank + 1) % size, previous = (rank + size - 1) % size, got = -1;
    EQUAL(MPI_Sendrecv(&rank, 1, MPI_INT, next, 0, &got, 1, MPI_INT, previous, 0, MPI_COMM_WORLD,
                       &status),
          MPI_SUCCESS);
    EQUAL(got, previous);
}

/* Counts that do not agree are told, by all whom they concern, and nobody waits forever. */
static void disagreement(void)
{
    int data[16] = {0}, sums[16], code;
    MPI_Request request;
    for (int longer = 0; longer < 2; longer++) {
        MPI_Ibcast(data, (rank == 0) == longer ? 10 : 3, MPI_INT, 0, MPI_COMM_WORLD, &request);
        code = MPI_Wait(&request, MPI_STATUS_IGNORE);
        if (rank > 0)
            FAILS(MPI_ERR_TRUNCATE, code);
        MPI_Iallreduce(data, sums, (rank == 0) == longer ? 10 : 3, MPI_INT, MPI_SUM, MPI_COMM_WORLD,
                       &request);
        code = MPI_Wait(&request, MPI_STATUS_IGNORE);
        if (size == 2)
            FAILS(MPI_ERR_TRUNCATE, code);
        code = MPI_Bcast(data, (rank == 0) == longer ? 10 : 3, MPI_INT, 0, MPI_COMM_WORLD);
        CHECK(code != MPI_SUCCESS || rank == 0);
        data[0] = rank == 0 ? 17 : 0;
        EQUAL(MPI_Ibcast(data, 1, MPI_INT, 0, MPI_COMM_WORLD, &request), MPI_SUCCESS);
        EQUAL(MPI_Wait(&request, MPI_STATUS_IGNORE), MPI_SUCCESS);
        EQUAL(data[0], 17);
    }
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    classes_and_strings();
    handlers();
    mistakes();
    disagreement();
    return finish();
}
