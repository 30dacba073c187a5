// The header in C++: a job that sends a vector around.
#include <mpi.h>

#include <cstdio>
#include <numeric>
#include <vector>

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    int rank = -1, size = -1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    std::vector<double> out(1000), in(1000);
    std::iota(out.begin(), out.end(), rank);
    const int from = (rank + size - 1) % size;
    MPI_Sendrecv(out.data(), 1000, MPI_DOUBLE, (rank + 1) % size, 0, in.data(), 1000, MPI_DOUBLE,
                 from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (in.front() != from || in.back() != from + 999)
        MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Finalize();
    if (rank == 0)
        std::puts("passed");
    return 0;
}
