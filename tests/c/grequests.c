/* Generalized requests: waited for, tested, asked, cancelled and freed, before and after they are
 * complete, beside requests of messages. */
#include "check.h"

/* What the functions were told of an operation. */
struct operation {
    int queries, frees, cancels, completed_at_cancel, elements, code;
};

static int query(void *extra, MPI_Status *status)
{
    struct operation *operation = extra;
    operation->queries++;
    MPI_Status_set_elements(status, MPI_INT, operation->elements);
    MPI_Status_set_cancelled(status, operation->cancels > 0);
    status->MPI_SOURCE = 3;
    status->MPI_TAG = 77;
    return operation->code;
}

static int release(void *extra)
{
    struct operation *operation = extra;
    operation->frees++;
    return MPI_SUCCESS;
}

static int cancel(void *extra, int complete)
{
    struct operation *operation = extra;
    operation->cancels++;
    operation->completed_at_cancel = complete;
    return MPI_SUCCESS;
}

static MPI_Request begin(struct operation *operation)
{
    MPI_Request request;
    EQUAL(MPI_Grequest_start(query, release, cancel, operation, &request), MPI_SUCCESS);
    return request;
}

static void check(struct operation *operation, MPI_Status *status)
{
    int count, cancelled;
    MPI_Get_count(status, MPI_INT, &count);
    MPI_Test_cancelled(status, &cancelled);
    EQUAL(count, operation->elements);
    EQUAL(cancelled, operation->cancels > 0);
    EQUAL(status->MPI_SOURCE, 3);
    EQUAL(status->MPI_TAG, 77);
}

int main(int argc, char **argv)
{
    int flag, number, value = 0;
    MPI_Status status, both[2];
    start(&argc, &argv);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);

    struct operation one = {.elements = 5};
    MPI_Request request = begin(&one);
    MPI_Test(&request, &flag, &status);
    CHECK(!flag && one.queries == 0);
    EQUAL(MPI_Grequest_complete(request), MPI_SUCCESS);
    FAILS(MPI_ERR_REQUEST, MPI_Grequest_complete(request));
    MPI_Request_get_status(request, &flag, &status);
    CHECK(flag && one.queries == 1 && one.frees == 0);
    check(&one, &status);
    EQUAL(MPI_Wait(&request, &status), MPI_SUCCESS);
    CHECK(request == MPI_REQUEST_NULL && one.queries == 2 && one.frees == 1);
    check(&one, &status);

    /* Cancelled, then complete. */
    struct operation two = {.elements = 0};
    request = begin(&two);
    EQUAL(MPI_Cancel(&request), MPI_SUCCESS);
    CHECK(two.cancels == 1 && !two.completed_at_cancel);
    MPI_Grequest_complete(request);
    EQUAL(MPI_Cancel(&request), MPI_SUCCESS);
    CHECK(two.cancels == 2 && two.completed_at_cancel);
    MPI_Test(&request, &flag, &status);
    CHECK(flag && two.frees == 1);
    check(&two, &status);

    /* Freed before it is complete, and after. */
    struct operation three = {0}, four = {0};
    MPI_Request early = begin(&three), late = begin(&four), kept = early;
    MPI_Request_free(&early);
    CHECK(early == MPI_REQUEST_NULL && three.frees == 0);
    MPI_Grequest_complete(kept);
    CHECK(three.frees == 1 && three.queries == 0);
    MPI_Grequest_complete(late);
    CHECK(four.frees == 0);
    MPI_Request_free(&late);
    CHECK(four.frees == 1 && four.queries == 0);

    /* An error of the query function is the operation's, and the request goes all the same. */
    struct operation five = {.code = MPI_ERR_NO_SPACE};
    request = begin(&five);
    MPI_Grequest_complete(request);
    FAILS(MPI_ERR_NO_SPACE, MPI_Wait(&request, MPI_STATUS_IGNORE));
    CHECK(request == MPI_REQUEST_NULL && five.frees == 1);

    /* Beside a message. */
    struct operation six = {.elements = 2};
    MPI_Request requests[2] = {begin(&six), MPI_REQUEST_NULL};
    MPI_Irecv(&value, 1, MPI_INT, (rank + size - 1) % size, 1, MPI_COMM_WORLD, &requests[1]);
    MPI_Send(&rank, 1, MPI_INT, (rank + 1) % size, 1, MPI_COMM_WORLD);
    MPI_Waitany(2, requests, &number, &status);
    CHECK(number == 1 && value == (rank + size - 1) % size);
    MPI_Irecv(&value, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_COMM_WORLD, &requests[1]);
    MPI_Testall(2, requests, &flag, both);
    CHECK(!flag);
    MPI_Grequest_complete(requests[0]);
    EQUAL(MPI_Waitall(2, requests, both), MPI_SUCCESS);
    check(&six, &both[0]);
    CHECK(six.queries == 1 && six.frees == 1);

    FAILS(MPI_ERR_ARG, MPI_Grequest_start(NULL, release, cancel, NULL, &request));
    MPI_Irecv(&value, 1, MPI_INT, rank, 2, MPI_COMM_WORLD, &request);
    FAILS(MPI_ERR_REQUEST, MPI_Grequest_complete(request));
    MPI_Cancel(&request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    return finish();
}
