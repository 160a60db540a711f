/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor: checks whether this machine can send mail. Tries outgoing 25, 587, 465 and 2525 concurrently,
 * detects clouds that are known to block some of them, and recommends what to do. With a configuration, it
 * also checks the mail server (health.c).
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/ports/answer.h"
#include "cli/ports/diagnose.h"
#include "cli/ports/health.h"
#include "cli/ports/smarthost_check.h"
#include "cli/send/server_connection.h"
#include "core/port/network.h"
#include "core/port/port_facts.h"
#include "core/port/port_order.h"
#include "core/text/target.h"
#include "dial/port_connect.h"
#include "io/clock.h"

extern const struct command doctor_command;

enum { PROBES_MAX = 8, DOCTOR_MS = 6 * 1000 };

/* The last way out: a sending service's HTTPS interface. */
static const char web_host[] = "api.sendgrid.com";

struct doctor_probe {
    struct doctor_run *of;
    uint16_t port;
    const char *host;
    struct port_connect port_connect;
    bool web_reached; /* 443: TLS stands, with a valid certificate; nothing is said there */
};

struct doctor_run {
    struct loop loop;
    struct tls_context tls;
    struct dns *dns;
    struct doctor_probe *probes;
    size_t count, decided;
    char vendor[512];
    const struct network *cloud;
    struct health health; /* of the server; empty where none is configured */
    bool is_auto;         /* relay.via */
    bool is_usual;        /* no target was named */
    struct smarthost_check smarthost;
    struct diagnosis_facts facts;
    struct diagnosis diagnosis;
};

/* ---- probes ---- */

static bool is_decided(const struct doctor_run *e)
{
    return e->decided == e->count && (!e->smarthost.begun || e->smarthost.done);
}

static void on_smarthost(void *owner)
{
    struct doctor_run *e = owner;
    if (is_decided(e))
        loop_stop(&e->loop);
}

static void on_decided(void *owner)
{
    struct doctor_probe *probe = owner;
    probe->of->decided++;
    if (is_decided(probe->of))
        loop_stop(&probe->of->loop);
}

static void on_line(void *owner) {}

static void on_line_end(void *owner, const char *why) {}

static const struct port_connect_events events = {
    .on_decided = on_decided, .on_line = on_line, .on_line_end = on_line_end};

static void start(struct doctor_run *e)
{
    for (size_t i = 0; i < e->count; i++) {
        struct doctor_probe *probe = &e->probes[i];
        struct port_connect_options options = {
            .host = probe->host,
            .ports = {{probe->port, port_tls(probe->port)}},
            .port_count = 1,
            .examine = true,
            .last_resort = probe->port == PORT_LAST_RESORT ? PORT_LAST_RESORT : 0,
            .deadline_ms = DOCTOR_MS};
        probe->of = e;
        port_connect_start(&probe->port_connect, &e->loop, &e->tls, e->dns, &options, &events, probe);
    }
    while (!is_decided(e))
        loop_run(&e->loop);
}

static const struct race_attempt *attempt_of(const struct doctor_probe *probe)
{
    return probe->port_connect.has_race ? race_verdict(&probe->port_connect.race, probe->port) : NULL;
}

/* The way is open when it was seen that the server that is meant answers: by its certificate; on 25, where
 * servers have any, by its dialogue, unless the host is one whose certificate is known to be good. */
static bool is_open(const struct doctor_probe *probe)
{
    const struct race_attempt *a = attempt_of(probe);
    if (a == NULL)
        return false;
    bool any_certificate = probe->port == 25 && !probe->of->is_usual;
    if (probe->port == PORT_SMTP && probe->of->is_usual && !a->secured)
        return false; /* it always offers STARTTLS: another server answers */
    return a->verdict == PORT_OPEN || probe->web_reached ||
           (any_certificate && a->heard && strcmp(port_verdict_state(a->verdict), "open") == 0);
}

/* Another's certificate from a known server: it is not that server that answers. */
static bool is_intercepted(const struct doctor_probe *probe, const struct race_attempt *a)
{
    return probe->of->is_usual && a->heard && (!a->secured || a->certificate != PORT_OPEN);
}

