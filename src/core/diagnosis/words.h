/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words: fills what was seen into the sentences of findings, causes and steps.
 * "{name}" stands for a text that is made from the facts; one that is not known
 * makes a step or a piece of evidence unsayable (words_are_known()).
 */
#ifndef MAILBOAT_CORE_DIAGNOSIS_WORDS_H
#define MAILBOAT_CORE_DIAGNOSIS_WORDS_H

#include "base/buffer.h"
#include "core/diagnosis/facts.h"

struct diagnosis;

/* Appends the text with its places filled; what is not known becomes "?" (in a cause's sentence only). */
void words_fill(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis, const char *text,
                struct buffer *out);
bool words_are_known(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                     const char *text);
/* A line a port and address: "  587 192.0.2.1: no answer", for a ticket or a report. */
void words_add_ports(const struct diagnosis_facts *facts, struct buffer *out);

#endif
