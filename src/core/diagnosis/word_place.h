/* SPDX-License-Identifier: Apache-2.0 */
/* word_place: what a {place} in a sentence of words.h stands for. */
#ifndef MAILBOAT_CORE_DIAGNOSIS_WORD_PLACE_H
#define MAILBOAT_CORE_DIAGNOSIS_WORD_PLACE_H

#include "base/buffer.h"
#include "core/diagnosis/diagnosis.h"
#include "core/diagnosis/port_seen.h"

struct word_context {
    const struct diagnosis_facts *facts;
    const struct diagnosis *diagnosis;
    const struct findings *findings;
    struct ports_seen seen;
};

/* Appends what it stands for, or nothing where that is not known. True: nothing is right then, too. */
bool word_place_fill(const struct word_context *context, struct bytes place, struct buffer *out);
typedef void word_write(const struct word_context *context, struct buffer *out);
struct word_writer {
    const char *place;
    word_write *write;
};
/* False: the list has no such place. */
bool word_place_write(const struct word_context *context, struct bytes place, const struct word_writer *list,
                      size_t count, struct buffer *out);
/* The places that are about DNS, this machine, other hosts and the provider: word_surroundings.c. */
bool word_place_of_surroundings(const struct word_context *context, struct bytes place, struct buffer *out);
/* Text of another party's: its first line, at most WORD_LINE_MAX octets, without control characters. */
enum { WORD_LINE_MAX = 120 };
void word_add_line(struct buffer *out, const char *text);

#endif
