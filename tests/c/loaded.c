/* The library loaded while the program runs, and kept to itself (RTLD_LOCAL), as language bindings
 * do. Not linked to it; only the values of mpi.h are used. */
#include <dlfcn.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static void *library;

static void *function(const char *name)
{
    void *found = dlsym(library, name);
    if (!found) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return found;
}

int main(int argc, char **argv)
{
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    int (*init)(int *, char ***) = (int (*)(int *, char ***))function("MPI_Init");
    int (*comm_rank)(MPI_Comm, int *) = (int (*)(MPI_Comm, int *))function("MPI_Comm_rank");
    int (*allreduce)(const void *, void *, int, MPI_Datatype, MPI_Op, MPI_Comm) = (int (*)(
        const void *, void *, int, MPI_Datatype, MPI_Op, MPI_Comm))function("PMPI_Allreduce");
    int (*finalize)(void) = (int (*)(void))function("MPI_Finalize");
    int rank = -1, one = 1, sum = 0;
    init(&argc, &argv);
    comm_rank(MPI_COMM_WORLD, &rank);
    allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    finalize();
    if (rank == 0)
        printf("%d ranks\n", sum);
    return 0;
}
