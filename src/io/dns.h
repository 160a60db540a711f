/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns: asynchronous DNS lookups through libunbound.
 *
 * dns_open() needs privileges: it reads resolv.conf and hosts. dns_start() adds it to the loop once the
 * process is sandboxed. Each dns_ask() is answered exactly once, from the loop, unless it is cancelled.
 *
 * When an answer is late, or a lookup fails, the resolvers are asked directly whether they answer
 * (resolver_check.h). If none does, all questions fail then: within two seconds for a command, whose user
 * waits, and within five for a process (dns_be_patient()). dns_resolver() says what was seen.
 */
#ifndef MAILBOAT_IO_DNS_H
#define MAILBOAT_IO_DNS_H

#include "base/error.h"
#include "core/dns/dns_record.h"
#include "io/resolver_check.h"
#include "io/timer.h"

enum {
    /* A chain of aliases may have 11; where it is longer libunbound fails the question (SERVFAIL). */
    DNS_TIMEOUT_MS = 20 * 1000,
    /* how long an answer may take before the resolvers are checked, and how long that may take */
    DNS_DOUBT_MS = 400,
    DNS_CHECK_MS = 1200,
    DNS_PATIENT_DOUBT_MS = 2 * 1000,
    DNS_PATIENT_CHECK_MS = 3 * 1000,
    DNS_VERDICT_MS = 3 * 1000, /* how long the result of a check holds */
};

struct dns_question {
    void (*on_answer)(void *owner, const struct dns_answer *answer); /* valid during the call */
    void *owner;
    struct dns *dns;
    enum dns_type type;
    const char *prefix; /* of the TXT records that are wanted; NULL: all */
    int number;         /* libunbound's; -1: it is done with the question */
    bool asked;
    bool failed; /* libunbound's answer is a failure: given once the resolvers were checked */
    uint64_t asked_ms;
    char name[256];                  /* in A-labels; "" where it is no name */
    struct dns_question *next, **to; /* list of those that are asked */
    struct timer timer;              /* times out, or reports that the query could not start */
};

struct dns;

/* `servers`: "address" or "address:port"; none: those of resolv.conf. */
struct dns *dns_open(const char *const *servers, size_t server_count, struct error *error);
/*
 * The same with DNSSEC (RFC 4033 to 4035). `anchor_file`: the trust anchors; NULL: the system's for the
 * root zone, and without them no answer is ever secure. Unless `required`, resolvers that strip DNSSEC
 * make all answers insecure and none fail.
 */
struct dns *dns_open_validating(const char *const *servers, size_t server_count, const char *anchor_file,
                                bool required, struct error *error);
/* As dns_open(), without the hosts file of this machine: for a second opinion. */
struct dns *dns_open_without_hosts(const char *const *servers, size_t server_count, struct error *error);
/* Before dns_start(): for a process that nobody waits for. */
void dns_be_patient(struct dns *dns);
bool dns_start(struct dns *dns, struct loop *loop, struct error *error);
void dns_close(struct dns *dns);
/* Returns what the last check of the resolvers came to; RESOLVER_UNKNOWN: none was needed, or a lookup has
 * succeeded since. */
enum resolver_state dns_resolver(const struct dns *dns);
/* Returns the resolvers that are asked, as text; "" where none is configured. Valid until dns_close(). */
const char *dns_resolver_text(const struct dns *dns);

/* Names in answers are as DNS has them (core/dns/dns_name.h).
 * `name`: A-labels or U-labels, without a final dot. The question must stay
 * where it is until it is answered or cancelled. */
void dns_ask(struct dns *dns, struct dns_question *question, struct bytes name, enum dns_type type,
             void (*on_answer)(void *owner, const struct dns_answer *answer), void *owner);
/* The same for TXT, of which only the records that begin with `prefix` ("v=spf1"; dns_text_begins()) are
 * read: however many others a name has, they push none of these out. `prefix` outlives the question; NULL:
 * all. */
void dns_ask_text(struct dns *dns, struct dns_question *question, struct bytes name, const char *prefix,
                  void (*on_answer)(void *owner, const struct dns_answer *answer), void *owner);
/* Converts a name in any script to A-labels (RFC 5891); false if it is not valid. */
bool dns_ascii_name(const char *name, char *buffer, size_t size);
void dns_cancel(struct dns_question *question);

#endif
