/* Attributes: predefined ones, keys with copy and delete functions, on communicators. */
#include "check.h"

static int copied, deleted;

static int copy(MPI_Comm comm, int key, void *extra, void *in, void *out, int *flag)
{
    (void)comm;
    (void)key;
    copied++;
    CHECK(extra == &copied);
    *(void **)out = (char *)in + 1;
    *flag = 1;
    return MPI_SUCCESS;
}

static int copy_nothing(MPI_Comm comm, int key, void *extra, void *in, void *out, int *flag)
{
    (void)comm, (void)key, (void)extra, (void)in, (void)out;
    *flag = 0;
    return MPI_SUCCESS;
}

static int delete(MPI_Comm comm, int key, void *value, void *extra)
{
    (void)comm, (void)key, (void)value;
    CHECK(extra == &copied);
    deleted++;
    return MPI_SUCCESS;
}

static int refuse(MPI_Comm comm, int key, void *value, void *extra)
{
    (void)comm, (void)key, (void)value, (void)extra;
    return MPI_ERR_OTHER;
}

/* Attributes of self go first when the library ends, in reverse order. */
static int order;

static int at_the_end(MPI_Comm comm, int key, void *value, void *extra)
{
    int finalized = -1;
    (void)comm, (void)key, (void)extra;
    MPI_Finalized(&finalized);
    EQUAL(finalized, 0);
    EQUAL((long)value, 2 - order);
    order++;
    if (order == 2 && rank == 0)
        printf("deleted at the end\n");
    return MPI_SUCCESS;
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    int *value = NULL, flag = 0, key, other, refusing, ends[2];
    void *got = NULL;
    char storage[8];
    MPI_Comm comm;

    EQUAL(MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &value, &flag), MPI_SUCCESS);
    EQUAL(flag, 1);
    CHECK(*value >= 32767);
    MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_WTIME_IS_GLOBAL, &value, &flag);
    EQUAL(flag, 1);
    CHECK(*value == 0 || *value == 1);
    MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_APPNUM, &value, &flag);
    CHECK(!flag || *value >= 0);
    MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_UNIVERSE_SIZE, &value, &flag);
    CHECK(!flag || *value >= size);

    MPI_Comm_create_keyval(copy, delete, &key, &copied);
    MPI_Comm_create_keyval(copy_nothing, MPI_COMM_NULL_DELETE_FN, &other, NULL);
    CHECK(key != MPI_KEYVAL_INVALID && key != other);
    MPI_Comm_get_attr(MPI_COMM_WORLD, key, &got, &flag);
    EQUAL(flag, 0);
    MPI_Comm_set_attr(MPI_COMM_WORLD, key, storage);
    MPI_Comm_get_attr(MPI_COMM_WORLD, key, &got, &flag);
    EQUAL(flag, 1);
    CHECK(got == storage);
    /* A new value takes the place of the old one, which is deleted. */
    MPI_Comm_set_attr(MPI_COMM_WORLD, key, storage + 1);
    EQUAL(deleted, 1);
    MPI_Comm_set_attr(MPI_COMM_WORLD, other, storage);

    /* A duplicate has what the copy functions gave it. */
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    EQUAL(copied, 1);
    MPI_Comm_get_attr(comm, key, &got, &flag);
    EQUAL(flag, 1);
    CHECK(got == storage + 2);
    MPI_Comm_get_attr(comm, other, &got, &flag);
    EQUAL(flag, 0);
    /* A key that is given up lives as long as its attributes. */
    int gone = key;
    MPI_Comm_free_keyval(&gone);
    EQUAL(gone, MPI_KEYVAL_INVALID);
    MPI_Comm_get_attr(comm, key, &got, &flag);
    EQUAL(flag, 1);
    MPI_Comm_free(&comm);
    EQUAL(deleted, 2);
    MPI_Comm_delete_attr(MPI_COMM_WORLD, key);
    EQUAL(deleted, 3);

    /* A delete function that refuses stops what would delete. */
    MPI_Comm_create_keyval(MPI_COMM_DUP_FN, refuse, &refusing, NULL);
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    MPI_Comm_set_attr(comm, refusing, storage);
    CHECK(MPI_Comm_delete_attr(comm, refusing) != MPI_SUCCESS);
    MPI_Comm_get_attr(comm, refusing, &got, &flag);
    EQUAL(flag, 1);
    CHECK(got == storage);

    for (long i = 0; i < 2; i++) {
        MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, at_the_end, &ends[i], NULL);
        MPI_Comm_set_attr(MPI_COMM_SELF, ends[i], (void *)(i + 1));
    }
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    EQUAL(order, 2);
    if (rank == 0)
        printf("passed\n");
    return 0;
}
