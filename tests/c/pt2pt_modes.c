/* Every mode of sending, blocking and nonblocking, at every length, to a receive that is posted and
 * to one that is not yet. Each rank sends to the next one; a single rank sends to itself. */
#include "check.h"

enum mode { STANDARD, BUFFERED, SYNCHRONOUS, READY, MODES };

static unsigned char *out, *in;

static void send_blocking(enum mode mode, int length, int to, int tag)
{
    switch (mode) {
    case STANDARD:
        EQUAL(MPI_Send(out, length, MPI_BYTE, to, tag, MPI_COMM_WORLD), MPI_SUCCESS);
        break;
    case BUFFERED:
        EQUAL(MPI_Bsend(out, length, MPI_BYTE, to, tag, MPI_COMM_WORLD), MPI_SUCCESS);
        break;
    case SYNCHRONOUS:
        EQUAL(MPI_Ssend(out, length, MPI_BYTE, to, tag, MPI_COMM_WORLD), MPI_SUCCESS);
        break;
    default:
        EQUAL(MPI_Rsend(out, length, MPI_BYTE, to, tag, MPI_COMM_WORLD), MPI_SUCCESS);
    }
}

static void send_nonblocking(enum mode mode, int length, int to, int tag, MPI_Request *request)
{
    switch (mode) {
    case STANDARD:
        EQUAL(MPI_Isend(out, length, MPI_BYTE, to, tag, MPI_COMM_WORLD, request), MPI_SUCCESS);
        break;
    case BUFFERED:
        EQUAL(MPI_Ibsend(out, length, MPI_BYTE, to, tag, MPI_COMM_WORLD, request), MPI_SUCCESS);
        break;
    case SYNCHRONOUS:
        EQUAL(MPI_Issend(out, length, MPI_BYTE, to, tag, MPI_COMM_WORLD, request), MPI_SUCCESS);
        break;
    default:
        EQUAL(MPI_Irsend(out, length, MPI_BYTE, to, tag, MPI_COMM_WORLD, request), MPI_SUCCESS);
    }
}

/* Returns when the next rank has posted its receive: it tells us after it did. */
static void next_is_ready(int next, int previous)
{
    MPI_Sendrecv(NULL, 0, MPI_BYTE, previous, 99, NULL, 0, MPI_BYTE, next, 99, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    int next = (rank + 1) % size, previous = (rank + size - 1) % size;
    int attached = 2 * (LONGEST + MPI_BSEND_OVERHEAD);
    void *attachment = malloc(attached);
    MPI_Status status;
    MPI_Request request[2];
    out = buffer_of(LONGEST);
    in = buffer_of(LONGEST);
    MPI_Buffer_attach(attachment, attached);

    for (int l = 0; l < LENGTH_COUNT; l++) {
        int length = LENGTHS[l];
        for (enum mode mode = STANDARD; mode < MODES; mode++) {
            int tag = 100 + (int)mode;

            /* The receive is there first. */
            for (int blocking = 0; blocking < 2; blocking++) {
                unsigned seed = l * 100 + mode * 10 + blocking;
                fill(out, length, seed + rank);
                clear(in, length);
                EQUAL(MPI_Irecv(in, length, MPI_BYTE, previous, tag, MPI_COMM_WORLD, &request[0]),
                      MPI_SUCCESS);
                next_is_ready(next, previous);
                if (blocking)
                    send_blocking(mode, length, next, tag);
                else {
                    send_nonblocking(mode, length, next, tag, &request[1]);
                    EQUAL(MPI_Wait(&request[1], MPI_STATUS_IGNORE), MPI_SUCCESS);
                    CHECK(request[1] == MPI_REQUEST_NULL);
                }
                EQUAL(MPI_Wait(&request[0], &status), MPI_SUCCESS);
                CHECK(request[0] == MPI_REQUEST_NULL);
                STATUS(&status, previous, tag, length);
                CONTENT(in, length, seed + previous);
            }

            /* The message is there first; ready mode does not allow that. */
            if (mode != READY) {
                unsigned seed = l * 100 + mode * 10 + 5;
                fill(out, length, seed + rank);
                clear(in, length);
                send_nonblocking(mode, length, next, tag, &request[1]);
                next_is_ready(next, previous);
                EQUAL(MPI_Recv(in, length, MPI_BYTE, previous, tag, MPI_COMM_WORLD, &status),
                      MPI_SUCCESS);
                STATUS(&status, previous, tag, length);
                CONTENT(in, length, seed + previous);
                EQUAL(MPI_Wait(&request[1], MPI_STATUS_IGNORE), MPI_SUCCESS);
            }
        }
        /* The buffer space is ours again only when every buffered message is out of it. */
        void *detached;
        int detached_size;
        MPI_Buffer_detach(&detached, &detached_size);
        CHECK(detached == attachment);
        EQUAL(detached_size, attached);
        MPI_Buffer_attach(attachment, attached);
    }

    /* A synchronous send is not done before its receive has begun. */
    int flag = 1;
    MPI_Issend(out, 1, MPI_BYTE, next, 7, MPI_COMM_WORLD, &request[0]);
    for (int i = 0; i < 1000; i++) {
        MPI_Test(&request[0], &flag, MPI_STATUS_IGNORE);
        EQUAL(flag, 0);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Recv(in, 1, MPI_BYTE, previous, 7, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Wait(&request[0], MPI_STATUS_IGNORE);

    MPI_Buffer_detach(&attachment, &attached);
    return finish();
}
