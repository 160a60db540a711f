/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "ipc/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/attached.h"

/* set of these: first octet of a packet; 0: a whole message */
enum { MORE_FOLLOWS = 1, CONTINUES = 2, PACKET_FLAGS = MORE_FOLLOWS | CONTINUES };
/* octets reserved before a secret is encoded: reallocation would leave a copy */
enum { SECRET_SIZE = 32 * 1024 };

/* A packet waiting for space in the socket. */
struct channel_packet {
    struct channel_packet *next;
    int attached;
    bool is_secret;
    size_t length;
    char octets[];
};

bool channel_pair(int descriptors[2], struct error *error)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, descriptors) != 0)
        return error_set_errno(error, EX_OSERR, "cannot make a channel between processes");
    return true;
}

void channel_start(struct channel *channel, int descriptor, enum process_role self, enum process_role peer,
                   uint32_t peer_number)
{
    *channel = (struct channel){
        .descriptor = descriptor, .self = self, .peer = peer, .peer_number = peer_number};
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

static void packet_free(struct channel_packet *packet)
{
    if (packet->attached >= 0)
        close(packet->attached);
    if (packet->is_secret)
        explicit_bzero(packet->octets, packet->length);
    free(packet);
}

void channel_close(struct channel *channel)
{
    if (channel->descriptor >= 0)
        close(channel->descriptor);
    channel->descriptor = -1;
    while (channel->waiting_first != NULL) {
        struct channel_packet *next = channel->waiting_first->next;
        packet_free(channel->waiting_first);
        channel->waiting_first = next;
    }
    channel->waiting_last = NULL;
    channel->waiting_octets = 0;
    channel->is_partial = false;
    buffer_free(&channel->scratch);
    buffer_free(&channel->partial);
    arena_clear(&channel->arena);
}

/* Sends one packet: 1 sent, 0 no space, -1 broken. */
static int packet_send(int descriptor, char flag, struct bytes fragment, int attached)
{
    union {
        struct cmsghdr header;
        char buffer[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec parts[2] = {{&flag, 1}, {(void *)(uintptr_t)fragment.at, fragment.length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (attached >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control.buffer;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &attached, sizeof attached);
    }
    ssize_t sent;
    do
        sent = sendmsg(descriptor, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 1;
    /* A full socket buffer (EAGAIN, ENOBUFS) and too many descriptors in flight (ETOOMANYREFS) are
     * temporary; other errors mean that the peer is gone. */
    return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS ? 0 : -1;
}

static void packet_wait(struct channel *channel, char flag, struct bytes fragment, int attached,
                        bool is_secret)
{
    struct channel_packet *packet = memory_new(sizeof *packet + 1 + fragment.length);
    packet->is_secret = is_secret;
    packet->attached = attached < 0 ? -1 : fcntl(attached, F_DUPFD_CLOEXEC, 0);
    packet->length = 1 + fragment.length;
    packet->octets[0] = flag;
    if (fragment.length > 0)
        memcpy(packet->octets + 1, fragment.at, fragment.length);
    if (channel->waiting_last == NULL)
        channel->waiting_first = packet;
    else
        channel->waiting_last->next = packet;
    channel->waiting_last = packet;
    channel->waiting_octets += packet->length;
}

/* Sends to the socket, or queues after waiting packets. */
static bool send_scratch(struct channel *channel, bool is_secret, int attached)
{
    struct bytes left = buffer_bytes(&channel->scratch);
    assert(left.length <= IPC_MESSAGE_MAX);
    for (bool first = true; left.length > 0; first = false) {
        struct bytes fragment = bytes_first(left, CHANNEL_FRAGMENT_MAX - 1);
        left = bytes_from(left, fragment.length);
        char flag = (char)((left.length > 0 ? MORE_FOLLOWS : 0) | (first ? 0 : CONTINUES));
        int with = left.length > 0 ? -1 : attached; /* the last fragment carries the descriptor */
        int sent = channel->waiting_first != NULL ? 0
                                                  : packet_send(channel->descriptor, flag, fragment, with);
        if (sent < 0)
            return false;
        if (sent == 0)
            packet_wait(channel, flag, fragment, with, is_secret);
    }
    return true;
}

bool channel_send(struct channel *channel, enum ipc_kind kind, const void *message, int attached)
{
    bool is_secret = ipc_is_secret(kind);
    if (channel->descriptor < 0)
        return false;
    assert(ipc_allowed(kind, channel->self, channel->peer));
    assert(attached < 0 || attached_fits(attached, ipc_carries(kind, message)));
    buffer_clear(&channel->scratch);
    if (is_secret)
        buffer_reserve(&channel->scratch, SECRET_SIZE);
    ipc_encode(&channel->scratch, kind, message);
    bool sent = send_scratch(channel, is_secret, attached);
    if (is_secret)
        buffer_wipe(&channel->scratch);
    return sent;
}

void channel_wipe(struct channel *channel)
{
    buffer_wipe(&channel->scratch);
    for (struct channel_packet *packet = channel->waiting_first; packet != NULL; packet = packet->next)
        explicit_bzero(packet->octets, packet->length);
}

bool channel_wants_write(const struct channel *channel)
{
    return channel->waiting_first != NULL;
}

bool channel_is_full(const struct channel *channel)
{
    return channel->waiting_octets >= CHANNEL_WAITING_MAX;
}

bool channel_is_partial(const struct channel *channel)
{
    return channel->is_partial;
}

bool channel_flush(struct channel *channel)
{
    while (channel->waiting_first != NULL) {
        struct channel_packet *packet = channel->waiting_first;
        int sent = packet_send(channel->descriptor, packet->octets[0],
                               bytes_of(packet->octets + 1, packet->length - 1), packet->attached);
        if (sent <= 0)
            return sent == 0;
        channel->waiting_first = packet->next;
        if (packet->next == NULL)
            channel->waiting_last = NULL;
        channel->waiting_octets -= packet->length;
        packet_free(packet);
    }
    return true;
}

bool channel_wait_writable(struct channel *channel, int timeout_ms)
{
    struct pollfd buffer = {.fd = channel->descriptor, .events = POLLOUT};
    return poll(&buffer, 1, timeout_ms) == 1 && (buffer.revents & POLLOUT) != 0;
}

/* Receives one packet: its length, 0 if the peer closed, -1 with errno. */
static ssize_t packet_receive(int descriptor, char *buffer, struct attached *attached)
{
    union attached_buffer control;
    struct iovec part = {buffer, CHANNEL_FRAGMENT_MAX};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.octets};
    ssize_t got;
    *attached = (struct attached){.descriptor = -1};
    do
        got = recvmsg(descriptor, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got >= 0)
        *attached = attached_take(&message);
    return got;
}

/* True if the descriptor belongs to this message. The owner handles one that was announced and lost. */
static bool attached_belongs(const struct attached *attached, enum ipc_kind kind,
                             const union ipc_message *message)
{
    enum ipc_carries what = ipc_carries(kind, message);
    if (attached->excess || (attached->lost && (what == CARRIES_NOTHING || attached->descriptor >= 0)))
        return false;
    return attached->descriptor < 0 || attached_fits(attached->descriptor, what);
}

/* Assembles the next message: true if complete, false with `news`. */
static bool next_whole(struct channel *channel, char packet[CHANNEL_FRAGMENT_MAX], struct bytes *whole,
                       struct attached *attached, enum channel_news *news)
{
    for (;;) {
        ssize_t got = packet_receive(channel->descriptor, packet, attached);
        *news = got < 0 && errno == EAGAIN ? CHANNEL_EMPTY : CHANNEL_CLOSED;
        if (got <= 0 || channel->partial.length + (size_t)got > IPC_MESSAGE_MAX)
            return false;
        bool continues = (packet[0] & CONTINUES) != 0, more = (packet[0] & MORE_FOLLOWS) != 0;
        if ((packet[0] & ~PACKET_FLAGS) != 0 || continues != channel->is_partial)
            return false;
        *whole = bytes_of(packet + 1, (size_t)got - 1);
        if (continues || more)
            buffer_add(&channel->partial, *whole);
        channel->is_partial = more;
        if (!more) {
            if (continues) {
                *whole = arena_copy(&channel->arena, buffer_bytes(&channel->partial));
                buffer_free(&channel->partial);
            }
            return true;
        }
        /* only the last fragment carries a descriptor */
        if (attached->descriptor >= 0 || attached->excess || attached->lost)
            return false;
    }
}

enum channel_news channel_receive(struct channel *channel, enum ipc_kind *kind, union ipc_message *message,
                                  int *attached)
{
    static char packet[CHANNEL_FRAGMENT_MAX]; /* one reader at a time: a process has one loop */
    static bool packet_is_secret;
    struct attached got = {.descriptor = -1};
    struct bytes whole;
    enum channel_news news;
    *attached = -1;
    if (packet_is_secret)
        explicit_bzero(packet, sizeof packet);
    packet_is_secret = false;
    arena_clear(&channel->arena);
    if (channel->descriptor < 0)
        return CHANNEL_CLOSED;
    if (next_whole(channel, packet, &whole, &got, &news)) {
        bool fine = ipc_decode(whole, &channel->arena, kind, message) &&
                    ipc_allowed(*kind, channel->peer, channel->self) &&
                    attached_belongs(&got, *kind, message);
        packet_is_secret = fine && ipc_is_secret(*kind);
        if (fine) {
            *attached = got.descriptor;
            return CHANNEL_MESSAGE;
        }
        news = CHANNEL_CLOSED;
    }
    if (got.descriptor >= 0)
        close(got.descriptor);
    return news;
}
