/*
 * How fast a library sends data with gaps, for compare.py: a line a case with its name, and the
 * microseconds from the beginning of a message until its empty answer is here, the least of several
 * rounds. Blocks of doubles alternate with gaps of the same length, on both sides or on one, where
 * the other has the data in a row.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 7
#define MOST (1 << 20)

static char *data;

static double least(int rank, int bytes, MPI_Datatype gaps, int sender, int receiver)
{
    int times = bytes > 1 << 17 ? 100 : 1000;
    int mine = rank ? receiver : sender;
    int count = mine ? 1 : bytes / 8;
    MPI_Datatype type = mine ? gaps : MPI_DOUBLE;
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double begin = MPI_Wtime();
        for (int i = 0; i < times; i++) {
            if (rank == 0) {
                MPI_Send(data, count, type, 1, 0, MPI_COMM_WORLD);
                MPI_Recv(NULL, 0, MPI_BYTE, 1, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            } else {
                MPI_Recv(data, count, type, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
                MPI_Send(NULL, 0, MPI_BYTE, 0, 1, MPI_COMM_WORLD);
            }
        }
        double now = (MPI_Wtime() - begin) / times;
        best = now < best ? now : best;
    }
    return best * 1e6;
}

static void cases(int rank, int block, int sender, int receiver)
{
    static const int lengths[] = {1 << 10, 1 << 14, 1 << 16, MOST};
    for (int i = 0; i < 4; i++) {
        MPI_Datatype type;
        MPI_Type_vector(lengths[i] / block, block / 8, block / 4, MPI_DOUBLE, &type);
        MPI_Type_commit(&type);
        double time = least(rank, lengths[i], type, sender, receiver);
        const char *where = !sender ? "receiver" : !receiver ? "sender" : "both";
        if (rank == 0)
            printf("%s,%d,%d %.3f\n", where, block, lengths[i], time);
        MPI_Type_free(&type);
    }
}

int main(int argc, char **argv)
{
    int rank;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    data = malloc(2 * MOST);
    memset(data, rank, 2 * MOST);
    cases(rank, 8, 1, 1);
    cases(rank, 64, 1, 1);
    cases(rank, 1024, 1, 1);
    cases(rank, 64, 1, 0);
    cases(rank, 64, 0, 1);
    free(data);
    MPI_Finalize();
    return 0;
}
