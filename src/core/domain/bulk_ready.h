/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk_ready: will Gmail, Yahoo and Microsoft accept the domain's mail, also in bulk (5,000 messages a day
 * and more)? They demand SPF and DKIM, one of them aligned with the From field, a DMARC record, and a reverse
 * name that leads back. From the findings of domain_check.h, never from their words.
 */
#ifndef MAILBOAT_CORE_DOMAIN_BULK_READY_H
#define MAILBOAT_CORE_DOMAIN_BULK_READY_H

#include "core/domain/domain_check.h"

enum bulk_reason {
    BULK_NO_ADDRESS, /* the server's name has no address in DNS */
    BULK_NO_REVERSE,
    BULK_REVERSE_NOT_BACK,
    BULK_NO_MX, /* answers and reports of failure cannot come back */
    BULK_NO_SPF,
    BULK_SPF_INVALID,
    BULK_SPF_NOT_ALLOWED,
    BULK_SPF_ANYONE,
    BULK_NO_HELO_SPF,
    BULK_HELO_SPF_WRONG,
    BULK_NO_DKIM_KEY,
    BULK_NO_DKIM,
    BULK_DKIM_WRONG,
    BULK_DKIM_TESTING,
    BULK_DKIM_WAITS, /* DNS shows the key, but it does not sign yet */
    BULK_NO_DMARC,
    BULK_DMARC_INVALID,
    BULK_UNKNOWN, /* DNS, or this machine, did not tell something of these */
    BULK_REASONS
};

struct bulk_ready {
    bool yes;
    enum bulk_reason reasons[BULK_REASONS]; /* each once, in the order above; BULK_UNKNOWN alone: perhaps */
    size_t reason_count;
};

void bulk_ready_judge(const struct domain_row *rows, size_t count, struct bulk_ready *ready);

const char *bulk_reason_name(enum bulk_reason reason);   /* "no_dmarc" */
const char *bulk_reason_clause(enum bulk_reason reason); /* "there is no DMARC record" */
/* Returns "ready for Gmail, Yahoo and Microsoft (also in bulk): yes", or "...: no, because ...". */
struct bytes bulk_ready_sentence(const struct bulk_ready *ready, struct arena *arena);

#endif
