/*
 * What the programs of this folder share: options, buffers and their contents, the table.
 * compare.py builds each program with the mpicc of each library, so that the same source measures
 * all of them.
 *
 * The method is that of the OSU micro-benchmarks, so that figures can be held beside those that
 * others publish:
 *
 *   - A size is measured by a number of iterations after some that warm up and are not counted.
 *     Sizes above 8 KiB take fewer.
 *   - Each counted iteration is timed by itself with MPI_Wtime; its time is the sum of the parts
 *     between two readings, and nothing that prepares, checks or lines up the ranks lies between
 *     them.
 *   - A barrier of all ranks stands before the first iteration of a size. Which other barriers
 *     there are, what an iteration is, and whose time counts is said in each program.
 *   - All ranks write to their buffers before the first iteration; these begin at a page, and an
 *     iteration uses the ones of the iteration before, also in a window of messages: a receive
 *     buffer that does not matter is shared by all of them.
 *   - With -c each rank writes other contents before each iteration, a message of a window has a
 *     buffer of its own, all ranks meet in a barrier, and whoever received compares every byte.
 *     Times are then those of buffers that were just written.
 *
 * The options -m, -i, -x, -W and -c mean what OSU's do, and the rows of the table are laid out as
 * OSU's.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <limits.h>
#include <mpi.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGE 8192      /* bytes; longer messages are measured less often */
#define MOST 1000000000 /* of any option: the sum of two is an int */
#define PAGE 4096
#define MICROSECONDS 1e6
#define MEGABYTE 1e6

/* What a program measures if it is not told otherwise. */
struct defaults {
    size_t least, most; /* bytes */
    int floor;          /* the least size that may be asked for */
    int iterations, warm_up;
    int iterations_of_large, warm_up_of_large;
    const char *letters; /* the options that it takes, for getopt */
};

static struct {
    const char *name;
    int rank, ranks;
    struct defaults given;
    int window;
    int checks; /* whether contents are compared */
} job;

/* Whether sizes are measured: a barrier has none. */
static int has_sizes(void)
{
    return strchr(job.given.letters, 'm') != NULL;
}

/* Ends the program on all ranks with a sentence: this cannot be run. */
__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    if (job.rank == 0) {
        fprintf(stderr, "%s: ", job.name);
        vfprintf(stderr, format, values);
        fputc('\n', stderr);
    }
    va_end(values);
    MPI_Finalize();
    exit(EXIT_FAILURE);
}

static long number(int letter, const char *word, const char *from, long least)
{
    char *end;
    errno = 0;
    long value = strtol(from, &end, 10);
    if (end == from || *end || errno || value < least || value > MOST)
        refuse("-%c %s: a whole number from %ld to %d is expected", letter, word, least, MOST);
    return value;
}

/* MIN:MAX, or MAX alone. */
static void sizes(const char *word)
{
    char copy[64];
    const char *colon = strchr(word, ':');
    long least = (long)job.given.least;
    if (strlen(word) >= sizeof copy)
        refuse("-m %s: MIN:MAX in bytes is expected", word);
    strcpy(copy, word);
    if (colon) {
        copy[colon - word] = '\0';
        least = number('m', word, copy, job.given.floor);
    }
    long most = number('m', word, colon ? colon + 1 : copy, job.given.floor);
    if (!colon && least > most)
        least = most;
    if (least > most)
        refuse("-m %s: the smallest message (%ld) exceeds the largest (%ld)", word, least, most);
    job.given.least = (size_t)least;
    job.given.most = (size_t)most;
}

__attribute__((noreturn)) static void help(void)
{
    if (job.rank == 0) {
        printf("Usage: %s [options]\n\n%s"
               "  -i N        counted iterations\n"
               "  -x N        iterations before them that warm up\n"
               "%s%s",
               job.name,
               has_sizes() ? "  -m MIN:MAX  sizes in bytes, MIN and its doubles up to MAX; MAX "
                             "alone keeps the default MIN\n"
                           : "",
               strchr(job.given.letters, 'W') ? "  -W N        messages in a window\n" : "",
               strchr(job.given.letters, 'c') ? "  -c          compare contents\n" : "");
        fflush(stdout);
    }
    MPI_Finalize();
    exit(EXIT_SUCCESS);
}

/* Starts MPI and reads the options. The name of the program is what stands before them: `argv[0]`,
 * and `operation` if there is one. */
