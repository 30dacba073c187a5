/* A message of which one end's buffer is not all memory of its process: `send` or `receive`, and
 * the bytes that are there of the 4 MiB that the call claims. */
#include "check.h"
#include <sys/mman.h>

#define LENGTH (4 << 20)

int main(int argc, char **argv)
{
    start(&argc, &argv);
    int bad = !strcmp(argv[1], "send") ? 0 : 1, there = atoi(argv[2]);
    char *buffer = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(buffer != MAP_FAILED);
    memset(buffer, 1, LENGTH);
    if (rank == bad)
        CHECK(mprotect(buffer + there, LENGTH - there, PROT_NONE) == 0);
    if (rank == 0)
        MPI_Send(buffer, LENGTH, MPI_BYTE, 1, 7, MPI_COMM_WORLD);
    else
        MPI_Recv(buffer, LENGTH, MPI_BYTE, 0, 7, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return finish();
}
