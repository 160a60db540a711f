/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_record: what a server said until TLS was there, whole and word by
 * word, for a diagnosis (core/diagnosis). A session fills the one that its
 * options name, as the replies come; most sessions keep none.
 *
 * A text is cut at the size of its field. Lines are parted by "\n" and stand
 * without their codes; other control characters are spaces.
 */
#ifndef MAILBOAT_CORE_CLIENT_CLIENT_RECORD_H
#define MAILBOAT_CORE_CLIENT_CLIENT_RECORD_H

#include "core/smtp/reply.h"

enum client_record_limit { CLIENT_RECORD_TEXT_MAX = 512, CLIENT_RECORD_LINE_MAX = 200 };

struct client_record {
    unsigned greeting_code, ehlo_code, starttls_code; /* 0: none came, or no reply of SMTP's */
    char greeting[CLIENT_RECORD_TEXT_MAX];
    char ehlo[CLIENT_RECORD_TEXT_MAX]; /* the first: with STARTTLS that before TLS */
    char starttls_said[CLIENT_RECORD_LINE_MAX];
    bool starttls_offered; /* in that EHLO reply */
    bool starttls_asked;   /* STARTTLS was said */
    bool greeting_masked;  /* asterisks all over, as Cisco's firewalls write */
    bool ehlo_masked;      /* "XXXXXXXA" */
};

void client_record_greeting(struct client_record *record, const struct smtp_reply *reply);
void client_record_ehlo(struct client_record *record, const struct smtp_reply *reply, bool starttls,
                        bool masked);
void client_record_starttls(struct client_record *record, const struct smtp_reply *reply);
/* Octets that are no reply, in the place of the one that was awaited. */
void client_record_nonsense(struct client_record *record, struct bytes octets);

/* Writes what others wrote into a field: cut at a character, its final zero
 * there, control characters as spaces; line ends too unless `lines`. */
void client_record_text(char *field, size_t size, struct bytes text, bool lines);

#endif
