/* SPDX-License-Identifier: Apache-2.0 */
/* Small ones: reverse names ({"ip"}), records and look-ups of TLS-RPT ({"text"}; {"domain"}), records and
 * policies of MTA-STS ({"text"}). */
#include "core/dns/host.h"
#include "core/route/sts.h"
#include "core/trust/iprev.h"
#include "core/trust/tlsrpt.h"
#include "kinds.h"

json_t *judge_iprev(const json_t *row, struct world *world)
{
    struct bytes ip = row_text(row, "ip");
    struct iprev_verdict verdict;
    if (!host_is_ipv4(ip) && !host_is_ipv6(ip))
        return json_pack("{s:s}", "fault", "ip");
    struct route_address client = route_literal(ip);
    do {
        dns_facts_begin(&world->facts);
        verdict = iprev_judge(&client, &world->facts);
    } while (zone_answer(&world->zone, &world->facts));
    return json_pack("{s:s, s:o}", "result", iprev_result_name(verdict.result), "name",
                     verdict.name.length > 0 ? json_bytes(verdict.name) : json_null());
}

static json_t *rua_json(bool valid, const struct report_uris *rua)
{
    json_t *list = valid ? json_array() : json_null();
    for (size_t i = 0; i < rua->count && valid; i++)
        json_array_append_new(list, json_bytes(rua->uris[i]));
    return list;
}

json_t *judge_tlsrpt_record(const json_t *row, struct world *world)
{
    struct report_uris rua;
    (void)world;
    bool valid = tlsrpt_read(row_text(row, "text"), &rua);
    return json_pack("{s:b, s:o}", "valid", valid, "rua", rua_json(valid, &rua));
}

json_t *judge_tlsrpt(const json_t *row, struct world *world)
{
    struct report_uris rua = {.count = 0};
    enum tlsrpt_state state;
    do {
        dns_facts_begin(&world->facts);
        state = tlsrpt_look_up(row_text(row, "domain"), &world->facts, &rua);
    } while (zone_answer(&world->zone, &world->facts));
    return json_pack("{s:o, s:b}", "rua", rua_json(state == TLSRPT_WANTED, &rua), "temporary",
                     state == TLSRPT_TEMPERROR);
}

json_t *judge_sts_record(const json_t *row, struct world *world)
{
    struct dns_record record = {.data = row_text(row, "text")};
    struct bytes id = bytes_none();
    (void)world;
    bool valid = sts_read_records(&record, 1, &id);
    return json_pack("{s:b, s:o}", "valid", valid, "id", valid ? json_bytes(id) : json_null());
}

json_t *judge_sts_policy(const json_t *row, struct world *world)
{
    struct sts_policy policy;
    json_t *hosts = json_array();
    (void)world;
    if (!sts_read_policy(row_text(row, "text"), &policy)) {
        json_decref(hosts);
        return json_pack("{s:b}", "valid", 0);
    }
    for (size_t i = 0; i < policy.pattern_count; i++)
        json_array_append_new(hosts, json_bytes(policy.patterns[i]));
    return json_pack("{s:b, s:s, s:o, s:I}", "valid", 1, "mode", sts_mode_name(policy.mode), "mx", hosts,
                     "max_age", (json_int_t)policy.max_age_s);
}
