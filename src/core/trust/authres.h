/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authres: Authentication-Results fields (RFC 8601), read.
 *
 * authres_parse() reads the part behind the colon; ARC-Authentication-Results has the same behind its i=
 * (RFC 8617 4.1.1). Comments are dropped, values are without their quotes. Wider than the grammar where
 * others write so: values with ":" and "/", a semicolon at the end.
 */
#ifndef MAILBOAT_CORE_TRUST_AUTHRES_H
#define MAILBOAT_CORE_TRUST_AUTHRES_H

#include "base/arena.h"
#include "base/buffer.h"

enum authres_limit {
    AUTHRES_OCTETS_MAX = 16 * 1024, /* of a field that is parsed */
    AUTHRES_RESULTS_MAX = 64,
    AUTHRES_PROPERTIES_MAX = 256, /* of all results */
};

/* "header.d=example.org" is type header, name d, value example.org. */
struct authres_property {
    struct bytes type, name, value;
};

struct authres_result {
    struct bytes method, result;
    unsigned version;    /* of the method; 0: none is given */
    struct bytes reason; /* at == NULL: none is given */
    size_t first, count; /* in the properties */
};

/* Texts live in the arena. */
struct authres {
    struct bytes id;  /* authserv-id: the server whose word it is */
    unsigned version; /* 0: none is given, which is 1; results of another must not be used */
    struct authres_result results[AUTHRES_RESULTS_MAX];
    size_t result_count; /* 0: "none" */
    struct authres_property properties[AUTHRES_PROPERTIES_MAX];
    size_t property_count;
};

/* Parses the value of a field; false if it is malformed or over a limit, with *authres undefined. */
bool authres_parse(struct authres *authres, struct bytes value, struct arena *arena);

/*
 * True if a server that trusts `id` could take the value for its own (RFC 8601 5): the authserv-id is `id`
 * in any case of letters, quoted or not, with or without a final dot; or the value is malformed and begins
 * like it. Such fields are removed from what comes in from others.
 */
bool authres_claims(struct bytes value, struct bytes id);

#endif
