/* Messages of derived types: every call and every length, to types of the same and of other layouts
 * with the same signature. */
#include "check.h"
#include <stddef.h>

#define TYPES 8
static const char *NAMES[TYPES] = {"contiguous", "vector", "indexed", "struct",
                                   "subarray",   "darray", "resized", "nested"};

/* A type of `n` integers in the middle of an array of 8 `n`, and where its integers are. */
static MPI_Datatype make(int which, int n, int *where)
{
    MPI_Datatype type, part;
    int half = n / 2;
    for (int i = 0; i < n; i++)
        switch (which) {
        case 0:
            where[i] = i;
            break;
        case 1:
            where[i] = 3 * i;
            break;
        case 2:
            where[i] = i < half ? 5 * n + i : i - half + 1;
            break;
        case 3:
            where[i] = i % 2 ? 4 * (i / 2) + 3 : 4 * (i / 2);
            break;
        case 4:
            where[i] = i < half ? n + 1 + i : 2 * n + 1 + i - half;
            break;
        case 5:
            where[i] = 2 * i + 1;
            break;
        case 6:
            where[i] = i;
            break;
        case 7:
            where[i] = i % 2 ? 6 * (i / 2) + 2 : 6 * (i / 2);
            break;
        }
    switch (which) {
    case 0:
        MPI_Type_contiguous(n, MPI_INT, &type);
        break;
    case 1:
        MPI_Type_vector(n, 1, 3, MPI_INT, &type);
        break;
    case 2: {
        int lengths[] = {half, n - half}, places[] = {5 * n, 1};
        MPI_Type_indexed(2, lengths, places, MPI_INT, &type);
        break;
    }
    case 3: {
        int lengths[] = {1, 1};
        MPI_Aint places[] = {0, 12};
        MPI_Datatype types[] = {MPI_INT, MPI_INT};
        MPI_Type_create_struct(2, lengths, places, types, &part);
        MPI_Type_contiguous(half, part, &type);
        MPI_Type_free(&part);
        break;
    }
    case 4: {
        int sizes[] = {4, n}, subsizes[] = {2, half}, starts[] = {1, 1};
        MPI_Type_create_subarray(2, sizes, subsizes, starts, MPI_ORDER_C, MPI_INT, &type);
        break;
    }
    case 5: {
        int sizes[] = {2 * n}, kinds[] = {MPI_DISTRIBUTE_CYCLIC}, arguments[] = {1}, grid[] = {2};
        MPI_Type_create_darray(2, 1, 1, sizes, kinds, arguments, grid, MPI_ORDER_FORTRAN, MPI_INT,
                               &type);
        break;
    }
    case 6:
        MPI_Type_contiguous(n, MPI_INT, &part);
        MPI_Type_create_resized(part, -4, 32 * (MPI_Aint)n, &type);
        MPI_Type_free(&part);
        break;
    default:
        MPI_Type_vector(2, 1, 2, MPI_INT, &part);
        MPI_Type_create_hvector(half, 1, 24, part, &type);
        MPI_Type_free(&part);
    }
    MPI_Type_commit(&type);
    return type;
}

static void check_items(const int *got, const int *where, int n, int seed, size_t room,
                        const char *what)
{
    char *touched = calloc(room, 1);
    for (int i = 0; i < n; i++) {
        touched[where[i]] = 1;
        if (got[where[i]] != seed + i) {
            fprintf(stderr, "%s: item %d of %d is %d\n", what, i, n, got[where[i]]);
            CHECK(!"the items");
        }
    }
    for (size_t i = 0; i < room; i++)
        if (!touched[i] && got[i] != -7) {
            fprintf(stderr, "%s: a gap at %zu was written\n", what, i);
            CHECK(!"the gaps");
        }
    free(touched);
}

