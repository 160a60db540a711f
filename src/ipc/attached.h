/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attached: the one descriptor that may come with a message.
 *
 * channel.c calls attached_take() after each recvmsg() and, once it has decoded the message,
 * attached_fits(). A compromised peer can attach up to 253 descriptors (SCM_MAX_FD) of any type to any
 * packet. The control buffer holds ATTACHED_SIZE descriptors, so the kernel installs no more and drops the
 * rest; all but the first are closed here.
 */
#ifndef MAILBOAT_IPC_ATTACHED_H
#define MAILBOAT_IPC_ATTACHED_H

#include <sys/socket.h>

#include "ipc/ipc_message.h"

enum { ATTACHED_SIZE = 2 }; /* CMSG_SPACE of one descriptor is that of two where pointers have 64 bits */

/* Buffer for the control data of one packet. */
union attached_buffer {
    struct cmsghdr header;
    char octets[CMSG_SPACE(ATTACHED_SIZE * sizeof(int))];
};

struct attached {
    int descriptor; /* -1: none. Closed by the owner */
    /* several descriptors, or unexpected control data: the peer is not to be trusted */
    bool excess;
    bool lost; /* one or more were lost: this process had none free, or there were too many */
};

/* Takes the descriptors from a message filled in by recvmsg(). */
struct attached attached_take(struct msghdr *message);

/* True if the descriptor fits `what`: a socket, or a regular file open in the right direction. Changes
 * nothing, closes nothing. */
bool attached_fits(int descriptor, enum ipc_carries what);

#endif
