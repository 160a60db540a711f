/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_record: parses a record's data from wire form; the input is untrusted. io/dns gets it from
 * libunbound, uncompressed, and parses each record of an answer here.
 */
#ifndef MAILBOAT_CORE_DNS_DNS_RECORD_H
#define MAILBOAT_CORE_DNS_DNS_RECORD_H

#include "base/arena.h"
#include "core/dns/dns_answer.h"

enum dns_record_limit {
    /* records of one answer. A message of 65535 octets holds fewer of any kind queried, except PTR and
     * empty TXT (RFC 1035 4.1.3: 14 octets and more each): records beyond it are ignored. */
    DNS_RECORDS_MAX = 4096,
};

/* False if malformed; *record is then invalid. Names and TXT live in `arena`; the association data of TLSA
 * borrows from `data`. */
bool dns_record_read(struct dns_record *record, enum dns_type type, struct bytes data, struct arena *arena);

#endif