static const char *state_of(const struct doctor_probe *probe)
{
    const struct race_attempt *a = attempt_of(probe);
    return a == NULL                  ? "unknown"
           : is_open(probe)           ? "open"
           : is_intercepted(probe, a) ? "intercepted"
                                      : port_verdict_state(a->verdict);
}

static const char *lookup_reason_of(const struct host_lookup *lookup)
{
    switch (lookup->resolver) {
    case RESOLVER_NONE: return "its address is not known: this machine has no DNS resolver";
    case RESOLVER_UNREACHABLE: return "its address is not known: the DNS resolver cannot be reached";
    case RESOLVER_SILENT: return "its address is not known: the DNS resolver does not answer";
    case RESOLVER_REFUSES: return "its address is not known: the DNS resolver refuses to answer";
    case RESOLVER_UNKNOWN:
    case RESOLVER_FAILS:
    case RESOLVER_ANSWERS: break;
    }
    return "the lookup of its address failed";
}

static const char *reason_of(const struct doctor_probe *probe)
{
    const struct race_attempt *a = attempt_of(probe);
    return a == NULL        ? lookup_reason_of(&probe->port_connect.lookup)
           : is_open(probe) ? "reached"
                            : port_verdict_sentence(a->verdict);
}

/* ---- the machine ---- */

static void read_vendor(struct doctor_run *e)
{
    static const char *const files[] = {"sys_vendor", "product_name", "chassis_asset_tag", "bios_vendor",
                                        "bios_version"};
    char path[80], line[128];
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        snprintf(path, sizeof path, "/sys/class/dmi/id/%s", files[i]);
        FILE *file = fopen(path, "re");
        if (file != NULL && fgets(line, sizeof line, file) != NULL) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(e->vendor + strlen(e->vendor), sizeof e->vendor - strlen(e->vendor), "%s%s",
                     i == 0 ? "" : " ", line);
        }
        if (file != NULL)
            fclose(file);
    }
    e->cloud = network_by_vendor(bytes_of_text(e->vendor));
}

/* ---- advice ---- */

static bool any_open(const struct doctor_run *e, bool of_25)
{
    for (size_t i = 0; i < e->count; i++)
        if (e->probes[i].port != PORT_LAST_RESORT && (e->probes[i].port == 25) == of_25 &&
            is_open(&e->probes[i]))
            return true;
    return false;
}

/* With relay.via: auto: the current route from this machine. */
static const char *route_of(const struct doctor_run *e)
{
    return any_open(e, true) ? "mx (outgoing port 25 is open)"
                             : "the smarthost (outgoing port 25 is blocked)";
}

static void add_open_ports(const struct doctor_run *e, struct buffer *out)
{
    bool any = false;
    for (size_t i = 0; i < e->count; i++)
        if (e->probes[i].port != 25 && e->probes[i].port != PORT_LAST_RESORT && is_open(&e->probes[i])) {
            buffer_add_format(out, "%s%u", any ? ", " : "", (unsigned)e->probes[i].port);
            any = true;
        }
}

/* Mail goes by the configured smarthost, whatever else is open. */
static bool is_by_smarthost(const struct doctor_run *e)
{
    return e->smarthost.host != NULL && (!e->is_auto || !any_open(e, true));
}

static void advise_on_smarthost(const struct doctor_run *e, struct buffer *out)
{
    const char *via = e->is_auto ? "auto; outgoing port 25 is blocked" : "smarthost";
    if (smarthost_check_works(&e->smarthost)) {
        buffer_add_format(out, "Mail leaves through the smarthost %s (relay.via: %s)", e->smarthost.host,
                          via);
        return;
    }
    buffer_add_format(out, "The smarthost %s cannot be used (relay.via: %s): ", e->smarthost.host, via);
    smarthost_check_explain(&e->smarthost, out);
}

