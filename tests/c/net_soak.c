/* Messages between all pairs of ranks, for some seconds, every byte checked. Arguments: seconds,
 * seed, the longest message in bytes (4 MiB unless given).
 *
 * All ranks draw the same sequence of rounds. In each, everybody sends one to four messages of
 * drawn lengths to everybody else (and to itself), all outstanding at once, and receives in one of
 * the ways that MPI has, drawn for each rank: exactly posted, from anybody, probed, with any tag,
 * the longest first, or late. Content follows from round, sender, receiver and number, so a byte in
 * a wrong place is noticed, and so is a message that came twice or overtook another.
 *
 * Rounds use two communicators in turn: a rank that has finished a round has heard from everybody
 * in it, so nobody is more than one round ahead, and "any tag" cannot mean a message of the next
 * round. */
#include "check.h"
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define MOST 4
/* Rounds between two looks at the clock, which rank 0 makes for all. */
#define STRETCH 8

static uint64_t together;
static int longest = 4 << 20;

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static unsigned draw(unsigned below)
{
    together += 0x9E3779B97F4A7C15u;
    return (unsigned)(mix(together) % below);
}

/* Number `number` of the messages from one rank to another in a round. */
struct message {
    int from, to, number, length;
    unsigned char *buffer;
};

static uint64_t key(const struct message *message, int round)
{
    return mix(((uint64_t)round << 32) ^ ((uint64_t)message->from << 20) ^
               ((uint64_t)message->to << 8) ^ (uint64_t)message->number);
}

static void write_content(const struct message *message, int round)
{
    uint64_t word = key(message, round);
    for (int at = 0; at < message->length; at += 8) {
        int rest = message->length - at;
        memcpy(message->buffer + at, &word, rest < 8 ? (size_t)rest : 8);
        word = word * 6364136223846793005u + 1442695040888963407u;
    }
}

/* Whether a buffer holds this message and nothing was written behind it. */
static void check_message(const struct message *message, const unsigned char *buffer, int round)
{
    uint64_t word = key(message, round);
    char text[200];
    for (int at = 0; at < message->length; at += 8) {
        int rest = message->length - at;
        if (memcmp(buffer + at, &word, rest < 8 ? (size_t)rest : 8) != 0) {
            snprintf(
                text, sizeof text,
                "round %d: bytes %d and following of message %d from %d, of %d bytes, are wrong",
                round, at, message->number, message->from, message->length);
            fail(__FILE__, __LINE__, text);
        }
        word = word * 6364136223846793005u + 1442695040888963407u;
    }
    for (int at = message->length; at < message->length + GUARD; at++)
        if (buffer[at] != 0xEE)
            fail(__FILE__, __LINE__, "a byte behind a message was written");
}

static void mark_end(unsigned char *buffer, int length)
{
    memset(buffer + length, 0xEE, GUARD);
}

enum { EXACT, BACKWARDS, ANY_SOURCE, PROBED, MATCHED_PROBE, ANYTHING, LATE, WAYS };

/* Receives the messages of a round. `expected[from * MOST + number]`; a length of -1: there is no
 * such message. */
static void receive(struct message *expected, int way, int round, MPI_Comm comm,
                    MPI_Request *requests)
{
    MPI_Status status;
    int count = 0, largest = 0, total = size * MOST, index;
    for (int i = 0; i < total; i++)
        if (expected[i].length >= 0) {
            count++;
            if (expected[i].length > largest)
                largest = expected[i].length;
        }
    if (way == LATE)
        usleep(2000);
    if (way == EXACT || way == BACKWARDS || way == LATE) {
        for (int i = 0; i < total; i++) {
            struct message *message = &expected[way == BACKWARDS ? total - 1 - i : i];
            requests[i] = MPI_REQUEST_NULL;
            if (message->length < 0)
                continue;
            message->buffer = buffer_of(message->length);
            mark_end(message->buffer, message->length);
            MPI_Irecv(message->buffer, message->length, MPI_BYTE, message->from, message->number,
                      comm, &requests[i]);
        }
        for (int i = 0; i < count; i++) {
            MPI_Waitany(total, requests, &index, &status);
            CHECK(index != MPI_UNDEFINED);
            struct message *message = &expected[way == BACKWARDS ? total - 1 - index : index];
            STATUS(&status, message->from, message->number, message->length);
            check_message(message, message->buffer, round);
            free(message->buffer);
            message->length = -1;
        }
        return;
    }
    unsigned char *buffer = buffer_of(largest);
    for (int i = 0; i < count; i++) {
        int length, number = MPI_ANY_TAG, source = MPI_ANY_SOURCE;
        MPI_Message probed = MPI_MESSAGE_NULL;
        if (way == ANY_SOURCE) /* One tag after the other. */
            for (number = 0;; number++) {
                int left = 0;
                for (int from = 0; from < size; from++)
                    left += expected[from * MOST + number].length >= 0;
                if (left)
                    break;
            }
        if (way == PROBED) {
            MPI_Probe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm, &status);
            source = status.MPI_SOURCE, number = status.MPI_TAG;
        }
        if (way == MATCHED_PROBE) {
            MPI_Mprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm, &probed, &status);
            MPI_Get_count(&status, MPI_BYTE, &length);
            CHECK(length <= largest);
            mark_end(buffer, length);
            MPI_Mrecv(buffer, length, MPI_BYTE, &probed, &status);
        } else
            MPI_Recv(buffer, largest, MPI_BYTE, source, number, comm, &status);
        CHECK(status.MPI_SOURCE >= 0 && status.MPI_SOURCE < size && status.MPI_TAG >= 0 &&
              status.MPI_TAG < MOST);
        struct message *message = &expected[status.MPI_SOURCE * MOST + status.MPI_TAG];
        CHECK(message->length >= 0);
        STATUS(&status, message->from, message->number, message->length);
        /* Nothing overtakes: of what one rank sent, the lowest number that is left matches first.
         */
        if (way != ANY_SOURCE && message->number > 0)
            EQUAL(expected[message->from * MOST + message->number - 1].length, -1);
        if (way != MATCHED_PROBE)
            mark_end(buffer, message->length);
        check_message(message, buffer, round);
        message->length = -1;
    }
    free(buffer);
}

