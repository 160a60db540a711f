/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_record: parses a record's data from wire form; the input is untrusted. io/dns gets it from
 * libunbound, uncompressed, and parses each record of an answer here.
 */
#ifndef MAILBOAT_CORE_DNS_DNS_RECORD_H
#define MAILBOAT_CORE_DNS_DNS_RECORD_H

#include "base/arena.h"
#include "core/dns/dns_answer.h"

/* Of one answer: what is beyond is left out, and the answer says so (dns_answer.cut). */
enum dns_record_limit {
    DNS_RECORDS_MAX = 4096,             /* a domain may have a thousand servers */
    DNS_RECORDS_OCTETS_MAX = 64 * 1024, /* of their names and data */
};

/* False if malformed; *record is then invalid. Names and TXT live in `arena`; the association data of TLSA
 * borrows from `data`. */
bool dns_record_read(struct dns_record *record, enum dns_type type, struct bytes data, struct arena *arena);

/* ---- the records of an answer ---- */

struct dns_record_list {
    struct dns_record *records;
    size_t count, room;
    size_t octets;
    bool cut; /* there were more records, or more octets */
};

/* Makes an empty list for at most `count` records, in `arena`. */
void dns_record_list_start(struct dns_record_list *list, size_t count, struct arena *arena);
/* Reads a record and adds it, as dns_record_read(). One that is malformed is left out; so is TXT that does
 * not begin with `prefix` (dns_text_begins(); NULL: any), before it counts. */
void dns_record_list_add(struct dns_record_list *list, enum dns_type type, const char *prefix,
                         struct bytes data, struct arena *arena);

/* True if the text begins like "v=spf1": in any case, with any white space around the first "=". Wider than
 * the standards are, so that whoever reads the record decides. */
bool dns_text_begins(struct bytes text, const char *prefix);

#endif
