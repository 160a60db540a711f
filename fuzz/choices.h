/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choices: the first octets of an input decide what the world answers, again
 * and again from the front; the rest is what the peer sends. So a mutation
 * changes either what is said or what becomes of it, and a seed stays
 * readable.
 */
#ifndef MAILBOAT_FUZZ_CHOICES_H
#define MAILBOAT_FUZZ_CHOICES_H

#include <stdlib.h>

#include "base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Broken for good: the fuzzer keeps the input. */
#define INSIST(fact) \
    do {             \
        if (!(fact)) \
            abort(); \
    } while (0)

enum { CHOICES = 16 };

struct choices {
    uint8_t octets[CHOICES];
    size_t next;
};

/* Takes the choices off the front of the input; returns the rest. */
static inline struct bytes choices_start(struct choices *choices, const uint8_t *data, size_t size)
{
    size_t count = size < CHOICES ? size : CHOICES;
    *choices = (struct choices){.next = 0};
    if (count > 0)
        memcpy(choices->octets, data, count);
    return bytes_of(data + count, size - count);
}

/* 0 to `options` - 1. */
static inline unsigned choose(struct choices *choices, unsigned options)
{
    unsigned octet = choices->octets[choices->next++ % CHOICES];
    return octet % options;
}

/* How much of the stream arrives next: most often all of it. */
static inline struct bytes arrival(struct choices *choices, struct bytes left)
{
    unsigned some = choose(choices, 256);
    return some < 128 ? left : bytes_first(left, some - 127);
}

/* The next reply of a server that speaks in turn: its lines up to the one without a hyphen. */
static inline struct bytes one_reply(struct bytes left)
{
    size_t end = 0;
    while (end < left.length) {
        struct bytes line = bytes_from(left, end);
        size_t newline = bytes_find(line, '\n');
        end = newline == SIZE_MAX ? left.length : end + newline + 1;
        if (line.length < 4 || line.at[3] != '-')
            break;
    }
    return bytes_first(left, end);
}

#endif
