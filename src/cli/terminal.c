/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/text/wrap.h"

static size_t width_said(void)
{
    const char *text = getenv("COLUMNS");
    char *end;
    if (text == NULL || *text < '0' || *text > '9')
        return 0;
    unsigned long width = strtoul(text, &end, 10);
    return *end == '\0' && width >= TERMINAL_WIDTH_MIN && width <= TERMINAL_WIDTH_MAX ? width : 0;
}

void terminal_look(struct terminal *terminal)
{
    struct winsize size = {0};
    const char *kind = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    bool is_terminal = isatty(STDOUT_FILENO) != 0;
    terminal->width = width_said();
    if (terminal->width == 0 && is_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
        size.ws_col >= TERMINAL_WIDTH_MIN)
        terminal->width = size.ws_col;
    terminal->colour = is_terminal && (no_colour == NULL || *no_colour == '\0') &&
                       (kind == NULL || strcmp(kind, "dumb") != 0);
}

const char *terminal_red(const struct terminal *terminal)
{
    return terminal->colour ? "\033[31m" : "";
}

const char *terminal_yellow(const struct terminal *terminal)
{
    return terminal->colour ? "\033[33m" : "";
}

const char *terminal_plain(const struct terminal *terminal)
{
    return terminal->colour ? "\033[0m" : "";
}

void terminal_print(const struct terminal *terminal, struct buffer *line, size_t indent)
{
    struct buffer wrapped = {0};
    wrap_add(&wrapped, buffer_bytes(line), indent, terminal->width);
    fwrite(buffer_text(&wrapped), 1, wrapped.length, stdout);
    buffer_free(&wrapped);
    buffer_clear(line);
}
