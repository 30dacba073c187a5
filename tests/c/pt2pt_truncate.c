/* Messages longer than their receive: an error of the right class, nothing written behind the
 * buffer, and what follows works. */
#include "check.h"

static const int lengths[] = {1, 41, 9000, 70000, 1048576};

int main(int argc, char **argv)
{
    start(&argc, &argv);
    int next = (rank + 1) % size, previous = (rank + size - 1) % size, class;
    unsigned char *out = buffer_of(1048576), *in = buffer_of(1048576);
    MPI_Request request, requests[3];
    MPI_Status status, statuses[3];
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);

    for (int l = 0; l < 5; l++) {
        int length = lengths[l];
        for (int room = 0; room < length; room = room * 7 + 1)
            for (int way = 0; way < 4; way++) {
                fill(out, length, l + rank);
                clear(in, room);
                if (way == 0) {
                    MPI_Irecv(in, room, MPI_BYTE, previous, 1, MPI_COMM_WORLD, &request);
                    MPI_Barrier(MPI_COMM_WORLD);
                    EQUAL(MPI_Send(out, length, MPI_BYTE, next, 1, MPI_COMM_WORLD), MPI_SUCCESS);
                    FAILS(MPI_ERR_TRUNCATE, MPI_Wait(&request, &status));
                } else {
                    MPI_Isend(out, length, MPI_BYTE, next, 1, MPI_COMM_WORLD, &request);
                    if (way == 1)
                        FAILS(MPI_ERR_TRUNCATE,
                              MPI_Recv(in, room, MPI_BYTE, previous, 1, MPI_COMM_WORLD, &status));
                    else if (way == 2) {
                        MPI_Message message;
                        MPI_Mprobe(previous, 1, MPI_COMM_WORLD, &message, &status);
                        STATUS(&status, previous, 1, length);
                        FAILS(MPI_ERR_TRUNCATE, MPI_Mrecv(in, room, MPI_BYTE, &message, &status));
                    } else {
                        MPI_Request receive;
                        int flag = 0, code;
                        MPI_Irecv(in, room, MPI_BYTE, previous, 1, MPI_COMM_WORLD, &receive);
                        do
                            code = MPI_Test(&receive, &flag, &status);
                        while (code == MPI_SUCCESS && !flag);
                        FAILS(MPI_ERR_TRUNCATE, code);
                    }
                    EQUAL(MPI_Wait(&request, MPI_STATUS_IGNORE), MPI_SUCCESS);
                }
                EQUAL(status.MPI_SOURCE, previous);
                EQUAL(status.MPI_TAG, 1);
                for (int i = room; i < room + GUARD; i++)
                    EQUAL(in[i], 0xEE);
            }

        /* The next message of the same length arrives whole. */
        clear(in, length);
        EQUAL(MPI_Sendrecv(out, length, MPI_BYTE, next, 2, in, length, MPI_BYTE, previous, 2,
                           MPI_COMM_WORLD, &status),
              MPI_SUCCESS);
        STATUS(&status, previous, 2, length);
        CONTENT(in, length, l + previous);
    }

    /* Among several requests the status names the one that failed. */
    int values[2] = {1, 2}, room[3] = {0, 0, 0};
    MPI_Irecv(&room[0], 1, MPI_INT, previous, 3, MPI_COMM_WORLD, &requests[0]);
    MPI_Irecv(&room[1], 1, MPI_INT, previous, 4, MPI_COMM_WORLD, &requests[1]);
    MPI_Irecv(&room[2], 1, MPI_INT, previous, 5, MPI_COMM_WORLD, &requests[2]);
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Send(values, 1, MPI_INT, next, 3, MPI_COMM_WORLD);
    MPI_Send(values, 2, MPI_INT, next, 4, MPI_COMM_WORLD);
    MPI_Send(values, 1, MPI_INT, next, 5, MPI_COMM_WORLD);
    FAILS(MPI_ERR_IN_STATUS, MPI_Waitall(3, requests, statuses));
    MPI_Error_class(statuses[1].MPI_ERROR, &class);
    EQUAL(class, MPI_ERR_TRUNCATE);
    for (int i = 0; i < 3; i += 2) {
        CHECK(statuses[i].MPI_ERROR == MPI_SUCCESS || statuses[i].MPI_ERROR == MPI_ERR_PENDING);
        if (statuses[i].MPI_ERROR == MPI_ERR_PENDING)
            EQUAL(MPI_Wait(&requests[i], MPI_STATUS_IGNORE), MPI_SUCCESS);
        EQUAL(room[i], 1);
    }

    /* Lengths that are no whole number of elements. */
    int count, elements;
    unsigned char bytes[7] = {0};
    EQUAL(MPI_Sendrecv(bytes, 7, MPI_BYTE, next, 6, in, 16, MPI_BYTE, previous, 6, MPI_COMM_WORLD,
                       &status),
          MPI_SUCCESS);
    MPI_Get_count(&status, MPI_LONG_LONG, &count);
    EQUAL(count, MPI_UNDEFINED);
    MPI_Get_count(&status, MPI_BYTE, &count);
    EQUAL(count, 7);
    MPI_Get_elements(&status, MPI_BYTE, &elements);
    EQUAL(elements, 7);

    /* Nor of those of a type with gaps, which could not be unpacked: an error. Items that are not
     * all there are none. */
    MPI_Datatype gaps;
    MPI_Type_vector(4, 1, 2, MPI_INT, &gaps);
    MPI_Type_commit(&gaps);
    for (int length = 0; length <= 8; length++) {
        int code = MPI_Sendrecv(bytes, length < 7 ? length : 4, MPI_BYTE, next, 7, in, 1, gaps,
                                previous, 7, MPI_COMM_WORLD, &status);
        if (length % 4 == 0 || length >= 7)
            EQUAL(code, MPI_SUCCESS);
        else
            FAILS(MPI_ERR_TYPE, code);
    }
    MPI_Type_free(&gaps);
    return finish();
}
