/* SPDX-License-Identifier: Apache-2.0 */
#include "dial/examine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/port/port_facts.h"
#include "core/port/port_order.h"
#include "io/clock.h"
#include "io/firewall.h"
#include "io/machine.h"

/* Public servers that are meant to be called on these ports by anybody. The
 * last ones are of the web: does 443 lead anywhere at all? */
static const struct examine_control {
    const char *host;
    struct race_port ports[2];
    bool of_the_web;
} known_hosts[] = {
    {"smtp.gmail.com",
     {{PORT_SUBMISSION, CLIENT_TLS_REQUIRED}, {PORT_SUBMISSIONS, CLIENT_TLS_IMPLICIT}},
     false},
    {"smtp.sendgrid.net",
     {{PORT_ALTERNATIVE, CLIENT_TLS_REQUIRED}, {PORT_SUBMISSION, CLIENT_TLS_REQUIRED}},
     false},
    {"gmail-smtp-in.l.google.com", {{PORT_SMTP, CLIENT_TLS_OPPORTUNISTIC}}, false},
    {"gmail.com", {{PORT_LAST_RESORT, CLIENT_TLS_IMPLICIT}}, true},
    {"sendgrid.com", {{PORT_LAST_RESORT, CLIENT_TLS_IMPLICIT}}, true},
};
_Static_assert(ARRAY_LENGTH(known_hosts) == EXAMINE_CONTROLS_MAX, "a place for each control");

static void go_on(struct examine *examine);

/* ---- what is known by now ---- */

static const struct provider *provider_of(const char *host)
{
    const struct provider *provider = provider_by_host(bytes_of_text(host));
    return provider != NULL ? provider : provider_by_mx(bytes_of_text(host));
}

static void add_race(const struct examine_race *race, const char *host, struct fact_attempt *into, size_t max,
                     size_t *count)
{
    for (size_t i = 0; race->connect.has_race && i < race->connect.race.attempt_count && *count < max; i++) {
        struct fact_attempt *fact = &into[(*count)++];
        attempt_facts_fill(fact, &race->connect.race.attempts[i], &race->connect.lines[i].evidence);
        snprintf(fact->host, sizeof fact->host, "%s", host);
    }
}

static enum known web_elsewhere(const struct examine *examine)
{
    enum known answers = KNOWN_NOT;
    for (size_t i = 0; i < EXAMINE_CONTROLS_MAX; i++) {
        const struct examine_race *race = examine->controls[i];
        if (race == NULL || !known_hosts[i].of_the_web || !race->connect.has_race)
            continue;
        for (size_t k = 0; k < race->connect.race.attempt_count; k++) {
            const struct race_attempt *attempt = &race->connect.race.attempts[k];
            if (attempt->connected)
                return KNOWN_YES;
            if (attempt->stage == ATTEMPT_OVER)
                answers = KNOWN_NO;
        }
    }
    return answers;
}

/* Marks the addresses of this machine; the host is this machine if all of them are. */
static void judge_addresses(struct diagnosis_facts *facts)
{
    size_t own = 0, foreign = 0;
    for (size_t i = 0; i < facts->address_count; i++) {
        struct route_address address = route_literal(bytes_of_text(facts->addresses[i].text));
        facts->addresses[i].own = machine_has_address(&address);
        own += facts->addresses[i].own == KNOWN_YES || facts->addresses[i].kind == ADDRESS_LOOPBACK;
        foreign += facts->addresses[i].own == KNOWN_NO && facts->addresses[i].kind != ADDRESS_LOOPBACK;
    }
    facts->host_is_own = own > 0 && foreign == 0 ? KNOWN_YES : foreign > 0 ? KNOWN_NO : KNOWN_NOT;
}

static void gather(struct examine *examine)
{
    struct diagnosis_facts *facts = &examine->facts;
    port_connect_facts(&examine->target, facts);
    judge_addresses(facts);
    if (examine->others != NULL)
        add_race(examine->others, "", facts->attempts, FACTS_ATTEMPTS_MAX, &facts->attempt_count);
    if (examine->look_count > 0)
        facts->web_count = 0;
    for (size_t i = 0; i < examine->look_count; i++)
        facts->web[facts->web_count++] = examine->looks[i].fact;
    facts->control_count = 0;
    for (size_t i = 0; i < EXAMINE_CONTROLS_MAX; i++)
        if (examine->controls[i] != NULL && !known_hosts[i].of_the_web)
            add_race(examine->controls[i], known_hosts[i].host, facts->controls, FACTS_CONTROLS_MAX,
                     &facts->control_count);
    facts->web_elsewhere = web_elsewhere(examine);
    if (examine->resolver_done)
        other_resolver_fill(&examine->resolver, facts);
}

