/* SPDX-License-Identifier: Apache-2.0 */
/* https: fetches a small file over HTTPS (libcurl, loaded when needed: https_library). It blocks. */
#ifndef MAILBOAT_IO_HTTPS_H
#define MAILBOAT_IO_HTTPS_H

#include "base/buffer.h"
#include "base/error.h"

enum {
    HTTPS_REDIRECTS_MAX = 3,
    HTTPS_CONNECT_MS = 1500,
    HTTPS_PORT = 443,
};

/* Appends the body of a 200 response. `ca_file`: CA certificates to trust instead of the system's, or
 * NULL. Fails on a body of more than `size_max` octets, another status, an invalid certificate, and a
 * redirect to anything but HTTPS. */
bool https_fetch(const char *url, const char *ca_file, size_t size_max, uint32_t timeout_ms,
                 struct buffer *body, struct error *error);

/*
 * The same for a sandboxed process, with the rules of MTA-STS (RFC 8461 3.3): opens no file and looks up
 * no name. A redirect, or a type other than text/plain, is a failure; EX_PROTOCOL: the certificate is not
 * valid for the name. It blocks: call it from a thread.
 */
struct https_wanted {
    const char *url;
    const char *resolved;     /* "host:443:192.0.2.1,2001:db8::1" */
    struct bytes authorities; /* PEM; trust anchors for the certificate */
    size_t size_max;
    uint32_t timeout_ms;
};
bool https_fetch_plain(const struct https_wanted *wanted, struct buffer *body, struct error *error);
/* Loads and starts libcurl. Must run before the first thread starts, and before the sandbox. EX_UNAVAILABLE
 * if libcurl is not installed. */
bool https_prepare(struct error *error);

#endif
