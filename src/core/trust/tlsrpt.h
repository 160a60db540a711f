/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlsrpt: where a domain wants reports on the TLS of mail that is sent to it (RFC 8460 3): the record at
 * _smtp._tls.DOMAIN. The input is untrusted.
 */
#ifndef MAILBOAT_CORE_TRUST_TLSRPT_H
#define MAILBOAT_CORE_TRUST_TLSRPT_H

#include "core/trust/dns_facts.h"
#include "core/trust/report_uri.h"

enum tlsrpt_limit {
    TLSRPT_RECORD_MAX = 4096, /* octets; a longer record is invalid */
};

/* How each record begins: of the TXT of a name, no others are wanted. */
#define TLSRPT_PREFIX "v=TLSRPTv1"

/* Reads one record; false if it does not have the syntax of RFC 8460 3. URIs borrow from it. */
bool tlsrpt_read(struct bytes text, struct report_uris *rua);

enum tlsrpt_state {
    TLSRPT_NONE, /* the domain takes no reports: not exactly one record, or an invalid one */
    TLSRPT_WANTED,
    TLSRPT_TEMPERROR, /* DNS did not tell */
};
/* Looks the record of a domain up; final if `facts` lacks nothing. URIs live as long as the facts. */
enum tlsrpt_state tlsrpt_look_up(struct bytes domain, struct dns_facts *facts, struct report_uris *rua);

#endif
