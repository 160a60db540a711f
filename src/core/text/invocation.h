/* SPDX-License-Identifier: Apache-2.0 */
/*
 * invocation: the command line of sendmail: flags as in sendmail and Postfix, alone, grouped, with values
 * attached or separate. Flags without effect here are accepted and ignored. The first argument that is not
 * a flag ends them, so that everything after it can only be a recipient.
 */
#ifndef MAILBOAT_CORE_TEXT_INVOCATION_H
#define MAILBOAT_CORE_TEXT_INVOCATION_H

#include "base/error.h"
#include "core/smtp/envelope.h"

enum invocation_mode {
    INVOCATION_DELIVER,   /* -bm, the default */
    INVOCATION_SMTP,      /* -bs: SMTP on standard input and output */
    INVOCATION_LIST,      /* -bp, mailq */
    INVOCATION_ALIASES,   /* -bi, newaliases */
    INVOCATION_VERIFY,    /* -bv */
    INVOCATION_RUN_QUEUE, /* -q */
};

/* How errors are reported: -oep, -oem, -oee, -oeq, -oew. */
enum invocation_errors { ERRORS_PRINTED, ERRORS_MAILED, ERRORS_MAILED_ALWAYS, ERRORS_QUIET };

struct invocation {
    enum invocation_mode mode;
    enum invocation_errors errors;
    const char *config;            /* -C */
    const char *sender;            /* -f, -r, as written; NULL: not given */
    const char *full_name;         /* -F */
    const char *envid;             /* -V */
    const char *queue_id;          /* -qI */
    uint8_t notify;                /* -N, a set of enum dsn_notify */
    enum dsn_ret ret;              /* -R */
    bool read_recipients;          /* -t */
    bool dot_is_text;              /* -i: a line with one dot does not end the message */
    const char *const *recipients; /* in argv */
    size_t recipient_count;
};

/* Parses a command line; argv[0] is "sendmail", "mailq" or "newaliases", or a path to one. False with
 * EX_USAGE and the reason. */
bool invocation_read(struct invocation *invocation, int argc, char **argv, struct error *error);

#endif