/* ---- more races ---- */

static void race_decided(void *owner)
{
    struct examine_race *race = owner;
    race->done = true;
    go_on(race->of);
}

/* To examine, nobody wins. */
static void ignore_line(void *owner) {}
static void ignore_line_end(void *owner, const char *why) {}

static const struct port_connect_events race_events = {
    .on_decided = race_decided, .on_line = ignore_line, .on_line_end = ignore_line_end};

static struct examine_race *begin_race(struct examine *examine, const struct port_connect_options *options)
{
    struct examine_race *race = memory_new(sizeof *race);
    race->of = examine;
    race->started = true;
    port_connect_start(&race->connect, examine->loop, examine->tls, examine->dns, options, &race_events,
                       race);
    return race;
}

static uint32_t left_ms(const struct examine *examine, uint32_t most_ms)
{
    uint64_t spent_ms = clock_now_ms() - examine->started_ms, all_ms = EXAMINE_MS - EXAMINE_MACHINE_MS;
    uint64_t left = spent_ms < all_ms ? all_ms - spent_ms : 1;
    return left < most_ms ? (uint32_t)left : most_ms;
}

static bool may_call(const struct examine *examine, const struct examine_control *control)
{
    const struct provider *provider = provider_of(control->host);
    if (provider == NULL)
        provider = provider_by_domain(bytes_of_text(control->host));
    return (provider == NULL || provider != examine->facts.provider) &&
           !bytes_is_nocase(bytes_of_text(control->host), examine->options.host);
}

static void begin_controls(struct examine *examine, bool of_the_web)
{
    for (size_t i = 0; i < EXAMINE_CONTROLS_MAX; i++) {
        const struct examine_control *control = &known_hosts[i];
        if (control->of_the_web != of_the_web || !may_call(examine, control))
            continue;
        struct port_connect_options options = {.host = control->host,
                                               .ports = {control->ports[0], control->ports[1]},
                                               .port_count = control->ports[1].port != 0 ? 2 : 1,
                                               .helo = examine->options.helo,
                                               .own_ca = examine->options.own_ca,
                                               .examine = true,
                                               .addresses_max = EXAMINE_CONTROL_ADDRESSES,
                                               .last_resort = of_the_web ? PORT_LAST_RESORT : 0,
                                               .deadline_ms = left_ms(examine, EXAMINE_CONTROL_MS)};
        examine->controls[i] = begin_race(examine, &options);
        if (of_the_web)
            return; /* one is enough */
    }
}

/* Starts the race for those of the four ports that were not asked for. */
static void begin_others(struct examine *examine)
{
    struct port_connect_options options = {.host = examine->options.host,
                                           .helo = examine->options.helo,
                                           .own_ca = examine->options.own_ca,
                                           .examine = true,
                                           .deadline_ms = left_ms(examine, EXAMINE_TARGET_MS)};
    for (size_t i = 0; i < ARRAY_LENGTH(port_facts); i++) {
        bool asked = false;
        for (size_t k = 0; k < examine->options.port_count; k++)
            asked = asked || examine->options.ports[k].port == port_facts[i].port;
        if (!asked)
            options.ports[options.port_count++] = (struct race_port){port_facts[i].port, port_facts[i].tls};
    }
    if (options.port_count > 0)
        examine->others = begin_race(examine, &options);
}

/* ---- the target's web ports ---- */

static void look_done(void *owner)
{
    go_on(owner);
}

static void begin_looks(struct examine *examine)
{
    static const uint16_t ports[] = {WEB_LOOK_TLS_PORT, WEB_LOOK_CLEAR_PORT};
    const struct host_lookup *lookup = &examine->target.lookup;
    bool looked[2] = {false, false};
    for (size_t i = 0; i < lookup->address_count; i++) {
        const struct route_address *address = &lookup->addresses[i];
        if (looked[address->six])
            continue;
        looked[address->six] = true;
        for (size_t k = 0; k < ARRAY_LENGTH(ports); k++) {
            assert(examine->look_count < EXAMINE_LOOKS_MAX);
            web_look_start(&examine->looks[examine->look_count++], examine->loop, examine->tls,
                           examine->options.host, address, ports[k], look_done, examine);
        }
    }
}

