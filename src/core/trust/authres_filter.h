/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authres_filter: removes the Authentication-Results fields that claim to be ours from a header that streams
 * by (RFC 8601 5): only this server says what this server found.
 *
 *     authres_filter_start(&filter, id);
 *     authres_filter_add(&filter, octets, &out);   for each run of the message: `out` gets what stays
 *     authres_filter_finish(&filter, &out);        at the end
 *
 * Any cut gives the same. What stays is unaltered. Memory: the field that is being read, if it is of that
 * name, at most AUTHRES_FILTER_FIELD_MAX.
 */
#ifndef MAILBOAT_CORE_TRUST_AUTHRES_FILTER_H
#define MAILBOAT_CORE_TRUST_AUTHRES_FILTER_H

#include "core/trust/authres.h"

enum { AUTHRES_FILTER_FIELD_MAX = AUTHRES_OCTETS_MAX };

enum authres_filter_state {
    AUTHRES_AT_LINE,  /* at the start of a line */
    AUTHRES_IN_NAME,  /* in the name of a field: held */
    AUTHRES_PASSING,  /* in another field */
    AUTHRES_HOLDING,  /* in a field that may be removed: held */
    AUTHRES_DROPPING, /* in the rest of a field that is removed */
    AUTHRES_IN_BODY,
};

struct authres_filter {
    struct bytes id; /* borrowed */
    struct buffer held;
    enum authres_filter_state state;
    enum authres_filter_state field; /* at the start of a line: what a continuation belongs to */
    size_t removed;                  /* fields */
};

/* `id` is our authserv-id, not empty; it must outlive the filter. */
void authres_filter_start(struct authres_filter *filter, struct bytes id);
void authres_filter_add(struct authres_filter *filter, struct bytes octets, struct buffer *out);
/* True if the rest of the message stays as it is, and need not be added. */
bool authres_filter_is_past(const struct authres_filter *filter);
/* Ends the message, and frees what the filter holds. */
void authres_filter_finish(struct authres_filter *filter, struct buffer *out);

#endif
