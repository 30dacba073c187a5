/* A tool in front of the library that changes the first byte of what is received where a message or
 * vector has 64 bytes. Preloaded to see that a program which checks contents notices. Two ranks. */
#include <mpi.h>
#include <stddef.h>

#define BYTES 64

static void *noted;

static int spoil(int code, void *buffer, int count)
{
    if (count == BYTES)
        *(unsigned char *)buffer ^= 1;
    return code;
}

int MPI_Recv(void *buffer, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm,
             MPI_Status *status)
{
    return spoil(PMPI_Recv(buffer, count, type, from, tag, comm, status), buffer, count);
}

int MPI_Irecv(void *buffer, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    if (count == BYTES)
        noted = buffer;
    return PMPI_Irecv(buffer, count, type, from, tag, comm, request);
}

int MPI_Waitall(int count, MPI_Request requests[], MPI_Status statuses[])
{
    int code = PMPI_Waitall(count, requests, statuses);
    if (noted)
        spoil(code, noted, BYTES);
    noted = NULL;
    return code;
}

int MPI_Bcast(void *buffer, int count, MPI_Datatype type, int root, MPI_Comm comm)
{
    return spoil(PMPI_Bcast(buffer, count, type, root, comm), buffer, count);
}

int MPI_Reduce(const void *sent, void *received, int count, MPI_Datatype type, MPI_Op op, int root,
               MPI_Comm comm)
{
    return spoil(PMPI_Reduce(sent, received, count, type, op, root, comm), received, count);
}

int MPI_Allreduce(const void *sent, void *received, int count, MPI_Datatype type, MPI_Op op,
                  MPI_Comm comm)
{
    return spoil(PMPI_Allreduce(sent, received, count, type, op, comm), received, count);
}

int MPI_Reduce_scatter(const void *sent, void *received, const int counts[], MPI_Datatype type,
                       MPI_Op op, MPI_Comm comm)
{
    int code = PMPI_Reduce_scatter(sent, received, counts, type, op, comm);
    return spoil(code, received, counts[0] + counts[1]);
}

int MPI_Reduce_scatter_block(const void *sent, void *received, int count, MPI_Datatype type,
                             MPI_Op op, MPI_Comm comm)
{
    return spoil(PMPI_Reduce_scatter_block(sent, received, count, type, op, comm), received, count);
}

int MPI_Gather(const void *sent, int sends, MPI_Datatype type, void *received, int receives,
               MPI_Datatype into, int root, MPI_Comm comm)
{
    return spoil(PMPI_Gather(sent, sends, type, received, receives, into, root, comm), received,
                 receives);
}

int MPI_Gatherv(const void *sent, int sends, MPI_Datatype type, void *received,
                const int receives[], const int places[], MPI_Datatype into, int root,
                MPI_Comm comm)
{
    return spoil(PMPI_Gatherv(sent, sends, type, received, receives, places, into, root, comm),
                 received, receives[0]);
}

int MPI_Scatter(const void *sent, int sends, MPI_Datatype type, void *received, int receives,
                MPI_Datatype into, int root, MPI_Comm comm)
{
    return spoil(PMPI_Scatter(sent, sends, type, received, receives, into, root, comm), received,
                 receives);
}

int MPI_Scatterv(const void *sent, const int sends[], const int places[], MPI_Datatype type,
                 void *received, int receives, MPI_Datatype into, int root, MPI_Comm comm)
{
    return spoil(PMPI_Scatterv(sent, sends, places, type, received, receives, into, root, comm),
                 received, receives);
}

int MPI_Allgather(const void *sent, int sends, MPI_Datatype type, void *received, int receives,
                  MPI_Datatype into, MPI_Comm comm)
{
    return spoil(PMPI_Allgather(sent, sends, type, received, receives, into, comm), received,
                 receives);
}

int MPI_Allgatherv(const void *sent, int sends, MPI_Datatype type, void *received,
                   const int receives[], const int places[], MPI_Datatype into, MPI_Comm comm)
{
    return spoil(PMPI_Allgatherv(sent, sends, type, received, receives, places, into, comm),
                 received, receives[0]);
}

int MPI_Alltoall(const void *sent, int sends, MPI_Datatype type, void *received, int receives,
                 MPI_Datatype into, MPI_Comm comm)
{
    return spoil(PMPI_Alltoall(sent, sends, type, received, receives, into, comm), received,
                 receives);
}

int MPI_Alltoallv(const void *sent, const int sends[], const int from[], MPI_Datatype type,
                  void *received, const int receives[], const int places[], MPI_Datatype into,
                  MPI_Comm comm)
{
    return spoil(PMPI_Alltoallv(sent, sends, from, type, received, receives, places, into, comm),
                 received, receives[0]);
}
