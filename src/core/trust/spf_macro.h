/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spf_macro: the macros of SPF (RFC 7208 7): checks the text of a term, and expands it.
 *
 * spf.c checks each text of a record once with spf_macro_check(), then expands it with the values of the
 * judgement. The input is untrusted: an expansion is bounded, whatever the text asks for.
 */
#ifndef MAILBOAT_CORE_TRUST_SPF_MACRO_H
#define MAILBOAT_CORE_TRUST_SPF_MACRO_H

#include "core/route/ip.h"

enum spf_macro_limit {
    SPF_VALUE_MAX = 512,       /* octets of the sender, of the HELO name: the values of macros */
    SPF_EXPANDED_MAX = 2048,   /* octets kept of an expansion in progress */
    SPF_EXPLANATION_MAX = 512, /* octets of an explanation; a longer one is cut */
};

/* The values of the macro letters. Borrowed. */
struct spf_macro_values {
    struct bytes sender, local, sender_domain; /* s, l, o */
    struct bytes domain;                       /* d: of the record that is evaluated */
    struct bytes helo, receiver;               /* h, r */
    struct bytes client_name;                  /* p: a validated name of the client, or "unknown" */
    const struct route_address *client;        /* i, c, v; not an IPv4-mapped one */
    uint64_t now_s;                            /* t: seconds since the epoch */
};

enum spf_macro_place {
    SPF_PLACE_DOMAIN,      /* domain-spec: ends in a macro or a top label; c, r and t are not allowed */
    SPF_PLACE_MODIFIER,    /* the text of an unknown modifier */
    SPF_PLACE_EXPLANATION, /* the text that exp= leads to: spaces are allowed */
};

/* True if the text has the syntax of its place (RFC 7208 7.1); all octets are then visible ASCII or spaces.
 */
bool spf_macro_check(struct bytes text, enum spf_macro_place place);
/* True if the checked text has a %{p}: `client_name` is needed. */
bool spf_macro_names_client(struct bytes text);

struct spf_expansion {
    char at[SPF_EXPANDED_MAX];
    size_t length;
};
/* Expands a checked domain-spec to a name of at most 253 octets: labels on its left are dropped until it
 * fits (RFC 7208 7.3). It has no final dot, and octets that a name as text cannot hold are written \DDD. */
void spf_macro_expand_name(struct bytes text, const struct spf_macro_values *values,
                           struct spf_expansion *out);
/* Expands a checked explanation; cut at SPF_EXPLANATION_MAX octets. */
void spf_macro_expand_explanation(struct bytes text, const struct spf_macro_values *values,
                                  struct spf_expansion *out);

#endif
