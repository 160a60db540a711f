/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/trust/judgements.h"

#include <stdlib.h>

#include "cli/queue/format.h"

/* False once `visit` wants no more; *cursor: the number of the last one. */
static bool visit_row(const struct store_events *row, judgement_visit *visit, void *owner)
{
    struct mail_event event;
    for (struct bytes left = row->octets; mail_event_decode(&left, &event);)
        if (!visit(owner, &event))
            return false;
    return true;
}

void judgements_walk(struct store *store, judgement_visit *visit, void *owner)
{
    struct store_events *rows = memory_new(STORE_READ_MAX * sizeof *rows);
    struct arena arena = {0};
    uint64_t cursor = 0;
    bool more = true;
    for (size_t count; more && (count = store_events_after(store, STORE_JUDGEMENTS, cursor, STORE_READ_MAX,
                                                           &arena, rows)) > 0;
         arena_clear(&arena)) {
        for (size_t i = 0; i < count && more; i++)
            more = visit_row(&rows[i], visit, owner);
        cursor = rows[count - 1].first + rows[count - 1].count - 1;
    }
    arena_clear(&arena);
    free(rows);
}

void judgement_add_outcome(struct buffer *out, const struct trust_record *record)
{
    buffer_add_text(out, verdict_disposition_name(record->disposition));
    if (record->proposed != record->disposition)
        buffer_add_format(out, " (enforce: %s)", verdict_disposition_name(record->proposed));
}

void judgement_add_lines(struct buffer *out, const struct trust_record *record)
{
    if (record->finding == FINDING_NOT_CHECKED)
        return;
    buffer_add_text(out, "  mail authentication: ");
    judgement_add_outcome(out, record);
    buffer_add_format(out, ", since %s", verdict_finding_sentence(record->finding));
    if (record->author.length > 0) {
        buffer_add_text(out, "; From: ");
        format_add_clean(out, record->author);
    }
    buffer_add_octet(out, '\n');
    if (record->story.length == 0)
        return;
    buffer_add_text(out, "    ");
    format_add_clean(out, record->story);
    buffer_add_octet(out, '\n');
}

json_t *judgement_json(const struct trust_record *record)
{
    if (record->finding == FINDING_NOT_CHECKED)
        return json_null();
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o}", "disposition", verdict_disposition_name(record->disposition),
        "enforced", verdict_disposition_name(record->proposed), "finding",
        verdict_finding_sentence(record->finding), "override", verdict_override_name(record->override),
        "author", format_json(record->author), "story", format_json(record->story));
}
