/*
 * How fast a library packs and unpacks ten shapes of data, for compare.py: a line a shape with the
 * name, and the microseconds that MPI_Pack and MPI_Unpack of one item take, the least of several
 * rounds.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 9
#define SECONDS 0.004

static char *data, *packed;

static double once(int pack, MPI_Datatype type, int size, int times)
{
    double begin = MPI_Wtime();
    for (int i = 0; i < times; i++) {
        int position = 0;
        if (pack)
            MPI_Pack(data, 1, type, packed, size, &position, MPI_COMM_SELF);
        else
            MPI_Unpack(packed, size, &position, data, 1, type, MPI_COMM_SELF);
    }
    return (MPI_Wtime() - begin) / times;
}

static double least(int pack, MPI_Datatype type, int size)
{
    int times = 1;
    while (once(pack, type, size, times) * times < SECONDS)
        times *= 2;
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double now = once(pack, type, size, times);
        best = now < best ? now : best;
    }
    return best * 1e6;
}

static void shape(const char *name, MPI_Datatype type)
{
    int size;
    MPI_Type_commit(&type);
    MPI_Pack_size(1, type, MPI_COMM_SELF, &size);
    printf("%s %.3f %.3f\n", name, least(1, type, size), least(0, type, size));
    fflush(stdout);
    MPI_Type_free(&type);
}

int main(int argc, char **argv)
{
    enum { N = 4096 };
    static int lengths[N], places[N];
    MPI_Datatype type, part;
    MPI_Init(&argc, &argv);
    data = calloc(16 << 20, 1);
    packed = calloc(16 << 20, 1);

    MPI_Type_vector(512, 1, 512, MPI_DOUBLE, &type);
    shape("column", type);
    MPI_Type_vector(16384, 1, 2, MPI_INT, &type);
    shape("every-other-int", type);
    MPI_Type_vector(1024, 8, 32, MPI_DOUBLE, &type);
    shape("blocks-of-64-bytes", type);
    for (int i = 0; i < N; i++) {
        lengths[i] = 1 + i % 4;
        places[i] = 8 * i + i % 3;
    }
    MPI_Type_indexed(N, lengths, places, MPI_INT, &type);
    shape("indexed", type);
    MPI_Type_create_indexed_block(N, 1, places, MPI_DOUBLE, &type);
    shape("indexed-block", type);
    {
        int counts[] = {1, 3, 1};
        MPI_Aint offsets[] = {0, 8, 40};
        MPI_Datatype types[] = {MPI_INT, MPI_DOUBLE, MPI_CHAR};
        MPI_Type_create_struct(3, counts, offsets, types, &part);
        MPI_Type_contiguous(2048, part, &type);
        shape("array-of-structs", type);
        MPI_Type_free(&part);
    }
    {
        int sizes[] = {64, 64, 64}, parts[] = {32, 32, 32}, starts[] = {16, 16, 16};
        MPI_Type_create_subarray(3, sizes, parts, starts, MPI_ORDER_C, MPI_DOUBLE, &type);
        shape("subarray-3d", type);
        int face[] = {64, 64, 1}, corner[] = {0, 0, 0};
        MPI_Type_create_subarray(3, sizes, face, corner, MPI_ORDER_C, MPI_DOUBLE, &type);
        shape("face-3d", type);
    }
    MPI_Type_vector(64, 1, 64, MPI_DOUBLE, &part);
    MPI_Type_create_hvector(64, 1, 8, part, &type);
    shape("transpose", type);
    MPI_Type_free(&part);
    MPI_Type_contiguous(65536, MPI_DOUBLE, &type);
    shape("contiguous", type);
    MPI_Finalize();
    return 0;
}
