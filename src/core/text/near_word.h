/* SPDX-License-Identifier: Apache-2.0 */
/* near_word: which word of a table was meant by one that is not in it. */
#ifndef MAILBOAT_CORE_TEXT_NEAR_WORD_H
#define MAILBOAT_CORE_TEXT_NEAR_WORD_H

#include "base/bytes.h"

enum { NEAR_WORD_MAX = 40 /* octets; longer ones are near to nothing */ };

/* The slips from one word to another: a letter too many, too few, another one, or two swapped; UINT_MAX for
 * words that are too long. */
unsigned near_word_slips(struct bytes a, struct bytes b);
/* True if `said` is the begin of `word`, two letters at least, or one slip away; from five letters on two. */
bool near_word_fits(struct bytes said, struct bytes word);

#endif
