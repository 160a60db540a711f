/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error: why the world refused. A function that can fail because of the
 * world returns false and fills the `struct error` its caller gave; our own
 * mistakes are asserts, a peer's are replies. The text is one line for a
 * person: what, where, and the mend.
 */
#ifndef MAILBOAT_BASE_ERROR_H
#define MAILBOAT_BASE_ERROR_H

#include <stdbool.h>

#define ERROR_TEXT_MAX 512 /* octets with the NUL; longer text is cut */

struct error {
    int exit_code; /* from sysexits.h, for the subcommand that meets it */
    int number;    /* errno where one was behind it, else 0 */
    char text[ERROR_TEXT_MAX];
};

/* Fills `error` (which may be NULL) and returns false, so that callers can
 * write `return error_set(error, EX_CONFIG, "...")`. Control octets are
 * replaced by '?', so that no text forges a line. */
bool error_set(struct error *error, int exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with ": " and strerror(errno) behind the text. */
bool error_set_errno(struct error *error, int exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before what stands there already; returns false. */
bool error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
