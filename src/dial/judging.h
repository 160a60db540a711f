/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judging: a judgement of mail authentication (core/trust/judgement.h) with the real DNS and OpenSSL. All
 * that it lacks is asked at the same time, and what an answer makes askable as soon as it has come, so that
 * the time is that of the longest chain of questions.
 *
 *     judgement_begin(); judging_use_ascii_names();
 *     judging_start(); judging_go_on();
 *     judgement_give_bodies(); judging_go_on();     when the body has ended, before or after answers
 *     judging_give_up_after();                      from then on so long
 *
 * on_done once, from one of these or from the loop, when the judgement is final. judging_stop() at any time.
 */
#ifndef MAILBOAT_DIAL_JUDGING_H
#define MAILBOAT_DIAL_JUDGING_H

#include "core/trust/judgement.h"
#include "io/dns.h"

enum judging_limit {
    JUDGING_MS = 10 * 1000, /* from the end of the message, until what DNS has not said has failed */
    JUDGING_OPEN_MAX = 32,  /* questions of one judgement that are open; more wait for an answer */
};

/* Answers that are known without DNS. */
struct judging_memory {
    /* False if it is not known; the answer is valid until the next call. */
    bool (*recall)(void *context, struct dns_fact_key key, struct dns_answer *answer);
    void (*remember)(void *context, struct dns_fact_key key, const struct dns_answer *answer);
    void *context;
};

struct judging_run {
    struct judgement *judgement;
    struct dns *dns;
    const struct judging_memory *memory; /* or NULL */
    uint64_t now_s;                      /* when the message came */
    void (*on_done)(void *owner);
    void *owner;
    struct judging_question {
        struct judging_run *judging;
        struct dns_question dns;
        struct dns_fact_key key;
        bool open;
    } questions[JUDGING_OPEN_MAX];
    struct timer deadline, again;
    bool done;
};

/* Turns the domains of From and of signatures, and selectors, into A-labels, in which DMARC compares them
 * (RFC 9989 4.10.1) and keys are looked up (RFC 8616 4): after judgement_begin(). */
void judging_use_ascii_names(struct judgement *judgement);
/* All that is passed outlives it; `dns` has been started. */
void judging_start(struct judging_run *judging, struct judgement *judgement, struct dns *dns,
                   struct loop *loop, const struct judging_memory *memory, uint64_t now_s,
                   void (*on_done)(void *owner), void *owner);
/* Judges with what is known, and asks what is lacked. */
void judging_go_on(struct judging_run *judging);
void judging_give_up_after(struct judging_run *judging, uint32_t delay_ms);
/* Questions that DNS has not answered have failed: only the body may still be lacked. */
void judging_give_up(struct judging_run *judging);
/* Cancels what is asked; on_done does not follow. */
void judging_stop(struct judging_run *judging);

#endif
