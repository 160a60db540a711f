/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: the queue's storage, in mail terms: messages, recipients, destinations. Its operations are
 * declared here once, in three groups; a kind of store (sqlite.h on disk, memory.h for the simulation) has
 * a table per group (store_kind.h), and one contract test checks all kinds. store_open()
 * (store/store_open.h) opens the configured one.
 *
 * The queue process is the only writer. Changes form a batch that opens with the first of them;
 * store_commit() puts all of it on disk, synced, or none of it. A failure within a batch is recorded and
 * reported by the commit, so that changes return nothing. A query that fails, because the store is
 * unreachable or broken, finds nothing, and fails the batch in the same way: no conclusion drawn from it
 * is stored. Readers check store_verdict() at the end. Bounds that the caller must keep are asserted in
 * store.c, for every kind. The cost of an operation does not depend on the number of queued messages,
 * except where noted.
 *
 * Content of a store:
 *   message      id, times, envelope, origin, prefix, content (large ones beside it)
 *   recipient    one for each that still waits: where it goes, when it is due,
 *                what the last attempts said. Delivered or failed: gone.
 *   destination  one for each name under which recipients wait: the earliest
 *                time at which it is worth a look. Never later than the first
 *                due recipient, unless the destination itself is put off
 *                because nobody answers there, or it refuses (`failures`).
 *   note         what the queue wants to remember about itself
 *   events       what the batches told of, one row per batch, written with the batch
 *                that they tell of (core/event/mail_event.h): what is stored and
 *                what is said to have happened cannot differ
 *
 *   judgements   the same of what mail authentication found, of accepted and of
 *                rejected messages: a stream of its own, so that it reaches as far
 *                back as it says however much other mail there is
 *
 * Events of a stream are numbered one after the other, for ever. A reader remembers the
 * number of the last event that it has dealt with (its cursor), asks for what
 * follows (store_events_after()) and says what nobody needs any more
 * (store_events_drop()). At most STORE_EVENTS_MAX are kept: a reader that falls
 * further behind loses the oldest of them, never silently, for then the first
 * number that it gets is not the one behind its cursor. An event is given again
 * to a reader that crashed before it had stored its cursor.
 *
 * A recipient that expands (smtp/envelope.h) is replaced by its members in steps: store_add_member() for
 * each of a page and STORE_ADVANCED in one batch, finally STORE_EXPANDED. All recipients of a message that
 * has or had one are recorded until none is left, so that no member is added twice; their numbers are not
 * reused.
 */
#ifndef MAILBOAT_STORE_QUEUE_STORE_H
#define MAILBOAT_STORE_QUEUE_STORE_H

#include "base/arena.h"
#include "base/error.h"
#include "core/queue/attempt_record.h"
#include "core/server/server_session.h"
#include "core/smtp/envelope.h"
#include "core/trust/trust_record.h"

enum store_limit {
    STORE_DESTINATION_MAX = 320,   /* octets of a destination's name */
    STORE_REPLY_MAX = 1024,        /* octets kept of a last reply; longer ones are cut */
    STORE_ATTEMPTS_MAX = 10,       /* attempts at a recipient that are remembered, the last among them */
    STORE_PAST_REPLY_MAX = 256,    /* octets kept of what was said at those before the last */
    STORE_READ_MAX = 128,          /* rows that one call returns at most */
    STORE_LOOK_MAX = 1000,         /* numbers among which those of one destination are looked for */
    STORE_PAGE_MAX = 32,           /* deliveries of a page */
    STORE_EVENTS_MAX = 100 * 1000, /* events of a stream that are kept for readers; the oldest go first */
    STORE_EVENTS_TRIM_EVERY = 64,  /* batches, between two looks whether there are more */
    STORE_EVENTS_TRIM_MAX = 256,   /* rows of events that go at one look */
    STORE_PREFIX_MAX = 32 * 1024,  /* octets of header fields put before a content */
};

/* A message and its envelope. `envelope.recipients[i]` has the number i when it is accepted; a read
 * returns only those requested. The prefix is sent before the content; envelope.size includes both. */
struct store_message {
    uint64_t id, arrived_ms, expires_ms;
    struct envelope envelope;
    struct origin origin;
    struct bytes prefix;       /* header fields to prepend to the content, each with its CRLF; or empty */
    struct bytes content;      /* all of it; empty if `large` */
    bool large;                /* the content is a file: store_content() opens it */
    struct trust_record trust; /* findings of mail authentication; all zero: not checked */
};

struct store_recipient {
    uint32_t number; /* its index in the accepted envelope */
    uint32_t attempts;
    bool held;
    uint64_t due_ms;
    struct bytes destination;
    struct recipient recipient;
    struct bytes progress; /* of one that expands: start of its next page */
    struct attempt_record last;
};

