/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
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

/* ---- all that is printed ---- */

static void print_wrapped(struct terminal_wrap *wrap, struct bytes line)
{
    struct buffer wrapped = {0};
    size_t width = wrap->terminal->width, spaces = 0;
    while (spaces < line.length && line.at[spaces] == ' ')
        spaces++;
    size_t indent = spaces + wrap->indent <= width / 2 ? spaces + wrap->indent : wrap->indent;
    wrap_add(&wrapped, line, indent, width);
    fwrite(buffer_text(&wrapped), 1, wrapped.length, wrap->out);
    buffer_free(&wrapped);
}

/* Takes what was printed, for fopencookie(3). */
static ssize_t take_printed(void *cookie, const char *text, size_t size)
{
    struct terminal_wrap *wrap = cookie;
    buffer_add(&wrap->line, bytes_of(text, size));
    struct bytes rest = buffer_bytes(&wrap->line);
    for (size_t end; (end = bytes_find(rest, '\n')) != SIZE_MAX; rest = bytes_from(rest, end + 1))
        print_wrapped(wrap, bytes_first(rest, end));
    struct buffer left = {0};
    buffer_add(&left, rest);
    buffer_free(&wrap->line);
    wrap->line = left;
    return (ssize_t)size;
}

void terminal_wrap_start(struct terminal_wrap *wrap, const struct terminal *terminal, size_t indent)
{
    *wrap = (struct terminal_wrap){.terminal = terminal, .out = stdout, .indent = indent};
    if (terminal->width == 0)
        return;
    wrap->wrapped = fopencookie(wrap, "w", (cookie_io_functions_t){.write = take_printed});
    if (wrap->wrapped != NULL)
        stdout = wrap->wrapped;
}

void terminal_wrap_end(struct terminal_wrap *wrap)
{
    if (wrap->wrapped == NULL)
        return;
    fclose(wrap->wrapped);
    stdout = wrap->out;
    if (wrap->line.length > 0)
        print_wrapped(wrap, buffer_bytes(&wrap->line));
    buffer_free(&wrap->line);
}