/* One round; how many bytes this rank sent. */
static long long exchange(int round, MPI_Comm comm)
{
    struct message *out = calloc((size_t)size * MOST, sizeof *out),
                   *in = calloc((size_t)size * MOST, sizeof *in);
    MPI_Request *sends = malloc((size_t)size * MOST * sizeof *sends),
                *receives = malloc((size_t)size * MOST * sizeof *receives);
    long long bytes = 0;
    int sent = 0, way = 0;
    /* Mostly short, sometimes as long as it gets. */
    static const int bounds[] = {64, 64, 4096, 4096, 70000, 300000, 1 << 20, 1 << 30};
    int bound = bounds[draw(8)], kind = (int)draw(4);
    CHECK(out && in && sends && receives);
    if (bound > longest)
        bound = longest;
    for (int to = 0; to < size; to++) {
        int of_this_rank = (int)draw(WAYS);
        if (to == rank)
            way = of_this_rank;
    }
    for (int from = 0; from < size; from++)
        for (int to = 0; to < size; to++) {
            int count = bound > 300000 ? 1 : 1 + (int)draw(MOST);
            for (int number = 0; number < MOST; number++) {
                struct message message = {
                    from, to, number, number < count ? (int)draw((unsigned)bound + 1) : -1, NULL};
                if (from == rank)
                    out[to * MOST + number] = message;
                if (to == rank)
                    in[from * MOST + number] = message;
            }
        }
    /* In order of number, beginning behind oneself, so that not everybody sends to the same rank
     * first. */
    for (int number = 0; number < MOST; number++)
        for (int distance = 0; distance < size; distance++) {
            struct message *message = &out[(rank + distance) % size * MOST + number];
            if (message->length < 0)
                continue;
            message->buffer = buffer_of(message->length);
            write_content(message, round);
            if (kind == 0)
                MPI_Issend(message->buffer, message->length, MPI_BYTE, message->to, number, comm,
                           &sends[sent++]);
            else
                MPI_Isend(message->buffer, message->length, MPI_BYTE, message->to, number, comm,
                          &sends[sent++]);
            bytes += message->length;
        }
    receive(in, way, round, comm, receives);
    MPI_Waitall(sent, sends, MPI_STATUSES_IGNORE);
    for (int i = 0; i < size * MOST; i++) {
        CHECK(in[i].length == -1);
        free(out[i].buffer);
    }
    free(out), free(in), free(sends), free(receives);
    return bytes;
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    CHECK(argc == 3 || argc == 4);
    time_t end = time(NULL) + atoi(argv[1]);
    together = strtoull(argv[2], NULL, 10);
    if (argc == 4)
        longest = atoi(argv[3]);
    MPI_Comm comms[2];
    MPI_Comm_dup(MPI_COMM_WORLD, &comms[0]);
    MPI_Comm_dup(MPI_COMM_WORLD, &comms[1]);
    MPI_Barrier(MPI_COMM_WORLD);
    printf("ready %d %d\n", rank, (int)getpid());
    fflush(stdout);
    long long bytes = 0;
    int on = 1, round = 0;
    while (on) {
        for (int i = 0; i < STRETCH; i++, round++)
            bytes += exchange(round, comms[round % 2]);
        on = time(NULL) < end;
        MPI_Bcast(&on, 1, MPI_INT, 0, MPI_COMM_WORLD);
        if (rank == 0 && round % (STRETCH * 16) == 0) {
            printf("round %d\n", round);
            fflush(stdout);
        }
    }
    MPI_Comm_free(&comms[0]);
    MPI_Comm_free(&comms[1]);
    if (rank == 0)
        printf("%d rounds, %lld bytes from rank 0\n", round, bytes);
    return finish();
}
