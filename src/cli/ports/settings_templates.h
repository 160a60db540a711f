/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings_templates: snippets to paste into programs that send mail, with a server's facts filled in.
 *
 * In a text, @HOST@, @PORT@, @USER@, @FROM@ and @DOMAIN@ are the facts, and @TLS:a|b@ is a for STARTTLS
 * and b for implicit TLS. The user replaces PASSWORD.
 */
#ifndef MAILBOAT_CLI_PORTS_SETTINGS_TEMPLATES_H
#define MAILBOAT_CLI_PORTS_SETTINGS_TEMPLATES_H

#include "base/buffer.h"

struct settings_template {
    const char *name;        /* value of --for */
    const char *title;       /* "Apple Mail" */
    bool quotes;             /* facts are in single quotes, with \ as the escape */
    const char *self_signed; /* the step that makes it accept a self-signed certificate, copied to FILE */
    const char *text;
};

struct settings_facts {
    /* some services have a fixed user; `from` is the address */
    struct bytes host, user, from, domain;
    uint16_t port;
    bool implicit; /* implicit TLS */
};

extern const struct settings_template templates[];
extern const size_t paste_count;

/* case-insensitive; NULL: unknown */
const struct settings_template *settings_templates_find(struct bytes name);
void settings_templates_write(const struct settings_template *template, const struct settings_facts *facts,
                              struct buffer *out);

#endif
