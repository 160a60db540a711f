/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dmarc_rows: gathers the judged messages of a day for aggregate reports (RFC 9990): those that were judged
 * alike become one row. Only domains with which mail is exchanged get reports: of which a message passed
 * DMARC, on any of the days that judgements are kept, and to which a user here sent one (sent_domains.h).
 *
 * dmarc_rows_add() for each judgement, then dmarc_rows_write(): one line for each row,
 *   COUNT CLIENT DISPOSITION OVERRIDE EVIDENCE
 * which another process reads with dmarc_rows_read(). The last two numbers are those of verdict.h.
 */
#ifndef MAILBOAT_CORE_TRUST_DMARC_ROWS_H
#define MAILBOAT_CORE_TRUST_DMARC_ROWS_H

#include "base/map.h"
#include "core/trust/dmarc_report.h"
#include "core/trust/sent_domains.h"

enum dmarc_rows_limit {
    DMARC_ROWS_MAX = 100000,          /* of a day; messages of further ones are not counted */
    DMARC_ROWS_OCTETS_MAX = 12 << 20, /* of all rows */
    DMARC_ROWS_KNOWN_MAX = 20000,     /* domains that are known to have passed */
};

struct dmarc_rows {
    struct map rows, known;
    size_t octets;
    uint64_t left_out; /* messages */
};

void dmarc_rows_start(struct dmarc_rows *rows, uint64_t seed);
void dmarc_rows_free(struct dmarc_rows *rows);
/* Adds a judgement; `counts`: it is of the day. Ignores what no report tells of. */
void dmarc_rows_add(struct dmarc_rows *rows, bool counts, struct bytes client, enum disposition disposition,
                    enum verdict_override override, struct bytes evidence);
/* Appends the lines of known domains that users here sent mail to. */
void dmarc_rows_write(const struct dmarc_rows *rows, const struct sent_since *sent, struct buffer *out);

/* Reads a line; its texts borrow from it. False if it is not one. */
bool dmarc_rows_read(struct bytes line, struct dmarc_report_row *row);

#endif
