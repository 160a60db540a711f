/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildir: delivers messages into mailboxes, DOMAIN/USER/Maildir below one folder, atomically and durably:
 * written in tmp, synced, moved to new, the folder synced.
 *
 * Call maildir_write() for each available message, then maildir_sync() once for all: where the file system
 * permits (io/whole_sync.h), all files of a batch are synced together, and then all folders; otherwise each
 * file, and each folder once. The file name is derived from the queue id, the address and the size, so that a
 * message delivered again after a crash is recognized; the size in it follows Maildir++, for quota
 * calculation.
 */
#ifndef MAILBOAT_SERVICE_LOCAL_MAILDIR_H
#define MAILBOAT_SERVICE_LOCAL_MAILDIR_H

#include "base/arena.h"
#include "base/bytes.h"
#include "io/whole_sync.h"

enum maildir_limit {
    MAILDIR_BATCH_MAX = 64,  /* messages between two syncs */
    MAILDIR_PATH_MAX = 1024, /* octets of a path below the folder */
    MAILDIR_FOLDER_MAX = 64, /* octets of the name of a folder of a mailbox */
};

struct maildir_message {
    uint64_t id, arrived_ms;
    struct bytes sender;
    struct bytes address;  /* "user@domain", as in the accounts */
    struct bytes original; /* of RCPT, if an alias, a catch-all or +tag changed it; else empty */
    struct bytes prefix;   /* header fields to prepend, CRLF lines like the content */
    struct bytes content;  /* CRLF lines; empty if `file` is given */
    int file;              /* or -1; read from its beginning; owned by the caller */
    const char *folder;    /* of the mailbox, as "Junk", made as needed; NULL: the inbox */
    unsigned mark;         /* distinguishes a second message with this id: another name; 0: none */
};

/* One message in delivery, and its result after maildir_sync(). */
struct maildir_entry {
    int error;       /* errno, 0: delivered */
    bool again;      /* it existed already */
    bool in_folder;  /* not in the inbox */
    uint64_t octets; /* of the file */
    int file;        /* private to maildir from here on */
    bool is_covered; /* by the sync of the whole file system */
    char tmp[MAILDIR_PATH_MAX], new[MAILDIR_PATH_MAX];
    size_t mailbox;    /* octets of `new` that form the mailbox: "example.org/ada/Maildir" */
    size_t new_folder; /* octets of `new` that form the folder */
};

struct maildir {
    int folder; /* of all mailboxes; owned by the caller */
    const char *hostname;
    uint64_t made;                 /* files created, for names in tmp */
    struct maildir_entry *entries; /* MAILDIR_BATCH_MAX of them */
    size_t count;
    char *room; /* write buffer */
    size_t room_used;
    uint64_t octets; /* of the current message */
    struct whole_sync whole;
};

void maildir_start(struct maildir *maildir, int folder, const char *hostname);
void maildir_free(struct maildir *maildir);

/* Returns the entry's index in the batch, which must not be full. */
size_t maildir_write(struct maildir *maildir, const struct maildir_message *message);
bool maildir_is_full(const struct maildir *maildir);
/* True if it is in its mailbox from an earlier attempt. */
bool maildir_has(const struct maildir *maildir, const struct maildir_entry *entry);
/* Rejects an entry: sets its error to this errno. */
void maildir_refuse(struct maildir_entry *entry, int error);
/* Completes entries[0..count); maildir_clear() starts the next batch. */
void maildir_sync(struct maildir *maildir);
void maildir_clear(struct maildir *maildir);

/* True if its folder is literally DOMAIN/USER, so that other programs can find it. */
bool maildir_is_plain(struct bytes address);
/* Writes "example.org/ada/Maildir" into `room`; false if it is not an address or too long. */
bool maildir_path(struct bytes address, char *room, size_t size);

#endif
