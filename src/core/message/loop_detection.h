/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_detection: how a message that runs in a circle is known. Whoever sends a
 * message on to another server, an alias or a user with a forwarding, writes
 * its address in front of it in a Delivered-To field (RFC 9228). When the
 * message comes back to that address it is not sent on again.
 *
 * `via` is as in struct recipient: the addresses that sent it on here, with
 * spaces between; "*@example.org" is the domain's catch-all. The queue looks
 * with loop_detection_returns() before each delivery and expansion that has one, and
 * gives loop_detection_add()'s fields to relay.
 */
#ifndef MAILBOAT_CORE_MESSAGE_LOOP_DETECTION_H
#define MAILBOAT_CORE_MESSAGE_LOOP_DETECTION_H

#include "base/arena.h"
#include "base/buffer.h"
#include "core/smtp/envelope.h"

/* octets of the header in which the fields are looked for; the last servers' stand first */
enum { LOOP_DETECTION_LOOK_MAX = 128 * 1024 };

/* How an address stands in `via` and in the fields: in ASCII, and without what
 * would need quotes there; "@example.org" becomes "*@example.org". In the arena. */
struct bytes loop_detection_name(struct arena *arena, struct bytes address);
/* `via` and one name more, in the arena; as it was where VIA_MAX does not allow it. */
struct bytes loop_detection_join(struct arena *arena, struct bytes via, struct bytes address);

/* Has the message, or the beginning of it, been sent on by one of them? The one. */
bool loop_detection_returns(struct bytes content, struct bytes via, struct bytes *who);

/* Appends a Delivered-To field for each, the last above the first, with CRLF. */
void loop_detection_add(struct buffer *out, struct bytes via);

#endif
