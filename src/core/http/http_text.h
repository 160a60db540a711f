/* SPDX-License-Identifier: Apache-2.0 */
/* http_text: the characters of HTTP's grammar (RFC 9110 5.6, RFC 9112 3.2, RFC 3986). */
#ifndef MAILBOAT_CORE_HTTP_HTTP_TEXT_H
#define MAILBOAT_CORE_HTTP_HTTP_TEXT_H

#include "base/bytes.h"

enum {
    HTTP_HOST_MAX = 255 + 6, /* octets of a name and ":65535" */
    HTTP_PORT_DIGITS_MAX = 5,
};

/* An octet of a token (RFC 9110 5.6.2). */
bool http_text_is_token_octet(char octet);
/* One or more of them. */
bool http_text_is_token(struct bytes b);
/* An octet of a field's value: visible, SP, HTAB, or above 127 (RFC 9110 5.5). Not NUL, CR, LF, DEL. */
bool http_text_is_value_octet(char octet);
bool http_text_is_value(struct bytes b);
/* Returns 0 to 15, or -1. */
int http_text_hex(char octet);
/* True for the value of Host (RFC 9110 7.2): a name of letters, digits, "-", "." and "_", an IPv4 address, or
 * an IPv6 address in brackets; then a port or none. RFC 3986 allows a host more characters, a comma among
 * them, which another reader may take for the end of it; no name in DNS has them. */
bool http_text_is_host(struct bytes b);
/* True if one element of a comma-separated list is this token, without regard to case. */
bool http_text_lists(struct bytes list, const char *token);

#endif
