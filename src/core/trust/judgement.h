/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judgement: all that mail authentication says of one message: iprev, SPF, DKIM, ARC and DMARC, what follows
 * from them (verdict.h), and the Authentication-Results field that tells the reader.
 *
 *     judgement_begin(j, &question, header, arena);  when the header has ended: hash j->bodies, and
 *                                                    turn U-labels in j->from.domains into A-labels
 *     while (!judgement_run(j, now_s))
 *         ...                                        answer judgement_lacked() and both signatures;
 *                                                    judgement_give_bodies() at the end of the body
 *     judgement_write_results(j, id, &out);          and j->verdict
 *     judgement_end(j);
 *
 * Everything that can be asked is lacked at the same time, from the end of the header on, so that the time it
 * takes is the depth of the chain of SPF includes. Each check has facts, and thus a budget, of its own.
 * Nothing but the facts decides: their order never changes the verdict. Where the time is over before all is
 * known, judgement_give_up() answers the rest with "temporary failure".
 *
 * Memory: the arena has the header, what is read of it, and what DNS has said, within the bounds of
 * dns_facts. All else is of one call of judgement_run(), and freed by the next: the inputs of signatures, at
 * most SIGNATURES_LACKED_MAX headers for DKIM and as many for ARC, and the texts of the results.
 */
#ifndef MAILBOAT_CORE_TRUST_JUDGEMENT_H
#define MAILBOAT_CORE_TRUST_JUDGEMENT_H

#include "core/trust/arc.h"
#include "core/trust/dkim.h"
#include "core/trust/dmarc.h"
#include "core/trust/iprev.h"
#include "core/trust/spf.h"
#include "core/trust/verdict.h"

/* The checks, each with its own facts of DNS. */
enum judgement_check { CHECK_SPF, CHECK_DKIM, CHECK_ARC, CHECK_DMARC, CHECK_IPREV, JUDGEMENT_CHECKS };

enum judgement_limit {
    JUDGEMENT_LACKED_MAX = JUDGEMENT_CHECKS * DNS_LACKED_MAX,
    JUDGEMENT_BODIES_MAX = DKIM_BODIES_MAX + 1,
    LIST_ID_MAX = 255, /* octets of a list's name that is compared (RFC 2919 2) */
};

struct judgement_question {
    struct route_address client;
    struct bytes helo;      /* as the client sent it */
    struct bytes mail_from; /* without brackets; empty: the null sender */
    struct bytes hostname;  /* ours, for SPF's %{r} */
    enum verdict_mode mode;
    bool authenticated;   /* submission: nothing is checked */
    bool forwarder;       /* the client is one of trust.forwarders */
    bool deferred_enough; /* this client and sender have got 451 for a day */
    /* domains whose ARC seals are believed: what they found of DMARC stands in for ours */
    const struct bytes *arc_trusted;
    size_t arc_trusted_count;
};

/* Large: one for each message at work, on the heap. */
struct judgement {
    struct judgement_question question;
    struct arena *arena;
    struct arena round; /* of the last judgement_run() */
    struct dns_facts dns[JUDGEMENT_CHECKS];
    struct signature_facts signatures, arc_signatures;
    struct dkim_facts dkim_facts;
    struct arc arc;
    struct arc_facts arc_facts;
    struct dkim_body bodies[JUDGEMENT_BODIES_MAX]; /* canonical forms of the body whose SHA-256 is needed */
    size_t body_count, arc_body;                   /* arc_body: which of them ARC's is */
    struct dmarc_from from;
    enum verdict_form form;
    struct bytes list; /* the name in List-Id, or empty */
    /* the results; final once judgement_run() has returned true */
    struct spf_verdict spf;
    struct iprev_verdict iprev;
    struct dmarc_question identifiers;
    uint16_t compared[DMARC_DKIM_MAX]; /* in dkim.signatures: which signature each identifier is */
    struct dmarc_verdict dmarc;
    unsigned arc_believed; /* the ARC set of a trusted domain that says DMARC passed there; 0: none */
    bool list_signed;      /* a signature of the list's own domain passes */
    bool gave_up;          /* the time is over */
    struct verdict verdict;
    struct dkim dkim; /* last: its index is not zeroed */
};

/* Fills `bodies` with what a judgement of this header has in j->bodies, for a process that hashes the body
 * and does not judge; returns their number. */
size_t judgement_bodies(struct bytes header, struct dkim_body bodies[JUDGEMENT_BODIES_MAX]);
/* Begins; the header, with or without its empty line, the texts of the question and `arena` must outlive
 * it. */
void judgement_begin(struct judgement *j, const struct judgement_question *question, struct bytes header,
                     struct arena *arena);
/* Frees what is not in the arena, with the texts of the results. */
void judgement_end(struct judgement *j);
/* Gives the digests of j->bodies once the body has ended: as many as body_count, NULL for none. */
void judgement_give_bodies(struct judgement *j, const struct dkim_body_fact *bodies);
/* Judges from the top at `now_s` (seconds of the Unix clock, the same in each call). True when all is final;
 * texts of the results are valid until the next call. */
bool judgement_run(struct judgement *j, uint64_t now_s);
/* Writes each question that is lacked, once, to `keys`, which has room for JUDGEMENT_LACKED_MAX; returns how
 * many. They are valid until the next judgement_run(). */
size_t judgement_lacked(const struct judgement *j, struct dns_fact_key *keys);
/* Gives an answer to each check that lacks it. */
void judgement_answer(struct judgement *j, struct dns_fact_key key, const struct dns_answer *answer);
/* The time is over: from now on judgement_run() takes every question of DNS that has no answer as a temporary
 * failure, and lacks signatures only. */
void judgement_give_up(struct judgement *j);

/* Appends the Authentication-Results field with CRLF (RFC 8601); `id` is our authserv-id. */
void judgement_write_results(const struct judgement *j, struct bytes id, struct buffer *out);

#endif
