/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error: why a call failed for a reason outside this program. Such a function returns false and fills the
 * caller's `struct error`; our own mistakes are asserts, a peer's are replies. The text is one line for
 * users: what, where, and a hint.
 */
#ifndef MAILBOAT_BASE_ERROR_H
#define MAILBOAT_BASE_ERROR_H

#include <stdbool.h>

#define ERROR_TEXT_MAX 512 /* octets with the NUL; longer text is cut */

struct error {
    int exit_code; /* from sysexits.h, for the subcommand that meets it */
    int number;    /* errno of the failed call, else 0 */
    char text[ERROR_TEXT_MAX];
};

/* Fills `error` (which may be NULL) and returns false, so that callers can
 * write `return error_set(error, EX_CONFIG, "...")`. Control octets are
 * replaced by '?', so that no text forges a line. */
bool error_set(struct error *error, int exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, with ": " and strerror(errno) appended. */
bool error_set_errno(struct error *error, int exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Inserts "context: " before the text; returns false. */
bool error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
