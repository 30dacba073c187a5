/* The process that is nobody, and oneself. */
#include "check.h"

static void nobody(void)
{
    int value = 17, flag = 0;
    MPI_Status status;
    MPI_Request request;
    EQUAL(MPI_Send(&value, 1, MPI_INT, MPI_PROC_NULL, 3, MPI_COMM_WORLD), MPI_SUCCESS);
    EQUAL(MPI_Ssend(&value, 1, MPI_INT, MPI_PROC_NULL, 3, MPI_COMM_WORLD), MPI_SUCCESS);
    EQUAL(MPI_Rsend(&value, 1, MPI_INT, MPI_PROC_NULL, 3, MPI_COMM_WORLD), MPI_SUCCESS);
    EQUAL(MPI_Bsend(&value, 1, MPI_INT, MPI_PROC_NULL, 3, MPI_COMM_WORLD), MPI_SUCCESS);
    EQUAL(MPI_Recv(&value, 1, MPI_INT, MPI_PROC_NULL, 3, MPI_COMM_WORLD, &status), MPI_SUCCESS);
    STATUS(&status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
    EQUAL(value, 17);
    MPI_Isend(&value, 1, MPI_INT, MPI_PROC_NULL, 3, MPI_COMM_WORLD, &request);
    MPI_Wait(&request, &status);
    MPI_Irecv(&value, 1, MPI_INT, MPI_PROC_NULL, MPI_ANY_TAG, MPI_COMM_WORLD, &request);
    MPI_Test(&request, &flag, &status);
    EQUAL(flag, 1);
    STATUS(&status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
    EQUAL(value, 17);

    /* Of no request there is an empty status, which is a success. */
    MPI_Request none[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
    int index = 0;
    status.MPI_ERROR = MPI_ERR_OTHER;
    MPI_Wait(&none[0], &status);
    STATUS(&status, MPI_ANY_SOURCE, MPI_ANY_TAG, 0);
    EQUAL(status.MPI_ERROR, MPI_SUCCESS);
    status.MPI_ERROR = MPI_ERR_OTHER;
    MPI_Request_get_status_any(2, none, &index, &flag, &status);
    EQUAL(flag, 1);
    EQUAL(index, MPI_UNDEFINED);
    EQUAL(status.MPI_ERROR, MPI_SUCCESS);
}

/* Every mode and length, to oneself, in the world and in the communicator of one. */
static void oneself(MPI_Comm comm)
{
    int me;
    MPI_Request requests[2];
    MPI_Status status;
    unsigned char *out = buffer_of(LONGEST), *in = buffer_of(LONGEST);
    MPI_Comm_rank(comm, &me);
    for (int l = 0; l < LENGTH_COUNT; l++) {
        int length = LENGTHS[l];
        fill(out, length, l);
        for (int synchronous = 0; synchronous < 2; synchronous++)
            for (int posted_first = 0; posted_first < 2; posted_first++) {
                clear(in, length);
                if (posted_first)
                    MPI_Irecv(in, length, MPI_BYTE, me, 1, comm, &requests[0]);
                if (synchronous)
                    MPI_Issend(out, length, MPI_BYTE, me, 1, comm, &requests[1]);
                else
                    MPI_Isend(out, length, MPI_BYTE, me, 1, comm, &requests[1]);
                if (!posted_first)
                    MPI_Irecv(in, length, MPI_BYTE, MPI_ANY_SOURCE, MPI_ANY_TAG, comm,
                              &requests[0]);
                MPI_Wait(&requests[0], &status);
                MPI_Wait(&requests[1], MPI_STATUS_IGNORE);
                STATUS(&status, me, 1, length);
                CONTENT(in, length, l);
            }
        clear(in, length);
        MPI_Irecv(in, length, MPI_BYTE, me, 2, comm, &requests[0]);
        MPI_Send(out, length, MPI_BYTE, me, 2, comm);
        MPI_Wait(&requests[0], &status);
        CONTENT(in, length, l);
        clear(in, length);
        MPI_Irecv(in, length, MPI_BYTE, me, 2, comm, &requests[0]);
        MPI_Rsend(out, length, MPI_BYTE, me, 2, comm);
        MPI_Wait(&requests[0], &status);
        CONTENT(in, length, l);
    }
    free(out);
    free(in);
}

/* A message in one communicator is not seen in another. */
static void apart(void)
{
    int value = 5, got = 0, flag = 1, me;
    MPI_Request request;
    MPI_Comm_rank(MPI_COMM_SELF, &me);
    EQUAL(me, 0);
    MPI_Isend(&value, 1, MPI_INT, rank, 4, MPI_COMM_WORLD, &request);
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_SELF, &flag, MPI_STATUS_IGNORE);
    EQUAL(flag, 0);
    MPI_Recv(&got, 1, MPI_INT, rank, 4, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    EQUAL(got, 5);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    nobody();
    oneself(MPI_COMM_WORLD);
    oneself(MPI_COMM_SELF);
    apart();
    return finish();
}
