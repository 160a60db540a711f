/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal: what standard output can show: its width and colours. Text that is not for a terminal is neither
 * wrapped nor coloured, unless the environment sets COLUMNS.
 */
#ifndef MAILBOAT_CLI_TERMINAL_H
#define MAILBOAT_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buffer.h"

enum {
    TERMINAL_WIDTH_MIN = 20, /* columns; a narrower one is not believed */
    TERMINAL_WIDTH_MAX = 10000,
};

struct terminal {
    size_t width; /* in columns; 0: no limit */
    bool colour;  /* a terminal, unless TERM is "dumb" or NO_COLOR has a value */
};

void terminal_look(struct terminal *terminal);

/* Red marks a problem, yellow a decision of the operator; plain ends both. Empty without colours. */
const char *terminal_red(const struct terminal *terminal);
const char *terminal_yellow(const struct terminal *terminal);
const char *terminal_plain(const struct terminal *terminal);

/* Prints the line, wrapped at the width; continuation lines begin with `indent` spaces. Clears it. */
void terminal_print(const struct terminal *terminal, struct buffer *line, size_t indent);

/* Standard output between start and end, wrapped line by line as it is printed. */
struct terminal_wrap {
    const struct terminal *terminal;
    FILE *out, *wrapped; /* standard output itself, and what stands in for it; NULL: nothing is wrapped */
    size_t indent;
    struct buffer line; /* of which the end was not printed yet */
};

/* Wraps what is printed from here on, if the terminal has a width; continuation lines begin with the spaces
 * of their line and `indent` more, as far as half of the width allows. */
void terminal_wrap_start(struct terminal_wrap *wrap, const struct terminal *terminal, size_t indent);
void terminal_wrap_end(struct terminal_wrap *wrap);

#endif
