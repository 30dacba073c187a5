/* The least that a job does; with an argument, also that many bytes to the next rank. */
#include "check.h"

int main(int argc, char **argv)
{
    start(&argc, &argv);
    if (argc > 1) {
        int length = atoi(argv[1]);
        unsigned char *out = buffer_of(length), *in = buffer_of(length);
        fill(out, length, rank);
        clear(in, length);
        MPI_Sendrecv(out, length, MPI_BYTE, (rank + 1) % size, 0, in, length, MPI_BYTE,
                     (rank + size - 1) % size, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        CONTENT(in, length, (rank + size - 1) % size);
    }
    printf("hello from %d of %d\n", rank, size);
    fflush(stdout);
    return finish();
}
