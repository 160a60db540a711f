/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: where accepted mail waits, in mail's words: messages, recipients,
 * destinations. Its operations stand here once, in three groups; a kind of store
 * (sqlite.h on disk, memory.h for the simulation) is a table of each group
 * (store_kind.h), and one contract test asks all of them. store_open()
 * (store/store_open.h) opens the one that the configuration names.
 *
 * The queue process is the only writer. Changes gather in a batch that opens
 * by itself with the first of them; store_commit() puts all of it on disk,
 * synced, or none of it. Failure in the middle of a batch is kept and told by
 * the commit, so that changes themselves return nothing. A question that cannot
 * be answered, because the store is away or broken, finds nothing, and fails
 * the batch in the same way: no conclusion drawn from it gets onto disk. Who only
 * asks looks at store_verdict() in the end. Bounds that the caller has to keep
 * are asserted at the door, for every kind alike.
 * Nothing here costs more because more mail waits, except where it is said.
 *
 * What a store keeps:
 *   message      id, times, envelope, origin, prefix, content (large ones beside it)
 *   recipient    one for each that still waits: where it goes, when it is due,
 *                what the last attempts said. Delivered or failed: gone.
 *   destination  one for each name under which recipients wait: the earliest
 *                time at which it is worth a look. Never later than the first
 *                due recipient, unless the destination itself is put off
 *                because nobody answers there (`failures`).
 *   note         what the queue wants to remember about itself
 *
 * A recipient that expands (smtp/envelope.h) is replaced by its members in
 * steps: store_add_member() for each of a page and STORE_ADVANCED in one
 * batch, at the end STORE_EXPANDED. Of a message that has or had one all
 * recipients are remembered until no such one is left, so that nobody comes in
 * twice; what they are called is not used again.
 */
#ifndef MAILBOAT_STORE_QUEUE_STORE_H
#define MAILBOAT_STORE_QUEUE_STORE_H

#include "base/arena.h"
#include "base/error.h"
#include "core/server/server_session.h"
#include "core/smtp/envelope.h"

enum store_limit {
    STORE_DESTINATION_MAX = 320,  /* octets of a destination's name */
    STORE_REPLY_MAX = 1024,       /* octets kept of a last reply; longer ones are cut */
    STORE_ATTEMPTS_MAX = 10,      /* attempts at a recipient that are remembered, the last among them */
    STORE_PAST_REPLY_MAX = 256,   /* octets kept of what was said at those before the last */
    STORE_READ_MAX = 128,         /* rows that one call returns at most */
    STORE_LOOK_MAX = 1000,        /* numbers among which those of one destination are looked for */
    STORE_PAGE_MAX = 32,          /* deliveries of a page */
    STORE_PREFIX_MAX = 32 * 1024, /* octets of header fields put before a content */
};

/* A message and its envelope. `envelope.recipients[i]` has the number i when
 * it is accepted; what is read back has only those that were asked for. What goes
 * out is the prefix and the content behind it; envelope.size counts both. */
struct store_message {
    uint64_t id, arrived_ms, expires_ms;
    struct envelope envelope;
    struct origin origin;
    struct bytes prefix;  /* header fields to send before the content, each with its CRLF; or none */
    struct bytes content; /* the whole of it; empty when `large` */
    bool large;           /* the content is a file: store_content() opens it */
};

/* What an attempt said; all empty before the first. */
struct attempt_record {
    uint64_t when_ms;
    uint32_t code;
    struct bytes enhanced, text, peer, tls; /* tls: or "in clear: " and why; or empty */
};

struct store_recipient {
    uint32_t number; /* its place in the envelope as it was accepted */
    uint32_t attempts;
    bool held;
    uint64_t due_ms;
    struct bytes destination;
    struct recipient recipient;
    struct bytes progress; /* of one that expands: where its next page begins */
    struct attempt_record last;
};

