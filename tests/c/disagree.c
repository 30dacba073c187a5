/* Collective calls that are wrong: their ranks do not agree about a count, a root, an operation, a
 * type or the function, drawn from a seed. No call may hang; what it returns, and what is in its
 * buffers, does not matter. After each, the next one works on a new communicator. With "late" the
 * calls are right, and some ranks come to them late or take long in their operations: none may
 * fail. With "threads" another thread makes each call, while the first one waits for its end, and a
 * third one waits for a message.
 *
 *     disagree SEED TRIALS [late] [threads]
 *     disagree roots | tool | polls | neighbours | doubt
 */
#include "check.h"
#include <pthread.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define MOST 70000

static uint64_t state;

/* The same numbers on all ranks. */
static unsigned draw(unsigned below)
{
    state += 0x9e3779b97f4a7c15u;
    uint64_t x = state;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (unsigned)((x ^ x >> 31) >> 33) % below;
}

/* Counts of integers around the lengths at which algorithms change. */
static const int COUNTS[] = {0,    1,    2,    3,    10,   11,    256,   257,   1023,  1024, 1025,
                             2047, 2048, 2049, 8192, 8193, 16384, 16385, 32768, 65536, 65537};
#define COUNTED ((int)(sizeof COUNTS / sizeof *COUNTS))

enum function {
    BARRIER,
    BCAST,
    GATHER,
    GATHERV,
    SCATTER,
    SCATTERV,
    ALLGATHER,
    ALLGATHERV,
    ALLTOALL,
    ALLTOALLV,
    ALLTOALLW,
    REDUCE,
    ALLREDUCE,
    REDUCE_SCATTER_BLOCK,
    REDUCE_SCATTER,
    SCAN,
    EXSCAN,
    FUNCTIONS
};
static const char *const NAMES[] = {"barrier",        "bcast",
                                    "gather",         "gatherv",
                                    "scatter",        "scatterv",
                                    "allgather",      "allgatherv",
                                    "alltoall",       "alltoallv",
                                    "alltoallw",      "reduce",
                                    "allreduce",      "reduce_scatter_block",
                                    "reduce_scatter", "scan",
                                    "exscan"};

struct call {
    enum function function;
    int form, count, root;
    MPI_Datatype type;
    MPI_Op op;
};

static int *from, *into, counts[64], places[64];
static MPI_Datatype types[64];
static int is_slow;

/* Longer than anybody waits before asking the others, and before giving up. */
static void pause_for_long(void)
{
    struct timespec pause = {0, 450000000};
    nanosleep(&pause, NULL);
}

static void first_of_both(void *a, void *b, int *count, MPI_Datatype *type)
{
    (void)type;
    if (is_slow)
        pause_for_long();
    memmove(b, a, (size_t)*count * sizeof(int));
}

/* The three forms of a call; the last arguments are the communicator, and an info object of the
 * persistent form. */
