/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_uri: the addresses to which reports are wanted: rua and ruf of DMARC (RFC 9989 4.7), rua of TLS-RPT
 * (RFC 8460 3). The input is untrusted.
 */
#ifndef MAILBOAT_CORE_TRUST_REPORT_URI_H
#define MAILBOAT_CORE_TRUST_REPORT_URI_H

#include "base/buffer.h"

enum report_uri_limit {
    REPORT_URIS_MAX = 10, /* of one tag; more are ignored */
};

struct report_uris {
    struct bytes uris[REPORT_URIS_MAX]; /* borrow from the value; without a size */
    size_t count;
    size_t invalid; /* items of the list that are not URIs, without empty ones */
};

/* Reads a list of URIs with commas. `sized`: an obsolete limit such as "!10m" is allowed after a URI, and
 * ignored (RFC 9989 4.8). */
void report_uri_read_list(struct bytes value, bool sized, struct report_uris *uris);
/* True for a URI (RFC 3986) that has no ",", ";" or "!", which must be written as %XX in a list. */
bool report_uri_is_valid(struct bytes uri);
/* Appends the address of a mailto URI, without its header fields (RFC 6068 2). False, with nothing appended,
 * if it is another URI or does not have one valid address. */
bool report_uri_address(struct bytes uri, struct buffer *address);

#endif
