/* The thread level that was asked for (the argument) is the one that is provided. */
#include "check.h"

int main(int argc, char **argv)
{
    static const int levels[] = {MPI_THREAD_SINGLE, MPI_THREAD_FUNNELED, MPI_THREAD_SERIALIZED,
                                 MPI_THREAD_MULTIPLE};
    int wanted = levels[atoi(argv[1])], provided = -1, level = -1;
    EQUAL(MPI_Init_thread(&argc, &argv, wanted, &provided), MPI_SUCCESS);
    EQUAL(provided, wanted);
    EQUAL(MPI_Query_thread(&level), MPI_SUCCESS);
    EQUAL(level, wanted);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return finish();
}
