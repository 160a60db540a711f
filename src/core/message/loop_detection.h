/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_detection: detects mail loops. An alias or a user with a forwarding adds its address to the message
 * in a Delivered-To field (RFC 9228) when it is sent on to another server. If the message comes back to
 * that address, it is not sent on again.
 *
 * `via` is as in struct recipient: the addresses that forwarded it here, separated by spaces;
 * "*@example.org" is the domain's catch-all. The queue calls loop_detection_returns() before each delivery
 * and expansion that has one, and passes loop_detection_add()'s fields to relay.
 */
#ifndef MAILBOAT_CORE_MESSAGE_LOOP_DETECTION_H
#define MAILBOAT_CORE_MESSAGE_LOOP_DETECTION_H

#include "base/arena.h"
#include "base/buffer.h"
#include "core/smtp/envelope.h"

/* octets of the header in which the fields are searched; recent servers' fields come first */
enum { LOOP_DETECTION_LOOK_MAX = 128 * 1024 };

/* Returns an address in the form of `via` and of the fields, in the arena: ASCII, without quoted parts;
 * "@example.org" becomes "*@example.org". */
struct bytes loop_detection_name(struct arena *arena, struct bytes address);
/* Returns `via` with one more name, in the arena; unchanged if it would exceed VIA_MAX. */
struct bytes loop_detection_join(struct arena *arena, struct bytes via, struct bytes address);

/* True if the message, or the start of it, has already been forwarded by one of the addresses; *who gets
 * that one. */
bool loop_detection_returns(struct bytes content, struct bytes via, struct bytes *who);

/* Appends one Delivered-To field per address, the last above the first, with CRLF. */
void loop_detection_add(struct buffer *out, struct bytes via);

#endif
