/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery_tls: the TLS policy of a delivery's host, and the consequence of failed TLS. delivery.c drives
 * it: it starts with each host, passes facts until the policy is decided, applies the memory of failures
 * before each connection, and reports the outcome of TLS.
 */
#ifndef MAILBOAT_CORE_CLIENT_DELIVERY_TLS_H
#define MAILBOAT_CORE_CLIENT_DELIVERY_TLS_H

#include "core/client/delivery.h"

/* Starts with another host: discards facts about the previous host, keeps the domain's policy. */
void delivery_tls_meet_host(struct delivery *delivery);
/* Records live with the facts: only usable ones, so that others cannot displace them, TLSA_RECORDS_MAX at
 * most. */
void delivery_tls_learn_tlsa(struct delivery *delivery, const struct dns_answer *answer);
struct tls_policy delivery_tls_policy(const struct delivery *delivery);

/* Returns the mode of the next connection. */
enum client_tls delivery_tls_mode(const struct delivery *delivery);
/* Adds the certificate checks to the action. */
void delivery_tls_add_checks(const struct delivery *delivery, struct delivery_action *action);
/* Before connecting to a host that was recently silent during TLS: connects without TLS if that is
 * allowed; else with a shorter timeout. */
void delivery_tls_heed_fallback(struct delivery *delivery);

/* Handles a connection lost because of TLS: sets the next step with its address. */
void delivery_tls_meet_failure(struct delivery *delivery, enum tls_loss how, struct bytes why);
/* The session is ready: records that TLS works with this host, or why there is none. */
void delivery_tls_note_ready(struct delivery *delivery);

#endif