#define FORMS(name, lower, ...)                                 \
    (c->form == 0   ? MPI_##name(__VA_ARGS__, comm)             \
     : c->form == 1 ? MPI_I##lower(__VA_ARGS__, comm, &request) \
                    : MPI_##name##_init(__VA_ARGS__, comm, MPI_INFO_NULL, &request))

static int start_call(const struct call *c, MPI_Comm comm, MPI_Request *to)
{
    MPI_Request request = MPI_REQUEST_NULL;
    int code = MPI_SUCCESS, n = c->count;
    for (int i = 0; i < size; i++) {
        counts[i] = n;
        places[i] = c->function == ALLTOALLW ? i * n * (int)sizeof(int) : i * n;
        types[i] = c->type;
    }
    switch (c->function) {
    case BARRIER:
        code = c->form == 0   ? MPI_Barrier(comm)
               : c->form == 1 ? MPI_Ibarrier(comm, &request)
                              : MPI_Barrier_init(comm, MPI_INFO_NULL, &request);
        break;
    case BCAST:
        code = FORMS(Bcast, bcast, into, n, c->type, c->root);
        break;
    case GATHER:
        code = FORMS(Gather, gather, from, n, c->type, into, n, c->type, c->root);
        break;
    case GATHERV:
        code = FORMS(Gatherv, gatherv, from, n, c->type, into, counts, places, c->type, c->root);
        break;
    case SCATTER:
        code = FORMS(Scatter, scatter, from, n, c->type, into, n, c->type, c->root);
        break;
    case SCATTERV:
        code = FORMS(Scatterv, scatterv, from, counts, places, c->type, into, n, c->type, c->root);
        break;
    case ALLGATHER:
        code = FORMS(Allgather, allgather, from, n, c->type, into, n, c->type);
        break;
    case ALLGATHERV:
        code = FORMS(Allgatherv, allgatherv, from, n, c->type, into, counts, places, c->type);
        break;
    case ALLTOALL:
        code = FORMS(Alltoall, alltoall, from, n, c->type, into, n, c->type);
        break;
    case ALLTOALLV:
        code = FORMS(Alltoallv, alltoallv, from, counts, places, c->type, into, counts, places,
                     c->type);
        break;
    case ALLTOALLW:
        code =
            FORMS(Alltoallw, alltoallw, from, counts, places, types, into, counts, places, types);
        break;
    case REDUCE:
        code = FORMS(Reduce, reduce, from, into, n, c->type, c->op, c->root);
        break;
    case ALLREDUCE:
        code = FORMS(Allreduce, allreduce, from, into, n, c->type, c->op);
        break;
    case REDUCE_SCATTER_BLOCK:
        code = FORMS(Reduce_scatter_block, reduce_scatter_block, from, into, n, c->type, c->op);
        break;
    case REDUCE_SCATTER:
        code = FORMS(Reduce_scatter, reduce_scatter, from, into, counts, c->type, c->op);
        break;
    case SCAN:
        code = FORMS(Scan, scan, from, into, n, c->type, c->op);
        break;
    default:
        code = FORMS(Exscan, exscan, from, into, n, c->type, c->op);
    }
    *to = request;
    return code;
}

static int run(const struct call *c, MPI_Comm comm)
{
    MPI_Request request;
    int code = start_call(c, comm, &request);
    if (code != MPI_SUCCESS || c->form == 0)
        return code;
    if (c->form == 2)
        MPI_Start(&request);
    code = MPI_Wait(&request, MPI_STATUS_IGNORE);
    if (request != MPI_REQUEST_NULL)
        MPI_Request_free(&request);
    return code;
}

/* A call that another thread makes. */
struct errand {
    const struct call *call;
    MPI_Comm comm;
    int is_late, code;
};

static void *run_errand(void *argument)
{
    struct errand *errand = argument;
    if (errand->is_late)
        pause_for_long();
    errand->code = run(errand->call, errand->comm);
    return NULL;
}

static void *receive(void *argument)
{
    int item;
    EQUAL(MPI_Recv(&item, 1, MPI_INT, rank, 0, *(MPI_Comm *)argument, MPI_STATUS_IGNORE),
          MPI_SUCCESS);
    return NULL;
}

static void run_by_thread(struct errand *errand, MPI_Comm own)
{
    pthread_t caller, receiver;
    int item = 1;
    EQUAL(pthread_create(&receiver, NULL, receive, &own), 0);
    EQUAL(pthread_create(&caller, NULL, run_errand, errand), 0);
    pthread_join(caller, NULL);
    EQUAL(MPI_Send(&item, 1, MPI_INT, rank, 0, own), MPI_SUCCESS);
    pthread_join(receiver, NULL);
}

/* Ends the job when a line is said on the standard error stream, which it passes on to the second
 * of these descriptors. */
static void *pass_on(void *argument)
{
    const int *ends = argument;
    char text[4096];
    size_t length = 0;
    while (length < sizeof text && (length == 0 || text[length - 1] != '\n')) {
        ssize_t more = read(ends[0], text + length, sizeof text - length);
        CHECK(more > 0);
        length += (size_t)more;
    }
    CHECK(write(ends[1], text, length) == (ssize_t)length);
    MPI_Abort(MPI_COMM_WORLD, 3);
    return NULL;
}

/* Each rank waits for a neighbour that does not take it for one, which nobody can tell from the
 * arguments of the call. */
static void *wait_for_neighbours(void *unused)
{
    int neighbour = (rank + 1) % size;
    char own = 0, theirs;
    MPI_Comm graph;
    EQUAL(MPI_Dist_graph_create_adjacent(MPI_COMM_WORLD, 1, &neighbour, MPI_UNWEIGHTED, 0, NULL,
                                         MPI_UNWEIGHTED, MPI_INFO_NULL, 0, &graph),
          MPI_SUCCESS);
    MPI_Neighbor_allgather(&own, 1, MPI_BYTE, &theirs, 1, MPI_BYTE, graph);
    return unused;
}

/* The same, and each rank has a thread that may do anything for it. */
static void doubt(void)
{
    int ends[2], descriptors[2];
    EQUAL(pipe(ends), 0);
    descriptors[0] = ends[0];
    descriptors[1] = dup(2);
    EQUAL(dup2(ends[1], 2), 2);
    pthread_t reader;
    EQUAL(pthread_create(&reader, NULL, pass_on, descriptors), 0);
    wait_for_neighbours(NULL);
}

static int is_word(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], word) == 0)
            return 1;
    return 0;
}

/* A tool wants ranks to ask each other after so many microseconds. */
static void set_stall(unsigned long long time)
{
    int level, index, count;
    MPI_T_cvar_handle stall;
    EQUAL(MPI_T_init_thread(MPI_THREAD_SINGLE, &level), MPI_SUCCESS);
    EQUAL(MPI_T_cvar_get_index("FERRITE_STALL", &index), MPI_SUCCESS);
    EQUAL(MPI_T_cvar_handle_alloc(index, NULL, &stall, &count), MPI_SUCCESS);
    EQUAL(MPI_T_cvar_write(stall, &time), MPI_SUCCESS);
    EQUAL(MPI_T_cvar_handle_free(&stall), MPI_SUCCESS);
    EQUAL(MPI_T_finalize(), MPI_SUCCESS);
}

