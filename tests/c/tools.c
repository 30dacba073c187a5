/* The tool interface: variables are found, described, read and written, take effect, count what
 * happens; events are told; categories hold all there is. 2 ranks. The argument names the transport
 * that the program chooses by a control variable; "threads" as the second asks for
 * MPI_THREAD_MULTIPLE. */
#include "check.h"

#include <stdint.h>

enum { TAG_KEPT = 7, TAG_LAST = 8, LENGTH = 1000 };

static int cvar(const char *name)
{
    int index = -1;
    EQUAL(MPI_T_cvar_get_index(name, &index), MPI_SUCCESS);
    return index;
}

static MPI_T_cvar_handle open_cvar(const char *name, int *count)
{
    MPI_T_cvar_handle handle;
    EQUAL(MPI_T_cvar_handle_alloc(cvar(name), NULL, &handle, count), MPI_SUCCESS);
    return handle;
}

static void set_number(const char *name, unsigned long long value)
{
    int count;
    unsigned long long read = 1;
    MPI_T_cvar_handle handle = open_cvar(name, &count);
    EQUAL(count, 1);
    EQUAL(MPI_T_cvar_write(handle, &value), MPI_SUCCESS);
    EQUAL(MPI_T_cvar_read(handle, &read), MPI_SUCCESS);
    EQUAL(read, value);
    EQUAL(MPI_T_cvar_handle_free(&handle), MPI_SUCCESS);
    CHECK(handle == MPI_T_CVAR_HANDLE_NULL);
}

static int set_text(const char *name, const char *value)
{
    int count;
    char read[2000];
    MPI_T_cvar_handle handle = open_cvar(name, &count);
    CHECK(count > 1 && count < (int)sizeof read);
    int code = MPI_T_cvar_write(handle, value);
    EQUAL(MPI_T_cvar_read(handle, read), MPI_SUCCESS);
    EQUAL(strcmp(read, value) == 0, code == MPI_SUCCESS);
    EQUAL(MPI_T_cvar_handle_free(&handle), MPI_SUCCESS);
    return code;
}

/* What can be asked and set before MPI is there. */
static void before(const char *transport, int threads)
{
    int number, provided = -1;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    EQUAL(MPI_T_cvar_get_num(&number), MPI_T_ERR_NOT_INITIALIZED);
    EQUAL(MPI_T_finalize(), MPI_T_ERR_NOT_INITIALIZED);
    EQUAL(MPI_T_init_thread(threads ? MPI_THREAD_MULTIPLE : MPI_THREAD_FUNNELED, &provided),
          MPI_SUCCESS);
    EQUAL(provided, threads ? MPI_THREAD_MULTIPLE : MPI_THREAD_FUNNELED);
    EQUAL(MPI_T_init_thread(MPI_THREAD_SINGLE, &provided), MPI_SUCCESS);
    EQUAL(MPI_T_finalize(), MPI_SUCCESS);
    EQUAL(set_text("FERRITE_TRANSPORT", "pigeons"), MPI_T_ERR_INVALID);
    EQUAL(set_text("FERRITE_TRANSPORT", text), MPI_T_ERR_INVALID);
    EQUAL(set_text("FERRITE_TRANSPORT", transport), MPI_SUCCESS);
    set_number("FERRITE_EAGER_LIMIT", 12345);
    EQUAL(MPI_T_cvar_get_index("FERRITE_NOTHING", &number), MPI_T_ERR_INVALID_NAME);
    EQUAL(MPI_T_cvar_get_index("FERRITE_CC", &number), MPI_T_ERR_INVALID_NAME);
}

