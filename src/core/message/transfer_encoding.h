/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer_encoding: a message as a server takes it that lacks 8BITMIME or BINARYMIME
 * (RFC 6152 3, RFC 3030 3). Each MIME part that says 8bit or binary is encoded,
 * text in quoted-printable and the rest in base64, and the containers around
 * it say 7bit; what says nothing of the kind passes as it is. Of binary content
 * no part passes: one that says nothing, or 7bit, may hold NUL all the same. In
 * what cannot be encoded (headers of parts, what stands between parts, what is
 * said to be encoded already) NUL becomes "?", and a bare CR or LF a CRLF.
 *
 * What is signed would not be what was signed any more. A multipart/signed,
 * and a whole message with a DKIM-Signature, pass as they are: servers take
 * eight bits nearly everywhere, whatever they announce. Binary content cannot
 * pass and is encoded all the same.
 *
 * transfer_encoding_add() with the content in pieces cut anywhere, then transfer_encoding_end().
 * Memory is bounded: a header, a line and the boundaries of TRANSFER_ENCODING_DEPTH_MAX
 * multiparts; what goes beyond a limit passes as it is.
 */
#ifndef MAILBOAT_CORE_MESSAGE_TRANSFER_ENCODING_H
#define MAILBOAT_CORE_MESSAGE_TRANSFER_ENCODING_H

#include "base/buffer.h"

enum transfer_encoding_limit {
    TRANSFER_ENCODING_HEADER_MAX = 256 * 1024, /* octets of one part's header */
    TRANSFER_ENCODING_LINE_MAX = 2000,         /* octets of a line that are looked at together */
    TRANSFER_ENCODING_DEPTH_MAX = 16,          /* multiparts within multiparts */
    TRANSFER_ENCODING_BOUNDARY_MAX = 70,       /* RFC 2046 5.1.1 */
};

struct transfer_encoding {
    bool binary; /* no part may pass as it is */
    enum {
        TRANSFER_ENCODING_HEADER,
        TRANSFER_ENCODING_PASS,
        TRANSFER_ENCODING_TEXT,
        TRANSFER_ENCODING_OCTETS,
        TRANSFER_ENCODING_SEALED
    } state;
    bool nested; /* the header is not the message's own */
    struct buffer header, line;
    bool inside_line; /* what is in `line` does not begin one */
    bool newline;     /* the line end before it, which may belong to a boundary, is not written yet */
    size_t column;    /* of the encoded line that is open */
    uint8_t rest[3];  /* octets that do not fill a group of base64 yet */
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