static void begin(int argc, char **argv, const char *operation, struct defaults defaults)
{
    static char name[64];
    const char *slash = strrchr(argv[0], '/');
    snprintf(name, sizeof name, "%s%s%s", slash ? slash + 1 : argv[0], operation ? " " : "",
             operation ? operation : "");
    job.name = name;
    job.given = defaults;
    job.window = 64;
    MPI_Init(NULL, NULL);
    MPI_Comm_rank(MPI_COMM_WORLD, &job.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &job.ranks);
    opterr = 0;
    optind = operation ? 2 : 1;
    for (int letter; (letter = getopt(argc, argv, job.given.letters)) != -1;) {
        switch (letter) {
        case 'm':
            sizes(optarg);
            break;
        case 'i':
            job.given.iterations = job.given.iterations_of_large =
                (int)number(letter, optarg, optarg, 1);
            break;
        case 'x':
            job.given.warm_up = job.given.warm_up_of_large = (int)number(letter, optarg, optarg, 0);
            break;
        case 'W':
            job.window = (int)number(letter, optarg, optarg, 1);
            break;
        case 'c':
            job.checks = 1;
            break;
        case 'h':
            help();
        case ':':
            refuse("-%c: a value must follow (try -h)", optopt);
        default:
            refuse("-%c: there is no such option (try -h)", optopt);
        }
    }
    if (optind < argc)
        refuse("%s: only options are taken (try -h)", argv[optind]);
}

/* How often a size is measured. */
static int warm_up(size_t bytes)
{
    return bytes > LARGE ? job.given.warm_up_of_large : job.given.warm_up;
}

static int iterations(size_t bytes)
{
    return bytes > LARGE ? job.given.iterations_of_large : job.given.iterations;
}

static size_t next_size(size_t bytes)
{
    return bytes ? 2 * bytes : 1;
}

/* A buffer of `times` parts of the largest size, written to. */
static unsigned char *buffer(size_t times, int value)
{
    void *start = NULL;
    size_t most = job.given.most ? job.given.most : 1;
    int possible = posix_memalign(&start, PAGE, most * times) == 0;
    MPI_Allreduce(MPI_IN_PLACE, &possible, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (!possible)
        refuse("there is no memory for buffers of %zu times %zu bytes", times, most);
    memset(start, value, most * times);
    return start;
}

/* Byte `place` of what one rank sends to another in an iteration (and of a window): never 0, to
 * which receive buffers are set. A byte that is stale, of another message or in another place
 * differs. */
static unsigned char content(size_t bytes, int turn, int from, int to, size_t place)
{
    return (unsigned char)((bytes * 31 + (size_t)turn * 101 + (size_t)from * 17 + (size_t)to * 29 +
                            place * 7) %
                               255 +
                           1);
}

static void fill(unsigned char *target, size_t bytes, int turn, int from, int to)
{
    for (size_t place = 0; place < bytes; place++)
        target[place] = content(bytes, turn, from, to, place);
}

static int differs(const unsigned char *found, size_t bytes, int turn, int from, int to)
{
    for (size_t place = 0; place < bytes; place++)
        if (found[place] != content(bytes, turn, from, to, place))
            return 1;
    return 0;
}

/* The lines above the rows: a title, and the headings of one or two columns behind the size, if
 * there are sizes. */
static void heading(const char *title, const char *first, const char *second)
{
    if (job.rank != 0)
        return;
    printf("\n# %s\n%-10s%18s", title, has_sizes() ? "# Size" : "#", first);
    if (second)
        printf("%18s", second);
    if (job.checks)
        printf("%18s", "Validation");
    putchar('\n');
    fflush(stdout);
}

/* A row; a second value that is 0 is left out. All ranks come here with the number of wrong
 * contents that each of them saw; any of them ends the program. */
static void row(size_t bytes, double value, double second, int wrong)
{
    if (job.checks)
        MPI_Allreduce(MPI_IN_PLACE, &wrong, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (job.rank == 0) {
        if (has_sizes())
            printf("%-10zu", bytes);
        printf("%18.2f", value);
        if (second > 0)
            printf("%18.2f", second);
        if (job.checks)
            printf("%18s", wrong ? "Fail" : "Pass");
        putchar('\n');
        fflush(stdout);
    }
    if (wrong)
        refuse("%d times the contents of messages of %zu bytes were wrong", wrong, bytes);
}

static int finish(void)
{
    MPI_Finalize();
    return EXIT_SUCCESS;
}

/* The defaults of streams of messages in windows. */
static inline struct defaults stream(void)
{
    return (struct defaults){1, 1 << 22, 0, 100, 10, 20, 2, ":hm:i:x:W:c"};
}

/* The defaults of round trips. */
static inline struct defaults round_trips(void)
{
    return (struct defaults){1, 1 << 22, 0, 10000, 100, 1000, 10, ":hm:i:x:c"};
}

/* Refuses to run on anything but two ranks. */
static inline void needs_two(void)
{
    if (job.ranks != 2)
        refuse("exactly two ranks are needed, and the job has %d", job.ranks);
}

/* The number of pairs of ranks: rank n of the first half talks with rank n of the second. One rank
 * of an odd number has no partner. */
static inline int pairs(void)
{
    if (job.ranks < 2)
        refuse("at least two ranks are needed, and the job has 1");
    return job.ranks / 2;
}

#endif
