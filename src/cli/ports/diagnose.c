/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/diagnose.h"

#include <stdio.h>

#include "cli/ports/history.h"
#include "io/clock.h"
#include "io/firewall.h"
#include "io/machine.h"

static void on_done(void *owner)
{
    struct diagnose *diagnose = owner;
    diagnose->done = true;
    loop_stop(&diagnose->loop);
}

bool diagnose_start(struct diagnose *diagnose, const struct examine_options *options, const char *ca_file,
                    struct error *error)
{
    struct examine_options all = *options;
    *diagnose = (struct diagnose){0};
    diagnose->has_tls = tls_client_open(&diagnose->tls, ca_file, error);
    diagnose->dns = diagnose->has_tls ? dns_open(NULL, 0, error) : NULL;
    diagnose->has_loop = diagnose->dns != NULL && loop_start(&diagnose->loop, error);
    if (!diagnose->has_loop || !dns_start(diagnose->dns, &diagnose->loop, error))
        return false;
    history_facts(options->host, NULL, &diagnose->history);
    all.history = &diagnose->history;
    all.own_ca = ca_file != NULL;
    diagnose->begun = true;
    examine_start(&diagnose->examine, &diagnose->loop, &diagnose->tls, diagnose->dns, &all, on_done,
                  diagnose);
    while (!diagnose->done)
        loop_run(&diagnose->loop);
    diagnosis_make(&diagnose->examine.facts, &diagnose->diagnosis);
    return true;
}

void diagnose_end(struct diagnose *diagnose)
{
    if (diagnose->begun)
        examine_end(&diagnose->examine);
    if (diagnose->dns != NULL)
        dns_close(diagnose->dns);
    if (diagnose->has_tls)
        tls_close(&diagnose->tls);
    if (diagnose->has_loop)
        loop_free(&diagnose->loop);
}

/* ---- what is known without calling anybody ---- */

void diagnose_machine(struct diagnosis_facts *facts)
{
    if ((facts->gathered & FACT_MACHINE) == 0)
        machine_facts(&facts->machine);
    if ((facts->gathered & FACT_FIREWALL) == 0)
        firewall_facts(&facts->machine);
    facts->gathered |= FACT_MACHINE | FACT_FIREWALL;
}

static void find_own(const struct port_connect *seen, struct diagnosis_facts *facts)
{
    facts->host_is_own = facts->address_count > 0 ? KNOWN_NO : KNOWN_NOT;
    for (size_t i = 0; i < facts->address_count; i++) {
        facts->addresses[i].own = machine_has_address(&seen->lookup.addresses[i]);
        if (facts->addresses[i].own == KNOWN_YES)
            facts->host_is_own = KNOWN_YES;
    }
}

void diagnose_at_hand(const struct port_connect *seen, const char *host, const char *user,
                      struct diagnosis_facts *facts)
{
    *facts = (struct diagnosis_facts){.purpose = PURPOSE_SUBMIT, .now_s = clock_epoch_ms() / 1000};
    snprintf(facts->host, sizeof facts->host, "%s", host);
    facts->provider = provider_by_host(bytes_of_text(host));
    struct bytes near = facts->provider == NULL ? provider_near(bytes_of_text(host)) : bytes_none();
    snprintf(facts->near_provider, sizeof facts->near_provider, "%.*s", (int)near.length,
             near.at == NULL ? "" : near.at);
    port_connect_facts(seen, facts);
    if (facts->web_count > 0)
        facts->gathered |= FACT_WEB;
    find_own(seen, facts);
    history_facts(host, user, &facts->history);
    facts->gathered |= FACT_HISTORY;
    if (diagnosis_lacks(facts) != 0)
        diagnose_machine(facts);
    machine_hosts_address(host, facts->machine.hosts_address);
}