/* From what was measured, and from nothing else. */
static void advise(const struct doctor_run *e, struct buffer *out)
{
    if (is_by_smarthost(e))
        advise_on_smarthost(e, out);
    else if (e->smarthost.host != NULL)
        buffer_add_format(
            out,
            "This machine delivers directly to other servers; the smarthost %s takes over where "
            "port 25 is blocked (relay.via: auto)",
            e->smarthost.host);
    else if (any_open(e, true))
        buffer_add_text(out, "This machine can deliver directly to other servers (relay: {via: mx})");
    else if (any_open(e, false)) {
        buffer_add_text(out, "This machine cannot deliver directly; use a smarthost on ");
        add_open_ports(e, out);
        buffer_add_text(out, " (relay: {via: smarthost, smarthost: {host: ..., port: auto}})");
    } else {
        buffer_add_text(out, "This machine cannot send mail by SMTP: ");
        diagnosis_line(&e->facts, &e->diagnosis, out);
    }
}

static void take_web(struct doctor_run *e, struct doctor_probe *probe, const struct diagnosis_facts *seen)
{
    if (seen->web_count == 0)
        return;
    probe->web_reached = seen->web[0].tls == FACT_TLS_DONE &&
                         seen->web[0].certificate.state == FACT_CERTIFICATE_VALID;
    e->facts.web_elsewhere = probe->web_reached ? KNOWN_YES : KNOWN_NO;
}

/* The smarthost's check has looked at this machine already: twice would take twice the time. */
static void take_machine(struct doctor_run *e)
{
    const struct diagnosis_facts *seen = &e->smarthost.examine.facts;
    unsigned both = FACT_MACHINE | FACT_FIREWALL;
    if (!e->smarthost.begun || (seen->gathered & both) != both)
        return;
    e->facts.machine = seen->machine;
    e->facts.machine.hosts_address[0] = '\0'; /* of the smarthost */
    e->facts.gathered |= both;
}

/* All probes as attempts of one question: can mail leave at all? */
static void diagnose(struct doctor_run *e)
{
    static struct diagnosis_facts seen;
    e->facts = (struct diagnosis_facts){.purpose = PURPOSE_LEAVE,
                                        .now_s = clock_epoch_ms() / 1000,
                                        .smarthost_is_set = e->smarthost.host != NULL ? KNOWN_YES : KNOWN_NO};
    for (size_t i = 0; i < e->count; i++) {
        seen = (struct diagnosis_facts){0};
        port_connect_facts(&e->probes[i].port_connect, &seen);
        take_web(e, &e->probes[i], &seen);
        if (seen.dns > e->facts.dns || e->facts.dns == FACT_DNS_UNKNOWN)
            e->facts.dns = seen.dns;
        for (size_t k = 0; k < seen.attempt_count && e->facts.attempt_count < FACTS_ATTEMPTS_MAX; k++) {
            struct fact_attempt *attempt = &e->facts.attempts[e->facts.attempt_count++];
            *attempt = seen.attempts[k];
            snprintf(attempt->host, sizeof attempt->host, "%s", e->probes[i].host);
        }
    }
    if (e->facts.attempt_count > 0)
        e->facts.dns = FACT_DNS_HAS_ADDRESS;
    take_machine(e);
    diagnose_machine(&e->facts);
    e->facts.gathered |= FACT_CONTROLS;
    diagnosis_make(&e->facts, &e->diagnosis);
}

static bool is_ill(const struct doctor_run *e)
{
    for (size_t i = 0; i < e->health.count; i++)
        if (e->health.items[i].how == HEALTH_ILL)
            return true;
    return false;
}

/* ---- output ---- */

static void print(const struct doctor_run *e)
{
    struct buffer words = {0};
    printf("outgoing ports\n");
    for (size_t i = 0; i < e->count; i++)
        printf("  %-5u %-12s %-28s %s\n", (unsigned)e->probes[i].port, state_of(&e->probes[i]),
               e->probes[i].host, reason_of(&e->probes[i]));
    if (e->cloud != NULL)
        printf("this machine\n"
               "  runs at %s, which blocks some outgoing ports by default; unblocked: %s (mailboat ports "
               "--explain \"%s\")\n",
               e->cloud->name, e->cloud->lifted, e->cloud->name);
    if (e->health.count > 0)
        printf("this server\n");
    if (e->is_auto)
        printf("  relay.via is auto: route is %s\n", route_of(e));
    for (size_t i = 0; i < e->health.count; i++) {
        const struct health_item *s = &e->health.items[i];
        printf("  %-5s %-20s %s\n", health_state_name(s), s->what, s->words);
        if (s->hint != NULL)
            printf("        -> %s\n", s->hint);
    }
    answer_print(stdout, &e->facts, &e->diagnosis);
    smarthost_check_print(&e->smarthost);
    advise(e, &words);
    printf("-> %s\n", buffer_text(&words));
    buffer_free(&words);
}

