/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/diagnose.h"

#include <stdlib.h>

#include "core/port/port_facts.h"
#include "io/clock.h"
#include "io/firewall.h"
#include "io/machine.h"

/* Public servers that are meant to be called on these ports by anybody. Of two providers, so that one of
 * them is never the target's own alone. */
static const struct {
    uint16_t port;
    const char *host;
} controls[] = {
    {587, "smtp.gmail.com"},    {465, "smtp.gmail.com"},    {2525, "smtp.sendgrid.net"},
    {587, "smtp.sendgrid.net"}, {465, "smtp.sendgrid.net"}, {25, "gmail-smtp-in.l.google.com"},
};
enum { CONTROLS = ARRAY_LENGTH(controls), PROBES = CONTROLS + 1 };

/* The hosts that are called besides the target, each by a race of its own, all at the same time. */
struct diagnose_probes {
    struct loop loop;
    struct tls_context tls;
    struct dns *dns;
    struct port_connect *connects;
    size_t count, decided;
};

static void on_decided(void *owner)
{
    struct diagnose_probes *probes = owner;
    if (++probes->decided == probes->count)
        loop_stop(&probes->loop);
}

static void ignore_line(void *owner) {}

static void ignore_line_end(void *owner, const char *why) {}

static const struct port_connect_events events = {
    .on_decided = on_decided, .on_line = ignore_line, .on_line_end = ignore_line_end};

static void start_probe(struct diagnose_probes *probes, size_t i, const char *host,
                        const struct race_port *ports, size_t count)
{
    struct port_connect_options options = {
        .host = host, .port_count = count, .examine = true, .deadline_ms = DIAGNOSE_MS};
    memcpy(options.ports, ports, count * sizeof *ports);
    port_connect_start(&probes->connects[i], &probes->loop, &probes->tls, probes->dns, &options, &events,
                       probes);
}

static bool open_probes(struct diagnose_probes *probes, const char *ca_file)
{
    struct error ignored = {0};
    if (!tls_client_open(&probes->tls, ca_file, &ignored))
        return false;
    probes->dns = dns_open(NULL, 0, &ignored);
    return probes->dns != NULL && loop_start(&probes->loop, &ignored) &&
           dns_start(probes->dns, &probes->loop, &ignored);
}

static void close_probes(struct diagnose_probes *probes)
{
    for (size_t i = 0; i < probes->count; i++)
        port_connect_end(&probes->connects[i]);
    if (probes->dns != NULL)
        dns_close(probes->dns);
    tls_close(&probes->tls);
    loop_free(&probes->loop);
    free(probes->connects);
}

/* ---- what the probes saw ---- */

static void take_controls(const struct diagnose_probes *probes, struct diagnosis_facts *facts)
{
    static struct diagnosis_facts seen;
    facts->control_count = 0;
    for (size_t i = 0; i < CONTROLS; i++) {
        seen = (struct diagnosis_facts){0};
        port_connect_facts(&probes->connects[i], &seen);
        for (size_t k = 0; k < seen.attempt_count && facts->control_count < FACTS_CONTROLS_MAX; k++) {
            struct fact_attempt *control = &facts->controls[facts->control_count++];
            *control = seen.attempts[k];
            snprintf(control->host, sizeof control->host, "%s", controls[i].host);
            if (control->reach == REACH_CONNECTED)
                facts->web_elsewhere = KNOWN_YES; /* something outside is reached: there is a network */
        }
    }
}

static void take_web(const struct port_connect *probe, struct diagnosis_facts *facts)
{
    static struct diagnosis_facts seen;
    seen = (struct diagnosis_facts){0};
    port_connect_facts(probe, &seen);
    for (size_t i = 0; i < seen.attempt_count && facts->web_count < ARRAY_LENGTH(facts->web); i++)
        facts->web[facts->web_count++] = seen.attempts[i];
}

static void call_others(const struct diagnose_options *options, unsigned lacks, struct diagnosis_facts *facts)
{
    static const struct race_port web[] = {{443, CLIENT_TLS_IMPLICIT}};
    struct diagnose_probes probes = {.connects = memory_new(PROBES * sizeof(struct port_connect))};
    if (open_probes(&probes, options->ca_file)) {
        probes.count = CONTROLS + ((lacks & FACT_WEB) != 0);
        for (size_t i = 0; i < CONTROLS; i++)
            start_probe(&probes, i, controls[i].host,
                        &(struct race_port){controls[i].port, port_tls(controls[i].port)}, 1);
        if (probes.count > CONTROLS)
            start_probe(&probes, CONTROLS, options->host, web, ARRAY_LENGTH(web));
        while (probes.decided < probes.count)
            loop_run(&probes.loop);
        take_controls(&probes, facts);
        if (probes.count > CONTROLS)
            take_web(&probes.connects[CONTROLS], facts);
        facts->gathered |= FACT_CONTROLS | (lacks & FACT_WEB);
    }
    close_probes(&probes);
}

/* ---- all of it ---- */

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

static void begin(const struct port_connect *seen, const struct diagnose_options *options,
                  struct diagnosis_facts *facts)
{
    *facts = (struct diagnosis_facts){.purpose = options->purpose, .now_s = clock_epoch_ms() / 1000};
    snprintf(facts->host, sizeof facts->host, "%s", options->host);
    facts->provider = provider_by_host(bytes_of_text(options->host));
    struct bytes near = facts->provider == NULL ? provider_near(bytes_of_text(options->host)) : bytes_none();
    snprintf(facts->near_provider, sizeof facts->near_provider, "%.*s", (int)near.length,
             near.at == NULL ? "" : near.at);
    port_connect_facts(seen, facts);
    if (facts->web_count > 0)
        facts->gathered |= FACT_WEB;
    find_own(seen, facts);
}

void diagnose_at_hand(const struct port_connect *seen, const struct diagnose_options *options,
                      struct diagnosis_facts *facts)
{
    begin(seen, options, facts);
    if (diagnosis_lacks(facts) != 0)
        diagnose_machine(facts);
}

void diagnose_gather(const struct port_connect *seen, const struct diagnose_options *options,
                     struct diagnosis_facts *facts)
{
    diagnose_at_hand(seen, options, facts);
    unsigned lacks = diagnosis_lacks(facts);
    if ((lacks & (FACT_CONTROLS | FACT_WEB)) != 0 && !options->only_target)
        call_others(options, lacks, facts);
}
