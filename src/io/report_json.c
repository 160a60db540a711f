/* SPDX-License-Identifier: Apache-2.0 */
#include "io/report_json.h"

#include <jansson.h>
#include <sysexits.h>

#include "base/buffer.h"
#include "io/random.h"

enum { TEXT_MAX = 255 };

static struct bytes text_of(const json_t *object, const char *name, struct arena *arena)
{
    const json_t *value = json_object_get(object, name);
    struct buffer clean = {0};
    if (json_is_string(value))
        buffer_add_clean(&clean,
                         bytes_first(bytes_of(json_string_value(value), json_string_length(value)), TEXT_MAX),
                         true);
    struct bytes text = arena_copy(arena, buffer_bytes(&clean));
    buffer_free(&clean);
    return text;
}

static uint64_t count_of(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 ? (uint64_t)value : 0;
}

static void read_failures(const json_t *details, struct arena *arena, struct report_tls_policy *policy)
{
    for (size_t i = 0; i < json_array_size(details) && policy->detail_count < REPORT_TLS_FAILURES_MAX; i++) {
        const json_t *one = json_array_get(details, i);
        policy->details[policy->detail_count++] = (struct report_tls_failure){
            .kind = text_of(one, "result-type", arena),
            .sender = text_of(one, "sending-mta-ip", arena),
            .receiver = text_of(one, "receiving-mx-hostname", arena),
            .sessions = count_of(one, "failed-session-count")};
    }
}

static void read_policy(const json_t *one, struct arena *arena, struct report_tls_policy *policy)
{
    const json_t *about = json_object_get(one, "policy"), *summary = json_object_get(one, "summary");
    policy->kind = text_of(about, "policy-type", arena);
    policy->domain = text_of(about, "policy-domain", arena);
    policy->successes = count_of(summary, "total-successful-session-count");
    policy->failures = count_of(summary, "total-failure-session-count");
    read_failures(json_object_get(one, "failure-details"), arena, policy);
}

static bool has_too_many_values(struct bytes document)
{
    size_t values = 0;
    for (size_t i = 0; i < document.length && values <= REPORT_JSON_VALUES_MAX; i++)
        switch (document.at[i]) {
        case ',':
        case ':':
        case '[':
        case '{': values++; break;
        default: break;
        }
    return values > REPORT_JSON_VALUES_MAX;
}

bool report_json_read(struct bytes document, struct arena *arena, struct report_tls *report,
                      struct error *error)
{
    json_error_t fault;
    json_object_seed((size_t)random_u64() | 1); /* for all objects from the first on; later ones change
                                                   nothing */
    if (has_too_many_values(document))
        return error_set(error, EX_DATAERR, "the JSON has more than %d values", REPORT_JSON_VALUES_MAX);
    json_t *all = json_loadb(document.at == NULL ? "" : document.at, document.length, 0, &fault);
    const json_t *policies = json_object_get(all, "policies"), *range = json_object_get(all, "date-range");
    if (!json_is_array(policies)) {
        json_decref(all);
        return all == NULL
                   ? error_set(error, EX_DATAERR, "line %d: the JSON is damaged (%s)", fault.line, fault.text)
                   : error_set(error, EX_DATAERR, "the JSON is not a report on TLS: it has no policies");
    }
    size_t count = json_array_size(policies);
    *report = (struct report_tls){.organization = text_of(all, "organization-name", arena),
                                  .contact = text_of(all, "contact-info", arena),
                                  .id = text_of(all, "report-id", arena),
                                  .begin = text_of(range, "start-datetime", arena),
                                  .end = text_of(range, "end-datetime", arena)};
    report->policy_count = count < REPORT_TLS_POLICIES_MAX ? count : REPORT_TLS_POLICIES_MAX;
    report->policies = ARENA_ARRAY(arena, struct report_tls_policy, report->policy_count + 1);
    for (size_t i = 0; i < report->policy_count; i++)
        read_policy(json_array_get(policies, i), arena, &report->policies[i]);
    json_decref(all);
    return true;
}
