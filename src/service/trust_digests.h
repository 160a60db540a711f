/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust_digests: digests of the canonical forms of a body, as smtpd sends them to trust (IPC_TRUST_BODY): of
 * each its octets, then its length, in the order of judgement_bodies().
 */
#ifndef MAILBOAT_SERVICE_TRUST_DIGESTS_H
#define MAILBOAT_SERVICE_TRUST_DIGESTS_H

#include "base/buffer.h"
#include "core/trust/dkim.h"

void trust_digests_add(struct buffer *out, const struct dkim_body_fact *facts, size_t count);
/* Reads exactly `count`; false if there are more, fewer, or parts. */
bool trust_digests_read(struct bytes digests, struct dkim_body_fact *facts, size_t count);

#endif
