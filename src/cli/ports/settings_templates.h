/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings_templates: the texts that people paste into the programs that send their mail,
 * with the facts of a server filled in.
 *
 * In a text, @HOST@, @PORT@, @USER@, @FROM@ and @DOMAIN@ are the facts, and
 * @TLS:a|b@ is a where TLS begins with STARTTLS and b where it comes first.
 * PASSWORD is for the person to replace.
 */
#ifndef MAILBOAT_CLI_PORTS_SETTINGS_TEMPLATES_H
#define MAILBOAT_CLI_PORTS_SETTINGS_TEMPLATES_H

#include "base/buffer.h"

struct settings_template {
    const char *name;  /* what --for takes */
    const char *title; /* "Apple Mail" */
    bool quotes;       /* the facts stand in single quotes, where \ protects one */
    const char *text;
};

struct settings_facts {
    /* some services sign in with a fixed user; `from` is the address */
    struct bytes host, user, from, domain;
    uint16_t port;
    bool implicit; /* TLS from the first octet */
};

extern const struct settings_template templates[];
extern const size_t paste_count;

/* without regard to case; NULL: none */
const struct settings_template *settings_templates_find(struct bytes name);
void settings_templates_write(const struct settings_template *template, const struct settings_facts *facts,
                              struct buffer *out);

#endif
