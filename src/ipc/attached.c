/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "ipc/attached.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- receiving ---- */

static void take_rights(struct attached *attached, const struct cmsghdr *header)
{
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int descriptor;
        memcpy(&descriptor, CMSG_DATA(header) + i * sizeof descriptor, sizeof descriptor);
        if (attached->descriptor < 0) {
            attached->descriptor = descriptor;
        } else {
            close(descriptor);
            attached->excess = true;
        }
    }
}

struct attached attached_take(struct msghdr *message)
{
    struct attached attached = {.descriptor = -1, .lost = (message->msg_flags & MSG_CTRUNC) != 0};
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
         header = CMSG_NXTHDR(message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
            header->cmsg_len >= CMSG_LEN(0))
            take_rights(&attached, header);
        else
            attached.excess = true; /* credentials etc. are sent only on request */
    return attached;
}

/* ---- checks ---- */

static int option_of(int descriptor, int option)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(descriptor, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

static bool is_channel(int descriptor)
{
    return option_of(descriptor, SO_DOMAIN) == AF_UNIX && option_of(descriptor, SO_TYPE) == SOCK_SEQPACKET &&
           option_of(descriptor, SO_ACCEPTCONN) == 0;
}

static bool is_connection(int descriptor)
{
    int family = option_of(descriptor, SO_DOMAIN);
    return (family == AF_INET || family == AF_INET6) && option_of(descriptor, SO_TYPE) == SOCK_STREAM &&
           option_of(descriptor, SO_ACCEPTCONN) == 0;
}

/* False for a descriptor opened with O_PATH, which cannot read or write. */
static bool is_open_for(int descriptor, int unwanted)
{
    int flags = fcntl(descriptor, F_GETFL);
    return flags >= 0 && (flags & O_PATH) == 0 && (flags & O_ACCMODE) != unwanted;
}

static bool is_of_type(int descriptor, mode_t type)
{
    struct stat facts;
    return fstat(descriptor, &facts) == 0 && (facts.st_mode & S_IFMT) == type;
}

bool attached_fits(int descriptor, enum ipc_carries what)
{
    switch (what) {
    case CARRIES_NOTHING: return false;
    case CARRIES_CHANNEL: return is_channel(descriptor);
    case CARRIES_CONNECTION: return is_connection(descriptor);
    case CARRIES_FILE_TO_READ: return is_of_type(descriptor, S_IFREG) && is_open_for(descriptor, O_WRONLY);
    case CARRIES_FILE_TO_WRITE: return is_of_type(descriptor, S_IFREG) && is_open_for(descriptor, O_RDONLY);
    }
    return false;
}
