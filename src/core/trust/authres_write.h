/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authres_write: writes Authentication-Results fields (RFC 8601).
 *
 *     authres_write_start(&writer, id);
 *     authres_write_result(&writer, "spf", "pass", NULL);
 *     authres_write_property(&writer, "smtp", "mailfrom", address);
 *     authres_write_dkim(&writer, dkim);
 *     authres_write_end(&writer, "Authentication-Results: ", &out);
 *
 * One line per result where it fits. What others wrote (addresses, domains) is quoted where it must be, and
 * never ends a line or a value: what is written reads back as what was given.
 */
#ifndef MAILBOAT_CORE_TRUST_AUTHRES_WRITE_H
#define MAILBOAT_CORE_TRUST_AUTHRES_WRITE_H

#include "core/trust/dkim.h"

enum authres_write_limit {
    AUTHRES_WRITE_MAX = 4 * 1024,               /* octets of a field; results past it are left out */
    AUTHRES_FIELD_MAX = AUTHRES_WRITE_MAX + 64, /* with its name, and its line end */
    AUTHRES_VALUE_MAX = 320,                    /* octets of a value; the rest is cut off */
};

struct authres_writer {
    struct buffer text; /* the payload, without its line end */
    size_t line;        /* where its last line begins */
    size_t whole;       /* the length up to the last result that fits */
    bool over, any;
};

/* Begins a field; `id` is our authserv-id, the host's name. */
void authres_write_start(struct authres_writer *writer, struct bytes id);
/* Begins a result; `reason` may be NULL. */
void authres_write_result(struct authres_writer *writer, const char *method, const char *result,
                          const char *reason);
/* Adds a property of the result: "type.name=value". */
void authres_write_property(struct authres_writer *writer, const char *type, const char *name,
                            struct bytes value);
/* Adds a result for each signature (RFC 8601 2.7.1, RFC 6008), those that were looked at first; dkim=none
 * without any. */
void authres_write_dkim(struct authres_writer *writer, const struct dkim *dkim);
/* Appends `prefix`, the payload ("none" without results) and CRLF, and frees the writer's memory. */
void authres_write_end(struct authres_writer *writer, const char *prefix, struct buffer *out);

#endif
