/* Probing: blocking and not, matched and not, at every length. */
#include "check.h"

int main(int argc, char **argv)
{
    start(&argc, &argv);
    int next = (rank + 1) % size, previous = (rank + size - 1) % size;
    unsigned char *out = buffer_of(LONGEST), *in = buffer_of(LONGEST);
    MPI_Status status;
    MPI_Request request, receive;
    MPI_Message message;
    int flag;

    /* Nothing is there. */
    EQUAL(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &flag, &status), MPI_SUCCESS);
    EQUAL(flag, 0);
    message = MPI_MESSAGE_NULL;
    EQUAL(MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &flag, &message, &status),
          MPI_SUCCESS);
    EQUAL(flag, 0);
    MPI_Barrier(MPI_COMM_WORLD);

    for (int l = 0; l < LENGTH_COUNT; l++) {
        int length = LENGTHS[l];
        for (int way = 0; way < 6; way++) {
            int tag = 10 + way, source = way % 2 ? MPI_ANY_SOURCE : previous,
                wanted = way % 3 ? tag : MPI_ANY_TAG;
            fill(out, length, l + way + rank);
            clear(in, length);
            MPI_Isend(out, length, MPI_BYTE, next, tag, MPI_COMM_WORLD, &request);
            message = MPI_MESSAGE_NULL;
            switch (way) {
            case 0:
            case 1:
                MPI_Probe(source, wanted, MPI_COMM_WORLD, &status);
                STATUS(&status, previous, tag, length);
                MPI_Recv(in, length, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, MPI_COMM_WORLD,
                         &status);
                break;
            case 2:
                do
                    MPI_Iprobe(source, wanted, MPI_COMM_WORLD, &flag, &status);
                while (!flag);
                STATUS(&status, previous, tag, length);
                MPI_Irecv(in, length, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, MPI_COMM_WORLD,
                          &receive);
                MPI_Wait(&receive, &status);
                break;
            case 3:
                MPI_Mprobe(source, wanted, MPI_COMM_WORLD, &message, &status);
                CHECK(message != MPI_MESSAGE_NULL && message != MPI_MESSAGE_NO_PROC);
                STATUS(&status, previous, tag, length);
                MPI_Mrecv(in, length, MPI_BYTE, &message, &status);
                CHECK(message == MPI_MESSAGE_NULL);
                break;
            case 4:
                do
                    MPI_Improbe(source, wanted, MPI_COMM_WORLD, &flag, &message, &status);
                while (!flag);
                STATUS(&status, previous, tag, length);
                MPI_Imrecv(in, length, MPI_BYTE, &message, &receive);
                CHECK(message == MPI_MESSAGE_NULL);
                MPI_Wait(&receive, &status);
                break;
            default:
                /* A matched message is out of reach of other receives. */
                MPI_Mprobe(source, wanted, MPI_COMM_WORLD, &message, MPI_STATUS_IGNORE);
                MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &flag, MPI_STATUS_IGNORE);
                EQUAL(flag, 0);
                MPI_Mrecv(in, length, MPI_BYTE, &message, &status);
            }
            STATUS(&status, previous, tag, length);
            CONTENT(in, length, l + way + previous);
            MPI_Wait(&request, MPI_STATUS_IGNORE);
            MPI_Barrier(MPI_COMM_WORLD);
        }
    }

    /* A matched message waits; a later one of the same tag is received first. */
    int first = 1, second = 2, got = 0;
    MPI_Request sends[2];
    MPI_Isend(&first, 1, MPI_INT, next, 3, MPI_COMM_WORLD, &sends[0]);
    MPI_Isend(&second, 1, MPI_INT, next, 3, MPI_COMM_WORLD, &sends[1]);
    MPI_Mprobe(previous, 3, MPI_COMM_WORLD, &message, MPI_STATUS_IGNORE);
    MPI_Recv(&got, 1, MPI_INT, previous, 3, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    EQUAL(got, 2);
    MPI_Mrecv(&got, 1, MPI_INT, &message, MPI_STATUS_IGNORE);
    EQUAL(got, 1);
    MPI_Waitall(2, sends, MPI_STATUSES_IGNORE);

    /* The process that is nobody. */
    MPI_Probe(MPI_PROC_NULL, 1, MPI_COMM_WORLD, &status);
    STATUS(&status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
    MPI_Iprobe(MPI_PROC_NULL, 1, MPI_COMM_WORLD, &flag, &status);
    EQUAL(flag, 1);
    STATUS(&status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
    MPI_Mprobe(MPI_PROC_NULL, 1, MPI_COMM_WORLD, &message, &status);
    CHECK(message == MPI_MESSAGE_NO_PROC);
    STATUS(&status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
    MPI_Mrecv(in, 1, MPI_BYTE, &message, &status);
    CHECK(message == MPI_MESSAGE_NULL);
    STATUS(&status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
    MPI_Improbe(MPI_PROC_NULL, 1, MPI_COMM_WORLD, &flag, &message, MPI_STATUS_IGNORE);
    EQUAL(flag, 1);
    MPI_Imrecv(in, 1, MPI_BYTE, &message, &receive);
    MPI_Wait(&receive, &status);
    STATUS(&status, MPI_PROC_NULL, MPI_ANY_TAG, 0);
    return finish();
}
