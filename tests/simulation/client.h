/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client: a program that submits its letters: drives core/client/client_session
 * over a link, and tries again what was not accepted.
 */
#ifndef MAILBOAT_SIMULATION_CLIENT_H
#define MAILBOAT_SIMULATION_CLIENT_H

#include "core/client/client_session.h"
#include "letters.h"

struct client {
    struct letters *letters;
    struct letter *letter;
    /* Connects to the server: the client's end. */
    struct end *(*connect)(void *owner);
    void *owner;
    struct end *end;
    struct client_session session;
    struct envelope envelope;
    struct recipient recipients[LETTER_RECIPIENTS_MAX];
    char list[40];                         /* its name, where the letter goes to one */
    size_t offered[LETTER_RECIPIENTS_MAX]; /* which of the letter's they are */
    bool given, sent, open;
    struct alarm again, silence;
};

/* Begins soon, and goes on until all of the letter's recipients are accepted. */
void client_begin(struct client *client, struct letters *letters, struct letter *letter,
                  struct end *(*connect)(void *owner), void *owner);
void client_end(struct client *client);

#endif
