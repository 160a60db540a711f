/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantity: times and sizes with their unit, as people write them in the configuration and in options, and as
 * subcommands print them.
 */
#ifndef MAILBOAT_CORE_TEXT_QUANTITY_H
#define MAILBOAT_CORE_TEXT_QUANTITY_H

#include "base/bytes.h"

enum { QUANTITY_AGE_SIZE = 24 }; /* 20 digits at most, a unit, a NUL */

/* Parses "90s", "30m", "2h", "5d" (and ms, w) into milliseconds; false if malformed or too large. */
bool quantity_duration(struct bytes text, uint64_t *ms);
/* Parses "50MiB", "1GiB", "800000" into octets (also TiB, and KB to TB of 1000); false if malformed or too
 * large. */
bool quantity_size(struct bytes text, uint64_t *octets);

/* Returns the time between the two, in the largest unit of which there are two or more: "90s", "5m", "3h",
 * "2d"; "0s" if it is negative. */
const char *quantity_age(uint64_t from_ms, uint64_t to_ms, char buffer[QUANTITY_AGE_SIZE]);

#endif
