/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_message: writes the message that carries a report of this server to another domain: on TLS (RFC 8460
 * 5.3) or on DMARC (RFC 9990 4.2, which it names an aggregate report). Its report is packed with gzip. It is
 * sent with the null sender, and signed as all mail that this server writes.
 */
#ifndef MAILBOAT_CORE_TRUST_REPORT_MESSAGE_H
#define MAILBOAT_CORE_TRUST_REPORT_MESSAGE_H

#include "base/buffer.h"

enum report_kind { REPORT_KIND_TLS, REPORT_KIND_DMARC, REPORT_KINDS };
const char *report_kind_name(enum report_kind kind); /* "tls", "dmarc" */

struct report_message {
    enum report_kind kind;
    struct bytes hostname; /* of this server: who reports */
    struct bytes from, to; /* addresses */
    struct bytes domain;   /* that it is about */
    struct bytes id;       /* of the report, without brackets: "20581.example.org@mx.example.net" */
    uint32_t day;          /* days since the epoch */
    uint64_t date_ms;      /* now, since the epoch */
    struct bytes packed;   /* the report, gzip */
};

/* Appends the id of the report on a day to a domain: the same whenever it is made. */
void report_message_add_id(struct buffer *out, uint32_t day, struct bytes domain, struct bytes hostname);
/* Appends the message: ASCII, CRLF lines of at most 998 octets. */
void report_message_write(struct buffer *out, const struct report_message *message);

#endif
