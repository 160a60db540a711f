/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/dmarc_rows.h"

#include <stdlib.h>

#include "base/memory.h"
#include "core/dns/host.h"

void dmarc_rows_start(struct dmarc_rows *rows, uint64_t seed)
{
    *rows = (struct dmarc_rows){.octets = 0};
    map_start(&rows->rows, seed);
    map_start(&rows->known, seed);
}

void dmarc_rows_free(struct dmarc_rows *rows)
{
    struct bytes key;
    void *value;
    for (size_t position = 0; map_next(&rows->rows, &position, &key, &value);)
        free(value);
    map_free(&rows->rows);
    map_free(&rows->known);
}

static bool is_client(struct bytes text)
{
    return host_is_ipv4(text) || host_is_ipv6(text);
}

static void count(struct dmarc_rows *rows, struct bytes key)
{
    uint64_t *times = map_get(&rows->rows, key);
    bool fits = rows->rows.count < DMARC_ROWS_MAX && rows->octets + key.length <= DMARC_ROWS_OCTETS_MAX;
    if (times == NULL && !fits) {
        rows->left_out++;
        return;
    }
    if (times == NULL) {
        times = memory_new(sizeof *times);
        map_put(&rows->rows, key, times);
        rows->octets += key.length;
    }
    ++*times;
}

void dmarc_rows_add(struct dmarc_rows *rows, bool counts, struct bytes client, enum disposition disposition,
                    enum verdict_override override, struct bytes evidence)
{
    struct dmarc_evidence read;
    if (!is_client(client) || disposition == DISPOSITION_DEFER || !dmarc_evidence_read(evidence, &read))
        return; /* a deferred message comes again */
    if ((read.dkim_aligned || read.spf_aligned) && rows->known.count < DMARC_ROWS_KNOWN_MAX)
        map_put(&rows->known, read.domain, rows);
    if (!counts)
        return;
    struct buffer key = {0};
    buffer_add_format(&key, "%.*s %d %d %.*s", BYTES_ARG(client), (int)disposition, (int) override,
                      BYTES_ARG(evidence));
    count(rows, buffer_bytes(&key));
    buffer_free(&key);
}

static bool read_key(struct bytes key, struct dmarc_report_row *row)
{
    uint64_t disposition, override;
    row->source = bytes_split(&key, ' ');
    if (!is_client(row->source) || !bytes_to_u64(bytes_split(&key, ' '), DISPOSITION_REJECT, &disposition) ||
        !bytes_to_u64(bytes_split(&key, ' '), OVERRIDE_LOCAL_POLICY, &override))
        return false;
    row->disposition = (enum disposition)disposition;
    row->override = (enum verdict_override) override;
    return dmarc_evidence_read(key, &row->evidence);
}

void dmarc_rows_write(const struct dmarc_rows *rows, const struct sent_since *sent, struct buffer *out)
{
    struct bytes key;
    void *value;
    for (size_t position = 0; map_next(&rows->rows, &position, &key, &value);) {
        struct dmarc_report_row row;
        if (read_key(key, &row) && map_get(&rows->known, row.evidence.domain) != NULL &&
            sent_since_has(sent, row.evidence.domain))
            buffer_add_format(out, "%llu %.*s\n", (unsigned long long)*(const uint64_t *)value,
                              BYTES_ARG(key));
    }
}

bool dmarc_rows_read(struct bytes line, struct dmarc_report_row *row)
{
    *row = (struct dmarc_report_row){.count = 0};
    return bytes_to_u64(bytes_split(&line, ' '), UINT32_MAX, &row->count) && row->count > 0 &&
           read_key(line, row);
}
