/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dkim: which DKIM signatures of a message verify (RFC 6376 6, RFC 8301, RFC 8463), in the words of RFC 8601
 * 2.7.1.
 *
 *     dkim_begin(dkim, header, arena);               when the header has ended: says in dkim->bodies which
 *                                                    canonical forms of the body must be hashed (canon.h)
 *     dkim_facts_start(&facts, &dns, &signatures);
 *     while (!dkim_judge(dkim, &facts, now_s))       asks all that can be known now; again from the top
 *         … answer what dns and signatures lack; give the digests when the body has ended
 *     dkim->signatures[…].result
 *
 * Nothing but the facts decides, so their order never changes a result. Digests can come last: keys are
 * asked for, and signatures verified, while the body still arrives.
 *
 * Bounds: what is past a limit is not looked at and its signature says "policy", with the reason.
 */
#ifndef MAILBOAT_CORE_TRUST_DKIM_H
#define MAILBOAT_CORE_TRUST_DKIM_H

#include "core/trust/dkim_field.h"
#include "core/trust/dns_facts.h"

enum dkim_limit {
    DKIM_SIGNATURES_MAX = 64, /* that are reported */
    DKIM_LOOKED_AT_MAX = 8,   /* that are verified: first those that may align with From */
    DKIM_BODIES_MAX = 4,      /* canonical forms of the body that are hashed */
    DKIM_KEYS_MAX = 4,        /* key records of one name that are tried */
    DKIM_AUTHOR_DOMAINS_MAX = 10,
    DKIM_EXPIRY_GRACE_S = 300, /* clocks differ (x=) */
};

enum dkim_result {
    DKIM_PENDING, /* facts are lacked */
    DKIM_PASS,
    DKIM_FAIL,   /* the message was changed, or the signature was not made with this key */
    DKIM_POLICY, /* valid or not: not accepted here, or not looked at */
    DKIM_TEMPERROR,
    DKIM_PERMERROR,
    DKIM_RESULTS
};

/* A signature; texts live as long as the header and the arena. */
struct dkim_signature {
    struct dkim_field field;
    bool looked_at;
    size_t body; /* in dkim->bodies */
    enum dkim_result result;
    const char *reason; /* for people: "body hash did not verify"; NULL for a plain pass */
    uint64_t covered;   /* octets of the body that l= covers, of `body_length`; with "l= covers …" alone */
    uint64_t body_length;
    unsigned key_bits; /* 0: no key was found */
    bool testing;      /* the key has t=y: the domain is only trying DKIM out */
};

/* A canonical form whose SHA-256 is needed. */
struct dkim_body {
    enum canon_form form;
    uint64_t limit; /* of canon_body_start() */
};

struct dkim {
    struct dkim_signature *signatures; /* in the order of their fields (arena) */
    size_t count;                      /* at most DKIM_SIGNATURES_MAX */
    size_t unseen;                     /* signatures beyond DKIM_SIGNATURES_MAX */
    struct dkim_body bodies[DKIM_BODIES_MAX];
    size_t body_count;
    struct bytes author_domains[DKIM_AUTHOR_DOMAINS_MAX]; /* of From (arena) */
    size_t author_domain_count;
    struct field_index index; /* last: it is large, and mostly not written */
};

struct dkim_body_fact {
    uint8_t digest[DKIM_DIGEST]; /* SHA-256 of the canonical octets */
    uint64_t length;             /* canonical octets in all: struct canon_body */
};

struct dkim_facts {
    struct dns_facts *dns;
    struct signature_facts *signatures;
    bool bodies_are_known; /* the body has ended, and all of dkim->bodies are here */
    struct dkim_body_fact bodies[DKIM_BODIES_MAX];
};

/* Reads a header, with or without the empty line after it; the octets must outlive *dkim. */
void dkim_begin(struct dkim *dkim, struct bytes header, struct arena *arena);
void dkim_facts_start(struct dkim_facts *facts, struct dns_facts *dns, struct signature_facts *signatures);
/* Judges all signatures at the time `now_s` (seconds of the Unix clock), the same in each call. True when
 * none is DKIM_PENDING. */
bool dkim_judge(struct dkim *dkim, struct dkim_facts *facts, uint64_t now_s);

const char *dkim_result_word(enum dkim_result result); /* RFC 8601 2.7.1: "permerror" */

/*
 * Finds the key of a selector for an algorithm (RFC 6376 3.6.2), the `nth` (0 first) where a name has
 * several that fit. DKIM_PENDING: lacked; DKIM_PASS: *key is filled; otherwise *reason says why there is
 * none.
 */
enum dkim_result dkim_find_key(struct dns_facts *dns, const struct dkim_field *field, size_t nth,
                               struct dkim_key *key, const char **reason);

/* Makes the octets that a signature signs: context is dkim_try_keys()'s. */
typedef void dkim_input(const void *context, const struct dkim_field *field, struct buffer *out);
/*
 * Looks a signature up, with each key of its name in turn (nearly always there is one): SIGNATURE_BAD if it
 * verifies with none. Its numbers in the facts are those of `slot`, DKIM_KEYS_MAX each. *key gets the last
 * key that was tried.
 */
enum signature_fact dkim_try_keys(struct dns_facts *dns, struct signature_facts *signatures, size_t slot,
                                  const struct dkim_field *field, dkim_input *input, const void *context,
                                  struct dkim_key *key);

#endif
