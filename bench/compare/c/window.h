/* Windows of messages: all are started, then all are waited for. */
#ifndef WINDOW_H
#define WINDOW_H

#include "bench.h"

static unsigned char *sent, *received;
static MPI_Request *sends, *receives;

/* Buffers for windows: one each way, or one for each message where contents are compared. */
static void make_windows(void)
{
    size_t buffers = job.checks ? (size_t)job.window : 1;
    sent = buffer(buffers, 'a');
    received = buffer(buffers, 'b');
    sends = malloc((size_t)job.window * sizeof *sends);
    receives = malloc((size_t)job.window * sizeof *receives);
    if (!sends || !receives) {
        fprintf(stderr, "%s: there is no memory for a window of %d requests\n", job.name,
                job.window);
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    }
}

static size_t place_of(int message, size_t bytes)
{
    return job.checks ? (size_t)message * bytes : 0;
}

static void start_sends(size_t bytes, int peer, int tag)
{
    for (int message = 0; message < job.window; message++)
        MPI_Isend(sent + place_of(message, bytes), (int)bytes, MPI_CHAR, peer, tag, MPI_COMM_WORLD,
                  &sends[message]);
}

static void start_receives(size_t bytes, int peer, int tag)
{
    for (int message = 0; message < job.window; message++)
        MPI_Irecv(received + place_of(message, bytes), (int)bytes, MPI_CHAR, peer, tag,
                  MPI_COMM_WORLD, &receives[message]);
}

static void wait_for(MPI_Request *requests)
{
    MPI_Waitall(job.window, requests, MPI_STATUSES_IGNORE);
}

/* Writes what a rank sends in an iteration and clears what it receives. */
static void prepare_window(size_t bytes, int turn, int me, int peer)
{
    for (int message = 0; message < job.window; message++)
        fill(sent + place_of(message, bytes), bytes, turn + message, me, peer);
    memset(received, 0, bytes * (size_t)job.window);
}

/* How many messages of an iteration were wrong. */
static int wrong_in_window(size_t bytes, int turn, int me, int peer)
{
    int wrong = 0;
    for (int message = 0; message < job.window; message++)
        wrong += differs(received + place_of(message, bytes), bytes, turn + message, peer, me);
    return wrong;
}

#endif
