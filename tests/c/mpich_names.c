/* What MPICH's binary interface has beside the standard's: conversions for Fortran, and functions
 * that MPI 3.0 removed. */
#include "check.h"

static int told;

static void on_error(MPI_Comm *comm, int *code, ...)
{
    (void)comm;
    told = *code;
}

static void handles(void)
{
    MPI_Comm world = MPI_Comm_f2c(MPI_Comm_c2f(MPI_COMM_WORLD));
    int its_rank;
    MPI_Comm_rank(world, &its_rank);
    EQUAL(its_rank, rank);
    MPI_Datatype made, again;
    MPI_Type_contiguous(3, MPI_INT, &made);
    again = MPI_Type_f2c(MPI_Type_c2f(made));
    int bytes;
    MPI_Type_size(again, &bytes);
    EQUAL(bytes, 3 * sizeof(int));
    MPI_Type_free(&made);
    CHECK(MPI_Op_f2c(MPI_Op_c2f(MPI_SUM)) == MPI_SUM);
    CHECK(MPI_Group_f2c(MPI_Group_c2f(MPI_GROUP_EMPTY)) == MPI_GROUP_EMPTY);
    CHECK(MPI_Info_f2c(MPI_Info_c2f(MPI_INFO_NULL)) == MPI_INFO_NULL);
    CHECK(MPI_File_f2c(MPI_File_c2f(MPI_FILE_NULL)) == MPI_FILE_NULL);
}

static void statuses(void)
{
    MPI_Status status, copy;
    MPI_Fint ints[sizeof(MPI_Status) / sizeof(MPI_Fint)];
    int in[3], out[3] = {1, 2, 3}, items;
    MPI_Sendrecv(out, 3, MPI_INT, rank, 7, in, 3, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG,
                 MPI_COMM_WORLD, &status);
    EQUAL(MPI_Status_c2f(&status, ints), MPI_SUCCESS);
    EQUAL(MPI_Status_f2c(ints, &copy), MPI_SUCCESS);
    EQUAL(copy.MPI_SOURCE, rank);
    EQUAL(copy.MPI_TAG, 7);
    MPI_Get_count(&copy, MPI_INT, &items);
    EQUAL(items, 3);
    MPI_F08_status modern;
    EQUAL(MPI_Status_c2f08(&status, &modern), MPI_SUCCESS);
    EQUAL(MPI_Status_f082f(&modern, ints), MPI_SUCCESS);
    EQUAL(MPI_Status_f2f08(ints, &modern), MPI_SUCCESS);
    EQUAL(MPI_Status_f082c(&modern, &copy), MPI_SUCCESS);
    EQUAL(copy.MPI_TAG, 7);
    /* No place for or of a status. */
    CHECK(MPI_Status_f2c(MPI_F_STATUS_IGNORE, &copy) != MPI_SUCCESS);
    CHECK(MPI_Status_c2f(MPI_STATUS_IGNORE, ints) != MPI_SUCCESS);
}

/* A block of 19 is no default here, where that is -49767: of 40 items dealt to two, the first gets
 * 0 to 18 and 38 to 39. */
static void blocks_of_nineteen(void)
{
    int sizes[1] = {40}, ways[1] = {MPI_DISTRIBUTE_CYCLIC}, blocks[1] = {19}, grid[1] = {2}, bytes;
    MPI_Datatype made;
    EQUAL(MPI_Type_create_darray(2, 0, 1, sizes, ways, blocks, grid, MPI_ORDER_C, MPI_BYTE, &made),
          MPI_SUCCESS);
    MPI_Type_size(made, &bytes);
    EQUAL(bytes, 21);
    int integers[8];
    MPI_Datatype old;
    EQUAL(MPI_Type_get_contents(made, 8, 0, 1, integers, NULL, &old), MPI_SUCCESS);
    EQUAL(integers[4], MPI_DISTRIBUTE_CYCLIC);
    EQUAL(integers[5], 19);
    EQUAL(integers[7], MPI_ORDER_C);
    MPI_Type_free(&made);
    blocks[0] = MPI_DISTRIBUTE_DFLT_DARG;
    EQUAL(MPI_Type_create_darray(2, 0, 1, sizes, ways, blocks, grid, MPI_ORDER_C, MPI_BYTE, &made),
          MPI_SUCCESS);
    MPI_Type_size(made, &bytes);
    EQUAL(bytes, 20);
    EQUAL(MPI_Type_get_contents(made, 8, 0, 1, integers, NULL, &old), MPI_SUCCESS);
    EQUAL(integers[5], MPI_DISTRIBUTE_DFLT_DARG);
    MPI_Type_free(&made);
}

static void removed(void)
{
    struct pair {
        int a;
        double b;
    } pair = {1, 2}, got = {0, 0};
    MPI_Aint places[2], base, extent, lb, ub;
    int lengths[2] = {1, 1};
    MPI_Datatype types[2] = {MPI_INT, MPI_DOUBLE}, made;
    MPI_Address(&pair, &base);
    MPI_Address(&pair.a, &places[0]);
    MPI_Address(&pair.b, &places[1]);
    places[0] -= base;
    places[1] -= base;
    EQUAL(MPI_Type_struct(2, lengths, places, types, &made), MPI_SUCCESS);
    MPI_Type_commit(&made);
    MPI_Type_extent(made, &extent);
    MPI_Type_lb(made, &lb);
    MPI_Type_ub(made, &ub);
    EQUAL(extent, sizeof pair);
    EQUAL(lb, 0);
    EQUAL(ub, sizeof pair);
    MPI_Sendrecv(&pair, 1, made, rank, 0, &got, 1, made, rank, 0, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    CHECK(got.a == 1 && got.b == 2);
    MPI_Type_free(&made);
    MPI_Type_hvector(2, 1, 24, MPI_DOUBLE, &made);
    MPI_Type_extent(made, &extent);
    EQUAL(extent, 32);
    MPI_Type_free(&made);
    MPI_Aint at[2] = {8, 40};
    MPI_Type_hindexed(2, lengths, at, MPI_INT, &made);
    MPI_Type_lb(made, &lb);
    MPI_Type_ub(made, &ub);
    EQUAL(lb, 8);
    EQUAL(ub, 44);
    MPI_Type_free(&made);

    MPI_Errhandler handler, set;
    MPI_Errhandler_create(on_error, &handler);
    MPI_Errhandler_set(MPI_COMM_WORLD, handler);
    MPI_Errhandler_get(MPI_COMM_WORLD, &set);
    CHECK(set == handler);
    int code = MPI_Send(&pair, 1, MPI_INT, size, 0, MPI_COMM_WORLD), class;
    EQUAL(code, told);
    MPI_Error_class(code, &class);
    EQUAL(class, MPI_ERR_RANK);
    MPI_Errhandler_set(MPI_COMM_WORLD, MPI_ERRORS_ARE_FATAL);
    MPI_Errhandler_free(&handler);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    /* It is no version of the standard's binary interface. */
    int major, minor;
    EQUAL(MPI_Abi_get_version(&major, &minor), MPI_SUCCESS);
    EQUAL(major, -1);
    EQUAL(minor, -1);
    handles();
    statuses();
    blocks_of_nineteen();
    removed();
    return finish();
}
