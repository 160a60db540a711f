/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/word_place.h"

/* ---- the provider ---- */

static const struct provider *provider_of(const struct word_context *context)
{
    const struct diagnosis_facts *facts = context->facts;
    const struct provider *provider = facts->provider;
    for (size_t i = 0; i < facts->attempt_count && provider == NULL; i++)
        if (facts->attempts[i].ready != KNOWN_YES)
            provider = fact_attempt_provider(facts, &facts->attempts[i]);
    return provider;
}

static void add_provider(const struct word_context *context, struct buffer *out)
{
    const struct provider *provider = provider_of(context);
    buffer_add_text(out, provider != NULL ? provider->name : "");
}

static void add_https(const struct word_context *context, struct buffer *out)
{
    const struct provider *provider = provider_of(context);
    buffer_add_text(out, provider != NULL ? provider->https : "");
}

static bool is_tried(const struct word_context *context, uint16_t port)
{
    const struct port_seen *seen = ports_seen_of(&context->seen, port);
    return seen != NULL && seen->state != PORT_SEEN_UNTRIED;
}

static void add_offers(const struct word_context *context, bool untried_only, struct buffer *out)
{
    const struct provider *provider = provider_of(context);
    bool any = false;
    for (size_t i = 0; provider != NULL && i < 2 * (size_t)PROVIDER_PORTS_MAX; i++) {
        bool starttls = i < PROVIDER_PORTS_MAX;
        uint16_t port = starttls ? provider->starttls[i] : provider->implicit[i - PROVIDER_PORTS_MAX];
        if (port == 0 || (untried_only && is_tried(context, port)))
            continue;
        buffer_add_format(out, "%s%u with %s", any ? ", " : "", (unsigned)port,
                          starttls ? "STARTTLS" : "implicit TLS");
        any = true;
    }
}

static void add_offered(const struct word_context *context, struct buffer *out)
{
    add_offers(context, false, out);
}

static void add_other_ports(const struct word_context *context, struct buffer *out)
{
    add_offers(context, true, out);
}

/* ---- other hosts ---- */

static bool is_wrong(const struct fact_attempt *control)
{
    return control->voice == VOICE_HTTP ||
           (control->tls == FACT_TLS_DONE && control->certificate.state != FACT_CERTIFICATE_VALID);
}

static void add_control(const struct word_context *context, struct buffer *out)
{
    for (size_t i = 0; i < context->facts->control_count; i++) {
        const struct fact_attempt *control = &context->facts->controls[i];
        if (control->reach == REACH_CONNECTED && !is_wrong(control)) {
            buffer_add_format(out, "%s on %u", control->host, (unsigned)control->port);
            return;
        }
    }
}

static void add_control_foreign(const struct word_context *context, struct buffer *out)
{
    for (size_t i = 0; i < context->facts->control_count; i++)
        if (is_wrong(&context->facts->controls[i])) {
            buffer_add_text(out, context->facts->controls[i].host);
            return;
        }
}

/* ---- DNS ---- */

static void add_dns_said(const struct word_context *context, struct buffer *out)
{
    if (context->facts->dns_said[0] == '\0')
        return;
    buffer_add_text(out, " (");
    word_add_line(out, context->facts->dns_said);
    buffer_add_text(out, ")");
}

static void add_resolver(const struct word_context *context, struct buffer *out)
{
    buffer_add_text(out, context->facts->machine.resolver[0] != '\0' ? context->facts->machine.resolver
                                                                     : "of this machine");
}

static void add_hosts_address(const struct word_context *context, struct buffer *out)
{
    buffer_add_text(out, context->facts->machine.hosts_address);
}

static void add_address_of(const struct word_context *context, int six, struct buffer *out)
{
    for (size_t i = 0; i < context->facts->address_count; i++)
        if (six < 0 || context->facts->addresses[i].six == (six == 1)) {
            buffer_add_text(out, context->facts->addresses[i].text);
            return;
        }
}

/* The one that is odd, where one is. */
static void add_address(const struct word_context *context, struct buffer *out)
{
    for (size_t i = 0; i < context->facts->address_count; i++)
        if (context->facts->addresses[i].kind > ADDRESS_PUBLIC) {
            buffer_add_text(out, context->facts->addresses[i].text);
            return;
        }
    add_address_of(context, -1, out);
}

static void add_address4(const struct word_context *context, struct buffer *out)
{
    add_address_of(context, 0, out);
}

static void add_address6(const struct word_context *context, struct buffer *out)
{
    add_address_of(context, 1, out);
}

static void add_other_address(const struct word_context *context, struct buffer *out)
{
    buffer_add_text(out, context->facts->other_dns == FACT_DNS_NO_SUCH_NAME
                             ? "no such name"
                             : context->facts->other_addresses[0].text);
}

static void add_near(const struct word_context *context, struct buffer *out)
{
    buffer_add_text(out, context->facts->near_provider);
}

/* ---- this machine ---- */

static void add_network(const struct word_context *context, struct buffer *out)
{
    const struct network *network = context->facts->machine.network;
    buffer_add_text(out, network != NULL ? network->name : "");
}

static void add_lifted(const struct word_context *context, struct buffer *out)
{
    const struct network *network = context->facts->machine.network;
    buffer_add_text(out, network != NULL ? network->lifted : "");
}

static void add_sign(const struct word_context *context, struct buffer *out)
{
    word_add_line(out, context->facts->machine.network_sign);
}

