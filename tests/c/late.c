/* Ranks that begin to talk late: each has heard from one neighbour (0 and 1, 2 and 3, ...), says
 * "ready", waits outside the library until the file `go` is in the folder that the argument names,
 * and then exchanges a message with everybody, most of whom it has not talked to before. */
#include "check.h"
#include <time.h>
#include <unistd.h>

#define LENGTH 200000

int main(int argc, char **argv)
{
    start(&argc, &argv);
    CHECK(argc == 2);
    char path[4096];
    snprintf(path, sizeof path, "%s/go", argv[1]);
    if ((rank ^ 1) < size)
        MPI_Sendrecv(NULL, 0, MPI_BYTE, rank ^ 1, 1, NULL, 0, MPI_BYTE, rank ^ 1, 1, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE);
    printf("ready %d %d\n", rank, (int)getpid());
    fflush(stdout);
    time_t end = time(NULL) + 60;
    while (access(path, F_OK) != 0) {
        CHECK(time(NULL) < end);
        usleep(1000);
    }
    unsigned char *out = buffer_of(LENGTH), *in = buffer_of(LENGTH);
    for (int distance = 1; distance < size; distance++) {
        int to = (rank + distance) % size, from = (rank + size - distance) % size;
        fill(out, LENGTH, rank + distance);
        clear(in, LENGTH);
        MPI_Sendrecv(out, LENGTH, MPI_BYTE, to, 0, in, LENGTH, MPI_BYTE, from, 0, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE);
        CONTENT(in, LENGTH, from + distance);
    }
    return finish();
}
