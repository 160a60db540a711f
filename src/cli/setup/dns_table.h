/* SPDX-License-Identifier: Apache-2.0 */
/* dns_table: the records of a domain as people and programs read them: a zone, fields of a web form, a table
 * of findings, JSON. */
#ifndef MAILBOAT_CLI_SETUP_DNS_TABLE_H
#define MAILBOAT_CLI_SETUP_DNS_TABLE_H

#include "cli/setup/dns_lookup.h"

enum {
    DNS_TABLE_COLUMNS = 80,    /* or the terminal's, if less */
    DNS_TABLE_VALUE_MAX = 200, /* characters of a value that is shown in a table; a longer one is shortened */
};

/* `records` are those of domain_records(). */
void dns_table_zone(struct dns_lookup *lookup, const struct domain_record *records, size_t count);
void dns_table_form(struct dns_lookup *lookup, const struct domain_record *records, size_t count);
/* After dns_lookup_ask(). */
void dns_table_findings(struct dns_lookup *lookup);
/* `checked`: after dns_lookup_ask(), with the findings. */
void dns_table_json(struct dns_lookup *lookup, const struct domain_record *records, size_t count,
                    bool checked);

#endif
