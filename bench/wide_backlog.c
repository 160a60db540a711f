/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wide backlog: listen() with room for 1,024 connections that wait to be taken. Loaded into a server whose
 * program has a small number built in, as OpenSMTPD's 5, so that a burst of new connections does not wait for
 * TCP's second try.
 */
#include <sys/syscall.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

int listen(int socket, int backlog)
{
    return (int)syscall(SYS_listen, socket, backlog > BACKLOG ? backlog : BACKLOG);
}
