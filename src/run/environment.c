/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/environment.h"

#include <unistd.h>

#include "base/bytes.h"

/* A trailing '*' matches a prefix. */
static const char *const kept[] = {"PATH",          "TZ",       "TZDIR",        "LANG",
                                   "LC_*",          "TMPDIR",   "OPENSSL_CONF", "SSL_CERT_FILE",
                                   "SSL_CERT_DIR",  "MALLOC_*", "ASAN_OPTIONS", "LSAN_OPTIONS",
                                   "UBSAN_OPTIONS", "LD_*"};

static bool is_kept(const char *variable)
{
    struct bytes name = bytes_first(bytes_of_text(variable), strcspn(variable, "="));
    for (size_t i = 0; i < ARRAY_LENGTH(kept); i++) {
        size_t length = strlen(kept[i]);
        bool begins = kept[i][length - 1] == '*';
        if (begins ? strncmp(variable, kept[i], length - 1) == 0 : bytes_is(name, kept[i]))
            return true;
    }
    return false;
}

void environment_forget(void)
{
    char **to = environ;
    for (char **from = environ; from != NULL && *from != NULL; from++)
        if (is_kept(*from))
            *to++ = *from;
        else
            explicit_bzero(*from, strlen(*from));
    if (to != NULL)
        *to = NULL;
}
