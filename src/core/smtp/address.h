/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address: mail addresses and paths of SMTP (RFC 5321 4.1.2 and 4.1.3, RFC 6531 3.3): dot-strings, quoted
 * local parts, domains, address literals. Wider than the standard in two points: an unquoted local part may
 * have dots anywhere ("a..b", "a."), since such mailboxes exist, and local parts may be longer. Comments and
 * folding belong to header fields and are not accepted.
 */
#ifndef MAILBOAT_CORE_SMTP_ADDRESS_H
#define MAILBOAT_CORE_SMTP_ADDRESS_H

#include "base/buffer.h"
#include "core/dns/host.h"

enum address_limit {
    /* octets. RFC 5321 4.5.3.1.1 has 64, and asks to avoid limits: SRS and VERP make longer senders */
    LOCAL_PART_MAX = 256,
    DOMAIN_MAX = 255, /* octets (4.5.3.1.2) */
    ADDRESS_MAX = LOCAL_PART_MAX + 1 + DOMAIN_MAX,
};

struct address {
    struct bytes local;  /* as written, with its quotes if any */
    struct bytes domain; /* name, or literal with its brackets */
    bool quoted, literal;
    bool smtputf8; /* has octets above 127: needs RFC 6531 */
};

/* Parses "local@domain", all of `text`; false if it is not an address. Octets above 127 are allowed only
 * with `utf8_allowed`, and must be UTF-8. */
bool address_parse(struct bytes text, bool utf8_allowed, struct address *address);

/* Parses "[192.0.2.1]" or "[IPv6:2001:db8::1]". Rejects other tagged literals: none is registered.
 * `inside`, if not NULL, gets the bare address. */
bool address_literal_parse(struct bytes text, struct bytes *inside);

/* PATH_LOCAL: a local part without a domain, which programs use on their own machine */
enum path_kind { PATH_MALFORMED, PATH_NULL, PATH_POSTMASTER, PATH_LOCAL, PATH_ADDRESS };
/*
 * Parses a path at the start of `text`, with its brackets: "<>", "<postmaster>", "<root>", "<a@b>",
 * "<@r1,@r2:a@b>" (the source route is read and dropped, RFC 5321 Appendix C). Spaces within them are
 * skipped, and programs that leave them out mean the text up to a space: as Postfix, for telnet and for
 * monitoring; doubled brackets "<<a@b>>", of programs that put their own around "<a@b>", count once. *address
 * gets the address without brackets ("" for the null path) and without the root's dot, *used the octets of
 * the path.
 */
enum path_kind address_parse_path(struct bytes text, bool utf8_allowed, struct bytes *address, size_t *used);

/* Returns the address without the dot at the end of a full domain name ("a@example.org."). */
struct bytes address_without_root_dot(struct bytes address);

/* Splits at the last @; false if there is none. Does not validate. */
bool address_split(struct bytes address, struct bytes *local, struct bytes *domain);

/* Appends the address in the form for comparison and storage: domain in lower case, quotes dropped where
 * the local part does not need them. */
void address_canonical(struct buffer *out, const struct address *address);

/* Appends the local part in its one canonical form: quotes and quoted-pairs only where needed. */
void address_canonical_local(struct buffer *out, const struct address *address);

/* Appends the local part without quotes and quoted-pairs. */
void address_unquoted_local(struct buffer *out, const struct address *address);

#endif
