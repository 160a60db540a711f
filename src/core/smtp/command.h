/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: one SMTP command line, without its CRLF, as a verb and its arguments (RFC 5321 4.1.1 and the
 * extensions). Tables list the parameters of MAIL and RCPT.
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

/* Returns the verb; *argument gets the text after it, without the space. */
enum verb command_verb(struct bytes line, struct bytes *argument);
const char *command_verb_name(enum verb verb);

enum argument_verdict {
    ARGUMENT_FINE,
    ARGUMENT_SYNTAX,     /* 501 5.5.4 */
    ARGUMENT_VALUE,      /* 501 5.5.4: a parameter's value is not allowed */
    ARGUMENT_ADDRESS,    /* 501 5.1.3 (5.1.7 for a sender): the path is malformed */
    ARGUMENT_UNKNOWN,    /* 555 5.5.4: an unknown parameter */
    ARGUMENT_TWICE,      /* 501 5.5.4: a duplicate parameter */
    ARGUMENT_NEEDS_UTF8, /* 553 5.6.7: an international address without SMTPUTF8 */
    /* as ARGUMENT_ADDRESS, but where names without a domain ("root") are completed: all else is fine */
    ARGUMENT_LOCAL,
};

struct mail_argument {
    struct bytes sender;        /* empty: the null path */
    struct envelope parameters; /* body, ret, envid, smtputf8, requiretls, size */
    bool has_parameters;
};
/* Parses the argument of MAIL: "FROM:<a@b> SIZE=1000 ...". */
enum argument_verdict command_parse_mail(struct bytes argument, struct mail_argument *mail);

struct rcpt_argument {
    struct bytes address; /* may be "postmaster" alone */
    struct bytes orcpt;
    uint8_t notify;
    bool has_parameters;
};
/* Parses the argument of RCPT: "TO:<a@b> NOTIFY=...". */
enum argument_verdict command_parse_rcpt(struct bytes argument, bool utf8_allowed,
                                         struct rcpt_argument *rcpt);

/* Parses the value of NOTIFY=, "FAILURE,DELAY" (RFC 3461 4.1), into a set of enum dsn_notify. */
bool command_parse_notify(struct bytes value, uint8_t *notify);

/* Appends "MAIL FROM:<...>" and "RCPT TO:<...>" with the parameters set in the envelope, without a line
 * end; the parsers above read them back. */
void command_add_mail(struct buffer *out, const struct envelope *envelope);
void command_add_rcpt(struct buffer *out, const struct recipient *recipient);

/* Parses the argument of BDAT: "1234 LAST" (RFC 3030 2). */
bool command_parse_bdat(struct bytes argument, uint64_t *size, bool *last);

bool command_xtext_is_valid(struct bytes text); /* True if the text is xtext (RFC 3461 4) */

#endif