/* ---- another resolver ---- */

static void resolver_done(void *owner)
{
    struct examine *examine = owner;
    examine->resolver_done = true;
    go_on(examine);
}

static void begin_resolver(struct examine *examine)
{
    const struct other_resolver_options options = {.host = examine->options.host};
    examine->resolver_begun = true;
    other_resolver_start(&examine->resolver, examine->loop, examine->dns, &options, resolver_done, examine);
}

/* ---- what is lacking ---- */

static bool is_quiet(const struct examine *examine)
{
    bool quiet = examine->target_done && (examine->others == NULL || examine->others->done);
    for (size_t i = 0; i < EXAMINE_CONTROLS_MAX; i++)
        quiet = quiet && (examine->controls[i] == NULL || examine->controls[i]->done);
    for (size_t i = 0; i < examine->look_count; i++)
        quiet = quiet && examine->looks[i].done;
    return quiet && (!examine->resolver_begun || examine->resolver_done);
}

/* Others are called where the target is another machine, and they may be. */
static unsigned allowed(const struct examine *examine)
{
    unsigned set = ~0u;
    if (examine->options.only_target)
        set &= ~(unsigned)(FACT_CONTROLS | FACT_OTHER_RESOLVER);
    if (examine->facts.host_is_own == KNOWN_YES)
        set &= ~(unsigned)(FACT_CONTROLS | FACT_WEB | FACT_OTHER_RESOLVER);
    return set;
}

static void begin(struct examine *examine, unsigned kinds)
{
    kinds &= ~examine->asked;
    examine->asked |= kinds;
    kinds &= allowed(examine);
    examine->facts.gathered |= kinds;
    if ((kinds & FACT_CONTROLS) != 0) {
        begin_controls(examine, false);
        begin_controls(examine, true);
    }
    if ((kinds & FACT_WEB) != 0)
        begin_looks(examine);
    if ((kinds & FACT_OTHER_PORTS) != 0)
        begin_others(examine);
    if ((kinds & FACT_OTHER_RESOLVER) != 0)
        begin_resolver(examine);
}

/* Reads files and runs tools without the loop, so it comes last and delays no answer. */
static void look_at_this_machine(struct examine *examine, unsigned kinds)
{
    if ((kinds & FACT_MACHINE) != 0)
        machine_facts(&examine->facts.machine);
    if ((kinds & FACT_FIREWALL) != 0)
        firewall_facts(&examine->facts.machine);
    if ((kinds & FACT_HISTORY) != 0 && examine->options.history != NULL)
        examine->facts.history = *examine->options.history;
}

/* The resolver goes by it before DNS. That this machine's own name leads to itself is the custom. */
static void look_at_hosts_file(struct examine *examine)
{
    if (!bytes_is_nocase(examine->options.helo, examine->options.host))
        machine_hosts_address(examine->options.host, examine->facts.machine.hosts_address);
}

static void finish(struct examine *examine)
{
    enum { HERE = FACT_MACHINE | FACT_FIREWALL | FACT_HISTORY };
    if (examine->done)
        return;
    examine->done = true;
    gather(examine);
    unsigned lacks = diagnosis_lacks(&examine->facts) & HERE;
    look_at_this_machine(examine, lacks);
    examine->facts.gathered |= lacks;
    look_at_hosts_file(examine);
    timer_cancel(&examine->doubt);
    timer_cancel(&examine->limit);
    examine->on_done(examine->owner);
}

static void go_on(struct examine *examine)
{
    enum { BY_CALLING = FACT_CONTROLS | FACT_WEB | FACT_OTHER_RESOLVER | FACT_OTHER_PORTS };
    if (examine->done || !is_quiet(examine))
        return;
    gather(examine);
    unsigned lacks = diagnosis_lacks(&examine->facts) & BY_CALLING & ~examine->asked & allowed(examine);
    begin(examine, lacks);
    if (is_quiet(examine))
        finish(examine);
}

/* ---- the target ---- */

