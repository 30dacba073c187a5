/* Derived types as objects: bounds, names, attributes, how they were made, packing by hand. One
 * rank is enough. */
#include "check.h"
#include <stddef.h>

static int copied, deleted;

static int copy(MPI_Datatype type, int keyval, void *extra, void *value, void *out, int *flag)
{
    (void)type, (void)keyval, (void)extra;
    copied++;
    *(void **)out = (char *)value + 1;
    *flag = 1;
    return MPI_SUCCESS;
}

static int refuse(MPI_Datatype type, int keyval, void *extra, void *value, void *out, int *flag)
{
    (void)type, (void)keyval, (void)extra, (void)value, (void)out;
    *flag = 0;
    return MPI_ERR_OTHER;
}

static int gone(MPI_Datatype type, int keyval, void *value, void *extra)
{
    (void)type, (void)keyval, (void)value, (void)extra;
    deleted++;
    return MPI_SUCCESS;
}

static void attributes(void)
{
    int keyval, flag;
    void *value;
    MPI_Datatype type, twin;
    MPI_Type_contiguous(3, MPI_INT, &type);
    MPI_Type_create_keyval(copy, gone, &keyval, NULL);
    MPI_Type_set_attr(type, keyval, (void *)40);
    MPI_Type_dup(type, &twin);
    EQUAL(copied, 1);
    MPI_Type_get_attr(twin, keyval, &value, &flag);
    CHECK(flag && value == (void *)41);
    MPI_Type_delete_attr(twin, keyval);
    EQUAL(deleted, 1);
    MPI_Type_get_attr(twin, keyval, &value, &flag);
    CHECK(!flag);
    MPI_Type_free(&twin);
    CHECK(twin == MPI_DATATYPE_NULL);
    MPI_Type_free(&type);
    EQUAL(deleted, 2);
    MPI_Type_free_keyval(&keyval);

    /* A predefined type may have attributes; a copy that is refused makes no type. */
    MPI_Type_create_keyval(refuse, gone, &keyval, NULL);
    MPI_Type_set_attr(MPI_INT, keyval, (void *)1);
    FAILS(MPI_ERR_OTHER, MPI_Type_dup(MPI_INT, &twin));
    MPI_Type_delete_attr(MPI_INT, keyval);
    MPI_Type_free_keyval(&keyval);
}

static void names(void)
{
    char name[MPI_MAX_OBJECT_NAME];
    int length;
    MPI_Datatype type;
    MPI_Type_contiguous(3, MPI_INT, &type);
    MPI_Type_get_name(type, name, &length);
    CHECK(length == 0 && name[0] == 0);
    MPI_Type_set_name(type, "triple");
    MPI_Type_get_name(type, name, &length);
    CHECK(length == 6 && strcmp(name, "triple") == 0);
    MPI_Type_free(&type);
}

static void bounds(void)
{
    struct item {
        double d;
        char c;
    };
    MPI_Aint lb, extent, displacements[] = {offsetof(struct item, d), offsetof(struct item, c)};
    int lengths[] = {1, 1}, bytes;
    MPI_Datatype types[] = {MPI_DOUBLE, MPI_CHAR}, item, moved, list;
    MPI_Type_create_struct(2, lengths, displacements, types, &item);
    MPI_Type_get_extent(item, &lb, &extent);
    CHECK(lb == 0 && extent == (MPI_Aint)sizeof(struct item));
    MPI_Type_get_true_extent(item, &lb, &extent);
    CHECK(lb == 0 && extent == 9);
    MPI_Type_size(item, &bytes);
    EQUAL(bytes, 9);
    MPI_Type_create_resized(item, -8, 48, &moved);
    MPI_Type_contiguous(2, moved, &list);
    MPI_Type_get_extent(list, &lb, &extent);
    CHECK(lb == -8 && extent == 96);
    MPI_Type_free(&item);
    MPI_Type_free(&moved);
    MPI_Type_get_true_extent(list, &lb, &extent);
    CHECK(lb == 0 && extent == 57);
    MPI_Type_free(&list);
}

