/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_complaint: a report about one message of ours, in the Abuse Reporting Format (RFC 5965): what
 * feedback loops send when somebody marks it as spam, or wants no more (RFC 6650), and failure reports of
 * DMARC (RFC 9991). The input is untrusted; texts of the result are fit for a terminal.
 */
#ifndef MAILBOAT_CORE_TRUST_REPORT_COMPLAINT_H
#define MAILBOAT_CORE_TRUST_REPORT_COMPLAINT_H

#include "base/arena.h"

enum report_complaint_limit {
    COMPLAINT_TEXT_MAX = 255, /* octets of a value that are kept; addresses: ADDRESS_MAX (smtp/address.h) */
    COMPLAINT_TYPE_MAX = 32,  /* of a feedback type */
};

struct report_complaint {
    struct bytes type;       /* in lower case: "abuse", "opt-out", "auth-failure" (RFC 5965 7.3, RFC 6591) */
    struct bytes address;    /* the recipient of the message, who complains; empty: not told */
    struct bytes sender;     /* of the message: its MAIL FROM; empty: not told */
    struct bytes domain;     /* of its author (From), else Reported-Domain, else of `sender`; may be empty */
    struct bytes source;     /* the address that sent it, as it was written */
    struct bytes message_id; /* of the message; may be empty */
    struct bytes reporter;   /* the author of the report */
    uint64_t incidents;      /* how many such messages; from 1 */
};

/* Reads it from the message that carries it; false if it carries none. Texts live in `arena`. */
bool report_complaint_read(struct bytes message, struct arena *arena, struct report_complaint *complaint);

#endif
