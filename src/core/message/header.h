/* SPDX-License-Identifier: Apache-2.0 */
/*
 * header: the header of a submitted message (RFC 6409, RFC 5322): gathered up to its empty line, checked,
 * and fixed. Text directly after the fields, or without any, gets its empty line. A header whose authors two
 * parsers could read differently is rejected (author_list.h).
 *
 * Call header_add() with each run of content until header_is_whole(), or header_finish() at the content's
 * end; then header_check(). If it is valid, header_author() returns the authors, and header_fix() the
 * octets to store in place of the gathered ones.
 */
#ifndef MAILBOAT_CORE_MESSAGE_HEADER_H
#define MAILBOAT_CORE_MESSAGE_HEADER_H

#include "base/buffer.h"

enum header_limit {
    HEADER_OCTETS_MAX = 256 * 1024,
    HEADER_FIELDS_MAX = 2000,
    HEADER_AUTHORS_MAX = 10, /* addresses in From */
    HEADER_NAME_MAX = 998,   /* octets of a field's name: a line without its CRLF (RFC 5322 2.1.1) */
};

enum header_fault {
    HEADER_FINE,
    HEADER_TOO_LARGE,       /* over HEADER_OCTETS_MAX */
    HEADER_TOO_MANY_FIELDS, /* over HEADER_FIELDS_MAX */
    HEADER_BROKEN,          /* a line that is not a field: see `line` */
    HEADER_NUL,
    HEADER_FROM_TWICE,
    HEADER_BAD_FROM, /* not a plain list of addresses */
    HEADER_SENDER_TWICE,
    HEADER_BAD_SENDER,
    HEADER_NEEDS_SENDER, /* several authors without Sender (RFC 5322 3.6.2), and see adds_sender */
    HEADER_NEEDS_FROM,   /* see author_required */
    HEADER_NEEDS_UTF8,   /* an international address without SMTPUTF8 */
    HEADER_FAULTS
};

struct header {
    struct buffer text;    /* gathered: the header, and the start of the body after it */
    size_t length;         /* of the header with its empty line, if it has one, once complete */
    size_t scanned;        /* the start of the line that is not judged yet */
    size_t field_searched; /* octets of it that have no LF, once it is known to be a field's; else 0 */
    size_t mbox_length;    /* octets of lines of an mbox file at the start, which are dropped */
    bool whole, over;      /* over: the limit is exceeded, gathering stopped */
    bool ends_in_text;     /* at a line that is no field, without an empty line: text follows */
    enum header_fault fault;
    size_t line;
    struct buffer authors; /* addresses of From, then of Sender, each with an LF after it */
    bool has_from, has_sender, has_date, has_message_id, has_blind; /* blind: Bcc, Resent-Bcc */
    bool needs_sender;                                              /* several authors, without Sender */
    bool from_unquoted, sender_unquoted;                            /* names that need quotes */
    bool has_obsolete_name;                                         /* spaces before a colon */
    struct bytes domain;                                            /* of header_rules */
};

void header_free(struct header *header);
void header_add(struct header *header, struct bytes octets);
bool header_is_whole(const struct header *header);
/* Ends content without an empty line. */
void header_finish(struct header *header);

struct header_rules {
    bool utf8_allowed; /* SMTPUTF8 */
    /* the content that leaves is header_fix()'s; else a header that needs more than missing fields is a
     * fault */
    bool repairs;
    bool author_required; /* the sender is null: only From says whose message it is */
    bool adds_sender;     /* header_stamp.from is given: a missing Sender is no fault (RFC 6409 8.1) */
    /* completes names without a domain ("From: root") of programs on this machine; empty: they are faults.
     * Lives as long as the header. */
    struct bytes domain;
};
enum header_fault header_check(struct header *header, const struct header_rules *rules);
const char *header_fault_sentence(enum header_fault fault);

/* Returns the next author at *at (0 first); empty after the last. */
struct bytes header_author(const struct header *header, size_t *at);

/* Returns the field at the start of *rest, which advances, with all its folded lines; *lines gets their
 * number. */
struct bytes header_next_field(struct bytes *rest, size_t *lines);
/* Returns the field's name; empty if it is not a field (RFC 5322 2.2: printable, no space before the
 * colon). */
struct bytes header_field_name(struct bytes field);

/* True if the line at the start of `text`, which is the start of a message, belongs to an mbox file: "From "
 * or
 * ">From " with the date of its arrival, with an address alone, or before a usual field. Text that begins
 * with the same word is none. */
bool header_is_mbox_line(struct bytes text);

struct header_stamp {
    uint64_t now_ms;
    struct bytes message_id; /* without its brackets */
    /* for a message without From, or with several authors and without Sender; empty: none is added */
    struct bytes from;
};
/* Appends the header without Bcc and Resent-Bcc, with missing fields added (Date, Message-ID, From,
 * Sender), names in From and Sender quoted where they need it, no spaces before a colon (some readers do
 * not see such a field), names completed with header_rules.domain, and its empty line before text, and the
 * content after it. */
void header_fix(const struct header *header, const struct header_stamp *stamp, struct buffer *out);

#endif
