/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer_encoding: converts a message for a server without 8BITMIME or BINARYMIME (RFC 6152 3, RFC 3030
 * 3). Each MIME part declared 8bit or binary is encoded, text in quoted-printable and the rest in base64,
 * and the enclosing parts are declared 7bit; other parts pass unchanged. In binary content every part is
 * encoded: one without a declaration, or declared 7bit, may still contain NUL. In places that cannot be
 * encoded (headers of parts, text between parts, parts declared as encoded) NUL becomes "?", and a bare CR
 * or LF CRLF.
 *
 * With `short_lines` it does the same for lines that are longer than SMTP allows: parts without an encoding
 * are encoded, encoded ones get shorter lines, and header fields are folded; what a reader decodes is the
 * same octet by octet.
 *
 * Encoding would break signatures. A multipart/signed, and a whole message with a DKIM-Signature, pass
 * unchanged: nearly all servers accept eight bits, whatever they announce. Binary content cannot pass and
 * is encoded nevertheless.
 *
 * Call transfer_encoding_add() with the content in pieces of any size, then transfer_encoding_end().
 * Memory is bounded: a header, a line and the boundaries of TRANSFER_ENCODING_DEPTH_MAX multiparts; parts
 * beyond a limit pass unchanged.
 */
#ifndef MAILBOAT_CORE_MESSAGE_TRANSFER_ENCODING_H
#define MAILBOAT_CORE_MESSAGE_TRANSFER_ENCODING_H

#include "base/buffer.h"

enum transfer_encoding_limit {
    TRANSFER_ENCODING_HEADER_MAX = 256 * 1024, /* octets of one part's header */
    TRANSFER_ENCODING_LINE_MAX = 2000,         /* octets of a line that are processed together */
    TRANSFER_ENCODING_DEPTH_MAX = 16,          /* multiparts within multiparts */
    TRANSFER_ENCODING_BOUNDARY_MAX = 70,       /* RFC 2046 5.1.1 */
};

struct transfer_encoding {
    bool binary; /* every part is encoded */
    /* after transfer_encoding_start(): no line may be longer than LINE_OCTETS_MAX, and octets above 127
     * need no encoding */
    bool short_lines, eight_passes;
    enum {
        TRANSFER_ENCODING_HEADER,
        TRANSFER_ENCODING_PASS,
        TRANSFER_ENCODING_TEXT,
        TRANSFER_ENCODING_OCTETS,
        TRANSFER_ENCODING_BASE64_LINES, /* base64 already: in lines of the usual length */
        TRANSFER_ENCODING_QUOTED_LINES, /* quoted-printable already: long lines are split */
        TRANSFER_ENCODING_SEALED
    } state;
    bool nested; /* the header is a part's, not the message's */
    struct buffer header, line;
    bool inside_line;   /* the content of `line` continues a line */
    bool newline;       /* the preceding line end, which may belong to a boundary, is not written yet */
    size_t column;      /* of the open encoded line */
    size_t escape_left; /* octets of an "=XX" that follow */
    bool splitting;     /* the line in transfer is too long */
    uint8_t rest[3];    /* octets that do not fill a group of base64 yet */
    size_t rest_count;
    struct transfer_encoding_boundary {
        char text[TRANSFER_ENCODING_BOUNDARY_MAX];
        uint8_t length;
    } boundaries[TRANSFER_ENCODING_DEPTH_MAX];
    size_t depth;
};

void transfer_encoding_start(struct transfer_encoding *transfer_encoding, bool binary);
void transfer_encoding_free(struct transfer_encoding *transfer_encoding);
void transfer_encoding_add(struct transfer_encoding *transfer_encoding, struct buffer *out, struct bytes run);
void transfer_encoding_end(struct transfer_encoding *transfer_encoding, struct buffer *out);

#endif