static void contents(void)
{
    int integers[8], ni, na, nd, combiner, lengths[] = {2, 1}, places[] = {0, 5};
    MPI_Aint addresses[4];
    MPI_Count counts[8], large_ni, large_na, large_nc, large_nd;
    MPI_Datatype inner, type, types[2];
    MPI_Type_contiguous(2, MPI_FLOAT, &inner);
    MPI_Type_indexed(2, lengths, places, inner, &type);
    MPI_Type_free(&inner);
    MPI_Type_get_envelope(type, &ni, &na, &nd, &combiner);
    CHECK(ni == 5 && na == 0 && nd == 1 && combiner == MPI_COMBINER_INDEXED);
    MPI_Type_get_contents(type, 8, 4, 2, integers, addresses, types);
    CHECK(integers[0] == 2 && integers[1] == 2 && integers[2] == 1 && integers[3] == 0 &&
          integers[4] == 5);
    FAILS(MPI_ERR_ARG, MPI_Type_get_contents(type, 4, 4, 2, integers, addresses, types));
    MPI_Type_free(&type);
    /* The type it was made from lives on as a new handle. */
    type = types[0];
    MPI_Type_get_envelope(type, &ni, &na, &nd, &combiner);
    CHECK(ni == 1 && nd == 1 && combiner == MPI_COMBINER_CONTIGUOUS);
    MPI_Type_get_contents(type, 8, 4, 2, integers, addresses, types);
    CHECK(integers[0] == 2 && types[0] == MPI_FLOAT);
    MPI_Type_free(&type);

    MPI_Type_create_hvector_c(3, 2, 64, MPI_INT, &type);
    MPI_Type_get_envelope_c(type, &large_ni, &large_na, &large_nc, &large_nd, &combiner);
    CHECK(large_ni == 0 && large_na == 0 && large_nc == 3 && large_nd == 1 &&
          combiner == MPI_COMBINER_HVECTOR);
    MPI_Type_get_contents_c(type, 0, 0, 8, 1, NULL, NULL, counts, types);
    CHECK(counts[0] == 3 && counts[1] == 2 && counts[2] == 64 && types[0] == MPI_INT);
    FAILS(MPI_ERR_TYPE, MPI_Type_get_envelope(type, &ni, &na, &nd, &combiner));
    MPI_Type_free(&type);

    MPI_Type_create_hvector(3, 2, 64, MPI_INT, &type);
    MPI_Type_get_envelope(type, &ni, &na, &nd, &combiner);
    CHECK(ni == 2 && na == 1 && nd == 1);
    MPI_Type_free(&type);

    MPI_Type_get_envelope(MPI_INT, &ni, &na, &nd, &combiner);
    EQUAL(combiner, MPI_COMBINER_NAMED);
    FAILS(MPI_ERR_TYPE, MPI_Type_get_contents(MPI_INT, 8, 4, 2, integers, addresses, types));

    MPI_Datatype real, again;
    MPI_Type_create_f90_real(10, MPI_UNDEFINED, &real);
    MPI_Type_create_f90_real(10, MPI_UNDEFINED, &again);
    CHECK(real == again);
    MPI_Type_get_envelope(real, &ni, &na, &nd, &combiner);
    CHECK(ni == 2 && na == 0 && nd == 0 && combiner == MPI_COMBINER_F90_REAL);
    MPI_Type_get_contents(real, 8, 4, 2, integers, addresses, types);
    CHECK(integers[0] == 10 && integers[1] == MPI_UNDEFINED);
    FAILS(MPI_ERR_TYPE, MPI_Type_free(&again));
    double one = 1, two = 2;
    MPI_Reduce_local(&one, &two, 1, real, MPI_SUM);
    CHECK(two == 3);
    MPI_Type_match_size(MPI_TYPECLASS_REAL, 4, &type);
    CHECK(type == MPI_REAL4);
}

