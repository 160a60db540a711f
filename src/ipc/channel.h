/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel: messages and descriptors between two processes, over a
 * SOCK_SEQPACKET socket pair, without blocking.
 *
 * A message larger than a packet travels in fragments. What the socket does
 * not take waits in the channel; channel_is_full() tells the owner to stop
 * making more (back-pressure) until it has drained. The owner watches
 * `descriptor` for reading, and for writing while channel_wants_write().
 */
#ifndef MAILBOAT_IPC_CHANNEL_H
#define MAILBOAT_IPC_CHANNEL_H

#include "base/error.h"
#include "ipc/ipc_message.h"

enum {
    CHANNEL_FRAGMENT_MAX = 64 * 1024,      /* octets of one packet */
    CHANNEL_WAITING_MAX = 4 * 1024 * 1024, /* octets that may wait before the channel says it is full */
};

struct channel_packet;

struct channel {
    int descriptor;               /* -1 when closed */
    enum process_role self, peer; /* what may be said follows from these */
    uint32_t peer_number;
    struct buffer scratch; /* the message being encoded */
    struct buffer partial; /* fragments of the message being received */
    struct channel_packet *waiting_first, *waiting_last;
    size_t waiting_octets;
    struct arena arena; /* of the last message received */
};

/* A connected pair of non-blocking, close-on-exec sockets. */
bool channel_pair(int descriptors[2], struct error *error);

/* Takes the descriptor over and makes it non-blocking. */
void channel_start(struct channel *channel, int descriptor, enum process_role self, enum process_role peer,
                   uint32_t peer_number);
void channel_close(struct channel *channel);

/* Says it, or lets it wait. `message` is the kind's struct. `attached` is a
 * descriptor to send along or -1; it is duplicated where the message has to
 * wait, so the caller keeps (and closes) its own. False when the channel is
 * broken: the peer died; the owner learns of it by CHANNEL_CLOSED too. */
bool channel_send(struct channel *channel, enum ipc_kind kind, const void *message, int attached);
bool channel_wants_write(const struct channel *channel);
bool channel_is_full(const struct channel *channel);
/* Sends what waits, as far as the socket takes it; false when it is broken. */
bool channel_flush(struct channel *channel);

/* In a process that was forked: wipes what waits in a channel of the other one. */
void channel_wipe(struct channel *channel);

/* Waits, blocking, until the socket may take more; false when it does not in time. */
bool channel_wait_writable(struct channel *channel, int timeout_ms);

enum channel_news { CHANNEL_MESSAGE, CHANNEL_EMPTY, CHANNEL_CLOSED };
/* The next message. Its texts live until the next call. `attached` gets the
 * descriptor that came with it (the caller owns it), or -1. Malformed or
 * forbidden messages count as CHANNEL_CLOSED, and so does a message with a
 * descriptor that it does not carry, or with more than one; those are closed. */
enum channel_news channel_receive(struct channel *channel, enum ipc_kind *kind, union ipc_message *message,
                                  int *attached);

#endif
