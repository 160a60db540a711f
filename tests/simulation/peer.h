/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer: a server far away that does not behave: at one step of the dialogue
 * it refuses, stalls, lies, talks without end, or drops the connection. What
 * it answers with 2xx to the content it has taken, and nothing else.
 *
 * peer_open() greets at an end of a link; it goes on until the link ends.
 */
#ifndef MAILBOAT_SIMULATION_PEER_H
#define MAILBOAT_SIMULATION_PEER_H

#include "letters.h"

enum peer_step {
    PEER_GREETING,
    PEER_EHLO,
    PEER_STARTTLS,
    PEER_MAIL,
    PEER_RCPT,
    PEER_DATA,
    PEER_END,
    PEER_STEPS
};

struct peer {
    struct world *world;
    struct letters *letters;
    struct end *end;
    struct peer *next;   /* of those of a node */
    enum peer_step step; /* where it misbehaves */
    const struct peer_fault *fault;
    unsigned patience; /* how often it behaves at that step before */
    bool offers_tls, pipelining, secured, must_secure;
    /* it gave more replies than it was asked for: nobody can tell what belongs to what */
    bool out_of_step;
    bool said_never; /* a 5xx, on this connection */
    bool in_content, stuck;
    struct bytes accepted[LETTER_RECIPIENTS_MAX * 4];
    size_t accepted_count;
    struct buffer content;
};

/* `must_secure`: mail in clear is a breach of the destination's policy. */
struct peer *peer_open(struct world *world, struct letters *letters, struct end *end, bool must_secure);
void peer_close(struct peer *peer);

#endif
