/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer: octets that are appended at the end and consumed at the front.
 *
 * Invariants: at[start..start+length) is the content; after the first append a NUL always follows it, so
 * that text can be passed to C; an all-zero struct is an empty buffer that owns no memory. Appending never
 * fails: out of memory, the process ends.
 */
#ifndef MAILBOAT_BASE_BUFFER_H
#define MAILBOAT_BASE_BUFFER_H

#include <stdarg.h>

#include "base/bytes.h"

struct buffer {
    char *at;
    size_t start;    /* octets consumed at the front */
    size_t length;   /* octets of content */
    size_t capacity; /* octets allocated */
};

static inline struct bytes buffer_bytes(const struct buffer *buffer)
{
    return bytes_of(buffer->at == NULL ? NULL : buffer->at + buffer->start, buffer->length);
}

/* Returns the content as C text: valid until the next change; "" when empty. */
const char *buffer_text(const struct buffer *buffer);

void buffer_add(struct buffer *buffer, struct bytes b);
void buffer_add_text(struct buffer *buffer, const char *text);
/* Appends untrusted text for one line of a log or terminal: each character of bytes_control_length()
 * becomes "?", and so does each octet above 127 where the text is not UTF-8 or UTF-8 is not allowed. */
void buffer_add_clean(struct buffer *buffer, struct bytes text, bool utf8_allowed);
void buffer_add_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_add_va(struct buffer *buffer, const char *format, va_list arguments);

/* Reserves at least `size` more octets; write there, then call buffer_written(). */
char *buffer_reserve(struct buffer *buffer, size_t size);
void buffer_written(struct buffer *buffer, size_t size);

/* Many texts are built octet by octet: where there is room, nothing is called. */
static inline void buffer_add_octet(struct buffer *buffer, char octet)
{
    size_t end = buffer->start + buffer->length;
    if (end + 1 >= buffer->capacity) {
        *buffer_reserve(buffer, 1) = octet;
        buffer_written(buffer, 1);
        return;
    }
    buffer->at[end] = octet;
    buffer->at[end + 1] = '\0';
    buffer->length++;
}

/* Consumes `count` octets at the front; the buffer must hold them. */
void buffer_consume(struct buffer *buffer, size_t count);
/* Empties it and keeps its memory for the next use. */
void buffer_clear(struct buffer *buffer);
/* Empties it and gives its memory back. */
void buffer_free(struct buffer *buffer);
/* The same for a buffer that held a secret: overwrites its memory before freeing it. Blocks that it
 * outgrew earlier are not overwritten: reserve enough first. */
void buffer_wipe(struct buffer *buffer);

#endif
