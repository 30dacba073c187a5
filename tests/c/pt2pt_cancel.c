/* Cancelling: a receive that nobody answered is cancelled, one that was matched is not; what
 * follows is undisturbed. */
#include "check.h"

int main(int argc, char **argv)
{
    start(&argc, &argv);
    int next = (rank + 1) % size, previous = (rank + size - 1) % size;
    unsigned char *out = buffer_of(1048576), *in = buffer_of(1048576);
    MPI_Request request, send;
    MPI_Status status;
    int flag, value = -1;
    static const int lengths[] = {0, 8, 9000, 1048576};

    for (int l = 0; l < 4; l++) {
        int length = lengths[l];
        fill(out, length, l + rank);

        /* Nobody sends: cancelled, and the buffer is untouched. */
        clear(in, length);
        MPI_Irecv(in, length, MPI_BYTE, previous, 5, MPI_COMM_WORLD, &request);
        MPI_Cancel(&request);
        CHECK(request != MPI_REQUEST_NULL);
        MPI_Wait(&request, &status);
        MPI_Test_cancelled(&status, &flag);
        EQUAL(flag, 1);
        CHECK(request == MPI_REQUEST_NULL);
        MPI_Barrier(MPI_COMM_WORLD);

        /* The message that comes next finds the receive that is posted next, not the cancelled one.
         */
        MPI_Isend(out, length, MPI_BYTE, next, 5, MPI_COMM_WORLD, &send);
        MPI_Recv(in, length, MPI_BYTE, previous, 5, MPI_COMM_WORLD, &status);
        STATUS(&status, previous, 5, length);
        MPI_Test_cancelled(&status, &flag);
        EQUAL(flag, 0);
        CONTENT(in, length, l + previous);
        MPI_Wait(&send, MPI_STATUS_IGNORE);

        /* Too late: the message has arrived (the probe saw it), so it is delivered. */
        clear(in, length);
        MPI_Isend(out, length, MPI_BYTE, next, 6, MPI_COMM_WORLD, &send);
        MPI_Probe(previous, 6, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        MPI_Irecv(in, length, MPI_BYTE, previous, 6, MPI_COMM_WORLD, &request);
        MPI_Cancel(&request);
        MPI_Wait(&request, &status);
        MPI_Test_cancelled(&status, &flag);
        EQUAL(flag, 0);
        STATUS(&status, previous, 6, length);
        CONTENT(in, length, l + previous);
        MPI_Wait(&send, MPI_STATUS_IGNORE);
        MPI_Barrier(MPI_COMM_WORLD);
    }

    /* One of several receives of the same envelope. */
    int values[3] = {-1, -1, -1};
    MPI_Request requests[3];
    for (int i = 0; i < 3; i++)
        MPI_Irecv(&values[i], 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD,
                  &requests[i]);
    MPI_Cancel(&requests[1]);
    MPI_Wait(&requests[1], &status);
    MPI_Test_cancelled(&status, &flag);
    EQUAL(flag, 1);
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; i < 2; i++)
        MPI_Send(&i, 1, MPI_INT, next, 8, MPI_COMM_WORLD);
    MPI_Wait(&requests[0], &status);
    MPI_Wait(&requests[2], &status);
    EQUAL(values[0], 0);
    EQUAL(values[1], -1);
    EQUAL(values[2], 1);
    MPI_Barrier(MPI_COMM_WORLD);

    /* A persistent receive can be started again. */
    MPI_Recv_init(&value, 1, MPI_INT, previous, 9, MPI_COMM_WORLD, &request);
    MPI_Start(&request);
    MPI_Cancel(&request);
    MPI_Wait(&request, &status);
    MPI_Test_cancelled(&status, &flag);
    EQUAL(flag, 1);
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Start(&request);
    MPI_Send(&rank, 1, MPI_INT, next, 9, MPI_COMM_WORLD);
    MPI_Wait(&request, &status);
    EQUAL(value, previous);
    MPI_Request_free(&request);

    /* A program may mark a status of its own as cancelled. */
    MPI_Status_set_cancelled(&status, 1);
    MPI_Test_cancelled(&status, &flag);
    EQUAL(flag, 1);
    return finish();
}
