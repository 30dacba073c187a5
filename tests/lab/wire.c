/* A long wire: joins an interface with a new tap device and carries frames both ways, late and with
 * losses.
 *
 *   wire INTERFACE TAP DELAY_US LOSS_PER_THOUSAND
 *
 * What netem does where the kernel has it. Frames keep their order. Large unsegmented frames pass
 * as they are, with the header by which the kernel describes them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Frames that may be under way in one direction; more are lost, as in a router whose queue is full.
 */
#define UNDER_WAY 20000
/* The longest frame with its header. */
#define LONGEST (1 << 17)
#define NEVER UINT64_MAX
/* How long a frame that the other side has no room for waits, in ns. */
#define AGAIN 20000

struct frame {
    uint64_t due;
    ssize_t length;
    struct frame *next;
    char data[];
};

/* The frames under way from one end to the other, oldest first. */
struct direction {
    int from, to, count;
    struct frame *first, **end;
};

static void give_up(const char *what)
{
    fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int open_interface(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL)), on = 1,
        size = 64 << 20;
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(name)};
    struct packet_mreq everything = {.mr_ifindex = address.sll_ifindex,
                                     .mr_type = PACKET_MR_PROMISC};
    if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) ||
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &everything, sizeof everything) ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) ||
        bind(fd, (struct sockaddr *)&address, sizeof address))
        give_up(name);
    return fd;
}

static int open_tap(const char *name)
{
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC),
        header = sizeof(struct virtio_net_hdr);
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) || ioctl(fd, TUNSETVNETHDRSZ, &header) ||
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6))
        give_up("/dev/net/tun");
    return fd;
}

/* Takes in what has come, up to a batch. */
static void receive(struct direction *way, uint64_t delay, int loss)
{
    static char buffer[LONGEST];
    for (int i = 0; i < 64; i++) {
        ssize_t length = read(way->from, buffer, sizeof buffer);
        if (length <= 0)
            return;
        if (rand() % 1000 < loss || way->count >= UNDER_WAY)
            continue;
        struct frame *frame = malloc(sizeof *frame + (size_t)length);
        if (!frame)
            continue;
        memcpy(frame->data, buffer, (size_t)length);
        frame->length = length;
        frame->next = NULL;
        frame->due = now() + delay;
        *way->end = frame;
        way->end = &frame->next;
        way->count++;
    }
}

/* Hands over what is due. When to be called again, at the latest. */
static uint64_t deliver(struct direction *way)
{
    struct frame *frame;
    while ((frame = way->first) && frame->due <= now()) {
        if (write(way->to, frame->data, (size_t)frame->length) < 0 &&
            (errno == EAGAIN || errno == ENOBUFS))
            return now() + AGAIN;
        /* Any other error is one more loss: an interface that is down, for example. */
        way->first = frame->next;
        if (!way->first)
            way->end = &way->first;
        way->count--;
        free(frame);
    }
    return frame ? frame->due : NEVER;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: wire INTERFACE TAP DELAY_US LOSS_PER_THOUSAND\n");
        return 2;
    }
    uint64_t delay = strtoull(argv[3], NULL, 10) * 1000;
    int loss = atoi(argv[4]), near = open_interface(argv[1]), far = open_tap(argv[2]);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct direction ways[2] = {{.from = near, .to = far}, {.from = far, .to = near}};
    if (timer < 0)
        give_up("timerfd");
    /* Without this the kernel may wake us 50 us late. */
    prctl(PR_SET_TIMERSLACK, 1000);
    srand((unsigned)getpid());
    for (int i = 0; i < 2; i++)
        ways[i].end = &ways[i].first;
    for (;;) {
        uint64_t next = NEVER, expired;
        for (int i = 0; i < 2; i++) {
            uint64_t due = deliver(&ways[i]);
            if (due < next)
                next = due;
        }
        struct itimerspec alarm = {0};
        if (next != NEVER) {
            alarm.it_value.tv_sec = (time_t)(next / 1000000000u);
            alarm.it_value.tv_nsec = (long)(next % 1000000000u);
        }
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &alarm, NULL);
        struct pollfd ready[3] = {{near, POLLIN, 0}, {far, POLLIN, 0}, {timer, POLLIN, 0}};
        if (poll(ready, 3, -1) < 0 && errno != EINTR)
            give_up("poll");
        if (read(timer, &expired, sizeof expired) < 0 && errno != EAGAIN)
            give_up("timerfd");
        for (int i = 0; i < 2; i++)
            receive(&ways[i], delay, loss);
    }
}
