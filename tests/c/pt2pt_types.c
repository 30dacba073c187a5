/* Predefined datatypes and counts beyond int: sizes, and messages of each. */
#include "check.h"
#include <stdint.h>
#include <wchar.h>

static void one(const char *name, MPI_Datatype type, size_t bytes, int next, int previous)
{
    unsigned char out[24 * 32], in[24 * 32 + GUARD];
    char got[MPI_MAX_OBJECT_NAME] = "";
    int type_size = -1, count = -1, length = 0;
    MPI_Count elements = -1;
    MPI_Aint lower = -1, extent = -1;
    MPI_Status status;
    MPI_Type_size(type, &type_size);
    if ((size_t)type_size != bytes) {
        fprintf(stderr, "%s has %d bytes\n", name, type_size);
        CHECK(!"the size of the type");
    }
    MPI_Type_get_extent(type, &lower, &extent);
    EQUAL(lower, 0);
    EQUAL(extent, bytes);
    MPI_Type_get_name(type, got, &length);
    /* Types with two names may report either. */
    int synonyms = type == MPI_LONG_LONG || type == MPI_C_FLOAT_COMPLEX;
    CHECK(synonyms || strcmp(got, name) == 0);
    EQUAL(length, strlen(got));
    fill(out, 24 * bytes, rank);
    clear(in, 24 * bytes);
    EQUAL(MPI_Sendrecv(out, 24, type, next, 0, in, 24, type, previous, 0, MPI_COMM_WORLD, &status),
          MPI_SUCCESS);
    MPI_Get_count(&status, type, &count);
    EQUAL(count, 24);
    MPI_Get_elements_c(&status, type, &elements);
    EQUAL(elements, 24);
    CONTENT(in, 24 * bytes, previous);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    int next = (rank + 1) % size, previous = (rank + size - 1) % size;
#define ONE(type, c) one(#type, type, sizeof(c), next, previous)
    ONE(MPI_CHAR, char);
    ONE(MPI_SIGNED_CHAR, signed char);
    ONE(MPI_UNSIGNED_CHAR, unsigned char);
    ONE(MPI_BYTE, char);
    ONE(MPI_SHORT, short);
    ONE(MPI_UNSIGNED_SHORT, unsigned short);
    ONE(MPI_INT, int);
    ONE(MPI_UNSIGNED, unsigned);
    ONE(MPI_LONG, long);
    ONE(MPI_UNSIGNED_LONG, unsigned long);
    ONE(MPI_LONG_LONG, long long);
    ONE(MPI_UNSIGNED_LONG_LONG, unsigned long long);
    ONE(MPI_FLOAT, float);
    ONE(MPI_DOUBLE, double);
    ONE(MPI_LONG_DOUBLE, long double);
    ONE(MPI_WCHAR, wchar_t);
    ONE(MPI_C_BOOL, _Bool);
    ONE(MPI_INT8_T, int8_t);
    ONE(MPI_INT16_T, int16_t);
    ONE(MPI_INT32_T, int32_t);
    ONE(MPI_INT64_T, int64_t);
    ONE(MPI_UINT8_T, uint8_t);
    ONE(MPI_UINT16_T, uint16_t);
    ONE(MPI_UINT32_T, uint32_t);
    ONE(MPI_UINT64_T, uint64_t);
    ONE(MPI_AINT, MPI_Aint);
    ONE(MPI_COUNT, MPI_Count);
    ONE(MPI_OFFSET, MPI_Offset);
    ONE(MPI_C_FLOAT_COMPLEX, float _Complex);
    ONE(MPI_C_DOUBLE_COMPLEX, double _Complex);
    ONE(MPI_C_LONG_DOUBLE_COMPLEX, long double _Complex);

    /* The forms with large counts. */
    MPI_Count count = 1000, got = -1;
    int *out = malloc(count * sizeof *out), *in = malloc(count * sizeof *in);
    MPI_Request requests[2];
    MPI_Status status;
    for (int i = 0; i < count; i++) {
        out[i] = rank * 1000 + i;
        in[i] = -1;
    }
    MPI_Irecv_c(in, count, MPI_INT, previous, 1, MPI_COMM_WORLD, &requests[0]);
    MPI_Isend_c(out, count, MPI_INT, next, 1, MPI_COMM_WORLD, &requests[1]);
    MPI_Wait(&requests[0], &status);
    MPI_Wait(&requests[1], MPI_STATUS_IGNORE);
    MPI_Get_count_c(&status, MPI_INT, &got);
    EQUAL(got, count);
    for (int i = 0; i < count; i++)
        EQUAL(in[i], previous * 1000 + i);
    MPI_Sendrecv_c(out, count, MPI_INT, next, 2, in, count, MPI_INT, previous, 2, MPI_COMM_WORLD,
                   &status);
    MPI_Get_count_c(&status, MPI_INT, &got);
    EQUAL(got, count);
    free(out);
    free(in);
    return finish();
}