/* What became of a recipient, or is to. */
struct store_result {
    uint32_t number;
    enum store_fate {
        STORE_FINISHED, /* delivered, or failed for good: it goes */
        STORE_DEFERRED, /* the attempt did not get through: again at due_ms; `attempts` and `last` say more */
        STORE_PLACED,   /* another destination (empty: the same), another time, held back or not */
        STORE_ADVANCED, /* its expansion has come as far as `progress`; the next page is due then */
        STORE_EXPANDED, /* all its members are there: it goes */
    } fate;
    uint64_t due_ms;
    uint32_t attempts;
    bool held;
    struct bytes destination, progress;
    struct attempt_record last; /* what was said before moves into the history */
};

/* A recipient that is due; also the place from which to read on. */
struct store_due {
    uint64_t due_ms, id;
    uint32_t number;
};

/* Of one destination, in the order of due time, id and number. */
struct store_due_question {
    struct bytes destination;
    uint64_t now_ms;
    struct store_due after; /* all zero: from the beginning */
    size_t deliveries_max;  /* STORE_PAGE_MAX at most */
    size_t recipients_max;  /* of each, STORE_READ_MAX at most */
    uint64_t contents_max;  /* octets of contents in the page; the first is there in any case */
};

/* Recipients of one message that are due at the destination and not held, and
 * were sent on by the same addresses; all that an attempt needs. */
struct store_delivery {
    struct store_due place;       /* of the first of them */
    struct store_message message; /* without recipients */
    bool has_content;             /* else it is a file, or store_read() has it */
    struct store_recipient *recipients;
    size_t recipient_count;
};

struct store_page {
    struct store_delivery *deliveries;
    size_t count;
    struct store_due end; /* the last that was looked at: behind it the next page begins */
};

struct store_destination {
    uint64_t due_ms;
    uint32_t failures; /* connections that failed in a row */
    size_t name_length;
    char name[STORE_DESTINATION_MAX];
};

/* A line of `queue list`. */
struct store_summary {
    uint64_t id, arrived_ms, expires_ms, size;
    struct bytes sender;
    uint64_t waiting, held; /* recipients */
    uint64_t next_ms;       /* the earliest due of the waiting ones */
    uint32_t attempts;      /* the most of any recipient */
    struct bytes first;     /* one recipient's address */
    struct bytes reason;    /* the latest last reply: "451 4.7.1 later"; empty before any */
};

enum { STORE_NEVER = 0 }; /* a due time: nothing is */

struct store;

/* ---- the first group: what is accepted, and what becomes of it ---- */

/* An uncommitted batch is lost. NULL is allowed. */
void store_close(struct store *store);

/* Begins to put the batch on disk; store_commit_done() says how that ended. What
 * is changed meanwhile is the next batch's, or, when this one fails, undone too. */
void store_commit_start(struct store *store);
/* False: it is still under way. Else the verdict. DONE: all of the batch is on
 * disk. FULL: none of it, for want of room; UNREACHABLE: none of it, since the
 * store is away; in both cases the store stays usable. FAILED: none of it can be
 * relied on; the process must end and open the store anew. `error` says why where
 * it is not DONE. */
bool store_commit_done(struct store *store, enum store_verdict *verdict, struct error *error);
/* Readable when it is worth asking store_commit_done() again; -1 where a commit is always done at once. */
int store_commit_descriptor(const struct store *store);
/* Sleeps until then; for those who have nothing else to do. */
void store_commit_wait(const struct store *store);
/* Both, and waits between them. */
enum store_verdict store_commit(struct store *store, struct error *error);
/* Is there anything to commit, or to be told by a commit? */
bool store_is_changed(const struct store *store);
/* How the changes and questions since the last commit went so far. Who only asks
 * looks here before believing that what was not found is not there. `error` (or
 * NULL) says why where it is not DONE. */
enum store_verdict store_verdict(const struct store *store, struct error *error);

/* A file to write a large content to: a descriptor for reading and writing
 * that the caller closes; -1 with the verdict why not, and errno. `spool` names it until
 * it is accepted or dropped: any number but 0, from a random source. */
int store_spool(struct store *store, uint64_t spool, enum store_verdict *verdict);
void store_spool_drop(struct store *store, uint64_t spool);

