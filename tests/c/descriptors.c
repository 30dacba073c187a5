/* Another program, started by a rank that has talked to everybody, has the three standard
 * descriptors and no more. Neither has the rank itself before it begins, but for the launcher's
 * channel. */
#include "check.h"
#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

/* Prints what is open beyond the standard descriptors and this one; the number of those. */
static int surplus(int allowed)
{
    int found = 0;
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd <= 2 || fd == allowed || fd == dirfd(folder))
            continue;
        char path[300], target[300] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) > 0)
            fprintf(stderr, "inherited: %d is %s\n", fd, target);
        found++;
    }
    return found;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return surplus(-1);
    const char *channel = getenv("FERRITE_CHANNEL");
    EQUAL(surplus(channel ? atoi(channel) : -1), 0);
    start(&argc, &argv);
    for (int distance = 1; distance < size; distance++) {
        int in = -1;
        MPI_Sendrecv(&rank, 1, MPI_INT, (rank + distance) % size, 0, &in, 1, MPI_INT,
                     (rank + size - distance) % size, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        EQUAL(in, (rank + size - distance) % size);
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        execl("/proc/self/exe", argv[0], "surplus", (char *)NULL);
        _exit(127);
    }
    int status = -1;
    EQUAL(waitpid(child, &status, 0), child);
    EQUAL(status, 0);
    return finish();
}
