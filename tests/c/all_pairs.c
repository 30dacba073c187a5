/* Every rank has a message for every other one, so that all pairs connect. */
#include "check.h"

int main(int argc, char **argv)
{
    start(&argc, &argv);
    int *in = calloc(size, sizeof *in), *out = malloc(size * sizeof *out);
    for (int peer = 0; peer < size; peer++)
        out[peer] = rank * 1000 + peer;
    MPI_Alltoall(out, 1, MPI_INT, in, 1, MPI_INT, MPI_COMM_WORLD);
    for (int peer = 0; peer < size; peer++)
        EQUAL(in[peer], peer * 1000 + rank);
    free(in);
    free(out);
    return finish();
}
