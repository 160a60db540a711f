/* SPDX-License-Identifier: Apache-2.0 */
#include "core/client/delivery_tls.h"

#include <assert.h>

#include "core/dns/dns_name.h"

/* ---- what must be known ---- */

void delivery_tls_learn_tlsa(struct delivery *delivery, const struct dns_answer *answer)
{
    struct delivery_tls *tls = &delivery->tls;
    size_t kept = 0, capacity = answer->count < TLSA_RECORDS_MAX ? answer->count : TLSA_RECORDS_MAX;
    struct dns_record *records = ARENA_ARRAY(&tls->arena, struct dns_record, capacity);
    for (size_t i = 0; i < answer->count && kept < capacity; i++) {
        if (!tls_policy_tlsa_is_usable(&answer->records[i]))
            continue;
        records[kept] = answer->records[i];
        records[kept++].data = arena_copy(&tls->arena, answer->records[i].data);
    }
    struct dns_answer *known = &tls->facts.tlsa[tls->policy.base];
    *known = (struct dns_answer){
        .status = answer->status, .secure = answer->secure, .records = records, .count = kept};
}

void delivery_sts(struct delivery *delivery, const struct sts_policy *policy)
{
    struct delivery_tls *tls = &delivery->tls;
    assert(delivery->stage == DELIVERY_RESOLVING);
    delivery->stage = DELIVERY_SECURING;
    tls->facts.sts_known = true;
    tls->facts.sts = NULL;
    if (policy == NULL)
        return;
    struct sts_policy *copy = ARENA_NEW(&delivery->route.arena, struct sts_policy);
    *copy = *policy;
    for (size_t i = 0; i < policy->pattern_count; i++)
        copy->patterns[i] = arena_copy(&delivery->route.arena, policy->patterns[i]);
    tls->facts.sts = copy;
}

/* True for an address literal. An MX that is an address does not make the domain one: its policy applies. */
static bool is_literal(struct bytes domain)
{
    return address_literal_parse(domain, NULL) || host_is_ipv4(domain) || host_is_ipv6(domain);
}

void delivery_tls_meet_host(struct delivery *delivery)
{
    struct delivery_tls *tls = &delivery->tls;
    const struct route_host *host = route_host_now(&delivery->route);
    bool six_fine = host->status[0] != DNS_FOUND || host->secure[0];
    bool four_fine = host->status[1] != DNS_FOUND || host->secure[1];
    arena_clear(&tls->arena);
    tls->facts = (struct tls_facts){.wish = delivery->options.wish,
                                    .requiretls = delivery->envelope->requiretls,
                                    .literal = is_literal(delivery->options.domain),
                                    .mx_secure = delivery->route.mx_secure,
                                    .address_secure = six_fine && four_fine,
                                    .host = delivery->host,
                                    .sts_known = tls->facts.sts_known,
                                    .sts = tls->facts.sts};
    if (host->canonical.length > 0 && !dns_name_equal(host->canonical, delivery->host))
        tls->facts.bases[0] = host->canonical;
    tls->facts.bases[1] = delivery->host;
}

/* Returns the policy of a configured next hop, which follows from its own options. */
static struct tls_policy smarthost_policy(const struct delivery *delivery)
{
    const struct delivery_options *options = &delivery->options;
    struct tls_policy policy = {.demand = DEMAND_MAY, .reason = "the next hop is set in the configuration"};
    bool secured = options->tls >= CLIENT_TLS_REQUIRED;
    if (delivery->envelope->requiretls && !(options->verify && secured))
        return (struct tls_policy){
            .demand = DEMAND_REFUSE,
            .final = true,
            .level = TLS_LEVEL_REQUIRETLS,
            .reason = "the message requires TLS (REQUIRETLS), but this next hop is configured without TLS"};
    if (secured)
        policy.level = options->verify ? TLS_LEVEL_VERIFY : TLS_LEVEL_ENCRYPT;
    else
        policy.level = options->tls == CLIENT_TLS_NEVER ? TLS_LEVEL_NONE : TLS_LEVEL_MAY;
    return policy;
}

struct tls_policy delivery_tls_policy(const struct delivery *delivery)
{
    return delivery->options.smarthost ? smarthost_policy(delivery) : tls_policy_next(&delivery->tls.facts);
}

