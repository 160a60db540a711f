/* SPDX-License-Identifier: Apache-2.0 */
/*
 * received: the fields a server adds to a message: Received (RFC 5321 4.4), and at final delivery
 * Return-Path and Delivered-To. Untrusted text is written so that it cannot inject anything.
 */
#ifndef MAILBOAT_CORE_MESSAGE_RECEIVED_H
#define MAILBOAT_CORE_MESSAGE_RECEIVED_H

#include "base/buffer.h"
#include "core/smtp/envelope.h"

/*
 * Appends the Received field with its CRLF: the client's EHLO name and address, this server's name, the
 * protocol (RFC 3848), the queue id, TLS, and the recipient if there is only one. For an authenticated
 * client only the protocol is named, to keep its address private. A local program is named by its user:
 * "by uid 1000".
 */
void received_add(struct buffer *out, const struct origin *origin, const struct envelope *envelope,
                  struct bytes hostname, uint64_t id, uint64_t epoch_ms);

/* Appends "X-Original-To: address" with `newline`: the address of RCPT, which an alias, a catch-all or a
 * +tag changed. Nothing if it is empty. */
void received_add_original(struct buffer *out, struct bytes original, const char *newline);
/* Appends "Return-Path: <sender>", X-Original-To as above, and "Delivered-To: address". */
void received_add_delivery_fields(struct buffer *out, struct bytes sender, struct bytes original,
                                  struct bytes delivered_to, const char *newline);

#endif
