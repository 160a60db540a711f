/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_readers: who wants reports about a domain: the addresses in its record of TLS-RPT (RFC 8460 3), or
 * in its DMARC record (RFC 9990 4), there without those of other organizations that have not agreed to get
 * them. A size after an address ("!10m") is ignored (RFC 9989 4.8).
 */
#ifndef MAILBOAT_CORE_TRUST_REPORT_READERS_H
#define MAILBOAT_CORE_TRUST_REPORT_READERS_H

#include "core/trust/dns_facts.h"
#include "core/trust/report_message.h"
#include "core/trust/report_uri.h"

enum report_wanted {
    REPORT_UNWANTED,
    REPORT_WANTED,
    REPORT_UNKNOWN, /* DNS did not tell */
};

struct report_readers {
    struct bytes addresses[REPORT_URIS_MAX]; /* of mailto: URIs, ASCII; live in the facts' arena */
    size_t address_count;
};

/* `domain`: for DMARC the one that has the record. Final if `facts` lacks nothing afterwards; all that can be
 * asked is lacked at the same time. */
enum report_wanted report_readers_find(enum report_kind kind, struct bytes domain, struct dns_facts *facts,
                                       struct report_readers *readers);

#endif
