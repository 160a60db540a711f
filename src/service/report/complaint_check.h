/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complaint_check: whether a complaint (core/trust/report_complaint.h) is genuine. Anybody can send one, and
 * what follows from it hits a recipient or an account; so it counts only if who sent it is proven, and if it
 * has the header of a message that this server signed: the signature itself is the proof, which a forger has
 * only of messages that came to him. A failure report (RFC 9991) tells of a message that others forged, and
 * needs only a proven sender.
 */
#ifndef MAILBOAT_SERVICE_REPORT_COMPLAINT_CHECK_H
#define MAILBOAT_SERVICE_REPORT_COMPLAINT_CHECK_H

#include "core/trust/report_complaint.h"
#include "store/signing_keys.h"

/* The message with a complaint. */
struct complaint_mail {
    struct bytes prefix; /* header fields that this server put above it: Authentication-Results */
    struct bytes content;
    struct bytes hostname;           /* of this server */
    const struct signing_keys *keys; /* open; of this server */
};

/* Returns why it does not count; NULL: it counts. */
const char *complaint_check(const struct complaint_mail *mail, const struct report_complaint *complaint);

#endif
