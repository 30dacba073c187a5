/* Sessions: several at once, one after the other, beside the world and without it; process sets;
 * communicators of groups; error handlers. */
#include "check.h"

#define OK(call) EQUAL(call, MPI_SUCCESS)

static MPI_Session last;
static int calls;

static void handler(MPI_Session *session, int *code, ...)
{
    CHECK(*session == last && *code != MPI_SUCCESS);
    calls++;
}

static MPI_Comm world_of(MPI_Session session, const char *string)
{
    MPI_Group group;
    MPI_Comm comm;
    OK(MPI_Group_from_session_pset(session, "mpi://WORLD", &group));
    OK(MPI_Comm_create_from_group(group, string, MPI_INFO_NULL, MPI_ERRORS_RETURN, &comm));
    OK(MPI_Group_free(&group));
    return comm;
}

/* Hints of a communicator that is made of a group; one that is neither true nor false makes none.
 */
static void hints(MPI_Session session)
{
    MPI_Group group;
    MPI_Comm comm;
    MPI_Info info;
    char value[8];
    int flag, room = sizeof value;
    OK(MPI_Group_from_session_pset(session, "mpi://SELF", &group));
    OK(MPI_Info_create(&info));
    OK(MPI_Info_set(info, "mpi_assert_no_any_tag", "true"));
    OK(MPI_Comm_create_from_group(group, "hints", info, MPI_ERRORS_RETURN, &comm));
    OK(MPI_Info_set(info, "mpi_assert_no_any_tag", "perhaps"));
    FAILS(MPI_ERR_INFO_VALUE,
          MPI_Comm_create_from_group(group, "hints", info, MPI_ERRORS_RETURN, &(MPI_Comm){0}));
    OK(MPI_Info_free(&info));
    OK(MPI_Comm_get_info(comm, &info));
    OK(MPI_Info_get_string(info, "mpi_assert_no_any_tag", &room, value, &flag));
    CHECK(flag && strcmp(value, "true") == 0);
    OK(MPI_Info_free(&info));
    OK(MPI_Comm_free(&comm));
    OK(MPI_Group_free(&group));
}

static void sets(MPI_Session session)
{
    int number, length = 0, flag;
    char name[64], value[16], small[5];
    MPI_Info info;
    OK(MPI_Session_get_num_psets(session, MPI_INFO_NULL, &number));
    CHECK(number == 2);
    OK(MPI_Session_get_nth_pset(session, MPI_INFO_NULL, 0, &length, NULL));
    CHECK(length == 12);
    OK(MPI_Session_get_nth_pset(session, MPI_INFO_NULL, 0, &length, name));
    CHECK(strcmp(name, "mpi://WORLD") == 0);
    length = 5;
    OK(MPI_Session_get_nth_pset(session, MPI_INFO_NULL, 1, &length, small));
    CHECK(length == 11 && strcmp(small, "mpi:") == 0);
    FAILS(MPI_ERR_ARG, MPI_Session_get_nth_pset(session, MPI_INFO_NULL, 2, &length, name));
    FAILS(MPI_ERR_ARG, MPI_Session_get_pset_info(session, "mpi://MOON", &info));
    for (int i = 0; i < 2; i++) {
        int room = sizeof value;
        OK(MPI_Session_get_pset_info(session, i ? "mpi://SELF" : "mpi://WORLD", &info));
        OK(MPI_Info_get_string(info, "mpi_size", &room, value, &flag));
        CHECK(flag && atoi(value) == (i ? 1 : size));
        OK(MPI_Info_free(&info));
    }
}

/* Whether a communicator has a predefined attribute. */
static int has(MPI_Comm comm, int key)
{
    int *value, flag;
    OK(MPI_Comm_get_attr(comm, key, &value, &flag));
    return flag;
}

/* Of the predefined attributes a communicator that comes from a session has one, and so has what is
 * made of it. */
static void attributes(MPI_Comm comm, int with_world)
{
    int keys[] = {MPI_IO, MPI_WTIME_IS_GLOBAL, MPI_APPNUM, MPI_UNIVERSE_SIZE, MPI_LASTUSEDCODE},
        *bound, flag;
    MPI_Comm copy;
    OK(MPI_Comm_dup(comm, &copy));
    OK(MPI_Comm_get_attr(copy, MPI_TAG_UB, &bound, &flag));
    CHECK(flag && *bound >= 32767 && has(comm, MPI_TAG_UB));
    for (int i = 0; i < 5; i++)
        CHECK(!has(comm, keys[i]) && !has(copy, keys[i]) &&
              (!with_world || has(MPI_COMM_WORLD, keys[i])));
    OK(MPI_Comm_free(&copy));
}

static void sums(MPI_Comm comm)
{
    int sum;
    OK(MPI_Comm_rank(comm, &rank));
    OK(MPI_Comm_size(comm, &size));
    OK(MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, comm));
    CHECK(sum == size * (size - 1) / 2);
    OK(MPI_Sendrecv(&rank, 1, MPI_INT, (rank + 1) % size, 3, &sum, 1, MPI_INT,
                    (rank + size - 1) % size, 3, comm, MPI_STATUS_IGNORE));
    CHECK(sum == (rank + size - 1) % size);
}

