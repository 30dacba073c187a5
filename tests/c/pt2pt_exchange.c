/* Sending and receiving in one call, blocking and not, with and without a second buffer, around the
 * ring and with nobody. */
#include "check.h"

int main(int argc, char **argv)
{
    start(&argc, &argv);
    int next = (rank + 1) % size, previous = (rank + size - 1) % size;
    unsigned char *out = buffer_of(LONGEST), *in = buffer_of(LONGEST);
    MPI_Status status;
    MPI_Request request;

    for (int l = 0; l < LENGTH_COUNT; l++) {
        int length = LENGTHS[l], reply = LENGTHS[LENGTH_COUNT - 1 - l];
        fill(out, length, l + rank);
        clear(in, length);
        EQUAL(MPI_Sendrecv(out, length, MPI_BYTE, next, l, in, length, MPI_BYTE, previous, l,
                           MPI_COMM_WORLD, &status),
              MPI_SUCCESS);
        STATUS(&status, previous, l, length);
        CONTENT(in, length, l + previous);

        clear(in, length);
        EQUAL(MPI_Isendrecv(out, length, MPI_BYTE, next, l, in, length, MPI_BYTE, MPI_ANY_SOURCE,
                            MPI_ANY_TAG, MPI_COMM_WORLD, &request),
              MPI_SUCCESS);
        EQUAL(MPI_Wait(&request, &status), MPI_SUCCESS);
        STATUS(&status, previous, l, length);
        CONTENT(in, length, l + previous);

        clear(in, length);
        fill(in, length, 2 * l + rank);
        EQUAL(MPI_Sendrecv_replace(in, length, MPI_BYTE, next, l, previous, l, MPI_COMM_WORLD,
                                   &status),
              MPI_SUCCESS);
        STATUS(&status, previous, l, length);
        CONTENT(in, length, 2 * l + previous);

        EQUAL(MPI_Isendrecv_replace(in, length, MPI_BYTE, next, l, previous, l, MPI_COMM_WORLD,
                                    &request),
              MPI_SUCCESS);
        EQUAL(MPI_Wait(&request, &status), MPI_SUCCESS);
        STATUS(&status, previous, l, length);
        CONTENT(in, length, 2 * l + (previous + size - 1) % size);

        /* Different lengths and tags in the two directions between neighbours. */
        if (size % 2 == 0) {
            int even = rank % 2 == 0, peer = even ? rank + 1 : rank - 1;
            int mine = even ? length : reply, theirs = even ? reply : length;
            fill(out, mine, 3 * l + rank);
            clear(in, theirs);
            EQUAL(MPI_Sendrecv(out, mine, MPI_BYTE, peer, even, in, theirs, MPI_BYTE, peer, !even,
                               MPI_COMM_WORLD, &status),
                  MPI_SUCCESS);
            STATUS(&status, peer, !even, theirs);
            CONTENT(in, theirs, 3 * l + peer);
        }
    }

    /* A line with open ends: the first and the last have nobody on one side. */
    int left = rank == 0 ? MPI_PROC_NULL : rank - 1,
        right = rank == size - 1 ? MPI_PROC_NULL : rank + 1, value = -1;
    MPI_Sendrecv(&rank, 1, MPI_INT, right, 0, &value, 1, MPI_INT, left, 0, MPI_COMM_WORLD, &status);
    EQUAL(value, rank == 0 ? -1 : left);
    STATUS(&status, left, left == MPI_PROC_NULL ? MPI_ANY_TAG : 0,
           left == MPI_PROC_NULL ? 0 : (int)sizeof(int));
    value = rank;
    MPI_Sendrecv_replace(&value, 1, MPI_INT, right, 0, left, 0, MPI_COMM_WORLD, &status);
    EQUAL(value, rank == 0 ? 0 : left);
    value = -1;
    MPI_Isendrecv(&rank, 1, MPI_INT, MPI_PROC_NULL, 0, &value, 1, MPI_INT, MPI_PROC_NULL, 0,
                  MPI_COMM_WORLD, &request);
    MPI_Wait(&request, &status);
    EQUAL(value, -1);
    STATUS(&status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
    return finish();
}
