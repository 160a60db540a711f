/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_facts: an attempt of a race as evidence. The race knows the
 * dialogue, the connection knows how it ended and what TLS showed; here both
 * become one struct fact_attempt. Pure: the shell takes the connection's part
 * (io/conn_evidence.h) before it closes it.
 */
#ifndef MAILBOAT_CORE_DIAGNOSIS_ATTEMPT_FACTS_H
#define MAILBOAT_CORE_DIAGNOSIS_ATTEMPT_FACTS_H

#include "core/diagnosis/facts.h"
#include "core/port/race.h"

/* Silence that lasted less tells nothing: the answer to a request for
 * connection that was lost and sent again is due after a second and a round trip. */
enum { ATTEMPT_FACTS_SILENCE_MS = 1500 };

/* Evidence of a connection besides the dialogue. */
struct attempt_line {
    enum fact_unreachable unreachable;
    enum fact_icmp icmp;
    struct route_address icmp_from;
    bool reset; /* it ended with RST */
    enum fact_tls tls;
    uint32_t tls_sent, tls_received;
    char tls_version[16];
    struct fact_certificate certificate;
};

/* Returns the protocol of the first octets; VOICE_UNKNOWN if there are none. */
enum fact_voice attempt_facts_voice(struct bytes first);
/* Fills all but `host`. */
void attempt_facts_fill(struct fact_attempt *fact, const struct race_attempt *attempt,
                        const struct attempt_line *line);

#endif
