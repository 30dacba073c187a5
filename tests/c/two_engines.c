/* Two libraries loaded while the program runs, each kept to itself (RTLD_LOCAL), and MPI
 * initialised in both. Arguments: the function to call, the files. */
#include <dlfcn.h>
#include <mpi.h>
#include <stdio.h>
#include <string.h>

static int call(const char *function, const char *file)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL),
         *found = library ? dlsym(library, function) : NULL;
    int flag;
    static MPI_Session session;
    if (!found) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    if (strcmp(function, "MPI_Init") == 0)
        return ((int (*)(int *, char ***))found)(NULL, NULL);
    if (strcmp(function, "MPI_Initialized") == 0)
        return ((int (*)(int *))found)(&flag);
    /* No info and the error handler that is fatal, in the numbers of the library. */
    int is_mpich = strstr(file, "libmpi.so.12") != NULL;
    return is_mpich ? ((int (*)(int, int, void *))found)(0x1c000000, 0x54000000, &session)
                    : ((int (*)(MPI_Info, MPI_Errhandler, MPI_Session *))found)(
                          MPI_INFO_NULL, MPI_ERRORS_ARE_FATAL, &session);
}

int main(int argc, char **argv)
{
    printf("first: %d\n", call(argv[1], argv[2]));
    fflush(stdout);
    int second = call(argv[1], argv[3]);
    printf("second: %d\n", second);
    return argc == 4 ? second : 9;
}
