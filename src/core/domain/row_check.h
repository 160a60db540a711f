/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_check: the parts of domain_check, one function per subject: a record and what DNS says, compared by
 * meaning. Each looks its names up in the check's facts of DNS; what is not known yet is lacked there, and
 * the finding is not final.
 */
#ifndef MAILBOAT_CORE_DOMAIN_ROW_CHECK_H
#define MAILBOAT_CORE_DOMAIN_ROW_CHECK_H

#include "core/domain/domain_check.h"

/* ---- host_check.c: the server, and how it is found ---- */
struct domain_finding host_check_address(struct domain_check *check, const struct domain_record *record);
struct domain_finding host_check_reverse(struct domain_check *check, const struct domain_record *record);
struct domain_finding host_check_mx(struct domain_check *check, const struct domain_record *record);
struct domain_finding host_check_srv(struct domain_check *check, const struct domain_record *record);
struct domain_finding host_check_tlsa(struct domain_check *check, const struct domain_record *record);

/* ---- sender_check.c: may this server send? ---- */
/* Of the domain, or of the server's own name. */
struct domain_finding sender_check_spf(struct domain_check *check, const struct domain_record *record);
struct domain_finding sender_check_key(struct domain_check *check, const struct domain_record *record);
/* The record of a key that was not made, or could not be read: *row. True if there is one of these. */
bool sender_check_no_key(struct domain_check *check, struct domain_row *row);

/* ---- report_check.c: what others are told, and where they report ---- */
struct domain_finding report_check_dmarc(struct domain_check *check, const struct domain_record *record);
struct domain_finding report_check_tls(struct domain_check *check, const struct domain_record *record);

/* ---- policy_check.c: MTA-STS ---- */
/* Learns whether the policy is served: fills policy_addresses, policy_wanted and facts.sts_served. */
void policy_check_learn(struct domain_check *check);
struct domain_finding policy_check_host(struct domain_check *check);
struct domain_finding policy_check_record(struct domain_check *check, const struct domain_record *record);
/* The record of a policy that is announced, but not served: *row. True if there is one. */
bool policy_check_announced(struct domain_check *check, struct domain_row *row);

/* ---- found_text.c: what DNS says, for people ---- */
/* Returns the records of an answer, in `arena`; at most DOMAIN_FOUND_MAX octets of visible characters. */
struct bytes found_text_of(const struct dns_answer *answer, enum dns_type type, struct arena *arena);
/* Returns those TXT records that begin with a word, in any case. */
struct bytes found_text_with(const struct dns_answer *answer, const char *word, struct arena *arena);
/* Returns any text, fit for a terminal. */
struct bytes found_text_clean(struct bytes text, struct arena *arena);

#endif
