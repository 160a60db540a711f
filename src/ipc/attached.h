/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attached: the descriptor that comes with a message, and none besides it.
 *
 * channel.c calls attached_take() after each recvmsg() and, once it has
 * decoded the message, attached_fits(). A peer that was taken over can attach
 * up to 253 descriptors (SCM_MAX_FD) of any type to any packet. The room for
 * control data holds ATTACHED_SIZE descriptors, so the kernel installs no more
 * than that and drops the rest; all but the first are closed here.
 */
#ifndef MAILBOAT_IPC_ATTACHED_H
#define MAILBOAT_IPC_ATTACHED_H

#include <sys/socket.h>

#include "ipc/ipc_message.h"

enum { ATTACHED_SIZE = 2 }; /* CMSG_SPACE of one descriptor is that of two where pointers have 64 bits */

/* Room for the control data of one packet. */
union attached_buffer {
    struct cmsghdr header;
    char octets[CMSG_SPACE(ATTACHED_SIZE * sizeof(int))];
};

struct attached {
    int descriptor; /* -1: none. The owner closes it */
    /* more than one came, or control data that nobody sends here: the peer is not to be trusted */
    bool excess;
    bool lost; /* one or more did not arrive: this process had none free, or there were too many */
};

/* Takes the descriptors out of a message that recvmsg() has filled in. */
struct attached attached_take(struct msghdr *message);

/* True if this is what a message that carries `what` brings: a socket where a
 * socket belongs, a regular file that is open in the right direction where a
 * file does. Changes nothing, closes nothing. */
bool attached_fits(int descriptor, enum ipc_carries what);

#endif
