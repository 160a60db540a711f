/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count: a number with its noun, as people read it: "1 message", "2 messages".
 *
 * printf("%s waiting\n", COUNT_OF(waiting, "message"));
 */
#ifndef MAILBOAT_BASE_COUNT_H
#define MAILBOAT_BASE_COUNT_H

#include <stdint.h>

enum {
    COUNT_NOUN_MAX = 40, /* octets of a noun */
    COUNT_SIZE = 64,     /* 20 digits at most, a space, a noun, the end of its plural, a NUL */
};

/* Writes how many there are: "0 deliveries", "1 message", "3 addresses". `noun` is in the singular, and its
 * plural is regular. */
const char *count_text(uint64_t count, const char *noun, char text[COUNT_SIZE]);
/* The same in a text that lives until the end of the block. */
#define COUNT_OF(count, noun) count_text((uint64_t)(count), (noun), (char[COUNT_SIZE]){0})

#endif
