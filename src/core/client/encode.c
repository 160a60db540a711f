/* SPDX-License-Identifier: Apache-2.0 */
#include "client/encode.h"

static void end_line(struct encoder *encoder, struct buffer *out)
{
    buffer_add(out, BYTES("\r\n"));
    encoder->inside_line = encoder->after_cr = false;
}

/* Octets without CR and LF. */
static void add_plain(struct encoder *encoder, struct buffer *out, struct bytes plain)
{
    if (plain.length == 0)
        return;
    if (!encoder->chunks && !encoder->inside_line && plain.at[0] == '.')
        buffer_add_octet(out, '.');
    buffer_add(out, plain);
    encoder->inside_line = true;
}

void encoder_add(struct encoder *encoder, struct buffer *out, struct bytes run)
{
    buffer_reserve(out, run.length + run.length / 16 + 8);
    while (run.length > 0) {
        if (encoder->after_cr) { /* CRLF, or a bare CR that becomes one */
            size_t skip = run.at[0] == '\n' ? 1 : 0;
            end_line(encoder, out);
            run = bytes_from(run, skip);
            continue;
        }
        size_t newline = bytes_find(run, '\n');
        struct bytes line = bytes_first(run, newline);
        size_t cr = bytes_find(line, '\r');
        if (cr != SIZE_MAX) {
            add_plain(encoder, out, bytes_first(line, cr));
            encoder->after_cr = true;
            run = bytes_from(run, cr + 1);
            continue;
        }
        add_plain(encoder, out, line);
        if (newline == SIZE_MAX)
            return;
        end_line(encoder, out);
        run = bytes_from(run, newline + 1);
    }
}

bool encoder_is_clean(const struct encoder *encoder, struct bytes run)
{
    if (encoder->after_cr)
        return false;
    while (run.length > 0) {
        size_t newline = bytes_find(run, '\n');
        struct bytes line = bytes_first(run, newline);
        size_t cr = bytes_find(line, '\r');
        if (newline == SIZE_MAX)
            return cr == SIZE_MAX;
        if (line.length == 0 || cr != line.length - 1)
            return false;
        run = bytes_from(run, newline + 1);
    }
    return true;
}

void encoder_end(struct encoder *encoder, struct buffer *out)
{
    if (encoder->chunks) {
        if (encoder->after_cr)
            end_line(encoder, out);
        return;
    }
    if (encoder->inside_line || encoder->after_cr)
        end_line(encoder, out);
    buffer_add(out, BYTES(".\r\n"));
}
