/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signatures: the DKIM signatures of messages being relayed, and the ARC sets of those that are forwarded:
 * one per message and form (content_form.h), whichever destinations and recipients it goes to.
 *
 * signatures_get() returns at once what is known, or makes the caller wait for signatures_done. A signature
 * is made of the octets that the peer will get: they are hashed here, large contents in turns of the loop,
 * and sign makes the fields. Only the From domain of a message that was submitted here is signed for, or of
 * one that this server wrote: a stranger's message that claims one of our domains is not (`author`). If such
 * a message is forwarded, it is sealed for the domain of the host, whose name its results bear
 * (docs/decisions/0045-sealing-what-is-forwarded.md).
 *
 * While sign is away its successor is waited for. A domain without an active key is sent for unsigned; one
 * whose key does not sign is not: its mail is deferred (docs/decisions/0039-signing.md).
 */
#ifndef MAILBOAT_SERVICE_RELAY_SIGNATURES_H
#define MAILBOAT_SERVICE_RELAY_SIGNATURES_H

#include "base/map.h"
#include "core/client/content_form.h"
#include "core/smtp/address.h"
#include "core/trust/arc.h"
#include "io/signature.h"
#include "io/timer.h"
#include "run/child.h"

enum signatures_limit {
    SIGNATURES_KNOWN_MAX = 1024,          /* known ones; the oldest goes first */
    SIGNATURES_KNOWN_MS = 60 * 1000,      /* how long: another key may sign, which sign alone knows */
    SIGNATURES_KEYLESS_MAX = 1024,        /* domains known to have no key */
    SIGNATURES_KEYLESS_MS = 60 * 1000,    /* how long one is known */
    SIGNATURES_TURN_OCTETS = 256 * 1024,  /* hashed per turn of the loop */
    SIGNATURES_MESSAGE_OCTETS = 4 * 1024, /* of these, what a message costs besides its size */
    SIGNATURES_WAIT_MS = 60 * 1000,       /* for sign; then the message is deferred */
    SIGNATURES_TRIES_MAX = 3,             /* processes that may die of a request before it is deferred */
};

struct signature;
struct signatures;

/* Waits for a signature; embedded in its owner. */
struct signature_wait {
    struct signature *signature; /* NULL: does not wait */
    struct signature_wait *previous, *next;
    void *owner;
};

/* The fields to put above a message. */
struct signature_result {
    bool is_deferred;     /* the message must wait: `why`, and `enhanced` */
    struct bytes fields;  /* valid until the next call; empty: it is sent without a signature */
    const char *enhanced; /* "4.7.5" */
    struct bytes why;
};

/* A message to be signed. The texts are copied, the file is duplicated, if they are needed longer. */
struct signature_message {
    uint64_t id;
    enum message_author author;
    enum arc_result chain;       /* as in struct ipc_deliver */
    struct bytes front, content; /* header fields in front of the content; the content, if inline */
    int file;                    /* or in this file; -1: inline */
    uint64_t size;               /* octets of both */
};

struct signatures {
    struct child *child;
    void (*on_done)(void *owner, const struct signature_result *result);
    struct map all, keyless;   /* by id and form; by domain */
    char host[DOMAIN_MAX + 1]; /* that seals; empty: nothing is sealed */
    struct signature *first;   /* all */
    struct signature *known[SIGNATURES_KNOWN_MAX];
    size_t known_at; /* the oldest, or a free place */
    struct signature *hashing_first, *hashing_last;
    uint64_t last_request, former_request; /* former: up to here an answer may come from other keys */
    uint64_t keyless_since_ms;
    bool looks; /* `look` is set */
    struct timer turn, look;
};

void signatures_start(struct signatures *signatures, struct child *child, uint64_t seed,
                      void (*on_done)(void *owner, const struct signature_result *result));
/* True if the result is known: *result. Otherwise on_done() is called for the waiting owner, later. */
bool signatures_get(struct signatures *signatures, const struct signature_message *message,
                    struct content_form form, struct signature_wait *wait, struct signature_result *result);
/* The owner no longer waits. */
void signatures_leave(struct signature_wait *wait);

void signatures_answered(struct signatures *signatures, const struct ipc_sign_answer *answer);
/* A fresh process `sign`, perhaps with other keys. */
void signatures_peer(struct signatures *signatures);
void signatures_peer_lost(struct signatures *signatures);

#endif