/* A change of a recipient. */
struct store_result {
    uint32_t number;
    enum store_fate {
        STORE_FINISHED, /* delivered, or failed permanently: removed */
        STORE_DEFERRED, /* the attempt failed temporarily: due again at due_ms; with `attempts` and `last` */
        STORE_PLACED,   /* another destination (empty: the same), another due time, held or not */
        STORE_ADVANCED, /* its expansion has reached `progress`; the next page is due then */
        STORE_EXPANDED, /* all its members were added: removed */
    } fate;
    uint64_t due_ms;
    uint32_t attempts;
    bool held;
    struct bytes destination, progress;
    struct attempt_record last; /* the previous one moves into the history */
};

/* A due recipient; also a position to continue from. */
struct store_due {
    uint64_t due_ms, id;
    uint32_t number;
};

/* Query for one destination, in the order of due time, id and number. */
struct store_due_question {
    struct bytes destination;
    uint64_t now_ms;
    struct store_due after; /* all zero: from the beginning */
    size_t deliveries_max;  /* STORE_PAGE_MAX at most */
    size_t recipients_max;  /* of each delivery, STORE_READ_MAX at most */
    uint64_t contents_max;  /* octets of contents in the page; the first is always included */
};

/* Recipients of one message that are due at the destination, not held, and have the same forwarders and
 * sender; complete for an attempt. */
struct store_delivery {
    struct store_due place;       /* of the first of them */
    struct store_message message; /* without recipients */
    bool has_content;             /* otherwise it is a file, or store_read() returns it */
    struct store_recipient *recipients;
    size_t recipient_count;
};

struct store_page {
    struct store_delivery *deliveries;
    size_t count;
    struct store_due end; /* the last row examined: the next page begins after it */
};

struct store_destination {
    uint64_t due_ms;
    uint32_t failures; /* consecutive failed connections or refusals, as the schedule counts them */
    size_t name_length;
    char name[STORE_DESTINATION_MAX];
};

/* A line of `queue list`. */
struct store_summary {
    uint64_t id, arrived_ms, expires_ms, size;
    struct bytes sender;
    uint64_t waiting, held; /* recipients */
    uint64_t next_ms;       /* earliest due time of the waiting ones */
    uint32_t attempts;      /* maximum of its recipients */
    struct bytes first;     /* address of one recipient */
    struct bytes reason;    /* the latest last reply: "451 4.7.1 later"; empty before any */
};

/* The events of one batch, as mail_event_encode() writes them one behind the other. */
struct store_events {
    uint64_t first; /* the number of the first of them */
    uint64_t count;
    struct bytes octets;
};

/* Each has its own numbers, and its own limit STORE_EVENTS_MAX. */
enum store_stream { STORE_EVENTS, STORE_JUDGEMENTS, STORE_STREAMS };

enum { STORE_NEVER = 0 }; /* a due time: nothing is */

struct store;

/* ---- the first group: accepted mail, and results ---- */

/* Discards an uncommitted batch. NULL is allowed. */
void store_close(struct store *store);

/* Starts to commit the batch; store_commit_done() returns the result. Changes made meanwhile belong to the
 * next batch, or are undone too if this one fails. */
void store_commit_start(struct store *store);
/* False: still in progress. Otherwise the verdict. DONE: all of the batch is on disk. FULL: none of it,
 * for lack of space; UNREACHABLE: none of it, because the store is unreachable; in both cases the store
 * stays usable. FAILED: its state is unknown; the process must end and open the store again. `error` has
 * the reason unless DONE. */
bool store_commit_done(struct store *store, enum store_verdict *verdict, struct error *error);
/* Becomes readable when store_commit_done() is worth calling again; -1 if commits are always immediate. */
int store_commit_descriptor(const struct store *store);
/* Sleeps until then; for callers without other work. */
void store_commit_wait(const struct store *store);
/* Both, waiting in between. */
enum store_verdict store_commit(struct store *store, struct error *error);
/* True if there is anything to commit, or a failure to report. */
bool store_is_changed(const struct store *store);
/* Returns the state of the changes and queries since the last commit. Readers check it before they rely on
 * an empty result. `error` (or NULL) gets the reason unless DONE. */
enum store_verdict store_verdict(const struct store *store, struct error *error);

/* Creates a file for large content: a descriptor for reading and writing that the caller closes; -1 with
 * the verdict, and errno. `spool` names it until it is accepted or dropped: a random number other than 0. */
int store_spool(struct store *store, uint64_t spool, enum store_verdict *verdict);
void store_spool_drop(struct store *store, uint64_t spool);

