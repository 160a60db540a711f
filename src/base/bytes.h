/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes: a borrowed run of octets with its length; never NUL-terminated.
 *
 * Text and data are passed as `struct bytes`, by value. The maker of the octets owns them and documents
 * how long they live; a `struct bytes` owns nothing and is never freed.
 */
#ifndef MAILBOAT_BASE_BYTES_H
#define MAILBOAT_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const char *at; /* may be NULL only when length is 0 */
    size_t length;  /* octets */
};

/* A literal: BYTES("EHLO"). */
#define BYTES(literal) ((struct bytes){("" literal ""), sizeof(literal) - 1})
/* For printf("%.*s", BYTES_ARG(b)). */
#define BYTES_ARG(b) ((int)(b).length), ((b).at == NULL ? "" : (b).at)

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static inline struct bytes bytes_of(const void *at, size_t length)
{
    return (struct bytes){(const char *)at, length};
}

/* Returns the text up to its NUL; the empty run for NULL. */
static inline struct bytes bytes_of_text(const char *text)
{
    return (struct bytes){text, text == NULL ? 0 : strlen(text)};
}

static inline struct bytes bytes_none(void)
{
    return (struct bytes){NULL, 0};
}

/* Returns the octets after the first `count`; `b` must hold at least `count`. */
struct bytes bytes_from(struct bytes b, size_t count);
/* Returns the first `count` octets, or all if there are fewer. */
struct bytes bytes_first(struct bytes b, size_t count);

bool bytes_equal(struct bytes a, struct bytes b);
/* Compares ASCII letters without regard to case, other octets exactly. */
bool bytes_equal_nocase(struct bytes a, struct bytes b);
bool bytes_is(struct bytes a, const char *text);
bool bytes_is_nocase(struct bytes a, const char *text);
bool bytes_starts_nocase(struct bytes b, const char *prefix);
bool bytes_ends_nocase(struct bytes b, const char *suffix);
/* Returns <0, 0 or >0 in octet order; a shorter run sorts before a longer one. */
int bytes_compare(struct bytes a, struct bytes b);

/* Returns the position of the first (last) `octet`; SIZE_MAX if absent. */
size_t bytes_find(struct bytes b, char octet);
size_t bytes_find_last(struct bytes b, char octet);
/* Returns the position of `needle` in `b`; SIZE_MAX if absent. */
size_t bytes_search(struct bytes b, struct bytes needle);
/* Removes spaces and tabs from both ends. */
struct bytes bytes_trim(struct bytes b);

/*
 * Splits at the first `separator`: returns the part before it and moves *rest past it. Without a separator
 * returns all and empties *rest.
 */
struct bytes bytes_split(struct bytes *rest, char separator);

/* Parses an unsigned decimal number of 1 to 20 digits and nothing else, at most `max`; false otherwise,
 * with *value unchanged. */
bool bytes_to_u64(struct bytes b, uint64_t max, uint64_t *value);

bool bytes_is_utf8(struct bytes b);  /* well-formed UTF-8 (RFC 3629), any length */
bool bytes_is_ascii(struct bytes b); /* no octet above 127 */
/* True if `b` has an octet below 32 or 127, which must never reach a log, reply or header raw. */
bool bytes_has_control(struct bytes b);
/* Returns the octets of the control character at the start of `b`, 0 if it is another character. Control
 * characters act on a line or terminal: octets below 32, 127, and in UTF-8 U+0080 to U+009F, line and
 * paragraph separators, and marks that change the text direction. */
size_t bytes_control_length(struct bytes b);
/* True if `b` has such a character anywhere. */
bool bytes_has_control_character(struct bytes b);

/* Returns FNV-1a of the octets; not for hostile keys (see map.h). */
uint64_t bytes_hash(struct bytes b, uint64_t seed);

/* ASCII only, independent of the locale. */
static inline char ascii_lower(char c)
{
    return (c >= 'A' && c <= 'Z') ? (char)(c + ('a' - 'A')) : c;
}
static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool ascii_is_alpha(char c)
{
    return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}
static inline bool ascii_is_alnum(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c);
}

#endif