static void print_json(const struct doctor_run *e)
{
    struct buffer words = {0};
    json_t *ports = json_array();
    for (size_t i = 0; i < e->count; i++)
        json_array_append_new(ports,
                              json_pack("{s:i, s:s, s:s, s:b, s:s}", "port", (int)e->probes[i].port, "host",
                                        e->probes[i].host, "state", state_of(&e->probes[i]), "reached",
                                        is_open(&e->probes[i]), "reason", reason_of(&e->probes[i])));
    advise(e, &words);
    json_t *facts = json_pack("{s:o, s:s, s:s*, s:s}", "outgoing", ports, "machine", e->vendor, "cloud",
                              e->cloud == NULL ? NULL : e->cloud->name, "advice", buffer_text(&words));
    json_t *server = json_array();
    for (size_t i = 0; i < e->health.count; i++) {
        const struct health_item *s = &e->health.items[i];
        json_array_append_new(server, json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s*}", "what", s->what, "status",
                                                health_state_name(s), "state", health_former_name(s), "words",
                                                s->words, "hint", s->hint, "mend", s->hint));
    }
    json_object_set_new(facts, "server", server);
    if (e->smarthost.begun)
        json_object_set_new(facts, "smarthost", smarthost_check_json(&e->smarthost));
    json_object_set_new(facts, "diagnosis", answer_json(&e->facts, &e->diagnosis));
    if (e->is_auto)
        json_object_set_new(facts, "relay_by", json_string(any_open(e, true) ? "mx" : "smarthost"));
    json_dumpf(facts, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(facts);
    buffer_free(&words);
}

/* ---- the command ---- */

static void add(struct doctor_run *e, uint16_t port, const char *host)
{
    if (e->count < PROBES_MAX)
        e->probes[e->count++] = (struct doctor_probe){.port = port, .host = host};
}

/* Adds one host for all four ports, or host:port for one. */
static bool add_target(struct doctor_run *e, struct target *target, const char *text, struct error *error)
{
    uint64_t port;
    if (!server_connection_target(target, text, error))
        return false;
    if (target->ports[0] == '\0')
        for (size_t i = 0; i < PORT_LISTENERS; i++)
            add(e, port_order_listeners[i], target->host);
    else if (bytes_to_u64(bytes_first(bytes_of_text(target->ports), strcspn(target->ports, ":")), 65535,
                          &port))
        add(e, (uint16_t)port, target->host);
    return true;
}

static int examine(struct doctor_run *e, const struct config *config, const char *ca_file, bool json)
{
    struct error error = {0};
    read_vendor(e);
    if (!tls_client_open(&e->tls, ca_file, &error))
        return command_fail(&doctor_command, &error);
    e->dns = dns_open(NULL, 0, &error);
    if (e->dns == NULL || !loop_start(&e->loop, &error) || !dns_start(e->dns, &e->loop, &error))
        return command_fail(&doctor_command, &error);
    e->is_auto = config != NULL && config->relay.via == RELAY_AUTO;
    if (config != NULL && (config->relay.via == RELAY_SMARTHOST || e->is_auto))
        e->smarthost.host = config->relay.smarthost.host;
    e->smarthost.on_done = on_smarthost;
    e->smarthost.owner = e;
    smarthost_check_start(&e->smarthost, config, &e->loop, &e->tls, e->dns, ca_file != NULL);
    start(e);
    smarthost_check_judge(&e->smarthost);
    diagnose(e);
    if (config != NULL)
        health_examine(&e->health, config);
    if (json)
        print_json(e);
    else
        print(e);
    bool leaves = is_by_smarthost(e) ? smarthost_check_works(&e->smarthost)
                                     : any_open(e, true) || any_open(e, false);
    int exit_code = leaves && !is_ill(e) ? EX_OK : EX_UNAVAILABLE;
    health_free(&e->health);
    for (size_t i = 0; i < e->count; i++)
        port_connect_end(&e->probes[i].port_connect);
    smarthost_check_end(&e->smarthost);
    dns_close(e->dns);
    tls_close(&e->tls);
    loop_free(&e->loop);
    return exit_code;
}

