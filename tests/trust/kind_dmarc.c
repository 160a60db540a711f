/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DMARC: rows of verify and treewalk ({"from" or "from_header", "spf"?, "dkim"?}), of one From field, of one
 * record, of alignment ({"a", "b", "mode"}), of reports to another host ({"policy_domain", "report_host"}).
 */
#include <idn2.h>

#include "core/trust/dmarc.h"
#include "kinds.h"

/* What the shell does before DMARC judges: U-labels become A-labels. */
static struct bytes a_labels(struct bytes domain, struct arena *arena)
{
    char *ascii = NULL;
    if (bytes_is_ascii(domain) ||
        idn2_to_ascii_8z(arena_text(arena, domain), &ascii, IDN2_NFC_INPUT) != IDN2_OK)
        return domain;
    struct bytes copy = arena_copy(arena, bytes_of_text(ascii));
    idn2_free(ascii);
    return copy;
}

static void read_from(const json_t *row, struct world *world, struct dmarc_from *from)
{
    if (json_object_get(row, "from_header") != NULL)
        dmarc_from_read(row_text(row, "from_header"), &world->arena, from);
    else
        *from = (struct dmarc_from){.domains = {row_text(row, "from")}, .count = 1};
    for (size_t i = 0; i < from->count; i++)
        from->domains[i] = a_labels(from->domains[i], &world->arena);
}

static struct dmarc_identifier read_identifier(const json_t *value)
{
    struct bytes result = row_text(value, "result");
    enum dmarc_outcome outcome = bytes_is(result, "pass")        ? DMARC_OUTCOME_PASS
                                 : bytes_is(result, "temperror") ? DMARC_OUTCOME_TEMPERROR
                                                                 : DMARC_OUTCOME_OTHER;
    return (struct dmarc_identifier){outcome, row_text(value, "domain")};
}

static void read_question(const json_t *row, struct dmarc_question *question)
{
    const json_t *dkim = json_object_get(row, "dkim");
    question->spf = read_identifier(json_object_get(row, "spf"));
    for (size_t i = 0; i < json_array_size(dkim) && i < DMARC_DKIM_MAX; i++)
        question->dkim[question->dkim_count++] = read_identifier(json_array_get(dkim, i));
}

static json_t *aligned_json(const struct dmarc_question *question, const struct dmarc_verdict *verdict)
{
    json_t *aligned = json_array();
    bool dkim = false;
    for (size_t i = 0; i < question->dkim_count; i++)
        dkim = dkim || verdict->dkim_aligned[i];
    if (verdict->spf_aligned)
        json_array_append_new(aligned, json_string("spf"));
    if (dkim)
        json_array_append_new(aligned, json_string("dkim"));
    return aligned;
}

static json_t *walked_json(const struct dmarc_verdict *verdict)
{
    json_t *names = json_array();
    for (size_t i = 0; i < verdict->walked_count; i++)
        json_array_append_new(names, json_sprintf("_dmarc.%.*s", BYTES_ARG(verdict->walked[i])));
    return names;
}

json_t *judge_dmarc(const json_t *row, struct world *world)
{
    struct dmarc_from from;
    struct dmarc_question question = {.from = &from};
    struct dmarc_verdict verdict;
    read_from(row, world, &from);
    read_question(row, &question);
    do {
        dns_facts_begin(&world->facts);
        verdict = dmarc_judge(&question, &world->facts);
    } while (zone_answer(&world->zone, &world->facts));
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "result", dmarc_result_name(verdict.result), "policy",
                     dmarc_policy_name(verdict.policy), "record_at", json_bytes(verdict.record_domain), "org",
                     json_bytes(verdict.organization), "aligned", aligned_json(&question, &verdict),
                     "queries", walked_json(&verdict));
}

json_t *judge_from(const json_t *row, struct world *world)
{
    struct dmarc_from from;
    json_t *domains = json_array();
    read_from(row, world, &from);
    for (size_t i = 0; i < from.count; i++)
        json_array_append_new(domains, json_bytes(from.domains[i]));
    return json_pack("{s:o, s:b, s:b}", "domains", domains, "malformed", from.malformed, "one",
                     from.count == 1 && !from.malformed);
}

static json_t *uris_json(const struct report_uris *uris)
{
    json_t *list = json_array();
    for (size_t i = 0; i < uris->count; i++)
        json_array_append_new(list, json_bytes(uris->uris[i]));
    return list;
}

static json_t *failures_json(unsigned failures)
{
    static const char *const NAMES[] = {"0", "1", "d", "s"};
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_LENGTH(NAMES); i++)
        if ((failures & 1U << i) != 0)
            json_array_append_new(list, json_string(NAMES[i]));
    return list;
}

json_t *judge_dmarc_record(const json_t *row, struct world *world)
{
    struct dmarc_record record;
    (void)world;
    if (!dmarc_record_read(row_text(row, "record"), &record))
        return json_pack("{s:b}", "valid", 0);
    json_t *verdict = json_pack("{s:b, s:b, s:s, s:s, s:s, s:s, s:b}", "valid", 1, "usable", record.usable,
                                "sp", dmarc_policy_name(record.sp), "np", dmarc_policy_name(record.np),
                                "adkim", record.strict_dkim ? "s" : "r", "aspf",
                                record.strict_spf ? "s" : "r", "testing", record.testing);
    json_object_set_new(verdict, "p", record.usable ? json_string(dmarc_policy_name(record.p)) : json_null());
    json_object_set_new(verdict, "fo", failures_json(record.failures));
    json_object_set_new(verdict, "rua", uris_json(&record.rua));
    json_object_set_new(verdict, "ruf", uris_json(&record.ruf));
    return verdict;
}

json_t *judge_alignment(const json_t *row, struct world *world)
{
    enum dmarc_alignment alignment;
    struct bytes a = dmarc_walk_domain(row_text(row, "a"), &world->arena);
    do {
        struct dmarc_walk walk;
        dns_facts_begin(&world->facts);
        dmarc_walk_from(a, &world->facts, &walk);
        alignment = dmarc_walk_align(&walk, row_text(row, "b"), bytes_is(row_text(row, "mode"), "s"),
                                     &world->facts);
    } while (zone_answer(&world->zone, &world->facts));
    return json_pack("{s:b, s:b}", "aligned", alignment == DMARC_ALIGNED, "temporary",
                     alignment == DMARC_ALIGNMENT_UNKNOWN);
}

json_t *judge_external(const json_t *row, struct world *world)
{
    static const char *const STATUS[] = {"none", "ok", "temperror"};
    enum dmarc_external allowed;
    do {
        dns_facts_begin(&world->facts);
        allowed = dmarc_external_allowed(row_text(row, "policy_domain"), row_text(row, "report_host"),
                                         &world->facts);
    } while (zone_answer(&world->zone, &world->facts));
    return json_pack("{s:b, s:s}", "accepts", allowed == DMARC_EXTERNAL_YES, "status", STATUS[allowed]);
}
