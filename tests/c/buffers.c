/* Buffers of communicators, sessions and the process: whose a message goes by, that they are full,
 * that they are empty. */
#include "check.h"

enum { LENGTH = 100000, ROOM = 2 * (LENGTH + MPI_BSEND_OVERHEAD) };

static char data[LENGTH], back[LENGTH], memory[3][ROOM];

/* A message to this rank itself that nobody receives yet. */
static int send_to(MPI_Comm comm, int tag)
{
    int own;
    MPI_Comm_rank(comm, &own);
    return MPI_Bsend(data, LENGTH, MPI_CHAR, own, tag, comm);
}

static void receive_from(MPI_Comm comm, int tag)
{
    MPI_Status status;
    int own;
    MPI_Comm_rank(comm, &own);
    EQUAL(MPI_Recv(back, LENGTH, MPI_CHAR, own, tag, comm, &status), MPI_SUCCESS);
    CHECK(memcmp(back, data, LENGTH) == 0);
}

static void detached(void *address, MPI_Count bytes, char *expected)
{
    CHECK(address == expected && bytes == ROOM);
}

int main(int argc, char **argv)
{
    MPI_Session session;
    MPI_Group group;
    MPI_Comm plain, own, of_session, of_part;
    MPI_Request request;
    void *address;
    int bytes, flag;
    MPI_Count count;
    start(&argc, &argv);
    memset(data, 7, LENGTH);
    MPI_Session_init(MPI_INFO_NULL, MPI_ERRORS_RETURN, &session);
    MPI_Group_from_session_pset(session, "mpi://WORLD", &group);
    MPI_Comm_create_from_group(group, "buffers", MPI_INFO_NULL, MPI_ERRORS_RETURN, &of_session);
    MPI_Comm_split(of_session, rank % 2, rank, &of_part);
    MPI_Comm_set_errhandler(of_part, MPI_ERRORS_RETURN);
    MPI_Group_free(&group);
    MPI_Comm_dup(MPI_COMM_WORLD, &plain);
    MPI_Comm_dup(MPI_COMM_WORLD, &own);
    MPI_Comm_set_errhandler(plain, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(own, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);

    FAILS(MPI_ERR_BUFFER, send_to(own, 1));
    EQUAL(MPI_Buffer_attach(memory[0], ROOM), MPI_SUCCESS);
    EQUAL(MPI_Comm_attach_buffer(own, memory[1], ROOM), MPI_SUCCESS);
    EQUAL(MPI_Session_attach_buffer_c(session, memory[2], ROOM), MPI_SUCCESS);
    FAILS(MPI_ERR_BUFFER, MPI_Comm_attach_buffer(own, memory[1], ROOM));

    /* Each takes two messages: of its own communicators only. */
    for (int tag = 0; tag < 2; tag++) {
        EQUAL(send_to(plain, tag), MPI_SUCCESS);
        EQUAL(send_to(own, tag), MPI_SUCCESS);
        EQUAL(send_to(of_session, tag), MPI_SUCCESS);
    }
    FAILS(MPI_ERR_BUFFER, send_to(plain, 2));
    FAILS(MPI_ERR_BUFFER, send_to(own, 2));
    FAILS(MPI_ERR_BUFFER, send_to(of_part, 2));

    EQUAL(MPI_Comm_iflush_buffer(own, &request), MPI_SUCCESS);
    MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
    CHECK(!flag);
    receive_from(own, 0);
    MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
    CHECK(!flag);
    /* What is sent later is not waited for. */
    EQUAL(send_to(own, 3), MPI_SUCCESS);
    receive_from(own, 1);
    EQUAL(MPI_Wait(&request, MPI_STATUS_IGNORE), MPI_SUCCESS);
    receive_from(own, 3);
    EQUAL(MPI_Comm_flush_buffer(own), MPI_SUCCESS);
    EQUAL(MPI_Comm_iflush_buffer(own, &request), MPI_SUCCESS);
    EQUAL(MPI_Wait(&request, MPI_STATUS_IGNORE), MPI_SUCCESS);
    EQUAL(MPI_Comm_detach_buffer(own, &address, &bytes), MPI_SUCCESS);
    detached(address, bytes, memory[1]);
    FAILS(MPI_ERR_BUFFER, MPI_Comm_detach_buffer(own, &address, &bytes));

    for (int tag = 0; tag < 2; tag++) {
        receive_from(plain, tag);
        receive_from(of_session, tag);
    }
    /* A part of the session's communicator is of the session, too; one without a buffer goes by the
     * process's. */
    EQUAL(send_to(of_part, 4), MPI_SUCCESS);
    EQUAL(send_to(own, 4), MPI_SUCCESS);
    MPI_Request both[2];
    EQUAL(MPI_Session_iflush_buffer(session, &both[0]), MPI_SUCCESS);
    EQUAL(MPI_Buffer_iflush(&both[1]), MPI_SUCCESS);
    receive_from(of_part, 4);
    receive_from(own, 4);
    EQUAL(MPI_Waitall(2, both, MPI_STATUSES_IGNORE), MPI_SUCCESS);
    EQUAL(MPI_Session_flush_buffer(session), MPI_SUCCESS);
    EQUAL(MPI_Session_detach_buffer_c(session, &address, &count), MPI_SUCCESS);
    detached(address, count, memory[2]);

    /* To another rank, as much as is needed. */
    EQUAL(MPI_Comm_attach_buffer(own, MPI_BUFFER_AUTOMATIC, 0), MPI_SUCCESS);
    for (int tag = 0; tag < 5; tag++)
        EQUAL(MPI_Bsend(data, LENGTH, MPI_CHAR, (rank + 1) % size, tag, own), MPI_SUCCESS);
    EQUAL(MPI_Comm_iflush_buffer(own, &request), MPI_SUCCESS);
    for (int tag = 0; tag < 5; tag++)
        EQUAL(
            MPI_Recv(back, LENGTH, MPI_CHAR, (rank + size - 1) % size, tag, own, MPI_STATUS_IGNORE),
            MPI_SUCCESS);
    EQUAL(MPI_Wait(&request, MPI_STATUS_IGNORE), MPI_SUCCESS);
    EQUAL(MPI_Comm_detach_buffer(own, &address, &bytes), MPI_SUCCESS);
    CHECK(address == MPI_BUFFER_AUTOMATIC);

    MPI_Comm_free(&plain);
    MPI_Comm_free(&own);
    MPI_Comm_free(&of_part);
    MPI_Comm_free(&of_session);
    MPI_Session_finalize(&session);
    EQUAL(MPI_Buffer_detach(&address, &bytes), MPI_SUCCESS);
    detached(address, bytes, memory[0]);
    return finish();
}