/* ---- a connection ---- */

/* True if nothing requires TLS for this host. */
static bool may_go_clear(const struct delivery *delivery)
{
    return delivery->tls.policy.demand == DEMAND_MAY && delivery->options.tls == CLIENT_TLS_OPPORTUNISTIC;
}

enum client_tls delivery_tls_mode(const struct delivery *delivery)
{
    switch (delivery->tls.policy.demand) {
    case DEMAND_MAY: return delivery->in_clear ? CLIENT_TLS_NEVER : delivery->options.tls;
    case DEMAND_ENCRYPT:
    case DEMAND_VERIFY:
    case DEMAND_DANE:
        return delivery->options.tls == CLIENT_TLS_IMPLICIT ? CLIENT_TLS_IMPLICIT : CLIENT_TLS_REQUIRED;
    case DEMAND_CLEAR:
    case DEMAND_REFUSE: break;
    }
    return CLIENT_TLS_NEVER;
}

/* RFC 7672 3.2: the requested name is the TLSA base; also accepted are the domain's, and the host's before
 * its aliases. */
void delivery_tls_add_checks(const struct delivery *delivery, struct delivery_action *action)
{
    const struct delivery_tls *tls = &delivery->tls;
    action->verify = delivery->options.verify || tls->policy.demand == DEMAND_VERIFY;
    if (tls->policy.demand != DEMAND_DANE)
        return;
    const struct dns_answer *tlsa = &tls->facts.tlsa[tls->policy.base];
    action->name = tls->facts.bases[tls->policy.base];
    action->tlsa = tlsa->records;
    action->tlsa_count = tlsa->count;
    action->names[0] = delivery->options.domain;
    action->names[1] = delivery->host;
}

/* ---- failed TLS ---- */

static void go_clear(struct delivery *delivery, const char *what, struct bytes why)
{
    struct buffer text = {0};
    buffer_add_format(&text, "%s%.*s", what, BYTES_ARG(why));
    delivery->in_clear = true;
    delivery->clear_reason = arena_copy(&delivery->tls.arena, buffer_bytes(&text));
    buffer_free(&text);
}

void delivery_tls_heed_fallback(struct delivery *delivery)
{
    const struct tls_fallback *fallback = delivery->options.fallback;
    uint64_t ago_ms;
    delivery->hurried = fallback != NULL &&
                        tls_fallback_has(fallback, delivery->host, delivery->options.port, &ago_ms);
    if (!delivery->hurried || !may_go_clear(delivery))
        return;
    unsigned long long minutes = ago_ms / 60000;
    const char *ago = arena_format(&delivery->tls.arena, "%llu min ago", minutes);
    go_clear(delivery, "the host did not answer STARTTLS ", bytes_of_text(ago));
}

void delivery_tls_meet_failure(struct delivery *delivery, enum tls_loss how, struct bytes why)
{
    if (how == TLS_LOSS_SILENT && delivery->options.fallback != NULL)
        tls_fallback_note(delivery->options.fallback, delivery->host, delivery->options.port);
    delivery->next = tls_fallback_next(may_go_clear(delivery), how, ++delivery->tls_tries);
    if (delivery->next == TLS_NEXT_CLEAR)
        go_clear(delivery,
                 how == TLS_LOSS_SILENT ? "the host did not answer STARTTLS: " : "TLS failed twice: ", why);
}

void delivery_tls_note_ready(struct delivery *delivery)
{
    if (client_session_is_secured(&delivery->session)) {
        if (delivery->options.fallback != NULL)
            tls_fallback_forget(delivery->options.fallback, delivery->host, delivery->options.port);
        delivery->clear_reason = bytes_none();
    } else if (!delivery->in_clear) {
        struct bytes reason = client_session_clear_reason(&delivery->session);
        delivery->clear_reason = arena_copy(&delivery->tls.arena, reason);
    }
}

/* ---- reporting ---- */

struct tls_result delivery_tls_result(const struct delivery *delivery)
{
    return (struct tls_result){.clear_reason = delivery->clear_reason,
                               .level = delivery->tls.policy.level,
                               .level_reason = bytes_of_text(delivery->tls.policy.reason)};
}

struct bytes delivery_clear_reason(const struct delivery *delivery)
{
    return delivery->clear_reason;
}
