/* 100,000 messages of 1 KiB to a receiver that does not receive. Order is kept, and neither side's
 * memory grows with the number of messages. The argument says what the receiver does meanwhile, and
 * how the sender sends:
 *   asleep      sleeps outside the library; blocking sends
 *   elsewhere   waits in the library for another message; blocking sends
 *   outstanding as elsewhere, and every send is outstanding at once: envelopes and requests are kept, contents are not
 */
#include "check.h"
#include <unistd.h>

#define MESSAGES 100000
#define LENGTH 1024
/* Message i is the slice of a pool of random bytes that begins at i modulo this: no two of them
 * that follow each other are equal, and none is written while it is being sent. */
#define OFFSETS 9973
/* What a rank may add to its memory, in kB. 100,000 kB were sent. */
#define BOUND 8192
#define BOUND_OUTSTANDING 50000

/* Ranks: who sends, who receives, and who ends the receiver's wait. */
enum { SENDER, RECEIVER, TIMER };

/* The most memory this process has had, in kB; its shared memory counts. */
static long peak(void)
{
    char line[256];
    long kb = -1;
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status != NULL);
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %ld kB", &kb) == 1)
            break;
    fclose(status);
    CHECK(kb > 0);
    return kb;
}

/* Once around, so that what is made on first use exists. */
static void warm_up(int peer)
{
    static unsigned char in[LENGTH], out[LENGTH];
    for (int i = 0; i < 100; i++)
        MPI_Sendrecv(out, LENGTH, MPI_BYTE, peer, 0, in, LENGTH, MPI_BYTE, peer, 0, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    CHECK(argc == 2 && size == 3);
    int asleep = strcmp(argv[1], "asleep") == 0, outstanding = strcmp(argv[1], "outstanding") == 0;
    static unsigned char message[LENGTH], pool[OFFSETS + LENGTH];
    static MPI_Request requests[MESSAGES];
    long before = 0, bound = outstanding ? BOUND_OUTSTANDING : BOUND;
    /* The program's own tables are not the library's memory. */
    memset(requests, 1, sizeof requests);
    for (int i = 0; i < OFFSETS + LENGTH; i++)
        pool[i] = (unsigned char)(((unsigned)i * 2654435761u) >> 24);

    if (rank == SENDER) {
        warm_up(RECEIVER);
        before = peak();
        for (int i = 0; i < MESSAGES; i++) {
            unsigned char *out = pool + i % OFFSETS;
            if (outstanding)
                MPI_Isend(out, LENGTH, MPI_BYTE, RECEIVER, 1, MPI_COMM_WORLD, &requests[i]);
            else
                MPI_Send(out, LENGTH, MPI_BYTE, RECEIVER, 1, MPI_COMM_WORLD);
        }
        if (outstanding) {
            MPI_Send(NULL, 0, MPI_BYTE, TIMER, 2, MPI_COMM_WORLD);
            MPI_Waitall(MESSAGES, requests, MPI_STATUSES_IGNORE);
        }
    } else if (rank == RECEIVER) {
        warm_up(SENDER);
        before = peak();
        if (asleep)
            usleep(1500000);
        else
            MPI_Recv(NULL, 0, MPI_BYTE, TIMER, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        for (int i = 0; i < MESSAGES; i++) {
            MPI_Status status;
            MPI_Recv(message, LENGTH, MPI_BYTE, SENDER, 1, MPI_COMM_WORLD, &status);
            STATUS(&status, SENDER, 1, LENGTH);
            CHECK(memcmp(message, pool + i % OFFSETS, LENGTH) == 0);
        }
    } else if (!asleep) {
        if (outstanding)
            MPI_Recv(NULL, 0, MPI_BYTE, SENDER, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        else
            usleep(1500000);
        MPI_Send(NULL, 0, MPI_BYTE, RECEIVER, 2, MPI_COMM_WORLD);
    }
    if (rank != TIMER) {
        long grown = peak() - before;
        printf("rank %d grew by %ld kB\n", rank, grown);
        fflush(stdout);
        CHECK(grown < bound);
    }
    return finish();
}
