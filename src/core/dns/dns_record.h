/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_record: a record's data off the wire, as strangers wrote it. io/dns has
 * it from libunbound, uncompressed, and reads each record of an answer here.
 */
#ifndef MAILBOAT_CORE_DNS_DNS_RECORD_H
#define MAILBOAT_CORE_DNS_DNS_RECORD_H

#include "base/arena.h"
#include "core/dns/dns_answer.h"

enum dns_record_limit {
    /* Of one answer. More than a message of 65535 octets holds of any kind that
     * is asked for but PTR and empty TXT (RFC 1035 4.1.3: 14 octets and more
     * each): what stands behind is not seen. */
    DNS_RECORDS_MAX = 4096,
};

/* False: it is malformed, and *record is to be forgotten. Names and TXT live in
 * `arena`; what a TLSA record's certificate must match borrows from `data`. */
bool dns_record_read(struct dns_record *record, enum dns_type type, struct bytes data, struct arena *arena);

#endif
