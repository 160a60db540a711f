/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saslprep: one form for each password, however a keyboard composes it
 * (RFC 4013): "é" is one character or "e" with an accent, a space may be a
 * wide one, and all that is the same password.
 *
 * Each password is prepared once: before it is kept, before it is checked, and
 * before a client derives keys from it. One that the profile knows no form for
 * (control characters, octets that are no UTF-8, right-to-left text mixed with
 * digits at its ends) is what it is, octet by octet; characters newer than the
 * profile's tables are let through.
 */
#ifndef MAILBOAT_IO_SASLPREP_H
#define MAILBOAT_IO_SASLPREP_H

#include "base/bytes.h"

enum { SASLPREP_MAX = 511 }; /* octets; a longer one, or one whose form is longer, is left as it is */

/* The form of `password`: in `buffer`, which the caller wipes, or `password` itself. */
struct bytes saslprep(struct bytes password, char buffer[SASLPREP_MAX + 1]);

#endif
