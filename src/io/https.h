/* SPDX-License-Identifier: Apache-2.0 */
/* https: fetches a small file over HTTPS (libcurl). It blocks. */
#ifndef MAILBOAT_IO_HTTPS_H
#define MAILBOAT_IO_HTTPS_H

#include "base/buffer.h"
#include "base/error.h"

enum {
    HTTPS_REDIRECTS_MAX = 3,
    HTTPS_CONNECT_MS = 1500,
};

/* Appends the body of a 200. `ca_file`: CA certificates to trust instead of
 * the system's, or NULL. A body of more than `size_max` octets, another
 * status, a certificate that is not valid and a redirect to anything but
 * HTTPS are failures. */
bool https_fetch(const char *url, const char *ca_file, size_t size_max, uint32_t timeout_ms,
                 struct buffer *body, struct error *error);

/*
 * The same for a process that is sealed, as MTA-STS wants it (RFC 8461 3.3):
 * no file is opened and no name looked up. A redirect, and what is not
 * text/plain, are failures. It blocks: call it from a thread.
 */
struct https_wanted {
    const char *url;
    const char *resolved;     /* "host:443:192.0.2.1,2001:db8::1" */
    struct bytes authorities; /* PEM; what a certificate must come from */
    size_t size_max;
    uint32_t timeout_ms;
};
bool https_fetch_plain(const struct https_wanted *wanted, struct buffer *body, struct error *error);
/* Before the first thread is there, and before the seal. */
bool https_prepare(struct error *error);

#endif
