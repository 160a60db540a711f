/* SPDX-License-Identifier: Apache-2.0 */
/* watch: a descriptor that the loop watches, level triggered: it is told when it is ready, until
 * watch_stop(). */
#ifndef MAILBOAT_IO_WATCH_H
#define MAILBOAT_IO_WATCH_H

#include "io/loop.h"

struct watch {
    struct event event;
    void (*on_ready)(void *owner, bool readable, bool writable);
    void *owner;
    short interest;
};
void watch_start(struct watch *watch, struct loop *loop, int descriptor, bool read, bool write,
                 void (*on_ready)(void *owner, bool readable, bool writable), void *owner);
void watch_change(struct watch *watch, bool read, bool write); /* no system call when nothing changes */
void watch_stop(struct watch *watch);

#endif
