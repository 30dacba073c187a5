/* A job whose limits or whose memory is special. It first works: collectives on the world and on
 * communicators, a ring of long messages. Then, by the first argument:
 *
 *     work    nothing more
 *     dump    the memory that the node shares is kept out of core dumps
 *     abort   rank 1 aborts while the others wait
 *     back    communicators that are made and freed leave no address space behind
 *     lock    all memory, now and in future, is locked, which has a limit; then more communicators than there is room for
 *     usage   rank 0 prints, in KiB: the most that a rank has of address space, memory and its share of it; what mlockall
 *             locks in rank 0 */
#define _GNU_SOURCE
#include "check.h"
#include <errno.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LONG 300000

static int data[LONG], sums[LONG];

static void reduce(MPI_Comm comm, int count)
{
    for (int i = 0; i < count; i++)
        data[i] = rank + i;
    MPI_Allreduce(data, sums, count, MPI_INT, MPI_SUM, comm);
    for (int i = 0; i < count; i++)
        EQUAL(sums[i], size * (size - 1) / 2 + size * i);
}

static void work(void)
{
    reduce(MPI_COMM_WORLD, 1000);
    for (int i = 0; i < LONG; i++)
        data[i] = rank == size - 1 ? 7 * i : 0;
    MPI_Bcast(data, LONG, MPI_INT, size - 1, MPI_COMM_WORLD);
    for (int i = 0; i < LONG; i++)
        EQUAL(data[i], 7 * i);
    for (int i = 0; i < LONG; i++)
        data[i] = rank * 31 + i;
    int to = (rank + 1) % size, from = (rank + size - 1) % size;
    MPI_Sendrecv(data, LONG, MPI_INT, to, 3, sums, LONG, MPI_INT, from, 3, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    for (int i = 0; i < LONG; i++)
        EQUAL(sums[i], from * 31 + i);
    for (int i = 0; i < 5; i++) {
        MPI_Comm copy;
        MPI_Comm_dup(MPI_COMM_WORLD, &copy);
        reduce(copy, 20000);
        MPI_Comm_free(&copy);
    }
}

/* A number of /proc/self/FILE, in KiB. */
static long told(const char *file, const char *name)
{
    char line[512], path[64];
    long value = -1;
    snprintf(path, sizeof path, "/proc/self/%s", file);
    FILE *in = fopen(path, "r");
    while (in && fgets(line, sizeof line, in))
        if (!strncmp(line, name, strlen(name)))
            sscanf(line + strlen(name), " %ld", &value);
    if (in)
        fclose(in);
    return value;
}

static void is_not_dumped(void)
{
    char line[512];
    int within = 0, found = 0;
    FILE *in = fopen("/proc/self/smaps", "r");
    CHECK(in);
    while (fgets(line, sizeof line, in)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            within = strstr(line, "memfd:ferrite") && !strstr(line, "memfd:ferrite-engine:");
        if (within && !strncmp(line, "VmFlags:", 8)) {
            CHECK(strstr(line, " dd"));
            found++;
        }
    }
    fclose(in);
    CHECK(found > 0);
}

static void make_and_free(int times)
{
    for (int i = 0; i < times; i++) {
        MPI_Comm copy;
        MPI_Comm_dup(MPI_COMM_WORLD, &copy);
        MPI_Barrier(copy);
        MPI_Comm_free(&copy);
    }
}

/* Whoever may lock any memory has no limit. */
static void give_up_locking(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    EQUAL(syscall(SYS_capget, &header, sets), 0);
    for (int i = 0; i < 2; i++)
        sets[i].effective &= i == CAP_IPC_LOCK / 32 ? ~(1u << CAP_IPC_LOCK % 32) : ~0u;
    EQUAL(syscall(SYS_capset, &header, sets), 0);
}

static void lock_all(void)
{
    enum { COPIES = 100, MIB = 1 << 20 };
    static MPI_Comm copies[COPIES];
    struct rlimit limit;
    give_up_locking();
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < 256 * MIB) {
        printf("skipped: needs a limit of locked memory of 256 MiB\n");
        return;
    }
    limit.rlim_cur = 256 * MIB;
    EQUAL(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    if (mlockall(MCL_CURRENT | MCL_FUTURE))
        fail(__FILE__, __LINE__, strerror(errno));
    work();
    for (int i = 0; i < COPIES; i++) {
        MPI_Comm_dup(MPI_COMM_WORLD, &copies[i]);
        reduce(copies[i], 100);
    }
    CHECK(told("status", "VmLck:") <= 256 << 10);
    for (int i = 0; i < COPIES; i++)
        MPI_Comm_free(&copies[i]);
    work();
}

static void usage(void)
{
    long now[3] = {told("status", "VmSize:"), told("status", "VmRSS:"),
                   told("smaps_rollup", "Pss:")},
         most[3], locked = -1;
    MPI_Allreduce(now, most, 3, MPI_LONG, MPI_MAX, MPI_COMM_WORLD);
    if (rank == 0) {
        if (mlockall(MCL_CURRENT | MCL_FUTURE) == 0)
            locked = told("status", "VmLck:");
        munlockall();
        printf("usage %ld %ld %ld %ld\n", most[0], most[1], most[2], locked);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    const char *mode = argc > 1 ? argv[1] : "work";
    work();
    if (!strcmp(mode, "dump"))
        is_not_dumped();
    else if (!strcmp(mode, "abort")) {
        if (rank == 1)
            abort();
        MPI_Barrier(MPI_COMM_WORLD);
    } else if (!strcmp(mode, "back")) {
        make_and_free(20);
        long before = told("status", "VmSize:");
        make_and_free(300);
        CHECK(told("status", "VmSize:") < before + (16 << 10));
    } else if (!strcmp(mode, "lock"))
        lock_all();
    else if (!strcmp(mode, "usage"))
        usage();
    else
        EQUAL(strcmp(mode, "work"), 0);
    return finish();
}
