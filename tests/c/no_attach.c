/* As hello.c, but direct copies between processes are forbidden by a filter of system calls before
 * the library begins: in all ranks, or in the one that the second argument names. The filter
 * answers EPERM, as containers do. */
#define _GNU_SOURCE
#include "check.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void forbid(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_process_vm_readv, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_process_vm_writev, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    char byte = 0;
    struct iovec one = {&byte, 1};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) ||
        process_vm_readv(getpid(), &one, 1, &one, 1, 0) != -1 || errno != EPERM) {
        fprintf(stderr, "the filter does not filter\n");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    /* Which rank this is, is known after the library has begun only: then the permission is
     * withdrawn while it runs. */
    const char *only = argc > 2 ? argv[2] : NULL;
    if (!only)
        forbid();
    start(&argc, &argv);
    if (only && rank == atoi(only))
        forbid();
    int length = atoi(argv[1]);
    unsigned char *out = buffer_of(length), *in = buffer_of(length);
    for (int distance = 0; distance < size; distance++) {
        int to = (rank + distance) % size, from = (rank + size - distance) % size;
        fill(out, length, rank + distance);
        clear(in, length);
        MPI_Sendrecv(out, length, MPI_BYTE, to, 0, in, length, MPI_BYTE, from, 0, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE);
        CONTENT(in, length, from + distance);
    }
    return finish();
}
