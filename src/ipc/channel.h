/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel: messages and descriptors between two processes, over a SOCK_SEQPACKET socket pair, without
 * blocking.
 *
 * Messages larger than a packet are sent in fragments. Packets that the socket does not accept wait in the
 * channel; channel_is_full() tells the owner to pause (back-pressure) until it has drained. The owner
 * watches `descriptor` for reading, and for writing while channel_wants_write().
 *
 * The owner of an end can change: a process that is replaced leaves its end to its successor, which reads and
 * writes on. That works only between two messages, so the process first finishes those that it has begun to
 * read or to write (run/child.h). If it could not, the successor gets the rest of a message: fragments are
 * marked, so the rest is never taken for a message, and the channel counts as closed. The same holds for an
 * answer that a process left unfinished and its successor follows with another one.
 */
#ifndef MAILBOAT_IPC_CHANNEL_H
#define MAILBOAT_IPC_CHANNEL_H

#include "base/error.h"
#include "ipc/ipc_message.h"

enum {
    CHANNEL_FRAGMENT_MAX = 64 * 1024,      /* octets of one packet */
    CHANNEL_WAITING_MAX = 4 * 1024 * 1024, /* octets that may wait before the channel is full */
};

struct channel_packet;

struct channel {
    int descriptor;               /* -1 when closed */
    enum process_role self, peer; /* they determine the allowed messages */
    uint32_t peer_number;
    struct buffer scratch; /* the message being encoded */
    struct buffer partial; /* fragments of an incomplete message */
    bool is_partial;       /* the first fragment has been read, and the last has not */
    struct channel_packet *waiting_first, *waiting_last;
    size_t waiting_octets;
    struct arena arena; /* of the last received message */
};

/* Creates a connected pair of non-blocking, close-on-exec sockets. */
bool channel_pair(int descriptors[2], struct error *error);

/* Takes ownership of the descriptor and makes it non-blocking. */
void channel_start(struct channel *channel, int descriptor, enum process_role self, enum process_role peer,
                   uint32_t peer_number);
void channel_close(struct channel *channel);

/* Sends a message, or queues it. `message` is the kind's struct. `attached` is a descriptor to send along
 * or -1; it is duplicated if the message waits, so the caller keeps (and closes) its own. False if the
 * channel is broken: the peer died; the owner also gets CHANNEL_CLOSED. */
bool channel_send(struct channel *channel, enum ipc_kind kind, const void *message, int attached);
bool channel_wants_write(const struct channel *channel);
bool channel_is_full(const struct channel *channel);
/* True between the first and the last fragment of a message that is being received. */
bool channel_is_partial(const struct channel *channel);
/* Sends waiting packets until the socket is full; false if it is broken. */
bool channel_flush(struct channel *channel);

/* After a fork: wipes the messages waiting in a channel of the parent. */
void channel_wipe(struct channel *channel);

/* Blocks until the socket can accept more; false after the timeout. */
bool channel_wait_writable(struct channel *channel, int timeout_ms);

enum channel_news { CHANNEL_MESSAGE, CHANNEL_EMPTY, CHANNEL_CLOSED };
/* Returns the next message. Its texts live until the next call. `attached` gets its descriptor (owned by
 * the caller), or -1. Malformed or forbidden messages count as CHANNEL_CLOSED, and so do a message with a
 * descriptor that it must not carry, or with more than one (these are closed), and a fragment that does not
 * follow the one before it. */
enum channel_news channel_receive(struct channel *channel, enum ipc_kind *kind, union ipc_message *message,
                                  int *attached);

#endif
