/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: one command line of SMTP, without its CRLF, as a verb and its
 * arguments (RFC 5321 4.1.1 and the extensions). Tables say which parameters
 * MAIL and RCPT know.
 */
#ifndef MAILBOAT_CORE_SMTP_COMMAND_H
#define MAILBOAT_CORE_SMTP_COMMAND_H

#include "core/smtp/address.h"
#include "core/smtp/envelope.h"

enum verb {
    VERB_UNKNOWN,
    VERB_HELO,
    VERB_EHLO,
    VERB_STARTTLS,
    VERB_AUTH,
    VERB_MAIL,
    VERB_RCPT,
    VERB_DATA,
    VERB_BDAT,
    VERB_RSET,
    VERB_NOOP,
    VERB_VRFY,
    VERB_EXPN,
    VERB_HELP,
    VERB_QUIT,
    VERBS
};

enum command_limit {
    ENVID_MAX = 100, /* octets of ENVID in xtext (RFC 3461 4.4) */
    ORCPT_MAX = 500, /* octets of ORCPT (RFC 3461 4.2) */
};

/* The verb; *argument is what follows it, without the space. */
enum verb command_verb(struct bytes line, struct bytes *argument);
const char *command_verb_name(enum verb verb);

enum argument_verdict {
    ARGUMENT_FINE,
    ARGUMENT_SYNTAX,     /* 501 5.5.4 */
    ARGUMENT_VALUE,      /* 501 5.5.4: a parameter's value is not allowed */
    ARGUMENT_ADDRESS,    /* 501 5.1.3 (5.1.7 for a sender): the path is malformed */
    ARGUMENT_UNKNOWN,    /* 555 5.5.4: a parameter that we do not know */
    ARGUMENT_TWICE,      /* 501 5.5.4: the same parameter again */
    ARGUMENT_NEEDS_UTF8, /* 553 5.6.7: an international address without SMTPUTF8 */
};

struct mail_argument {
    struct bytes sender;        /* empty: the null path */
    struct envelope parameters; /* body, ret, envid, smtputf8, requiretls, size */
    bool has_parameters;
};
/* "FROM:<a@b> SIZE=1000 ...": what follows MAIL. */
enum argument_verdict command_parse_mail(struct bytes argument, struct mail_argument *mail);

struct rcpt_argument {
    struct bytes address; /* "postmaster" alone is possible */
    struct bytes orcpt;
    uint8_t notify;
    bool has_parameters;
};
/* "TO:<a@b> NOTIFY=...": what follows RCPT. */
enum argument_verdict command_parse_rcpt(struct bytes argument, bool utf8_allowed,
                                         struct rcpt_argument *rcpt);

/* "FAILURE,DELAY": the value of NOTIFY= (RFC 3461 4.1); a set of enum dsn_notify. */
bool command_parse_notify(struct bytes value, uint8_t *notify);

/* Appends "MAIL FROM:<...>" and "RCPT TO:<...>" with the parameters that are
 * said in the envelope, without a line end; what the parsers above read. */
void command_add_mail(struct buffer *out, const struct envelope *envelope);
void command_add_rcpt(struct buffer *out, const struct recipient *recipient);

/* "1234 LAST": what follows BDAT (RFC 3030 2). */
bool command_parse_bdat(struct bytes argument, uint64_t *size, bool *last);

bool command_xtext_is_valid(struct bytes text); /* RFC 3461 4 */

#endif
