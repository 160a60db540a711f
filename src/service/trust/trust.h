/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust: the process that judges mail of other servers (core/trust/judgement.h). It asks DNS, and has nothing
 * else: no file, no key, no account.
 *
 * smtpd sends the header of a message (IPC_TRUST), then the digests of its body (IPC_TRUST_BODY), and gets
 * one answer; or it drops the question. The answer comes at most JUDGING_MS after the digests. What cannot be
 * judged in time, or is too much (the limits below), is answered with a temporary failure: mail is then taken
 * as if nobody had checked.
 *
 * Files: trust.c has the process and its questions by number; trust_question.c one question, from the header
 * to the answer; answer_cache.c what DNS has said; dns_alive.c whether the resolvers answer at all.
 */
#ifndef MAILBOAT_SERVICE_TRUST_TRUST_H
#define MAILBOAT_SERVICE_TRUST_TRUST_H

#include "dial/judging.h"
#include "run/child.h"
#include "service/trust/answer_cache.h"

enum trust_limit {
    TRUST_OPEN_MAX = 4096,                /* questions */
    TRUST_OPEN_PER_CLIENT_MAX = 256,      /* of one IPv4 address, or one IPv6 /64 */
    TRUST_OCTETS_MAX = 512 * 1024 * 1024, /* of the memory of all questions: no new one, and none grows */
    TRUST_ORDINARY_OCTETS = 32 * 1024,    /* of a header and its answers: of such, TRUST_OPEN_MAX fit */
    TRUST_BODY_MS = 30 * 60 * 1000,       /* from the header to the digests */
    TRUST_DRAIN_MS = 30 * 1000, /* an old process answers questions for so long, then they are not checked */
    TRUST_CLOCK_BACK_MS = 10 * 1000, /* a jump of the wall clock back that confuses libunbound */
    TRUST_LINGER_MS = 1000,          /* an old process waits so long for questions that are on the way */
    TRUST_DEAD_LOOK_MS = 2000, /* while no resolver answers, one question in so long shows whether it does */
};

struct trust_question {
    struct trust *trust;
    struct channel *asker; /* NULL: it is gone */
    uint64_t request;
    uint64_t client; /* key of its address */
    size_t octets;   /* of memory, as counted in trust->octets */
    struct arena arena;
    struct judging_run judging;
    struct judging_memory memory;
    bool body_is_known;
    struct timer given_up; /* the body takes TRUST_BODY_MS, or there is no memory left */
    struct released released;
    struct trust_question *next, *previous;
    struct judgement judgement; /* last: it is large, and zeroed by judgement_begin() as far as it must */
};

/* Whether the resolvers answer: dns_alive.c. While none does, no message waits for one. */
struct dns_alive {
    struct trust *trust;
    bool dead;
    struct dns_question probe;
    bool probing;
    struct timer again;
};

struct trust {
    struct child *child;
    struct dns *dns;
    struct bytes *arc_trusted; /* trust.arc_trusted of the configuration */
    struct answer_cache cache;
    struct dns_alive alive;
    struct trust_question *first;
    struct map by_number;  /* by asker and request */
    struct map per_client; /* key of a client -> its count, as a pointer */
    size_t open, octets;
    bool draining;
    struct timer leave, limit;
    int64_t wall_ahead_ms; /* wall clock minus time since boot */
    uint64_t seed;
};

/* ---- trust_question.c ---- */
/* Begins one; false if there is too much to do. It may end before this returns. */
bool trust_question_start(struct trust *trust, struct channel *asker, const struct ipc_trust *asked);
struct trust_question *trust_question_find(struct trust *trust, const struct channel *asker,
                                           uint64_t request);
void trust_question_give_body(struct trust_question *question, struct bytes digests);
/* Ends it with the answer that nothing was judged. */
void trust_question_give_up(struct trust_question *question);
/* Ends it without an answer. */
void trust_question_drop(struct trust_question *question);
/* Answers a question that is not judged. */
void trust_refuse(struct trust *trust, struct channel *asker, uint64_t request);

/* ---- dns_alive.c ---- */
void dns_alive_start(struct dns_alive *alive, struct trust *trust);
/* Takes notice of an answer. */
void dns_alive_notice(struct dns_alive *alive, const struct dns_answer *answer);

/* ---- trust.c ---- */
void trust_leave_if_done(struct trust *trust);

#endif
