/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arc: whether the chain of ARC sets of a message is intact (RFC 8617 5.2).
 *
 *     dkim_begin(dkim, header, arena);           makes the index of the header
 *     arc_begin(arc, &dkim->index, arena);       if arc->needs_body: hash the body in the form arc->body
 *     arc_facts_start(&facts, &dns, &signatures);
 *     while (!arc_judge(arc, &facts, now_s))     as dkim_judge()
 *
 * A chain is intact if its newest message signature and all its seals verify. It says who handled the
 * message, and what they found; whether to believe them is decided elsewhere.
 *
 * Bounds: 50 sets, three signatures of keys by 4 records each; at most 16 names and 16 signatures at once.
 */
#ifndef MAILBOAT_CORE_TRUST_ARC_H
#define MAILBOAT_CORE_TRUST_ARC_H

#include "core/trust/dkim.h"

/* These numbers are stored on disk (trust_record.h). */
enum arc_result {
    ARC_PENDING, /* facts are lacked */
    ARC_NONE,    /* no ARC fields */
    ARC_PASS,
    ARC_FAIL,
    ARC_TEMPERROR, /* a key could not be had now; RFC 8617 has no word for it: never seal over it */
    ARC_RESULTS
};

/* The three fields of an instance. */
struct arc_set {
    bool has_results, has_signature, has_seal;
    uint16_t results_at;         /* ARC-Authentication-Results, in the index */
    struct dkim_field signature; /* ARC-Message-Signature */
    struct dkim_field seal;      /* ARC-Seal */
};

struct arc {
    const struct field_index *index;
    struct arc_set *sets; /* instance 1 first (arena); NULL if no field is of ARC */
    size_t count;         /* instances; valid unless the structure is at fault */
    bool needs_body;      /* false: nothing has to be hashed */
    struct dkim_body body;
    enum arc_result result;
    const char *reason;       /* for people, of a failure */
    unsigned failed_instance; /* 0: none in particular */
};

struct arc_facts {
    struct dns_facts *dns;
    struct signature_facts *signatures; /* other than those of DKIM */
    bool body_is_known;
    struct dkim_body_fact body;
};

/* Finds the sets and checks their structure. The index, its header and the arena must outlive *arc. */
void arc_begin(struct arc *arc, const struct field_index *index, struct arena *arena);
void arc_facts_start(struct arc_facts *facts, struct dns_facts *dns, struct signature_facts *signatures);
/* Judges the chain; true when it is not ARC_PENDING. */
bool arc_judge(struct arc *arc, struct arc_facts *facts, uint64_t now_s);

/* Returns what the server of an instance found: the part of its ARC-Authentication-Results behind "i=N;", for
 * authres_parse(). Only of a chain whose structure is right. */
struct bytes arc_results_of(const struct arc *arc, unsigned instance);

const char *arc_result_word(enum arc_result result); /* "pass" */

/* Appends the first `count` sets in the form that seals sign (RFC 8617 5.1.1): in their order, relaxed. */
void arc_add_sets(const struct arc *arc, size_t count, struct buffer *out);

#endif
