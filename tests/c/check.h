/* What the C programs of the tests share: every program is one job that checks itself. Rank 0
 * prints "passed" at the end; a condition that does not hold names itself on the standard error
 * stream and aborts the job. */
#ifndef CHECK_H
#define CHECK_H

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rank = -1, size = -1;

/* Names what went wrong and ends the job. */
static inline void fail(const char *file, int line, const char *what)
{
    const char *name = strrchr(file, '/');
    fprintf(stderr, "rank %d: %s:%d: %s\n", rank, name ? name + 1 : file, line, what);
    fflush(stderr);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

#define CHECK(condition)                          \
    do {                                          \
        if (!(condition))                         \
            fail(__FILE__, __LINE__, #condition); \
    } while (0)

/* Two integers that must be equal; both are printed when they are not. */
#define EQUAL(left, right)                                                                         \
    do {                                                                                           \
        long long left_ = (long long)(left), right_ = (long long)(right);                          \
        if (left_ != right_) {                                                                     \
            char text_[256];                                                                       \
            snprintf(text_, sizeof text_, "%s is %lld, %s is %lld", #left, left_, #right, right_); \
            fail(__FILE__, __LINE__, text_);                                                       \
        }                                                                                          \
    } while (0)

/* A call that must return an error of a class. */
#define FAILS(class, call)                                                                    \
    do {                                                                                      \
        int code_ = (call), class_ = -1;                                                      \
        if (code_ != MPI_SUCCESS)                                                             \
            MPI_Error_class(code_, &class_);                                                  \
        if (class_ != (class)) {                                                              \
            char text_[256];                                                                  \
            snprintf(text_, sizeof text_, "%s returned %d of class %d, not %s", #call, code_, \
                     class_, #class);                                                         \
            fail(__FILE__, __LINE__, text_);                                                  \
        }                                                                                     \
    } while (0)

static inline void start(int *argc, char ***argv)
{
    EQUAL(MPI_Init(argc, argv), MPI_SUCCESS);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
}

static inline int finish(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    if (rank == 0)
        printf("passed\n");
    return 0;
}

/* Lengths in bytes on both sides of every limit between protocols. */
static const int LENGTHS[] = {0,    1,     8,     40,    41,    56,    57,     1024,    4096,
                              8192, 16384, 32768, 32769, 65536, 65537, 262145, 1048576, 5242880};
#define LENGTH_COUNT ((int)(sizeof LENGTHS / sizeof *LENGTHS))
#define LONGEST 5242880

/* Bytes behind a receive buffer that nobody may touch. */
#define GUARD 64

/* A message's content follows from its seed. */
static inline void fill(unsigned char *buffer, size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; i++)
        buffer[i] = (unsigned char)(seed * 31 + i * 7 + (i >> 8));
}

static inline void clear(unsigned char *buffer, size_t length)
{
    memset(buffer, 0xEE, length + GUARD);
}

/* Whether a buffer holds a message of this length and seed, and nothing was written behind it. */
static inline void check_content(const unsigned char *buffer, size_t length, unsigned seed,
                                 const char *file, int line)
{
    char text[128];
    for (size_t i = 0; i < length; i++)
        if (buffer[i] != (unsigned char)(seed * 31 + i * 7 + (i >> 8))) {
            snprintf(text, sizeof text, "byte %zu of a message of %zu is wrong (seed %u)", i,
                     length, seed);
            fail(file, line, text);
        }
    for (size_t i = length; i < length + GUARD; i++)
        if (buffer[i] != 0xEE) {
            snprintf(text, sizeof text, "byte %zu behind a message of %zu was written", i - length,
                     length);
            fail(file, line, text);
        }
}

#define CONTENT(buffer, length, seed) check_content(buffer, length, seed, __FILE__, __LINE__)

static inline void check_status(const MPI_Status *status, int source, int tag, int length,
                                const char *file, int line)
{
    int count = -1;
    char text[128];
    MPI_Get_count(status, MPI_BYTE, &count);
    if (status->MPI_SOURCE != source || status->MPI_TAG != tag || count != length) {
        snprintf(text, sizeof text, "status is source %d, tag %d, %d bytes, not %d, %d, %d",
                 status->MPI_SOURCE, status->MPI_TAG, count, source, tag, length);
        fail(file, line, text);
    }
}

#define STATUS(status, source, tag, length) \
    check_status(status, source, tag, length, __FILE__, __LINE__)

/* A buffer for a message and its guard. */
static inline unsigned char *buffer_of(size_t length)
{
    unsigned char *buffer = malloc(length + GUARD);
    CHECK(buffer != NULL);
    return buffer;
}

static inline int query_plain(void *state, MPI_Status *status)
{
    (void)state;
    memset(status, 0, sizeof *status);
    MPI_Status_set_elements(status, MPI_INT, 1);
    MPI_Status_set_cancelled(status, 0);
    return MPI_SUCCESS;
}

static inline int free_plain(void *state)
{
    (void)state;
    return MPI_SUCCESS;
}

static inline int cancel_plain(void *state, int complete)
{
    (void)state;
    (void)complete;
    return MPI_SUCCESS;
}

/* Starts a generalized request whose status is that of one int. */
static inline void start_generalized(MPI_Request *request)
{
    MPI_Grequest_start(query_plain, free_plain, cancel_plain, NULL, request);
}

#endif