static void add_network_blocks(const struct word_context *context, struct buffer *out)
{
    const struct network *network = context->facts->machine.network;
    bool any = false;
    for (size_t i = 0; network != NULL && i < NETWORK_PORTS; i++)
        if ((network->silent & network_bit(network_ports[i])) != 0) {
            buffer_add_format(out, "%s%u", any ? ", " : "", (unsigned)network_ports[i]);
            any = true;
        }
}

static void add_rule(const struct word_context *context, struct buffer *out)
{
    const struct fact_machine *machine = &context->facts->machine;
    for (size_t i = 0; i < machine->rule_count; i++)
        if (is_tried(context, machine->rules[i].port)) {
            word_add_line(out, machine->rules[i].rule);
            return;
        }
}

static void add_listeners(const struct word_context *context, struct buffer *out)
{
    const struct fact_machine *machine = &context->facts->machine;
    for (size_t i = 0; i < machine->listener_count; i++)
        buffer_add_format(out, "%s%u", i == 0 ? "" : ", ", (unsigned)machine->listeners[i].port);
}

static void add_tunnel(const struct word_context *context, struct buffer *out)
{
    word_add_line(out, context->facts->machine.tunnel);
}

static void add_device(const struct word_context *context, struct buffer *out)
{
    buffer_add_text(out,
                    context->facts->machine.tunnel[0] != '\0' ? context->facts->machine.tunnel : "DEVICE");
}

static void add_mtu(const struct word_context *context, struct buffer *out)
{
    if (context->facts->machine.mtu != 0)
        buffer_add_format(out, "%u", (unsigned)context->facts->machine.mtu);
}

static void add_clock(const struct word_context *context, struct buffer *out)
{
    int64_t ahead = context->facts->machine.clock_ahead_s;
    uint64_t seconds = ahead < 0 ? (uint64_t)-ahead : (uint64_t)ahead;
    if (ahead == 0)
        buffer_add_text(out, "wrong");
    else
        buffer_add_format(out, "%llu %s %s",
                          (unsigned long long)(seconds >= 172800 ? seconds / 86400 : seconds / 60),
                          seconds >= 172800 ? "days" : "min", ahead > 0 ? "ahead" : "slow");
}

static void add_ca_age(const struct word_context *context, struct buffer *out)
{
    buffer_add_format(out, "%u", (unsigned)context->facts->machine.ca_age_days);
}

static void add_proxy(const struct word_context *context, struct buffer *out)
{
    word_add_line(out, context->facts->machine.proxy);
}

/* ---- before ---- */

static void add_worked(const struct word_context *context, struct buffer *out)
{
    const struct fact_history *history = &context->facts->history;
    bool any = false;
    for (size_t i = 0; i < history->count; i++)
        if (history->ports[i].worked) {
            buffer_add_format(out, "%s%u", any ? ", " : "", (unsigned)history->ports[i].port);
            any = true;
        }
}

static void add_calls(const struct word_context *context, struct buffer *out)
{
    buffer_add_format(out, "%u", (unsigned)context->facts->history.calls_last_hour);
}

/* ---- times ---- */

/* The certificate of the web port. */
static void add_router(const struct word_context *context, struct buffer *out)
{
    const struct diagnosis_facts *facts = context->facts;
    for (size_t i = 0; i < facts->web_count; i++) {
        const struct fact_certificate *certificate = &facts->web[i].certificate;
        if (facts->web[i].tls != FACT_TLS_DONE || certificate->names_host != KNOWN_NO)
            continue;
        word_add_line(out, certificate->names[0] != '\0' ? certificate->names : certificate->subject);
        return;
    }
}

static void add_rtt(const struct word_context *context, struct buffer *out)
{
    for (size_t i = 0; i < context->facts->web_count; i++)
        if (context->facts->web[i].reach == REACH_CONNECTED) {
            buffer_add_format(out, "%u", (unsigned)context->facts->web[i].connect_ms);
            return;
        }
}

static void add_ms(const struct word_context *context, enum fact_reach reach, struct buffer *out)
{
    for (size_t i = 0; i < context->facts->attempt_count; i++)
        if (context->facts->attempts[i].reach == reach) {
            buffer_add_format(out, "%u", (unsigned)context->facts->attempts[i].connect_ms);
            return;
        }
}

static void add_refused_ms(const struct word_context *context, struct buffer *out)
{
    add_ms(context, REACH_REFUSED, out);
}

static void add_connect_ms(const struct word_context *context, struct buffer *out)
{
    add_ms(context, REACH_CONNECTED, out);
}

bool word_place_of_surroundings(const struct word_context *context, struct bytes place, struct buffer *out)
{
    static const struct word_writer writers[] = {
        {"provider", add_provider},
        {"https", add_https},
        {"offered", add_offered},
        {"other_ports", add_other_ports},
        {"control", add_control},
        {"control_foreign", add_control_foreign},
        {"dns_said", add_dns_said},
        {"resolver", add_resolver},
        {"hosts_address", add_hosts_address},
        {"address", add_address},
        {"address4", add_address4},
        {"address6", add_address6},
        {"other_address", add_other_address},
        {"near", add_near},
        {"network", add_network},
        {"lifted", add_lifted},
        {"sign", add_sign},
        {"network_blocks", add_network_blocks},
        {"rule", add_rule},
        {"listeners", add_listeners},
        {"tunnel", add_tunnel},
        {"device", add_device},
        {"mtu", add_mtu},
        {"clock", add_clock},
        {"ca_age", add_ca_age},
        {"proxy", add_proxy},
        {"worked", add_worked},
        {"calls", add_calls},
        {"router", add_router},
        {"rtt", add_rtt},
        {"refused_ms", add_refused_ms},
        {"connect_ms", add_connect_ms},
    };
    return word_place_write(context, place, writers, ARRAY_LENGTH(writers), out);
}