static void between(MPI_Session session)
{
    MPI_Group all, mine, theirs;
    MPI_Comm comm;
    int others;
    OK(MPI_Group_from_session_pset(session, "mpi://WORLD", &all));
    OK(MPI_Group_rank(all, &rank));
    OK(MPI_Group_size(all, &size));
    if (size > 1) {
        int half = size / 2, low[1][3] = {{0, half - 1, 1}}, high[1][3] = {{half, size - 1, 1}};
        OK(MPI_Group_range_incl(all, 1, rank < half ? low : high, &mine));
        OK(MPI_Group_range_incl(all, 1, rank < half ? high : low, &theirs));
        OK(MPI_Intercomm_create_from_groups(mine, 0, theirs, 0, "two", MPI_INFO_NULL,
                                            MPI_ERRORS_RETURN, &comm));
        OK(MPI_Comm_remote_size(comm, &others));
        CHECK(others == (rank < half ? size - half : half));
        OK(MPI_Comm_free(&comm));
        FAILS(MPI_ERR_GROUP, MPI_Intercomm_create_from_groups(
                                 mine, 0, mine, 0, "one", MPI_INFO_NULL, MPI_ERRORS_RETURN, &comm));
        OK(MPI_Group_free(&mine));
        OK(MPI_Group_free(&theirs));
    }
    OK(MPI_Comm_create_from_group(MPI_GROUP_EMPTY, "none", MPI_INFO_NULL, MPI_ERRORS_RETURN,
                                  &comm));
    CHECK(comm == MPI_COMM_NULL);
    OK(MPI_Group_free(&all));
}

int main(int argc, char **argv)
{
    int with_world = argc > 1 && strcmp(argv[1], "world") == 0, room = 32, flag;
    MPI_Session one, two;
    MPI_Errhandler errhandler, same;
    MPI_Info info;
    char value[32];

    /* All of this is legal before any initialisation. */
    OK(MPI_Session_create_errhandler(handler, &errhandler));
    OK(MPI_Info_create(&info));
    OK(MPI_Info_set(info, "thread_level", "MPI_THREAD_SOME"));
    FAILS(MPI_ERR_INFO_VALUE, MPI_Session_init(info, MPI_ERRORS_RETURN, &one));
    OK(MPI_Info_set(info, "thread_level", "MPI_THREAD_MULTIPLE"));
    FAILS(MPI_ERR_ARG, MPI_Session_init(MPI_INFO_NULL, MPI_ERRORS_RETURN, NULL));
    OK(MPI_Session_init(info, MPI_ERRORS_RETURN, &one));
    OK(MPI_Info_free(&info));
    OK(MPI_Initialized(&flag));
    CHECK(!flag);
    OK(MPI_Session_get_info(one, &info));
    OK(MPI_Info_get_string(info, "thread_level", &room, value, &flag));
    CHECK(flag && strcmp(value, "MPI_THREAD_MULTIPLE") == 0);
    OK(MPI_Info_free(&info));

    MPI_Comm first = world_of(one, "first");
    OK(MPI_Comm_rank(first, &rank));
    OK(MPI_Comm_size(first, &size));
    sets(one);
    hints(one);
    sums(first);
    if (with_world) {
        OK(MPI_Init(NULL, NULL));
        sums(MPI_COMM_WORLD);
    }
    OK(MPI_Session_init(MPI_INFO_NULL, errhandler, &two));
    last = two;
    MPI_Comm second = world_of(two, "second");
    sums(second);
    sums(first);
    attributes(second, with_world);
    between(two);

    FAILS(MPI_ERR_ARG, MPI_Session_get_pset_info(two, "mpi://MOON", &info));
    OK(MPI_Session_call_errhandler(two, MPI_ERR_OTHER));
    EQUAL(calls, 2);
    OK(MPI_Session_get_errhandler(two, &same));
    CHECK(same == errhandler);
    OK(MPI_Errhandler_free(&same));
    OK(MPI_Session_set_errhandler(two, MPI_ERRORS_RETURN));
    FAILS(MPI_ERR_ARG, MPI_Session_get_pset_info(two, "mpi://MOON", &info));
    EQUAL(calls, 2);
    OK(MPI_Errhandler_free(&errhandler));

    OK(MPI_Comm_free(&first));
    OK(MPI_Session_finalize(&one));
    CHECK(one == MPI_SESSION_NULL);
    sums(second);
    if (with_world) {
        OK(MPI_Finalize());
        OK(MPI_Finalized(&flag));
        CHECK(flag);
        sums(second);
    }
    OK(MPI_Comm_free(&second));
    OK(MPI_Session_finalize(&two));

    /* And again, as often as the program likes. */
    for (int again = 0; again < 3; again++) {
        OK(MPI_Session_init(MPI_INFO_NULL, MPI_ERRORS_RETURN, &one));
        first = world_of(one, "again");
        sums(first);
        OK(MPI_Comm_free(&first));
        OK(MPI_Session_finalize(&one));
    }
    if (rank == 0)
        puts("passed");
    return 0;
}
