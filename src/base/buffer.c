/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"

enum {
    FIRST_CAPACITY = 256,
    FORMATTED_LENGTH = 128, /* room for a text that is formatted: most fit, and are not formatted twice */
};

const char *buffer_text(const struct buffer *buffer)
{
    return buffer->at == NULL ? "" : buffer->at + buffer->start;
}

char *buffer_reserve(struct buffer *buffer, size_t size)
{
    assert(size < SIZE_MAX / 4);
    size_t needed = buffer->length + size + 1;
    if (buffer->start > 0 && buffer->start + needed > buffer->capacity) {
        memmove(buffer->at, buffer->at + buffer->start, buffer->length);
        buffer->start = 0;
    }
    if (buffer->start + needed > buffer->capacity) {
        size_t capacity = buffer->capacity == 0 ? FIRST_CAPACITY : buffer->capacity;
        while (capacity < needed)
            capacity += capacity;
        buffer->at = memory_resize(buffer->at, capacity);
        buffer->capacity = capacity;
    }
    return buffer->at + buffer->start + buffer->length;
}

void buffer_written(struct buffer *buffer, size_t size)
{
    buffer->length += size;
    assert(buffer->start + buffer->length < buffer->capacity);
    buffer->at[buffer->start + buffer->length] = '\0';
}

void buffer_add(struct buffer *buffer, struct bytes b)
{
    char *room = buffer_reserve(buffer, b.length);
    if (b.length > 0)
        memcpy(room, b.at, b.length);
    buffer_written(buffer, b.length);
}

void buffer_add_text(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, bytes_of_text(text));
}

void buffer_add_va(struct buffer *buffer, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    char *room = buffer_reserve(buffer, FORMATTED_LENGTH);
    size_t size = buffer->capacity - buffer->start - buffer->length;
    int length = vsnprintf(room, size, format, arguments);
    assert(length >= 0);
    if ((size_t)length >= size)
        vsnprintf(buffer_reserve(buffer, (size_t)length), (size_t)length + 1, format, again);
    va_end(again);
    buffer_written(buffer, (size_t)length);
}

void buffer_add_clean(struct buffer *buffer, struct bytes text, bool utf8_allowed)
{
    bool utf8 = utf8_allowed && bytes_is_utf8(text);
    while (text.length > 0) {
        size_t control = bytes_control_length(text);
        bool plain = control == 0 && ((unsigned char)text.at[0] < 128 || utf8);
        buffer_add_octet(buffer, plain ? text.at[0] : '?');
        text = bytes_from(text, control > 1 && utf8 ? control : 1);
    }
}

void buffer_add_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    buffer_add_va(buffer, format, arguments);
    va_end(arguments);
}

void buffer_consume(struct buffer *buffer, size_t count)
{
    assert(count <= buffer->length);
    buffer->start += count;
    buffer->length -= count;
    if (buffer->length == 0)
        buffer->start = 0;
}

void buffer_clear(struct buffer *buffer)
{
    buffer->start = buffer->length = 0;
    if (buffer->at != NULL)
        buffer->at[0] = '\0';
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->at);
    *buffer = (struct buffer){0};
}

void buffer_wipe(struct buffer *buffer)
{
    if (buffer->at != NULL)
        explicit_bzero(buffer->at, buffer->capacity);
    buffer_free(buffer);
}
