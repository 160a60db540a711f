/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letter: a message that `mailboat send` composes or reads, in a temporary
 * file, with its envelope.
 */
#ifndef MAILBOAT_CLI_LETTER_H
#define MAILBOAT_CLI_LETTER_H

#include "arena.h"
#include "error.h"
#include "smtp/envelope.h"

#include <stdio.h>

struct letter_parts {
    const char *from, *subject, *body, *file; /* NULL: not said; without body and file: standard input */
    const char *const *to, *const *cc, *const *bcc, *const *attach;
    size_t to_count, cc_count, bcc_count, attach_count;
    bool read_recipients; /* the text is a whole message with its header */
    uint64_t now_ms, random;
};

struct letter {
    FILE *file;      /* the message, CRLF lines, at its beginning */
    uint64_t size;
    struct arena arena;
    struct envelope envelope;
    size_t room;     /* recipients there is room for */
};

/* False with a reason: an impossible address (65), a file that is not there (66). */
bool letter_compose(struct letter *letter, const struct letter_parts *parts, struct error *error);
void letter_free(struct letter *letter);
/* Its recipients live as long as the letter. */
struct envelope letter_envelope(const struct letter *letter);

#endif