int main(int argc, char **argv)
{
    static const int COUNTS[] = {2, 10, 16, 1000, 16000, 300000};
    start(&argc, &argv);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    int next = (rank + 1) % size, previous = (rank + size - 1) % size;
    for (int c = 0; c < 6; c++) {
        int n = COUNTS[c];
        size_t room = 8 * (size_t)n;
        int *out = malloc(room * sizeof *out), *in = malloc(room * sizeof *in);
        int *from = malloc(n * sizeof *from), *to = malloc(n * sizeof *to);
        for (int which = 0; which < TYPES; which++) {
            int other = (which + c + 1) % TYPES, elements, items, left = size;
            MPI_Datatype sent = make(which, n, from), received = make(other, n, to);
            MPI_Status status;
            MPI_Request requests[2];
            for (size_t i = 0; i < room; i++)
                out[i] = in[i] = -7;
            for (int i = 0; i < n; i++)
                out[from[i]] = 100 * rank + i;
#define ARRIVED()                                                   \
    do {                                                            \
        check_items(in, to, n, 100 * previous, room, NAMES[other]); \
        for (size_t i = 0; i < room; i++)                           \
            in[i] = -7;                                             \
    } while (0)
            MPI_Sendrecv(out, 1, sent, next, 1, in, 1, received, previous, 1, MPI_COMM_WORLD,
                         &status);
            ARRIVED();
            MPI_Get_count(&status, received, &items);
            MPI_Get_elements(&status, received, &elements);
            CHECK(items == 1 && elements == n);

            /* A type that is freed while messages of it are under way. */
            MPI_Datatype short_lived;
            MPI_Type_dup(received, &short_lived);
            MPI_Irecv(in, 1, short_lived, previous, 2, MPI_COMM_WORLD, &requests[0]);
            MPI_Type_free(&short_lived);
            MPI_Type_dup(sent, &short_lived);
            MPI_Issend(out, 1, short_lived, next, 2, MPI_COMM_WORLD, &requests[1]);
            MPI_Type_free(&short_lived);
            MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
            ARRIVED();

            /* Persistent, two rounds. */
            MPI_Type_dup(received, &short_lived);
            MPI_Recv_init(in, 1, short_lived, previous, 3, MPI_COMM_WORLD, &requests[0]);
            MPI_Type_free(&short_lived);
            MPI_Send_init(out, 1, sent, next, 3, MPI_COMM_WORLD, &requests[1]);
            for (int round = 0; round < 2; round++) {
                MPI_Startall(2, requests);
                MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
                ARRIVED();
            }
            MPI_Request_free(&requests[0]);
            MPI_Request_free(&requests[1]);

            /* Buffered, probed, and as bytes in a row. */
            int packed = 0, *flat = malloc(n * sizeof *flat), bytes;
            MPI_Pack_size(1, sent, MPI_COMM_WORLD, &bytes);
            char *buffer = malloc(bytes + MPI_BSEND_OVERHEAD);
            MPI_Buffer_attach(buffer, bytes + MPI_BSEND_OVERHEAD);
            MPI_Bsend(out, 1, sent, next, 4, MPI_COMM_WORLD);
            MPI_Probe(previous, 4, MPI_COMM_WORLD, &status);
            MPI_Get_elements(&status, received, &elements);
            EQUAL(elements, n);
            MPI_Recv(flat, n, MPI_INT, previous, 4, MPI_COMM_WORLD, &status);
            MPI_Buffer_detach(&buffer, &bytes);
            free(buffer);
            MPI_Unpack(flat, 4 * n, &packed, in, 1, received, MPI_COMM_WORLD);
            ARRIVED();

            /* The other way: numbers in a row into a type by a matched probe, from an absolute
             * address. */
            MPI_Aint address;
            MPI_Message message;
            MPI_Datatype absolute;
            int one = 1;
            MPI_Get_address(in, &address);
            MPI_Type_create_hindexed(1, &one, &address, received, &absolute);
            MPI_Type_commit(&absolute);
            for (int i = 0; i < n; i++)
                flat[i] = 100 * rank + i;
            MPI_Isend(flat, n, MPI_INT, next, 5, MPI_COMM_WORLD, &requests[0]);
            MPI_Mprobe(previous, 5, MPI_COMM_WORLD, &message, &status);
            MPI_Mrecv(MPI_BOTTOM, 1, absolute, &message, &status);
            MPI_Wait(&requests[0], MPI_STATUS_IGNORE);
            ARRIVED();
            MPI_Type_free(&absolute);

            /* Half a message leaves the rest alone, and counts no item. */
            MPI_Sendrecv(flat, n / 2, MPI_INT, next, 6, in, 1, received, previous, 6,
                         MPI_COMM_WORLD, &status);
            check_items(in, to, n / 2, 100 * previous, room, NAMES[other]);
            for (size_t i = 0; i < room; i++)
                in[i] = -7;
            MPI_Get_count(&status, received, &items);
            MPI_Get_elements(&status, received, &elements);
            EQUAL(elements, n / 2);
            EQUAL(items, MPI_UNDEFINED);

            /* In place, all the way round. */
            for (int i = 0; i < n; i++)
                in[to[i]] = 100 * rank + i;
            while (left-- > 0)
                MPI_Sendrecv_replace(in, 1, received, next, 7, previous, 7, MPI_COMM_WORLD,
                                     &status);
            check_items(in, to, n, 100 * rank, room, NAMES[other]);
            for (size_t i = 0; i < room; i++)
                in[i] = -7;

            /* Too much is an error, and what there is room for has come. */
            FAILS(MPI_ERR_TRUNCATE, MPI_Sendrecv(out, 1, sent, next, 8, in, n / 2, MPI_INT,
                                                 previous, 8, MPI_COMM_WORLD, &status));
            for (int i = 0; i < n / 2; i++)
                EQUAL(in[i], 100 * previous + i);
            free(flat);
            MPI_Type_free(&sent);
            MPI_Type_free(&received);
        }
        free(out);
        free(in);
        free(from);
        free(to);
    }
    return finish();
}
