/* An allreduce of 1 MiB ends on the other ranks while rank 0 makes no call: its progress thread
 * works for it. Rank 0 learns of it through a file, not through MPI. Arguments: the file, and the
 * seconds that it may take. */
#include "check.h"
#include <time.h>
#include <unistd.h>

#define COUNT (1 << 18)

int main(int argc, char **argv)
{
    static int in[COUNT], out[COUNT];
    MPI_Request request;
    start(&argc, &argv);
    CHECK(argc == 3);
    for (int i = 0; i < COUNT; i++)
        in[i] = rank + i;
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Iallreduce(in, out, COUNT, MPI_INT, MPI_SUM, MPI_COMM_WORLD, &request);
    if (rank == 0) {
        time_t begin = time(NULL);
        char name[4096];
        for (int other = 1; other < size; other++) {
            snprintf(name, sizeof name, "%s.%d", argv[1], other);
            while (access(name, F_OK) != 0) {
                CHECK(time(NULL) - begin < atoi(argv[2]));
                usleep(1000);
            }
        }
    }
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    for (int i = 0; i < COUNT; i++)
        EQUAL(out[i], size * (size - 1) / 2 + size * i);
    if (rank) {
        char name[4096];
        snprintf(name, sizeof name, "%s.%d", argv[1], rank);
        FILE *file = fopen(name, "w");
        CHECK(file != NULL);
        fclose(file);
    }
    return finish();
}