static int run(int argc, char **argv)
{
    static struct option_list targets;
    static struct target read[PROBES_MAX];
    bool json = false;
    const char *ca_file = NULL, *config_file = NULL;
    struct config config;
    struct arguments arguments;
    struct error error = {0};
    static struct doctor_run e;
    const struct option_rule rules[] = {{OPTION_LIST, "target", 0, &targets},
                                        {OPTION_TEXT, "ca-file", 0, &ca_file},
                                        {OPTION_TEXT, "config", 'c', &config_file},
                                        {OPTION_FLAG, "json", 0, &json},
                                        {OPTION_END, NULL, 0, NULL}};
    int exit_code = EX_OK;
    e = (struct doctor_run){.probes = memory_new(PROBES_MAX * sizeof(struct doctor_probe))};
    targets.count = 0;
    if (!options_read(&doctor_command, argc, argv, rules, &arguments))
        exit_code = EX_USAGE;
    else if (!options_arguments_fit(&doctor_command, NULL, "", arguments.at, arguments.count))
        exit_code = EX_USAGE;
    else if (targets.count > PROBES_MAX)
        exit_code = command_usage(&doctor_command, "at most %d targets", PROBES_MAX);
    for (size_t i = 0; exit_code == EX_OK && i < targets.count; i++)
        if (!add_target(&e, &read[i], targets.at[i], &error))
            exit_code = command_fail(&doctor_command, &error);
    e.is_usual = targets.count == 0;
    for (size_t i = 0; e.is_usual && i < PORT_LISTENERS; i++)
        add(&e, port_order_listeners[i], port_facts_of(port_order_listeners[i])->probe_host);
    if (e.is_usual)
        add(&e, PORT_LAST_RESORT, web_host);
    command_end_on_interrupt();
    bool configured = exit_code == EX_OK && (config_file != NULL || targets.count == 0) &&
                      config_load_as_anybody(&config, config_file, &error);
    if (!configured && config_file != NULL && exit_code == EX_OK)
        exit_code = command_fail(&doctor_command, &error);
    if (exit_code == EX_OK)
        exit_code = examine(&e, configured ? &config : NULL, ca_file, json);
    if (configured)
        config_free(&config);
    free(e.probes);
    return exit_code;
}

const struct command doctor_command = {
    .name = "doctor",
    .summary = "check whether this machine can send mail, and what to do if it cannot",
    .help = "usage: mailboat doctor [--target HOST[:PORT]]... [--json]\n"
            "\n"
            "Tries to reach ports 25, 587, 465 and 2525 outside this network concurrently, and 443\n"
            "of a sending service, within six seconds. A port counts as open only when the server\n"
            "that is meant answers there, by its certificate. Names the cause of what does not\n"
            "work, where it is, and what to do first. Sends nothing and does not sign in.\n"
            "A configured smarthost is examined as `mailboat ports` does it, at the same time.\n"
            "If a server is configured here, its ports, certificate, clock, disk, Dovecot,\n"
            "mailboxes that are nearly full and signing keys are checked too; whether this server's\n"
            "own reports are signed; how many messages DMARC rejected in 7 days; and for each hosted\n"
            "domain (at most 20) its DNS records, and whether Gmail, Yahoo and Microsoft accept its\n"
            "mail.\n"
            "\n"
            "      --target HOST   server to try; default: well-known public mail servers\n"
            "  -c, --config FILE   the server's configuration; default /etc/mailboat/mailboat.conf\n"
            "      --ca-file FILE  CA certificates to trust instead of the system's\n"
            "      --json          print JSON\n"
            "\n"
            "exit codes: 0 mail can leave through at least one port, and through the smarthost where\n"
            "it is the way; 69 it cannot, or the server has a problem\n"
            "\n"
            "example: mailboat doctor\n",
    .run = run,
};