static void packing(void)
{
    double matrix[6][6], back[6][6];
    char buffer[512];
    int position = 0, size;
    MPI_Aint place = 0, external;
    MPI_Datatype column;
    memset(back, 0, sizeof back);
    for (int i = 0; i < 36; i++)
        matrix[i / 6][i % 6] = i;
    MPI_Type_vector(6, 1, 6, MPI_DOUBLE, &column);
    FAILS(MPI_ERR_TYPE,
          MPI_Pack(&matrix[0][2], 1, column, buffer, sizeof buffer, &position, MPI_COMM_WORLD));
    MPI_Type_commit(&column);
    MPI_Pack_size(1, column, MPI_COMM_WORLD, &size);
    EQUAL(size, 48);
    MPI_Pack(&size, 1, MPI_INT, buffer, sizeof buffer, &position, MPI_COMM_WORLD);
    MPI_Pack(&matrix[0][2], 1, column, buffer, sizeof buffer, &position, MPI_COMM_WORLD);
    EQUAL(position, 52);
    FAILS(MPI_ERR_TRUNCATE,
          MPI_Pack(&matrix[0][2], 1, column, buffer, 60, &position, MPI_COMM_WORLD));
    position = size = 0;
    MPI_Unpack(buffer, 52, &position, &size, 1, MPI_INT, MPI_COMM_WORLD);
    MPI_Unpack(buffer, 52, &position, &back[0][4], 1, column, MPI_COMM_WORLD);
    EQUAL(size, 48);
    EQUAL(position, 52);
    for (int i = 0; i < 6; i++)
        CHECK(back[i][4] == matrix[i][2] && back[i][3] == 0 && back[i][5] == 0);

    long value = 0x0102030405060708, got = 0;
    MPI_Pack_external_size("external32", 1, MPI_LONG, &external);
    EQUAL(external, 4);
    MPI_Pack_external("external32", &value, 1, MPI_LONG, buffer, sizeof buffer, &place);
    MPI_Pack_external("external32", &matrix[0][1], 1, column, buffer, sizeof buffer, &place);
    EQUAL(place, 52);
    CHECK(buffer[0] == 5 && buffer[3] == 8 && (buffer[4] & 0xff) == 0x3f &&
          (buffer[5] & 0xff) == 0xf0);
    place = 0;
    MPI_Unpack_external("external32", buffer, 52, &place, &got, 1, MPI_LONG);
    MPI_Unpack_external("external32", buffer, 52, &place, &back[0][0], 1, column);
    EQUAL(got, 0x05060708);
    for (int i = 0; i < 6; i++)
        CHECK(back[i][0] == matrix[i][1]);
    FAILS(MPI_ERR_ARG, MPI_Pack_external_size("native", 1, MPI_LONG, &external));
    MPI_Type_free(&column);
}

static void wrong(void)
{
    MPI_Datatype type = MPI_DATATYPE_NULL, stale;
    int lengths[] = {1, -1}, places[] = {0, 1}, value = 0;
    FAILS(MPI_ERR_TYPE, MPI_Type_contiguous(1, MPI_DATATYPE_NULL, &type));
    FAILS(MPI_ERR_COUNT, MPI_Type_contiguous(-1, MPI_INT, &type));
    FAILS(MPI_ERR_COUNT, MPI_Type_indexed(2, lengths, places, MPI_INT, &type));
    FAILS(MPI_ERR_ARG, MPI_Type_contiguous(1, MPI_INT, NULL));
    FAILS(MPI_ERR_ARG, MPI_Type_indexed(2, NULL, places, MPI_INT, &type));
    FAILS(MPI_ERR_TYPE, MPI_Type_free(&type));
    type = MPI_INT;
    FAILS(MPI_ERR_TYPE, MPI_Type_free(&type));
    MPI_Type_contiguous(1, MPI_INT, &type);
    FAILS(MPI_ERR_TYPE, MPI_Send(&value, 1, type, MPI_PROC_NULL, 0, MPI_COMM_WORLD));
    stale = type;
    MPI_Type_free(&type);
    FAILS(MPI_ERR_TYPE, MPI_Type_commit(&stale));
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    attributes();
    names();
    bounds();
    contents();
    packing();
    wrong();
    return finish();
}