/* Adds a message: `destinations` has a name for each recipient. With a spool its file becomes the content,
 * else message->content is. False if the id is in use, the spool does not exist or the prefix is longer
 * than STORE_PREFIX_MAX: the batch continues without this message. */
bool store_accept(struct store *store, const struct store_message *message, const struct bytes *destinations,
                  uint64_t due_ms, uint64_t spool);
/* Stores results of an attempt, an operator action or an expansion, for recipients of one message. Removes
 * the message with its last recipient, and then returns true. Ignores missing recipients. */
bool store_settle(struct store *store, uint64_t id, const struct store_result *results, size_t count);
/* Adds a recipient, unless the message has or had it: then false. One that expands must exist;
 * STORE_EXPANDED follows, in this batch or later. */
bool store_add_member(struct store *store, uint64_t id, const struct recipient *member,
                      struct bytes destination, uint64_t due_ms);
/* Removes the message with all its recipients. */
void store_remove(struct store *store, uint64_t id);
/* Sets the destination's row; STORE_NEVER removes it. */
void store_destination_put(struct store *store, struct bytes name, uint64_t due_ms, uint32_t failures);
void store_note_put(struct store *store, const char *name, struct bytes value);
/* `count` events, at least one, numbered from the last one that was ever put: once per batch, at its end. */
void store_events_put(struct store *store, enum store_stream stream, uint64_t count, struct bytes octets);
/* Drops the events up to this number, which nobody needs: rows that end there go. (The newest row stays,
 * for its number.) */
void store_events_drop(struct store *store, enum store_stream stream, uint64_t cursor);

/* ---- the second: due mail, page by page, for the queue ---- */

/* Reads a page of due mail of a destination, in one query: each delivery with its message, recipients and
 * content. All of it lives in the arena. */
void store_due(struct store *store, const struct store_due_question *question, struct arena *arena,
               struct store_page *page);
/* Returns when the first recipient of a destination that is not held is due after `after_ms`; STORE_NEVER
 * if none waits. */
uint64_t store_next_due(struct store *store, struct bytes destination, uint64_t after_ms);
bool store_destination(struct store *store, struct bytes name, struct store_destination *found);
/* Reads destinations that need attention, ordered by due time and name, after `after` (NULL: from the
 * beginning); *next_ms, unless NULL: the first time after `now_ms` at which another does, or STORE_NEVER. */
size_t store_destinations_due(struct store *store, uint64_t now_ms, const struct store_destination *after,
                              size_t max, struct store_destination *found, uint64_t *next_ms);

/* ---- the third: queries of subcommands, and reports; STORE_READ_MAX rows at most ---- */

/* Reads the message without recipients; texts in the arena. The prefix is included with the content, also
 * with large content. False: not found. */
bool store_read(struct store *store, uint64_t id, bool with_content, struct arena *arena,
                struct store_message *message);
/* Opens a large content for reading, at its beginning; the caller closes it; or -1 with errno: ENOENT if
 * the file does not exist. */
int store_content(struct store *store, uint64_t id);
/* Reads the recipients numbered `from` and up, in order; at most `max`. */
size_t store_recipients(struct store *store, uint64_t id, uint32_t from, size_t max, struct arena *arena,
                        struct store_recipient *found);
/* Reads the attempts for one recipient, oldest first and the last one at the end; `found` has room for
 * STORE_ATTEMPTS_MAX. */
size_t store_attempts(struct store *store, uint64_t id, uint32_t number, struct arena *arena,
                      struct attempt_record *found);
/* For subcommands: pages in the order of ids, which is that of arrival. */
size_t store_list(struct store *store, uint64_t after_id, size_t max, struct arena *arena,
                  struct store_summary *found);
/* The same, only ids and expiry times (which may be NULL). */
size_t store_ids(struct store *store, uint64_t after_id, size_t max, uint64_t *ids, uint64_t *expires_ms);
/* For subcommands: recipients of all messages, ordered by id and number, after the given one (0, 0: from
 * the beginning). `ids[i]` is the message of `found[i]`. */
size_t store_walk(struct store *store, uint64_t after_id, uint32_t after_number, size_t max,
                  struct arena *arena, uint64_t *ids, struct store_recipient *found);
/* The rows, oldest first, that have events behind the number `cursor` (0: from the oldest); the first of
 * them may begin before that. */
size_t store_events_after(struct store *store, enum store_stream stream, uint64_t cursor, size_t max,
                          struct arena *arena, struct store_events *found);
/* Empty when it was never put. */
struct bytes store_note(struct store *store, const char *name, struct arena *arena);

static inline struct bytes store_destination_name(const struct store_destination *destination)
{
    return bytes_of(destination->name, destination->name_length);
}

#endif
