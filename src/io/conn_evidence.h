/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_evidence: what a client's connection shows to a diagnosis: how it
 * could not be made, where TLS ended and after how many octets, and the
 * certificate whole, each of its faults judged apart. For a person's answer,
 * never for a decision whether to trust: conn_tls_certificate() does that.
 */
#ifndef MAILBOAT_IO_CONN_EVIDENCE_H
#define MAILBOAT_IO_CONN_EVIDENCE_H

#include "core/diagnosis/attempt_facts.h"
#include "io/conn.h"

/* Takes what there is by now; `host` is the name (or address) that was asked
 * for. Call it when TLS is there, when the conn ended, and before it is closed. */
void conn_evidence_take(const struct conn *conn, const char *host, struct attempt_line *line);

#endif