static void describe_cvars(void)
{
    int number, index, verbosity, bind, scope, length, desc_length;
    char name[128], desc[2000], cut[5];
    MPI_Datatype type;
    MPI_T_enum values;
    EQUAL(MPI_T_cvar_get_num(&number), MPI_SUCCESS);
    CHECK(number > 10);
    for (int i = 0; i < number; i++) {
        length = sizeof name, desc_length = sizeof desc;
        EQUAL(MPI_T_cvar_get_info(i, name, &length, &verbosity, &type, &values, desc, &desc_length,
                                  &bind, &scope),
              MPI_SUCCESS);
        EQUAL(length, strlen(name) + 1);
        EQUAL(desc_length, strlen(desc) + 1);
        CHECK(desc_length > 20);
        EQUAL(MPI_T_cvar_get_index(name, &index), MPI_SUCCESS);
        EQUAL(index, i);
        EQUAL(bind, MPI_T_BIND_NO_OBJECT);
        CHECK(type == MPI_CHAR || type == MPI_UNSIGNED_LONG_LONG);
        CHECK(values == MPI_T_ENUM_NULL);
        CHECK(scope == MPI_T_SCOPE_LOCAL || scope == MPI_T_SCOPE_ALL_EQ);
        CHECK(verbosity >= MPI_T_VERBOSITY_USER_BASIC && verbosity <= MPI_T_VERBOSITY_MPIDEV_ALL);
        /* What does not fit is cut, and how much room it needs is told. */
        length = sizeof cut;
        EQUAL(MPI_T_cvar_get_info(i, cut, &length, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
              MPI_SUCCESS);
        EQUAL(strcmp(cut, "FERR"), 0);
        EQUAL(length, strlen(name) + 1);
        length = 0;
        EQUAL(MPI_T_cvar_get_info(i, NULL, &length, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
              MPI_SUCCESS);
        EQUAL(length, strlen(name) + 1);
    }
    MPI_T_cvar_handle handle = MPI_T_CVAR_HANDLE_NULL;
    EQUAL(MPI_T_cvar_get_info(number, name, &length, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
          MPI_T_ERR_INVALID_INDEX);
    EQUAL(MPI_T_cvar_get_info(-1, name, &length, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
          MPI_T_ERR_INVALID_INDEX);
    EQUAL(MPI_T_cvar_handle_alloc(number, NULL, &handle, &index), MPI_T_ERR_INVALID_INDEX);
    EQUAL(MPI_T_cvar_read(handle, &index), MPI_T_ERR_INVALID_HANDLE);
    EQUAL(MPI_T_cvar_write(handle, &index), MPI_T_ERR_INVALID_HANDLE);
    EQUAL(MPI_T_cvar_handle_free(&handle), MPI_T_ERR_INVALID_HANDLE);
    handle = open_cvar("FERRITE_SPIN", &index);
    EQUAL(MPI_T_cvar_read(handle, NULL), MPI_T_ERR_INVALID);
    EQUAL(MPI_T_cvar_write(handle, NULL), MPI_T_ERR_INVALID);
    EQUAL(MPI_T_cvar_handle_free(&handle), MPI_SUCCESS);
    EQUAL(set_text("FERRITE_TRANSPORT", ""), MPI_T_ERR_CVAR_SET_NOT_NOW);
    set_number("FERRITE_SPIN", 5);
    set_number("FERRITE_YIELD", ~0ull);
    set_number("FERRITE_YIELD", 100);
}

static MPI_T_pvar_session session;

static int pvar(const char *name, int class)
{
    int index = -1;
    EQUAL(MPI_T_pvar_get_index(name, class, &index), MPI_SUCCESS);
    return index;
}

static MPI_T_pvar_handle open_pvar(const char *name, int class)
{
    int count;
    MPI_T_pvar_handle handle;
    EQUAL(MPI_T_pvar_handle_alloc(session, pvar(name, class), NULL, &handle, &count), MPI_SUCCESS);
    EQUAL(count, 1);
    return handle;
}

static unsigned long long value(MPI_T_pvar_handle handle)
{
    unsigned long long value = ~0ull;
    EQUAL(MPI_T_pvar_read(session, handle, &value), MPI_SUCCESS);
    return value;
}

static void describe_pvars(void)
{
    int number, index, verbosity, class, bind, readonly, continuous, atomic, length, desc_length,
        item;
    char name[128], desc[2000];
    MPI_Datatype type;
    MPI_T_enum values;
    EQUAL(MPI_T_pvar_get_num(&number), MPI_SUCCESS);
    CHECK(number >= 10);
    for (int i = 0; i < number; i++) {
        length = sizeof name, desc_length = sizeof desc;
        EQUAL(MPI_T_pvar_get_info(i, name, &length, &verbosity, &class, &type, &values, desc,
                                  &desc_length, &bind, &readonly, &continuous, &atomic),
              MPI_SUCCESS);
        EQUAL(MPI_T_pvar_get_index(name, class, &index), MPI_SUCCESS);
        EQUAL(index, i);
        EQUAL(MPI_T_pvar_get_index(name, MPI_T_PVAR_CLASS_TIMER, &index), MPI_T_ERR_INVALID_NAME);
        EQUAL(type == MPI_INT, class == MPI_T_PVAR_CLASS_STATE);
        EQUAL(values != MPI_T_ENUM_NULL, class == MPI_T_PVAR_CLASS_STATE);
        CHECK(desc_length > 20 && bind == MPI_T_BIND_NO_OBJECT);
        EQUAL(readonly, continuous);
        EQUAL(atomic, !readonly);
    }
    EQUAL(MPI_T_pvar_get_info(number, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                              NULL, NULL),
          MPI_T_ERR_INVALID_INDEX);
    EQUAL(MPI_T_pvar_get_index("nothing", MPI_T_PVAR_CLASS_COUNTER, &index),
          MPI_T_ERR_INVALID_NAME);

    /* A state is a number with a name. */
    int state = -1, wanted = 0, found = 0;
    MPI_Query_thread(&wanted);
    MPI_T_pvar_handle handle = open_pvar("ferrite_thread_level", MPI_T_PVAR_CLASS_STATE);
    EQUAL(MPI_T_pvar_read(session, handle, &state), MPI_SUCCESS);
    MPI_T_pvar_get_info(pvar("ferrite_thread_level", MPI_T_PVAR_CLASS_STATE), NULL, NULL, NULL,
                        NULL, NULL, &values, NULL, NULL, NULL, NULL, NULL, NULL);
    length = sizeof name;
    EQUAL(MPI_T_enum_get_info(values, &number, name, &length), MPI_SUCCESS);
    EQUAL(strcmp(name, "ferrite_thread_level"), 0);
    for (int i = 0; i < number; i++) {
        length = sizeof name;
        EQUAL(MPI_T_enum_get_item(values, i, &item, name, &length), MPI_SUCCESS);
        if (item == state)
            found = strcmp(name, wanted == MPI_THREAD_MULTIPLE ? "multiple" : "single") == 0;
    }
    CHECK(found);
    EQUAL(MPI_T_enum_get_item(values, number, &item, name, &length), MPI_T_ERR_INVALID_ITEM);
    EQUAL(MPI_T_enum_get_info(MPI_T_ENUM_NULL, &number, name, &length), MPI_T_ERR_INVALID_HANDLE);
    EQUAL(MPI_T_pvar_start(session, handle), MPI_T_ERR_PVAR_NO_STARTSTOP);
    EQUAL(MPI_T_pvar_stop(session, handle), MPI_T_ERR_PVAR_NO_STARTSTOP);
    EQUAL(MPI_T_pvar_write(session, handle, &state), MPI_T_ERR_PVAR_NO_WRITE);
    EQUAL(MPI_T_pvar_reset(session, handle), MPI_T_ERR_PVAR_NO_WRITE);
    EQUAL(MPI_T_pvar_readreset(session, handle, &state), MPI_T_ERR_PVAR_NO_ATOMIC);
    EQUAL(MPI_T_pvar_handle_free(session, &handle), MPI_SUCCESS);
    CHECK(handle == MPI_T_PVAR_HANDLE_NULL);
    EQUAL(MPI_T_pvar_read(session, handle, &state), MPI_T_ERR_INVALID_HANDLE);
    EQUAL(MPI_T_pvar_read(MPI_T_PVAR_SESSION_NULL, handle, &state), MPI_T_ERR_INVALID_SESSION);
}

static void exchange(int length)
{
    static char out[LENGTH], in[LENGTH];
    MPI_Sendrecv(out, length, MPI_CHAR, 1 - rank, 1, in, length, MPI_CHAR, 1 - rank, 1,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

/* Counters count while they are started, and a limit that a tool sets holds at once. */
static void count_messages(void)
{
    unsigned long long before, now;
    MPI_T_pvar_handle sent = open_pvar("ferrite_messages_sent", MPI_T_PVAR_CLASS_COUNTER);
    MPI_T_pvar_handle bytes = open_pvar("ferrite_bytes_sent", MPI_T_PVAR_CLASS_AGGREGATE);
    MPI_T_pvar_handle rendezvous = open_pvar("ferrite_rendezvous_sent", MPI_T_PVAR_CLASS_COUNTER);
    EQUAL(value(sent), 0);
    exchange(10);
    EQUAL(value(sent), 0);
    EQUAL(MPI_T_pvar_start(session, MPI_T_PVAR_ALL_HANDLES), MPI_SUCCESS);
    set_number("FERRITE_EAGER_LIMIT", 1 << 20);
    set_number("FERRITE_NET_EAGER_LIMIT", 1 << 20);
    for (int i = 0; i < 10; i++)
        exchange(LENGTH);
    EQUAL(value(sent), 10);
    EQUAL(value(bytes), 10 * LENGTH);
    EQUAL(value(rendezvous), 0);
    set_number("FERRITE_EAGER_LIMIT", LENGTH - 1);
    set_number("FERRITE_NET_EAGER_LIMIT", LENGTH - 1);
    for (int i = 0; i < 3; i++)
        exchange(LENGTH), exchange(8);
    EQUAL(value(rendezvous), 3);
    EQUAL(value(bytes), 13 * LENGTH + 24);
    EQUAL(MPI_T_pvar_stop(session, sent), MPI_SUCCESS);
    exchange(8);
    EQUAL(value(sent), 16);
    EQUAL(MPI_T_pvar_start(session, sent), MPI_SUCCESS);
    exchange(8);
    EQUAL(MPI_T_pvar_readreset(session, sent, &before), MPI_SUCCESS);
    EQUAL(before, 17);
    EQUAL(value(sent), 0);
    now = 100;
    EQUAL(MPI_T_pvar_write(session, sent, &now), MPI_SUCCESS);
    exchange(8);
    EQUAL(value(sent), 101);
    EQUAL(MPI_T_pvar_reset(session, MPI_T_PVAR_ALL_HANDLES), MPI_SUCCESS);
    EQUAL(value(sent), 0);
    EQUAL(value(bytes), 0);
    EQUAL(MPI_T_pvar_stop(session, MPI_T_PVAR_ALL_HANDLES), MPI_SUCCESS);
    /* A message to oneself is one, too. */
    EQUAL(MPI_T_pvar_start(session, sent), MPI_SUCCESS);
    int mine = 1;
    MPI_Sendrecv_replace(&mine, 1, MPI_INT, 0, 0, 0, 0, MPI_COMM_SELF, MPI_STATUS_IGNORE);
    EQUAL(value(sent), 1);
}

/* What a tool was told. */
struct told {
    int events, freed, last_tag, in_order;
    MPI_Count dropped, last_time;
    MPI_T_event_registration registration;
};

static struct told kept = {.in_order = 1};

static void on_event(MPI_T_event_instance instance, MPI_T_event_registration registration,
                     MPI_T_cb_safety safety, void *data)
{
    struct told *told = data;
    int source = -1, tag = -1, which = -1;
    unsigned long long bytes = 0;
    MPI_Count when = -1;
    struct {
        int source, tag;
        unsigned long long bytes;
    } all;
    EQUAL(MPI_T_event_read(instance, 0, &source), MPI_SUCCESS);
    EQUAL(MPI_T_event_read(instance, 1, &tag), MPI_SUCCESS);
    EQUAL(MPI_T_event_read(instance, 2, &bytes), MPI_SUCCESS);
    EQUAL(MPI_T_event_read(instance, 3, &bytes), MPI_T_ERR_INVALID_INDEX);
    EQUAL(MPI_T_event_copy(instance, &all), MPI_SUCCESS);
    CHECK(all.source == source && all.tag == tag && all.bytes == bytes);
    EQUAL(MPI_T_event_get_source(instance, &which), MPI_SUCCESS);
    EQUAL(which, 0);
    EQUAL(MPI_T_event_get_timestamp(instance, &when), MPI_SUCCESS);
    CHECK(registration == told->registration);
    CHECK(safety == MPI_T_CB_REQUIRE_NONE || safety == MPI_T_CB_REQUIRE_THREAD_SAFE);
    EQUAL(source, 1 - rank);
    EQUAL(bytes, (unsigned long long)tag);
    told->in_order &= when >= told->last_time;
    told->last_time = when;
    if (safety == MPI_T_CB_REQUIRE_NONE) {
        /* It may do anything, so it may wait for messages, too. */
        int got = -1;
        MPI_Sendrecv(&tag, 1, MPI_INT, 0, 3, &got, 1, MPI_INT, 0, 3, MPI_COMM_SELF,
                     MPI_STATUS_IGNORE);
        EQUAL(got, tag);
        MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_SELF, &got, MPI_STATUS_IGNORE);
        EQUAL(got, 0);
    }
    told->last_tag = tag;
    told->events++;
}

static void on_dropped(MPI_Count count, MPI_T_event_registration registration, int source,
                       MPI_T_cb_safety safety, void *data)
{
    (void)safety, (void)data;
    EQUAL(source, 0);
    CHECK(registration != NULL && count > 0);
    kept.dropped += count;
}

static void on_free(MPI_T_event_registration registration, MPI_T_cb_safety safety, void *data)
{
    (void)safety;
    struct told *told = data;
    CHECK(registration == told->registration);
    told->freed++;
}

/* Has rank 1 send messages to rank 0 that wait there; their tags are their lengths. Returns how
 * many. */
static int keep_messages(unsigned long long *waiting)
{
    static char data[64];
    MPI_T_pvar_handle queue = open_pvar("ferrite_unexpected_queue", MPI_T_PVAR_CLASS_LEVEL);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 1) {
        for (int i = 0; i < 5; i++)
            MPI_Send(data, TAG_KEPT, MPI_CHAR, 0, TAG_KEPT, MPI_COMM_WORLD);
        MPI_Send(data, TAG_LAST, MPI_CHAR, 0, TAG_LAST, MPI_COMM_WORLD);
        /* Nothing else is on its way until rank 0 has looked. */
        MPI_Recv(data, 0, MPI_CHAR, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        return 0;
    }
    MPI_Recv(data, 64, MPI_CHAR, 1, TAG_LAST, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    *waiting = value(queue);
    for (int i = 0; i < 5; i++)
        MPI_Recv(data, 64, MPI_CHAR, 1, TAG_KEPT, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    EQUAL(value(queue), 0);
    MPI_Send(data, 0, MPI_CHAR, 1, 0, MPI_COMM_WORLD);
    return 5;
}

static void events(int threads)
{
    int number, index, length, count = 3, bind;
    char name[128];
    MPI_Datatype types[3];
    MPI_Aint places[3];
    MPI_Info info;
    unsigned long long waiting;
    EQUAL(MPI_T_event_get_num(&number), MPI_SUCCESS);
    for (int i = 0; i < number; i++) {
        length = sizeof name;
        EQUAL(MPI_T_event_get_info(i, name, &length, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                                   &bind),
              MPI_SUCCESS);
        EQUAL(MPI_T_event_get_index(name, &index), MPI_SUCCESS);
        EQUAL(index, i);
        EQUAL(bind, MPI_T_BIND_NO_OBJECT);
    }
    EQUAL(MPI_T_event_get_index("nothing", &index), MPI_T_ERR_INVALID_NAME);
    EQUAL(MPI_T_event_get_index("ferrite_unexpected_message", &index), MPI_SUCCESS);
    EQUAL(MPI_T_event_get_info(index, NULL, NULL, NULL, types, places, &count, NULL, &info, NULL,
                               NULL, NULL),
          MPI_SUCCESS);
    EQUAL(count, 3);
    CHECK(types[0] == MPI_INT && types[1] == MPI_INT && types[2] == MPI_UNSIGNED_LONG_LONG);
    CHECK(places[0] == 0 && places[1] == 4 && places[2] == 8);
    MPI_Info_free(&info);

    MPI_T_event_registration registration;
    EQUAL(MPI_T_event_handle_alloc(number, NULL, MPI_INFO_NULL, &registration),
          MPI_T_ERR_INVALID_INDEX);
    EQUAL(MPI_T_event_handle_alloc(index, NULL, MPI_INFO_NULL, &registration), MPI_SUCCESS);
    kept.registration = registration;
    EQUAL(MPI_T_event_handle_get_info(registration, &info), MPI_SUCCESS);
    MPI_Info_free(&info);
    EQUAL(MPI_T_event_register_callback(registration, (MPI_T_cb_safety)7, MPI_INFO_NULL, &kept,
                                        on_event),
          MPI_T_ERR_INVALID);
    EQUAL(MPI_T_event_set_dropped_handler(registration, on_dropped), MPI_SUCCESS);
    /* Among threads a function must be safe for them: for others, events are dropped. */
    EQUAL(MPI_T_event_register_callback(registration, MPI_T_CB_REQUIRE_NONE, MPI_INFO_NULL, &kept,
                                        on_event),
          MPI_SUCCESS);
    int expected = keep_messages(&waiting);
    if (rank == 0)
        EQUAL(waiting, 5);
    CHECK(kept.events >= (threads ? 0 : expected) && kept.dropped >= (threads ? expected : 0));
    EQUAL(threads ? kept.events : kept.dropped, 0);
    EQUAL(MPI_T_event_register_callback(registration, MPI_T_CB_REQUIRE_ASYNC_SIGNAL_SAFE,
                                        MPI_INFO_NULL, &kept, on_event),
          MPI_SUCCESS);
    kept.events = 0, kept.dropped = 0;
    expected = keep_messages(&waiting);
    CHECK(kept.events >= expected && kept.in_order);
    EQUAL(kept.dropped, 0);
    if (rank == 0)
        CHECK(kept.last_tag == TAG_KEPT || kept.last_tag == TAG_LAST);
    /* Nobody is told any more. */
    EQUAL(MPI_T_event_handle_free(registration, &kept, on_free), MPI_SUCCESS);
    EQUAL(kept.freed, 1);
    kept.events = 0;
    keep_messages(&waiting);
    EQUAL(kept.events, 0);
    EQUAL(MPI_T_event_handle_free(registration, &kept, on_free), MPI_T_ERR_INVALID_HANDLE);
    EQUAL(MPI_T_event_read((MPI_T_event_instance)5, 0, &index), MPI_T_ERR_INVALID_HANDLE);

    MPI_Count ticks, most, now, later;
    MPI_T_source_order order;
    EQUAL(MPI_T_source_get_num(&number), MPI_SUCCESS);
    EQUAL(number, 1);
    EQUAL(MPI_T_source_get_info(0, NULL, NULL, NULL, NULL, &order, &ticks, &most, NULL),
          MPI_SUCCESS);
    CHECK(order == MPI_T_SOURCE_ORDERED && ticks > 0 && most > ticks);
    EQUAL(MPI_T_source_get_timestamp(0, &now), MPI_SUCCESS);
    EQUAL(MPI_T_source_get_timestamp(0, &later), MPI_SUCCESS);
    CHECK(now >= kept.last_time && later >= now);
    EQUAL(MPI_T_source_get_info(1, NULL, NULL, NULL, NULL, &order, &ticks, &most, NULL),
          MPI_T_ERR_INVALID_INDEX);
}

/* Everything is in one category. */
static void categories(void)
{
    int number, index, length, cvars, pvars, events, inner, stamp = -1, all[4],
                                                            sum[4] = {0, 0, 0, 1}, indices[64];
    char name[128], desc[500];
    EQUAL(MPI_T_category_get_num(&number), MPI_SUCCESS);
    EQUAL(MPI_T_cvar_get_num(&all[0]), MPI_SUCCESS);
    EQUAL(MPI_T_pvar_get_num(&all[1]), MPI_SUCCESS);
    EQUAL(MPI_T_event_get_num(&all[2]), MPI_SUCCESS);
    all[3] = number;
    char seen[4][64] = {{0}};
    for (int i = 0; i < number; i++) {
        length = sizeof name;
        int desc_length = sizeof desc;
        EQUAL(MPI_T_category_get_info(i, name, &length, desc, &desc_length, &cvars, &pvars, &inner),
              MPI_SUCCESS);
        EQUAL(MPI_T_category_get_num_events(i, &events), MPI_SUCCESS);
        EQUAL(MPI_T_category_get_index(name, &index), MPI_SUCCESS);
        EQUAL(index, i);
        int counts[4] = {cvars, pvars, events, inner};
        for (int kind = 0; kind < 4; kind++) {
            indices[counts[kind]] = -7;
            int code = kind == 0   ? MPI_T_category_get_cvars(i, 64, indices)
                       : kind == 1 ? MPI_T_category_get_pvars(i, 64, indices)
                       : kind == 2 ? MPI_T_category_get_events(i, 64, indices)
                                   : MPI_T_category_get_categories(i, 64, indices);
            EQUAL(code, MPI_SUCCESS);
            EQUAL(indices[counts[kind]], -7);
            for (int j = 0; j < counts[kind]; j++)
                CHECK(indices[j] >= 0 && indices[j] < all[kind] && !seen[kind][indices[j]]++);
            sum[kind] += counts[kind];
        }
    }
    for (int kind = 0; kind < 4; kind++)
        EQUAL(sum[kind], all[kind]);
    EQUAL(MPI_T_category_get_index("nothing", &index), MPI_T_ERR_INVALID_NAME);
    EQUAL(MPI_T_category_get_cvars(number, 64, indices), MPI_T_ERR_INVALID_INDEX);
    EQUAL(MPI_T_category_get_cvars(1, 1, indices), MPI_SUCCESS);
    EQUAL(MPI_T_category_get_cvars(1, -1, indices), MPI_T_ERR_INVALID);
    EQUAL(MPI_T_category_changed(&stamp), MPI_SUCCESS);
    CHECK(stamp >= 0);
}

static int is_network = -1;

static void on_peer(MPI_T_event_instance instance, MPI_T_event_registration registration,
                    MPI_T_cb_safety safety, void *data)
{
    (void)safety, (void)data;
    int process = -1;
    EQUAL(MPI_T_event_read(instance, 0, &process), MPI_SUCCESS);
    if (process == 1 - rank)
        EQUAL(MPI_T_event_read(instance, 1, &is_network), MPI_SUCCESS);
    /* Frees itself while it is told. */
    EQUAL(MPI_T_event_handle_free(registration, NULL, NULL), MPI_SUCCESS);
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    int threads = argc > 2, provided, index;
    before(argv[1], threads);
    MPI_T_event_registration peer[2];
    EQUAL(MPI_T_event_get_index("ferrite_peer_opened", &index), MPI_SUCCESS);
    for (int i = 0; i < 2; i++) {
        EQUAL(MPI_T_event_handle_alloc(index, NULL, MPI_INFO_NULL, &peer[i]), MPI_SUCCESS);
        EQUAL(MPI_T_event_register_callback(peer[i], MPI_T_CB_REQUIRE_THREAD_SAFE, MPI_INFO_NULL,
                                            NULL, on_peer),
              MPI_SUCCESS);
    }
    EQUAL(
        MPI_Init_thread(&argc, &argv, threads ? MPI_THREAD_MULTIPLE : MPI_THREAD_SINGLE, &provided),
        MPI_SUCCESS);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    EQUAL(size, 2);
    exchange(1);
    exchange(1);
    EQUAL(is_network, strcmp(argv[1], "tcp") == 0);
    EQUAL(MPI_T_event_handle_free(peer[0], NULL, NULL), MPI_T_ERR_INVALID_HANDLE);
    /* Once MPI runs without locks, only the thread that calls it may be a tool, too. */
    EQUAL(MPI_T_init_thread(MPI_THREAD_MULTIPLE, &provided), MPI_SUCCESS);
    EQUAL(provided, threads ? MPI_THREAD_MULTIPLE : MPI_THREAD_FUNNELED);
    EQUAL(MPI_T_finalize(), MPI_SUCCESS);
    describe_cvars();
    EQUAL(MPI_T_pvar_session_create(&session), MPI_SUCCESS);
    describe_pvars();
    count_messages();
    events(threads);
    categories();
    EQUAL(MPI_T_pvar_session_free(&session), MPI_SUCCESS);
    CHECK(session == MPI_T_PVAR_SESSION_NULL);
    EQUAL(MPI_T_pvar_session_free(&session), MPI_T_ERR_INVALID_SESSION);
    int code = finish();
    /* Tools stay after MPI. */
    EQUAL(MPI_T_cvar_get_num(&index), MPI_SUCCESS);
    EQUAL(MPI_T_finalize(), MPI_SUCCESS);
    EQUAL(MPI_T_cvar_get_num(&index), MPI_T_ERR_NOT_INITIALIZED);
    return code;
}
