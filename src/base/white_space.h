/* SPDX-License-Identifier: Apache-2.0 */
/* white_space: spaces, tabs and line ends around text that may be folded, or is on lines of its own. Within
 * one line bytes_trim() is enough. */
#ifndef MAILBOAT_BASE_WHITE_SPACE_H
#define MAILBOAT_BASE_WHITE_SPACE_H

#include "base/bytes.h"

/* True for a space, a tab, CR and LF. */
static inline bool white_space_has(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Removes them from both ends. */
static inline struct bytes white_space_trim(struct bytes b)
{
    while (b.length > 0 && white_space_has(b.at[0]))
        b = bytes_from(b, 1);
    while (b.length > 0 && white_space_has(b.at[b.length - 1]))
        b.length--;
    return b;
}

#endif
