/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings texts: what each program needs to submit mail through a server,
 * ready to paste. In a text {host}, {port}, {user} and {domain} stand for
 * what they say; {port} speaks STARTTLS and {tls_port} TLS from the first
 * byte. The password is never in it.
 */
#ifndef MAILBOAT_CLI_SETTINGS_TEXTS_H
#define MAILBOAT_CLI_SETTINGS_TEXTS_H

#include <stddef.h>

struct settings_text {
    const char *name;    /* "wordpress" */
    const char *aliases; /* between commas */
    const char *title;   /* "WordPress, plugin WP Mail SMTP: wp-config.php" */
    const char *text;
};

extern const struct settings_text settings_texts[];
extern const size_t settings_text_count;

#endif
