/* Persistent requests in every mode, started alone and together, over several rounds. */
#include "check.h"

int main(int argc, char **argv)
{
    start(&argc, &argv);
    int next = (rank + 1) % size, previous = (rank + size - 1) % size;
    static const int lengths[] = {0, 8, 41, 9000, 70000, 1048576};
    int attached = 8 * (1048576 + MPI_BSEND_OVERHEAD);
    void *attachment = malloc(attached);
    MPI_Request requests[8];
    MPI_Status status, statuses[8];
    unsigned char *out = buffer_of(1048576), *in[4];
    for (int i = 0; i < 4; i++)
        in[i] = buffer_of(1048576);
    MPI_Buffer_attach(attachment, attached);

    for (int l = 0; l < 6; l++) {
        int length = lengths[l], flag;
        for (int i = 0; i < 4; i++)
            EQUAL(MPI_Recv_init(in[i], length, MPI_BYTE, previous, i, MPI_COMM_WORLD, &requests[i]),
                  MPI_SUCCESS);
        EQUAL(MPI_Send_init(out, length, MPI_BYTE, next, 0, MPI_COMM_WORLD, &requests[4]),
              MPI_SUCCESS);
        EQUAL(MPI_Ssend_init(out, length, MPI_BYTE, next, 1, MPI_COMM_WORLD, &requests[5]),
              MPI_SUCCESS);
        EQUAL(MPI_Bsend_init(out, length, MPI_BYTE, next, 2, MPI_COMM_WORLD, &requests[6]),
              MPI_SUCCESS);
        EQUAL(MPI_Rsend_init(out, length, MPI_BYTE, next, 3, MPI_COMM_WORLD, &requests[7]),
              MPI_SUCCESS);

        /* Inactive requests count as done and stay. */
        EQUAL(MPI_Wait(&requests[0], &status), MPI_SUCCESS);
        STATUS(&status, MPI_ANY_SOURCE, MPI_ANY_TAG, 0);
        CHECK(requests[0] != MPI_REQUEST_NULL);
        MPI_Testall(8, requests, &flag, statuses);
        EQUAL(flag, 1);

        for (int round = 0; round < 5; round++) {
            fill(out, length, l + round + rank);
            for (int i = 0; i < 4; i++)
                clear(in[i], length);
            MPI_Startall(4, requests);
            MPI_Barrier(MPI_COMM_WORLD);
            if (round % 2)
                MPI_Startall(4, requests + 4);
            else
                for (int i = 4; i < 8; i++)
                    MPI_Start(&requests[i]);
            if (round % 3)
                MPI_Waitall(8, requests, statuses);
            else
                for (int done = 0; done < 8; done++) {
                    int index;
                    MPI_Waitany(8, requests, &index, &status);
                    CHECK(index >= 0 && index < 8);
                    statuses[index] = status;
                }
            for (int i = 0; i < 4; i++) {
                STATUS(&statuses[i], previous, i, length);
                CONTENT(in[i], length, l + round + previous);
                CHECK(requests[i] != MPI_REQUEST_NULL && requests[i + 4] != MPI_REQUEST_NULL);
            }
            MPI_Barrier(MPI_COMM_WORLD);
        }
        for (int i = 0; i < 8; i++) {
            MPI_Request_free(&requests[i]);
            CHECK(requests[i] == MPI_REQUEST_NULL);
        }
    }

    /* A persistent receive with wildcards takes from whoever sends. */
    int from = -1;
    MPI_Recv_init(&from, 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &requests[0]);
    for (int round = 0; round < 10; round++) {
        MPI_Start(&requests[0]);
        MPI_Send(&rank, 1, MPI_INT, next, round, MPI_COMM_WORLD);
        MPI_Wait(&requests[0], &status);
        STATUS(&status, previous, round, (int)sizeof(int));
        EQUAL(from, previous);
        MPI_Barrier(MPI_COMM_WORLD);
    }
    MPI_Request_free(&requests[0]);

    /* With nobody. */
    MPI_Recv_init(in[0], 8, MPI_BYTE, MPI_PROC_NULL, 1, MPI_COMM_WORLD, &requests[0]);
    MPI_Send_init(out, 8, MPI_BYTE, MPI_PROC_NULL, 1, MPI_COMM_WORLD, &requests[1]);
    for (int round = 0; round < 3; round++) {
        MPI_Startall(2, requests);
        MPI_Waitall(2, requests, statuses);
        STATUS(&statuses[0], MPI_PROC_NULL, MPI_ANY_TAG, 0);
    }
    MPI_Request_free(&requests[0]);
    MPI_Request_free(&requests[1]);

    MPI_Buffer_detach(&attachment, &attached);
    return finish();
}
