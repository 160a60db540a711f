/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: one message judged by mail authentication, outside the server: with the real DNS, or with a zone
 * file in its place.
 */
#ifndef MAILBOAT_CLI_TRUST_CHECK_H
#define MAILBOAT_CLI_TRUST_CHECK_H

#include "base/error.h"
#include "core/trust/judgement.h"

enum { CHECK_MESSAGE_MAX = 64 * 1024 * 1024 }; /* octets of a message */

struct check_options {
    const char *file;             /* the message; "-": standard input */
    const char *zone_file;        /* NULL: the real DNS */
    const char *const *resolvers; /* "address" or "address:port"; none: those of resolv.conf */
    size_t resolver_count;
    uint64_t now_s;                     /* when the message came: seconds of the Unix clock */
    struct judgement_question question; /* texts live as long as the judgement */
};

/* Judges. False with the reason: a missing file (66), one that is too large or not valid (65), no DNS (75).
 * Texts of *judgement are in `arena` and in `message`, which gets the message with CRLF. */
bool check_message(const struct check_options *options, struct judgement *judgement, struct arena *arena,
                   struct buffer *message, struct error *error);

#endif