int main(int argc, char **argv)
{
    int has_threads = is_word(argc, argv, "threads") || is_word(argc, argv, "neighbours") ||
                      is_word(argc, argv, "doubt");
    if (has_threads) {
        int level;
        EQUAL(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level), MPI_SUCCESS);
        EQUAL(level, MPI_THREAD_MULTIPLE);
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        MPI_Comm_size(MPI_COMM_WORLD, &size);
    } else {
        start(&argc, &argv);
    }
    /* These end with the error handler that every program starts with. */
    if (is_word(argc, argv, "tool"))
        set_stall(100000);
    if (is_word(argc, argv, "roots") || is_word(argc, argv, "tool")) {
        /* Each rank waits for another one's data. */
        static char data[8192];
        MPI_Bcast(data, sizeof data, MPI_BYTE, (rank + 1) % size, MPI_COMM_WORLD);
        return finish();
    }
    if (is_word(argc, argv, "polls")) {
        static char data[8192];
        int done = 0;
        MPI_Request request;
        MPI_Ibcast(data, sizeof data, MPI_BYTE, (rank + 1) % size, MPI_COMM_WORLD, &request);
        while (!done) {
            usleep(50);
            MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        }
        return finish();
    }
    if (is_word(argc, argv, "neighbours")) {
        pthread_t caller;
        EQUAL(pthread_create(&caller, NULL, wait_for_neighbours, NULL), 0);
        pthread_join(caller, NULL);
        return finish();
    }
    if (is_word(argc, argv, "doubt")) {
        doubt();
        return finish();
    }
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    int trials = argc > 2 ? atoi(argv[2]) : 20, errors = 0, later = 0;
    int is_late = is_word(argc, argv, "late");
    int is_loud = getenv("FERRITE_TEST_LOUD") != NULL;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Op ours;
    MPI_Comm own;
    EQUAL(MPI_Comm_dup(MPI_COMM_WORLD, &own), MPI_SUCCESS);
    MPI_Op_create(first_of_both, 0, &ours);
    from = calloc((size_t)MOST * (size_t)size * 2, sizeof *from);
    into = calloc((size_t)MOST * (size_t)size * 2, sizeof *into);
    for (int trial = 0; trial < trials; trial++) {
        state = seed * 1000003 + (unsigned)trial;
        struct call right, wrong;
        right.function = (enum function)draw(FUNCTIONS);
        right.form = (int)draw(3);
        right.count = COUNTS[draw(COUNTED)];
        right.root = (int)draw((unsigned)size);
        right.type = MPI_INT;
        right.op = MPI_SUM;
        wrong = right;
        unsigned kind = draw(10);
        if (kind < 6)
            wrong.count = COUNTS[draw(COUNTED)];
        else if (kind == 6)
            wrong.root = (right.root + 1 + (int)draw((unsigned)size)) % size;
        else if (kind == 7)
            wrong.op = ours;
        else if (kind == 8)
            wrong.type = draw(2) ? MPI_DOUBLE : MPI_BYTE;
        else
            wrong.function = (enum function)draw(FUNCTIONS);
        unsigned who = 1 + draw((1u << size) - 1);
        int am_late = is_late && (who >> rank & 1);
        if (is_late) {
            wrong = right;
            if (draw(2)) {
                /* These do not come late, but are long in the call. */
                right.op = wrong.op = ours;
                right.type = wrong.type = MPI_INT;
                is_slow = am_late;
                am_late = 0;
            }
        }
        const struct call *mine = who >> rank & 1 ? &wrong : &right;
        MPI_Comm comm;
        EQUAL(MPI_Comm_dup(MPI_COMM_WORLD, &comm), MPI_SUCCESS);
        if (is_loud && rank == 0)
            fprintf(stderr,
                    "trial %d: %s, form %d, %d items, root %d; ranks %#x: %s, %d items, root %d, "
                    "kind %u\n",
                    trial, NAMES[right.function], right.form, right.count, right.root, who,
                    NAMES[wrong.function], wrong.count, wrong.root, kind);
        double before = MPI_Wtime();
        struct errand errand = {mine, comm, am_late, MPI_SUCCESS};
        if (has_threads)
            run_by_thread(&errand, own);
        else
            run_errand(&errand);
        int code = errand.code;
        is_slow = 0;
        CHECK(code == MPI_SUCCESS || !is_late);
        if (code != MPI_SUCCESS) {
            char text[MPI_MAX_ERROR_STRING];
            int length;
            errors++;
            MPI_Error_string(code, text, &length);
            if (is_loud)
                fprintf(stderr, "trial %d: rank %d after %.2f s: %s\n", trial, rank,
                        MPI_Wtime() - before, text);
        }
        later += MPI_Wtime() - before > 0.1;
        MPI_Comm_free(&comm);
        int all = 0, one = 1;
        EQUAL(MPI_Allreduce(&one, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD), MPI_SUCCESS);
        EQUAL(all, size);
    }
    if (is_loud)
        fprintf(stderr, "rank %d: %d of %d trials were errors, %d took long\n", rank, errors,
                trials, later);
    MPI_Op_free(&ours);
    MPI_Comm_free(&own);
    free(from);
    free(into);
    return finish();
}
