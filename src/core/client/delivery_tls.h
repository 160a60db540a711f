/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery_tls: how the host of a delivery must be secured, and what follows
 * where TLS with it does not come about. delivery.c drives: each host is met,
 * what must be known of it is learnt until the policy is decided, each
 * connection heeds what is remembered of the host, and what comes of TLS is
 * told back.
 */
#ifndef MAILBOAT_CORE_CLIENT_DELIVERY_TLS_H
#define MAILBOAT_CORE_CLIENT_DELIVERY_TLS_H

#include "core/client/delivery.h"

/* Another host: what was known of the one before does not count, the
 * domain's policy does. */
void delivery_tls_meet_host(struct delivery *delivery);
/* Records live with the facts: those that can be used, so that no others crowd
 * them out, TLSA_RECORDS_MAX at most. */
void delivery_tls_learn_tlsa(struct delivery *delivery, const struct dns_answer *answer);
struct tls_policy delivery_tls_policy(const struct delivery *delivery);

/* Of the next connection. */
enum client_tls delivery_tls_mode(const struct delivery *delivery);
/* How the certificate is checked. */
void delivery_tls_add_checks(const struct delivery *delivery, struct delivery_action *action);
/* Before a connection, to a host that may have been silent in TLS not long ago:
 * where it may, the message goes in clear then; else it waits for less time. */
void delivery_tls_heed_fallback(struct delivery *delivery);

/* The connection was lost for TLS's sake: sets what follows with its address. */
void delivery_tls_meet_failure(struct delivery *delivery, enum tls_loss how, struct bytes why);
/* The session is ready: TLS works with this host, or there is a reason why there is none. */
void delivery_tls_note_ready(struct delivery *delivery);

#endif
