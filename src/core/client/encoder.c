/* SPDX-License-Identifier: Apache-2.0 */
#include "core/client/encoder.h"

#include <assert.h>

/* Returns the length of the prefix that needs no encoding: up to a dot to double, or a CR or LF that is
 * not half of a CRLF within the run. Octet by octet, so that short lines cost about as much as long ones. */
static size_t clean_length(bool doubles_dots, bool *inside_line, const char *run, size_t length)
{
    static const bool special[256] = {['\r'] = true, ['\n'] = true};
    for (size_t i = 0;;) {
        if (doubles_dots && !*inside_line && i < length && run[i] == '.')
            return i;
        size_t start = i;
        while (i < length && !special[(unsigned char)run[i]])
            i++;
        *inside_line = *inside_line || i > start;
        if (i + 1 >= length || run[i] != '\r' || run[i + 1] != '\n')
            return i;
        i += 2;
        *inside_line = false;
    }
}

/* Output of the encoder: at most two octets per octet. */
struct encoder_output {
    char *at;
};

static void put(struct encoder_output *writing, const char *octets, size_t length)
{
    memcpy(writing->at, octets, length);
    writing->at += length;
}

static void end_line(struct encoder *encoder, struct encoder_output *writing)
{
    put(writing, "\r\n", 2);
    encoder->inside_line = encoder->after_cr = false;
}

static void encode_piece(struct encoder *encoder, struct encoder_output *writing, struct bytes piece)
{
    if (encoder->after_cr) { /* CRLF, or a bare CR, which becomes one */
        end_line(encoder, writing);
        piece = bytes_from(piece, piece.at[0] == '\n' ? 1 : 0);
    }
    const char *at = piece.at, *end = piece.at + piece.length;
    while (at < end) {
        size_t clean = clean_length(!encoder->chunks, &encoder->inside_line, at, (size_t)(end - at));
        put(writing, at, clean);
        at += clean;
        if (at == end)
            return;
        if (*at == '.') {
            put(writing, "..", 2);
            encoder->inside_line = true;
        } else if (*at == '\r' && at + 1 == end) {
            encoder->after_cr = true; /* not written yet */
        } else {
            end_line(encoder, writing);
        }
        at++;
    }
}

void encoder_add(struct encoder *encoder, struct buffer *out, struct bytes run)
{
    enum { PIECE_OCTETS = 4096 }; /* small pieces limit the buffer for content that grows little */
    while (run.length > 0) {
        struct bytes piece = bytes_first(run, PIECE_OCTETS);
        size_t most = 2 * piece.length + 2;
        char *buffer = buffer_reserve(out, most);
        struct encoder_output writing = {buffer};
        encode_piece(encoder, &writing, piece);
        assert((size_t)(writing.at - buffer) <= most);
        buffer_written(out, (size_t)(writing.at - buffer));
        run = bytes_from(run, piece.length);
    }
}

bool encoder_is_clean(const struct encoder *encoder, struct bytes run)
{
    bool inside_line = true;
    return !encoder->after_cr && clean_length(false, &inside_line, run.at, run.length) == run.length;
}

void encoder_end(struct encoder *encoder, struct buffer *out)
{
    bool open = encoder->chunks ? encoder->after_cr : encoder->inside_line || encoder->after_cr;
    if (open)
        buffer_add(out, BYTES("\r\n"));
    encoder->inside_line = encoder->after_cr = false;
    if (!encoder->chunks)
        buffer_add(out, BYTES(".\r\n"));
}