static void target_decided(void *owner)
{
    struct examine *examine = owner;
    examine->target_done = true;
    timer_cancel(&examine->doubt);
    if (examine->options.on_progress != NULL)
        examine->options.on_progress(examine->options.owner, &examine->target);
    go_on(examine);
}

static void target_progress(void *owner)
{
    struct examine *examine = owner;
    if (examine->options.on_progress != NULL)
        examine->options.on_progress(examine->options.owner, &examine->target);
}

/* Each family that the target has is ready on one of its ports. */
static bool seems_well(const struct race *race, bool by_25)
{
    bool tried[2] = {false, false}, ready[2] = {false, false};
    for (size_t i = 0; i < race->attempt_count; i++) {
        const struct race_attempt *attempt = &race->attempts[i];
        bool is_ready = attempt->verdict == PORT_OPEN && attempt->stage == ATTEMPT_OVER;
        tried[attempt->address->six] = true;
        ready[attempt->address->six] |= is_ready && (by_25 || attempt->port->port != 25);
    }
    return tried[false] == ready[false] && tried[true] == ready[true];
}

static void in_doubt(void *owner)
{
    struct examine *examine = owner;
    if (!examine->target.has_race ||
        seems_well(&examine->target.race, examine->options.purpose == PURPOSE_RELAY))
        return;
    gather(examine);
    begin(examine, FACT_CONTROLS | FACT_WEB | FACT_OTHER_PORTS);
}

static void out_of_time(void *owner)
{
    finish(owner);
}

void examine_start(struct examine *examine, struct loop *loop, struct tls_context *tls, struct dns *dns,
                   const struct examine_options *options, void (*on_done)(void *owner), void *owner)
{
    static const struct port_connect_events events = {.on_decided = target_decided,
                                                      .on_line = ignore_line,
                                                      .on_line_end = ignore_line_end,
                                                      .on_progress = target_progress};
    *examine = (struct examine){.options = *options,
                                .loop = loop,
                                .tls = tls,
                                .dns = dns,
                                .started_ms = clock_now_ms(),
                                .started = true,
                                .on_done = on_done,
                                .owner = owner};
    struct bytes near = provider_near(bytes_of_text(options->host));
    examine->facts.purpose = options->purpose;
    examine->facts.own_ca = options->own_ca;
    memcpy(examine->facts.asked, options->asked, sizeof examine->facts.asked);
    examine->facts.now_s = clock_epoch_ms() / 1000;
    examine->facts.provider = provider_of(options->host);
    client_record_text(examine->facts.host, FACTS_HOST_MAX, bytes_of_text(options->host), false);
    client_record_text(examine->facts.near_provider, FACTS_HOST_MAX, near, false);
    timer_start(&examine->doubt, loop, in_doubt, examine);
    timer_start(&examine->limit, loop, out_of_time, examine);
    timer_set(&examine->doubt, EXAMINE_DOUBT_MS);
    timer_set(&examine->limit, EXAMINE_MS - EXAMINE_MACHINE_MS);
    struct port_connect_options way = {
        .host = options->host,
        .port_count = options->port_count,
        .helo = options->helo,
        .last_resort = options->last_resort,
        .own_ca = options->own_ca,
        .examine = true,
        .deadline_ms = left_ms(examine, options->target_ms != 0 ? options->target_ms : EXAMINE_TARGET_MS)};
    memcpy(way.ports, options->ports, sizeof way.ports);
    port_connect_start(&examine->target, loop, tls, dns, &way, &events, examine);
}

void examine_end(struct examine *examine)
{
    if (!examine->started)
        return;
    examine->started = false;
    examine->done = true;
    timer_cancel(&examine->doubt);
    timer_cancel(&examine->limit);
    port_connect_end(&examine->target);
    for (size_t i = 0; i < EXAMINE_CONTROLS_MAX + 1; i++) {
        struct examine_race *race = i < EXAMINE_CONTROLS_MAX ? examine->controls[i] : examine->others;
        if (race == NULL)
            continue;
        port_connect_end(&race->connect);
        loop_release(examine->loop, &race->connect.released, free, race);
    }
    for (size_t i = 0; i < examine->look_count; i++)
        web_look_end(&examine->looks[i]);
    if (examine->resolver_begun)
        other_resolver_end(&examine->resolver);
}
