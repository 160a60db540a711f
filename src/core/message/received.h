/* SPDX-License-Identifier: Apache-2.0 */
/*
 * received: the fields a server puts before a message: Received (RFC 5321
 * 4.4), and at the final delivery Return-Path and Delivered-To. What came
 * from the network is written so that it can forge nothing.
 */
#ifndef MAILBOAT_CORE_MESSAGE_RECEIVED_H
#define MAILBOAT_CORE_MESSAGE_RECEIVED_H

#include "base/buffer.h"
#include "core/smtp/envelope.h"

/*
 * Appends the Received field with its CRLF: who said what in EHLO from which
 * address, our name, the protocol (RFC 3848), the queue id, TLS, and the
 * recipient where there is only one. A client who signed in is named by its
 * protocol alone: its address is its own affair. A local program is named by
 * its user: "by uid 1000".
 */
void received_add(struct buffer *out, const struct origin *origin, const struct envelope *envelope,
                  struct bytes hostname, uint64_t id, uint64_t epoch_ms);

/* Appends "Return-Path: <sender>" and "Delivered-To: address", each with `newline`. */
void received_add_delivery_fields(struct buffer *out, struct bytes sender, struct bytes delivered_to,
                                  const char *newline);

#endif
