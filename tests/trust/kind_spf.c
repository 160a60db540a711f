/* SPDX-License-Identifier: Apache-2.0 */
/* SPF: {"ip", "helo", "sender", "receiver"?, "now"?} -> result, explanation, and what explain would tell. */
#include "core/dns/host.h"
#include "core/trust/spf.h"
#include "kinds.h"

static json_t *links_json(const struct spf_verdict *verdict)
{
    json_t *links = json_array();
    for (size_t i = 0; i < verdict->link_count; i++)
        json_array_append_new(links, json_bytes(verdict->links[i].domain));
    return links;
}

json_t *judge_spf(const json_t *row, struct world *world)
{
    struct bytes ip = row_text(row, "ip");
    if (!host_is_ipv4(ip) && !host_is_ipv6(ip))
        return json_pack("{s:s}", "fault", "ip");
    struct spf_question question = {.client = route_literal(ip),
                                    .helo = row_text(row, "helo"),
                                    .mail_from = row_text(row, "sender"),
                                    .receiver = row_text(row, "receiver"),
                                    .now_s = (uint64_t)json_integer_value(json_object_get(row, "now")),
                                    .explain = true};
    struct spf_verdict verdict;
    int rounds = 0;
    do {
        dns_facts_begin(&world->facts);
        verdict = spf_judge(&question, &world->facts);
        rounds++;
    } while (zone_answer(&world->zone, &world->facts));
    return json_pack("{s:s, s:o, s:o, s:o, s:s, s:o, s:i, s:i, s:i, s:i}", "result",
                     spf_result_name(verdict.result), "explanation", json_bytes(verdict.explanation),
                     "domain", json_bytes(verdict.domain), "term", json_bytes(verdict.term), "problem",
                     spf_problem_sentence(verdict.problem), "links", links_json(&verdict), "lookups",
                     (int)verdict.lookups, "voids", (int)verdict.voids, "rounds", rounds, "facts",
                     (int)world->facts.known_count);
}
