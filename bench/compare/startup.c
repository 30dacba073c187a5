/*
 * A job that only starts, for compare.py to time and to weigh.
 *
 *   startup          rank 0 prints the number of processes
 *   startup barrier  after a barrier
 *   startup hold     after a barrier, rank 0 prints "ready" and waits for the end of its standard input;
 *                    the others wait for it in a second barrier
 */
#include <mpi.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    int rank, processes;
    const char *mode = argc > 1 ? argv[1] : "";

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &processes);
    if (*mode)
        MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0 && strcmp(mode, "hold") != 0)
        printf("%d processes\n", processes);
    if (strcmp(mode, "hold") == 0) {
        if (rank == 0) {
            puts("ready");
            fflush(stdout);
            while (getchar() != EOF)
                ;
        }
        MPI_Barrier(MPI_COMM_WORLD);
    }
    MPI_Finalize();
    return 0;
}
