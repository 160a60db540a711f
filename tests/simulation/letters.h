/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letters: the record of the truth: what each client sent, what it was
 * promised, what arrived where, and how often the machines could not know.
 * letters_check() holds the promise against what happened.
 */
#ifndef MAILBOAT_SIMULATION_LETTERS_H
#define MAILBOAT_SIMULATION_LETTERS_H

#include "ipc/ipc_message.h"
#include "world.h"

enum { LETTERS_MAX = 16, LETTER_RECIPIENTS_MAX = 4 };
/* What the node puts before each: it stands there once, wherever the letter arrives. */
#define LETTERS_PREFIX "Received: by mx.here.test\r\n"

/* A recipient of a letter. */
struct letter_recipient {
    struct bytes address;
    bool refused_for_good; /* its server answers 550: the sender must hear of it */
    bool promised;         /* the first server said 250 to the content with it among the recipients */
    unsigned copies;       /* in its mailbox */
    unsigned reports;      /* that the sender got about it */
    /* it was given up: somebody far away said 5xx, or DNS that there is no such place */
    unsigned failed;
};

struct letter {
    unsigned number;
    struct bytes sender, content;
    struct letter_recipient recipients[LETTER_RECIPIENTS_MAX];
    size_t recipient_count;
    bool by_list; /* it is written to an alias, "list" and its number, behind which they are */
    /* how often somebody could not know whether it had arrived: each allows one more copy */
    unsigned uncertain;
    unsigned confused; /* how often a peer took it that had given more replies than it was asked for */
};

struct letters {
    struct world *world;
    struct letter all[LETTERS_MAX];
    size_t count;
    unsigned in_clear;  /* mail sent in clear where it must not be */
    unsigned unfounded; /* given up, and nobody had said so */
};

/* Random letters from u0@here.test to people here, there and nowhere. */
void letters_write(struct letters *letters, struct world *world, size_t count);

/* The letter that a content is, or is about; NULL when it is none. */
struct letter *letters_find(struct letters *letters, struct bytes content);
/* What is sent of a delivery: its prefix and its content. */
struct bytes letters_sent(const struct letters *letters, const struct ipc_deliver *deliver);
/* A content came into a mailbox. */
void letters_arrived(struct letters *letters, struct bytes address, struct bytes content);
/* A recipient was given up after a word that is final; `founded`: it was spoken. */
void letters_failed(struct letters *letters, struct bytes content, struct bytes address, bool founded);
void letters_confused(struct letters *letters, struct bytes content);
void letters_uncertain(struct letters *letters, struct bytes content, const char *why);

/* Is everything promised kept? `problem` says what is not. */
bool letters_are_done(const struct letters *letters);
bool letters_check(const struct letters *letters, struct buffer *problem);

#endif
