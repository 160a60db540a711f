/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/trust/judgements.h"

#include "cli/queue/format.h"

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
