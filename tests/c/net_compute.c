/* A rank sends, without waiting, and computes until the other one has received: it calls the
 * library no more, and the message must arrive all the same. Arguments: what is sent (one short
 * message; many; a long one, which its receiver has already asked for; or short ones around a long
 * one), and a folder in which the receiver leaves word. */
#include "check.h"
#include <time.h>
#include <unistd.h>

#define SHORTS 50
#define LONG 3000000

static unsigned char bytes[LONG + GUARD];

/* How many short messages come before, and after, the long one; whether there is one. */
struct plan {
    int before, is_long, after;
};

static struct plan plan_of(const char *how)
{
    if (strcmp(how, "one") == 0)
        return (struct plan){1, 0, 0};
    if (strcmp(how, "many") == 0)
        return (struct plan){SHORTS, 0, 0};
    if (strcmp(how, "long") == 0)
        return (struct plan){0, 1, 0};
    return (struct plan){SHORTS, 1, SHORTS};
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    CHECK(argc == 3 && size == 2);
    struct plan plan = plan_of(argv[1]);
    int numbers[2 * SHORTS], count = 0;
    MPI_Request requests[2 * SHORTS + 1];
    char path[4096];
    snprintf(path, sizeof path, "%s/received", argv[2]);
    /* So that there is a connection. */
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) {
        fill(bytes, LONG, 5);
        /* The receiver posts the long one before anything is sent, so nothing but progress at our
         * side may be missing. */
        MPI_Recv(NULL, 0, MPI_BYTE, 1, 9, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        for (int i = 0; i < plan.before; i++, count++) {
            numbers[count] = count;
            MPI_Isend(&numbers[count], 1, MPI_INT, 1, 1, MPI_COMM_WORLD, &requests[count]);
        }
        /* A long message needs its sender's help where the receiver cannot fetch it: this one is
         * sent by a call that waits. */
        if (plan.is_long)
            MPI_Send(bytes, LONG, MPI_BYTE, 1, 2, MPI_COMM_WORLD);
        for (int i = 0; i < plan.after; i++, count++) {
            numbers[count] = count;
            MPI_Isend(&numbers[count], 1, MPI_INT, 1, 1, MPI_COMM_WORLD, &requests[count]);
        }
        time_t end = time(NULL) + 30;
        while (access(path, F_OK) != 0)
            if (time(NULL) > end)
                fail(__FILE__, __LINE__, "what was sent has not arrived in 30 s of computing");
        MPI_Waitall(count, requests, MPI_STATUSES_IGNORE);
    } else {
        MPI_Request request = MPI_REQUEST_NULL;
        clear(bytes, LONG);
        if (plan.is_long)
            MPI_Irecv(bytes, LONG, MPI_BYTE, 0, 2, MPI_COMM_WORLD, &request);
        MPI_Send(NULL, 0, MPI_BYTE, 0, 9, MPI_COMM_WORLD);
        for (int i = 0; i < plan.before + plan.after; i++) {
            int number = -1;
            MPI_Recv(&number, 1, MPI_INT, 0, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            EQUAL(number, i);
        }
        MPI_Wait(&request, MPI_STATUS_IGNORE);
        if (plan.is_long)
            CONTENT(bytes, LONG, 5);
        FILE *word = fopen(path, "w");
        CHECK(word != NULL);
        fclose(word);
    }
    return finish();
}
