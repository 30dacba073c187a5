/* Ranks that sleep and wake at random, for some seconds: a wake-up that is lost shows as a hang.
 * Arguments: seconds, seed.
 *
 * All ranks draw the same sequence of pairs, kinds and lengths, so that they agree on every message
 * without talking; each draws its own sleeps. A receiver is mostly asleep in the library when its
 * message comes, or about to fall asleep, or waking up for another. */
#include "check.h"
#include <stdint.h>
#include <time.h>
#include <unistd.h>

static uint64_t together, alone;

static unsigned draw(uint64_t *state, unsigned below)
{
    *state += 0x9E3779B97F4A7C15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (unsigned)((z ^ (z >> 31)) % below);
}

/* Nothing, a moment of work, or a sleep about as long as the library waits before it sleeps itself.
 */
static void pause_at_random(void)
{
    switch (draw(&alone, 4)) {
    case 0:
        break;
    case 1: {
        volatile unsigned work = draw(&alone, 100000);
        while (work)
            work--;
        break;
    }
    case 2:
        usleep(draw(&alone, 200));
        break;
    default:
        usleep(draw(&alone, 3000));
    }
}

static void message(int round, unsigned char *buffer)
{
    static const int lengths[] = {0, 8, 40, 1024, 20000, 100000};
    int from = (int)draw(&together, size), to = (int)draw(&together, size - 1),
        length = lengths[draw(&together, 6)];
    unsigned how = draw(&together, 4);
    to = (from + 1 + to) % size;
    if (rank != from && rank != to)
        return;
    pause_at_random();
    if (rank == from) {
        MPI_Request request;
        fill(buffer, length, round);
        if (how == 0)
            MPI_Ssend(buffer, length, MPI_BYTE, to, 1, MPI_COMM_WORLD);
        else {
            MPI_Isend(buffer, length, MPI_BYTE, to, 1, MPI_COMM_WORLD, &request);
            pause_at_random();
            MPI_Wait(&request, MPI_STATUS_IGNORE);
        }
    } else {
        MPI_Request requests[2];
        MPI_Status status;
        int index;
        clear(buffer, length);
        if (how == 1) {
            MPI_Probe(MPI_ANY_SOURCE, 1, MPI_COMM_WORLD, &status);
            MPI_Recv(buffer, length, MPI_BYTE, from, 1, MPI_COMM_WORLD, &status);
        } else if (how == 2) {
            /* One of two; the other one never comes. */
            MPI_Irecv(buffer, length, MPI_BYTE, from, 1, MPI_COMM_WORLD, &requests[0]);
            MPI_Irecv(NULL, 0, MPI_BYTE, from, 2, MPI_COMM_WORLD, &requests[1]);
            MPI_Waitany(2, requests, &index, &status);
            EQUAL(index, 0);
            MPI_Cancel(&requests[1]);
            MPI_Wait(&requests[1], MPI_STATUS_IGNORE);
        } else
            MPI_Recv(buffer, length, MPI_BYTE, from, 1, MPI_COMM_WORLD, &status);
        STATUS(&status, from, 1, length);
        CONTENT(buffer, length, round);
    }
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    CHECK(argc == 3 && size > 1);
    time_t end = time(NULL) + atoi(argv[1]);
    together = strtoull(argv[2], NULL, 10);
    alone = together ^ ((uint64_t)(rank + 1) << 32);
    unsigned char *buffer = buffer_of(100000);
    int on = 1, round = 0;
    while (on) {
        for (int i = 0; i < 200; i++)
            message(round++, buffer);
        pause_at_random();
        on = time(NULL) < end;
        MPI_Bcast(&on, 1, MPI_INT, 0, MPI_COMM_WORLD);
    }
    if (rank == 0)
        printf("%d messages\n", round);
    return finish();
}
