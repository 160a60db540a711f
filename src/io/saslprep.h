/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saslprep: normalizes a password, independent of how a keyboard composes it (RFC 4013): "é" may be one
 * character or "e" with an accent, and a space a wide one, in the same password.
 *
 * Each password is prepared once: before it is stored, before it is checked, and before a client derives
 * keys from it. A password that the profile rejects (control characters, invalid UTF-8, right-to-left text
 * mixed with digits at its ends) is kept octet by octet; characters newer than the profile's tables are
 * accepted.
 */
#ifndef MAILBOAT_IO_SASLPREP_H
#define MAILBOAT_IO_SASLPREP_H

#include "base/bytes.h"

enum { SASLPREP_MAX = 511 }; /* octets; a longer password, or one with a longer form, is kept unchanged */

/* Returns the form of `password`: in `buffer`, which the caller wipes, or `password` itself. */
struct bytes saslprep(struct bytes password, char buffer[SASLPREP_MAX + 1]);

#endif
