/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildir: puts messages into mailboxes, DOMAIN/USER/Maildir below one
 * folder, so that a message is there whole and for good, or not at all:
 * written in tmp, synced, moved to new, the folder synced.
 *
 * maildir_write() as often as messages are at hand, then maildir_sync() once
 * for all of them: folders that several share are synced once. The file's
 * name follows from the queue id, the address and the size, so that a message
 * which is delivered a second time after a crash is found to be there already;
 * the size stands in it as Maildir++ has it, for those who count.
 */
#ifndef MAILBOAT_SERVICE_LOCAL_MAILDIR_H
#define MAILBOAT_SERVICE_LOCAL_MAILDIR_H

#include "base/arena.h"
#include "base/bytes.h"

enum maildir_limit {
    MAILDIR_BATCH_MAX = 64,  /* messages between two syncs */
    MAILDIR_PATH_MAX = 1024, /* octets of a path below the folder */
};

struct maildir_message {
    uint64_t id, arrived_ms;
    struct bytes sender;
    struct bytes address; /* "user@domain", as the accounts have it */
    struct bytes prefix;  /* header fields before it, CRLF lines as the content */
    struct bytes content; /* CRLF lines; where `file` is given it is empty */
    int file;             /* or -1; read from its beginning; stays the caller's */
    unsigned mark;        /* of a second message with this id: another name; 0: none */
};

/* One message on its way: what became of it, once maildir_sync() has run. */
struct maildir_entry {
    int error;       /* errno, 0: delivered */
    bool again;      /* it was there already */
    uint64_t octets; /* of the file */
    int file;        /* maildir's own from here on */
    char tmp[MAILDIR_PATH_MAX], new[MAILDIR_PATH_MAX];
    size_t new_folder; /* octets of `new` that name the folder */
};

struct maildir {
    int folder; /* of all mailboxes; the caller's */
    const char *hostname;
    uint64_t made;                 /* files, for their names in tmp */
    struct maildir_entry *entries; /* MAILDIR_BATCH_MAX of them */
    size_t count;
    char *room; /* for writing */
    size_t room_used;
    uint64_t octets; /* of the message that is being written */
};

void maildir_start(struct maildir *maildir, int folder, const char *hostname);
void maildir_free(struct maildir *maildir);

/* The entry's place in the batch. The batch must not be full. */
size_t maildir_write(struct maildir *maildir, const struct maildir_message *message);
bool maildir_is_full(const struct maildir *maildir);
/* Is it in its mailbox from an attempt before? */
bool maildir_has(const struct maildir *maildir, const struct maildir_entry *entry);
/* It is not to arrive: its error is this errno. */
void maildir_refuse(struct maildir_entry *entry, int error);
/* Now entries[0..count) tell; maildir_clear() begins the next batch. */
void maildir_sync(struct maildir *maildir);
void maildir_clear(struct maildir *maildir);

/* Is its folder DOMAIN/USER as it stands, so that a program which knows no more than that finds it? */
bool maildir_is_plain(struct bytes address);
/* "example.org/ada/Maildir" into `room`; false when it is no address or too long. */
bool maildir_path(struct bytes address, char *room, size_t size);

#endif
