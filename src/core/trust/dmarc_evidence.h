/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dmarc_evidence: what an aggregate report (RFC 9990) tells of one judged message, as one line of text that
 * travels and is stored with the judgement: the published policy, the identifiers, and the results of SPF and
 * DKIM. The address of the client, the disposition and the override are beside it (trust_record.h).
 *
 *   1 DOMAIN P SP NP ADKIM ASPF TESTING DKIM SPF FROM ENVELOPE SPF-DOMAIN SPF-RESULT D:S:RESULT ...
 *
 * with "-" for what is missing.
 */
#ifndef MAILBOAT_CORE_TRUST_DMARC_EVIDENCE_H
#define MAILBOAT_CORE_TRUST_DMARC_EVIDENCE_H

#include "core/trust/judgement.h"

enum dmarc_evidence_limit {
    DMARC_EVIDENCE_MAX = 1536,   /* octets */
    DMARC_EVIDENCE_DKIM_MAX = 4, /* signatures that are told, first those that were compared first */
};

/* Texts borrow from the line. */
struct dmarc_evidence {
    struct bytes domain; /* where the policy record is */
    enum dmarc_policy p, sp, np;
    bool strict_dkim, strict_spf, testing;
    bool dkim_aligned, spf_aligned;
    struct bytes from, envelope; /* domains of the author and of MAIL FROM */
    struct bytes spf_domain, spf_result;
    struct dmarc_evidence_dkim {
        struct bytes domain, selector, result;
    } dkim[DMARC_EVIDENCE_DKIM_MAX];
    size_t dkim_count;
};

/* Appends the line of a final judgement. Appends nothing for a message that no report tells of: the domain
 * wants none, DNS did not tell its policy, the sender is null, or the message is itself a report. */
void dmarc_evidence_write(const struct judgement *j, struct buffer *out);
/* False if it is not such a line. */
bool dmarc_evidence_read(struct bytes line, struct dmarc_evidence *evidence);

#endif
