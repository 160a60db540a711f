/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_kind: the implementation of a kind of store: a table for each group of store.h's operations, at
 * the start of every `struct store`. Each entry has the type of the operation of its name, so that
 * signatures exist only in store.h; store.c asserts the callers' obligations and forwards the call. For
 * the kinds themselves, and for tests that wrap a store.
 */
#ifndef MAILBOAT_STORE_QUEUE_STORE_KIND_H
#define MAILBOAT_STORE_QUEUE_STORE_KIND_H

#include "store/queue/store.h"

#define STORE_OPERATION(name) __typeof__(store_##name) *(name)

struct store_changes {
    STORE_OPERATION(close);
    STORE_OPERATION(commit_start);
    STORE_OPERATION(commit_done);
    STORE_OPERATION(commit_descriptor); /* NULL: -1 */
    STORE_OPERATION(is_changed);
    STORE_OPERATION(verdict);
    STORE_OPERATION(spool);
    STORE_OPERATION(spool_drop);
    STORE_OPERATION(accept);
    STORE_OPERATION(settle);
    STORE_OPERATION(add_member);
    STORE_OPERATION(remove);
    STORE_OPERATION(destination_put);
    STORE_OPERATION(note_put);
    STORE_OPERATION(events_put);
    STORE_OPERATION(events_drop);
};

struct store_pages {
    STORE_OPERATION(due);
    STORE_OPERATION(next_due);
    STORE_OPERATION(destination);
    STORE_OPERATION(destinations_due);
};

struct store_people {
    STORE_OPERATION(read);
    STORE_OPERATION(content);
    STORE_OPERATION(recipients);
    STORE_OPERATION(attempts);
    STORE_OPERATION(list);
    STORE_OPERATION(ids);
    STORE_OPERATION(walk);
    STORE_OPERATION(events_after);
    STORE_OPERATION(note);
};

/* The common part of every kind of store. */
struct store {
    const struct store_changes *changes;
    const struct store_pages *pages;
    const struct store_people *people;
};

#endif