/* Takes a message in: `destinations` has a name for each recipient. With a
 * spool its file becomes the content, else message->content is. False when the
 * id is taken, there is no such spool or the prefix is longer than
 * STORE_PREFIX_MAX: the batch goes on without this message. */
bool store_accept(struct store *store, const struct store_message *message, const struct bytes *destinations,
                  uint64_t due_ms, uint64_t spool);
/* What came of an attempt, of a person's word or of an expansion, for some
 * recipients of one message together. When no recipient is left the message
 * goes: true then. A recipient that is not there is passed over. */
bool store_settle(struct store *store, uint64_t id, const struct store_result *results, size_t count);
/* One more recipient, unless the message has or had it: then false. One that
 * expands must be there; STORE_EXPANDED follows, in this batch or later. */
bool store_add_member(struct store *store, uint64_t id, const struct recipient *member,
                      struct bytes destination, uint64_t due_ms);
/* The message goes with all its recipients. */
void store_remove(struct store *store, uint64_t id);
/* The destination's row; with STORE_NEVER it goes. */
void store_destination_put(struct store *store, struct bytes name, uint64_t due_ms, uint32_t failures);
void store_note_put(struct store *store, const char *name, struct bytes value);

/* ---- the second: what is due, page by page, for the queue ---- */

/* A page of what is due at a destination, in one question: each delivery with
 * its message, recipients and content. All of it lies in the arena. */
void store_due(struct store *store, const struct store_due_question *question, struct arena *arena,
               struct store_page *page);
/* When the first recipient of a destination that is not held is due after `after_ms`;
 * STORE_NEVER when none waits. */
uint64_t store_next_due(struct store *store, struct bytes destination, uint64_t after_ms);
bool store_destination(struct store *store, struct bytes name, struct store_destination *found);
/* Destinations worth a look, ordered by due time and name, behind `after` (NULL: from the beginning);
 * *next_ms, where it is asked for: the first time after `now_ms` at which another is, or STORE_NEVER. */
size_t store_destinations_due(struct store *store, uint64_t now_ms, const struct store_destination *after,
                              size_t max, struct store_destination *found, uint64_t *next_ms);

/* ---- the third: what people ask, and reports; STORE_READ_MAX rows at most ---- */

/* The message without recipients; texts in the arena. The prefix comes with the
 * content, and with a large one too. False: there is none. */
bool store_read(struct store *store, uint64_t id, bool with_content, struct arena *arena,
                struct store_message *message);
/* A large content as a descriptor for reading, at its beginning, the caller's to close; or -1
 * with errno: ENOENT where there is no such file. */
int store_content(struct store *store, uint64_t id);
/* The recipients numbered `from` and up, in order; at most `max`. */
size_t store_recipients(struct store *store, uint64_t id, uint32_t from, size_t max, struct arena *arena,
                        struct store_recipient *found);
/* What the attempts at one recipient said, oldest first and the last one at
 * the end; `found` has room for STORE_ATTEMPTS_MAX. */
size_t store_attempts(struct store *store, uint64_t id, uint32_t number, struct arena *arena,
                      struct attempt_record *found);
/* For people: pages in the order of ids, which is that of arrival. */
size_t store_list(struct store *store, uint64_t after_id, size_t max, struct arena *arena,
                  struct store_summary *found);
/* The same, only ids and times of expiry (which may be NULL). */
size_t store_ids(struct store *store, uint64_t after_id, size_t max, uint64_t *ids, uint64_t *expires_ms);
/* For people: recipients of all messages, ordered by id and number, behind
 * the one named (0, 0: from the beginning). `ids[i]` is the message of `found[i]`. */
size_t store_walk(struct store *store, uint64_t after_id, uint32_t after_number, size_t max,
                  struct arena *arena, uint64_t *ids, struct store_recipient *found);
/* Empty when it was never put. */
struct bytes store_note(struct store *store, const char *name, struct arena *arena);

static inline struct bytes store_destination_name(const struct store_destination *destination)
{
    return bytes_of(destination->name, destination->name_length);
}

#endif
