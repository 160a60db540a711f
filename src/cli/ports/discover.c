/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/discover.h"

#include <stdlib.h>
#include <sysexits.h>

#include "dial/host_lookup.h"
#include "io/autoconfig.h"
#include "io/dns.h"
#include "io/https.h"
#include "io/timer.h"

enum { FETCH_MS = 3000, DNS_MS = 3000 };

struct discover_query {
    struct loop loop;
    struct discovery *discovery;
    struct timer limit;
    bool answered, dns_works;
};

static void on_answer(void *owner, const struct dns_answer *answer)
{
    struct discover_query *query = owner;
    query->answered = true;
    query->dns_works = query->dns_works || dns_status_is_told(answer->status);
    discovery_learn_records(query->discovery, answer->records, answer->count);
    loop_stop(&query->loop);
}

static void on_limit(void *owner)
{
    struct discover_query *query = owner;
    loop_stop(&query->loop);
}

static void ask_dns(struct discover_query *query, struct dns *dns, const struct discovery_question *wanted)
{
    struct dns_question question;
    query->answered = false;
    timer_set(&query->limit, DNS_MS);
    dns_ask(dns, &question, wanted->name, wanted->type, on_answer, query);
    loop_run(&query->loop);
    timer_cancel(&query->limit);
    if (!query->answered) {
        dns_cancel(&question);
        discovery_learn_nothing(query->discovery);
    }
}

static void fetch(struct discovery *discovery, const struct discovery_question *wanted, const char *ca_file)
{
    struct buffer body = {0};
    struct error ignored; /* a missing file is not an error */
    struct autoconfig *found = memory_new(sizeof *found);
    if (https_fetch(wanted->url.at, ca_file, AUTOCONFIG_SIZE_MAX, FETCH_MS, &body, &ignored) &&
        autoconfig_read(found, buffer_bytes(&body)))
        discovery_learn_settings(discovery, found->servers, found->count);
    else
        discovery_learn_nothing(discovery);
    free(found);
    buffer_free(&body);
}

static bool explain(const struct discover_query *query, const struct dns *dns, const char *address,
                    struct error *error)
{
    if (query->discovery->host[0] != '\0')
        return true;
    if (query->discovery->none_offered && query->discovery->provider != NULL)
        return error_set(error, EX_UNAVAILABLE, "%s: %s: %s", address, query->discovery->provider->name,
                         query->discovery->provider->remark);
    if (query->discovery->none_offered)
        return error_set(error, EX_UNAVAILABLE, "%s: %s does not offer submission (SRV \".\" in DNS)",
                         address, query->discovery->domain);
    if (!query->dns_works && host_lookup_explain_resolver(dns_resolver(dns), dns_resolver_text(dns),
                                                          query->discovery->domain, RESOLV_CONF, error))
        return false;
    if (!query->dns_works)
        return error_set(error, EX_TEMPFAIL, "dns: the lookup of %s failed at the resolver %s; try again",
                         query->discovery->domain, dns_resolver_text(dns));
    return error_set(
        error, EX_UNAVAILABLE,
        "%s: the submission server of %s could not be found; ask its operator, then: mailboat ports HOST",
        address, query->discovery->domain);
}

bool discover(struct discovery *discovery, const char *address, const char *ca_file, struct error *error)
{
    struct discover_query query = {.discovery = discovery};
    struct discovery_question question;
    if (!discovery_start(discovery, bytes_of_text(address)))
        return error_set(error, EX_DATAERR, "'%s' is not a mail address", address);
    struct dns *dns = dns_open(NULL, 0, error);
    if (dns == NULL)
        return false;
    if (!loop_start(&query.loop, error)) {
        dns_close(dns);
        return false;
    }
    bool started = dns_start(dns, &query.loop, error);
    timer_start(&query.limit, &query.loop, on_limit, &query);
    while (started && !resolver_state_is_dead(dns_resolver(dns)) && discovery_next(discovery, &question))
        if (question.kind == DISCOVERY_DNS)
            ask_dns(&query, dns, &question);
        else
            fetch(discovery, &question, ca_file);
    bool found = started && explain(&query, dns, address, error);
    dns_close(dns);
    loop_free(&query.loop);
    return found;
}
