/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dmarc_record: one DMARC policy record (RFC 9989 4.7, 4.8): whether a TXT record is one, and its tags. The
 * input is untrusted; texts borrow from the record.
 */
#ifndef MAILBOAT_CORE_TRUST_DMARC_RECORD_H
#define MAILBOAT_CORE_TRUST_DMARC_RECORD_H

#include "core/trust/report_uri.h"

enum dmarc_policy {
    DMARC_POLICY_UNSET, /* the tag is absent or invalid */
    DMARC_POLICY_NONE,
    DMARC_POLICY_QUARANTINE,
    DMARC_POLICY_REJECT,
};

enum dmarc_psd { DMARC_PSD_UNKNOWN, DMARC_PSD_YES, DMARC_PSD_NO };

/* Of fo, as bits. */
enum dmarc_failure { DMARC_FO_0 = 1, DMARC_FO_1 = 2, DMARC_FO_DKIM = 4, DMARC_FO_SPF = 8 };

struct dmarc_record {
    struct bytes text; /* the whole record */
    /* "none" where p is missing or a policy is invalid but reports are wanted (RFC 9989 4.10.1) */
    enum dmarc_policy p;
    enum dmarc_policy sp, np;
    bool usable; /* otherwise nobody applies it: there is neither a policy nor an address */
    bool strict_dkim, strict_spf;
    bool testing; /* t=y */
    enum dmarc_psd psd;
    unsigned failures; /* enum dmarc_failure */
    struct report_uris rua, ruf;
};

/* How each record begins, with any white space around "=": of the TXT of a name, no others are wanted. */
#define DMARC_PREFIX "v=DMARC1"

/* Reads a TXT record; false if it is not a DMARC record of this version: "v=DMARC1" is not its first tag, or
 * a tag is there twice. */
bool dmarc_record_read(struct bytes text, struct dmarc_record *record);

const char *dmarc_policy_name(enum dmarc_policy policy); /* "quarantine"; "" if unset */

#endif
