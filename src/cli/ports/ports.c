/* SPDX-License-Identifier: Apache-2.0 */
/* ports: checks the four ports of a host concurrently, and recommends one. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/ports/answer.h"
#include "cli/ports/diagnose.h"
#include "cli/ports/discover.h"
#include "cli/ports/facts_json.h"
#include "cli/ports/history.h"
#include "cli/ports/port_explain.h"
#include "cli/ports/port_report.h"
#include "core/dns/host.h"
#include "core/port/port_facts.h"
#include "core/port/port_order.h"
#include "core/text/target.h"

extern const struct command ports_command;

enum { WATCH_EVERY_S = 5 };

struct ports_options {
    const char *ca_file, *deadline, *explain, *report, *replay;
    bool json, watch, live, only_target;
    uint32_t deadline_ms;
};

/* One target and its check, repeated with --watch. */
struct ports_run {
    const struct ports_options *wish;
    const char *said;
    struct target target;
    struct discovery discovery;
    struct port_report report;
    size_t lines;                       /* of the live picture */
    const char *states[RACE_PORTS_MAX]; /* of the last time; NULL: there was none */
    int lookup_failed;                  /* exit code of the lookup; 0: it did not fail */
};

/* ---- one check ---- */

/* Without an address nothing else is to be seen: it is said before others are asked about it. */
static void tell_lookup(struct ports_run *e, const struct port_connect *seen)
{
    struct error error = {0};
    if (e->lookup_failed)
        return;
    host_lookup_explain(&seen->lookup, e->report.host, &error);
    e->lookup_failed = command_fail(&ports_command, &error);
}

static void show_progress(void *owner, const struct port_connect *seen)
{
    struct ports_run *e = owner;
    if (seen->outcome == PORT_CONNECT_UNRESOLVED)
        tell_lookup(e, seen);
    else if (e->wish->live && e->states[0] == NULL)
        e->lines = port_report_progress(seen, e->lines);
}

static void order_as_published(struct ports_run *e, struct server_connection_options *options)
{
    const struct discovery *d = &e->discovery;
    e->report.order_count = 0;
    for (size_t i = 0; i < d->port_count; i++) {
        e->report.order[e->report.order_count++] = d->ports[i].port;
        if (options->port_count < RACE_PORTS_MAX && port_facts_of(d->ports[i].port) == NULL)
            /* includes ports with unusual numbers */
            options->ports[options->port_count++] = d->ports[i];
    }
}

/* A mail address: finds the host from the domain's published settings. */
static bool find_host(struct ports_run *e, struct server_connection_options *options, struct error *error)
{
    if (!discover(&e->discovery, e->target.address, e->wish->ca_file, error))
        return false;
    options->host = e->report.host = e->discovery.host;
    e->report.source = e->discovery.source;
    e->report.user = e->discovery.user;
    e->report.provider = e->discovery.provider;
    if (e->discovery.port_count > 0)
        order_as_published(e, options);
    return true;
}

/* Takes the ports that the target names, or 25 and the order of submission. */
static bool choose_ports(struct ports_run *e, struct server_connection_options *options, struct error *error)
{
    static const uint16_t smtp = PORT_SMTP;
    if (e->target.ports[0] != '\0')
        return server_connection_ports(options, e->target.ports, error);
    server_connection_order(options, &smtp, 1);
    server_connection_order(options, e->report.order, PORT_ORDER_USUAL);
    return true;
}

static bool prepare(struct ports_run *e, struct server_connection_options *options, struct error *error)
{
    if (!server_connection_target(&e->target, e->said, error))
        return false;
    e->report = (struct port_report){.target = e->said,
                                     .host = e->target.host,
                                     .user = "",
                                     .password = "",
                                     .order_count = PORT_ORDER_USUAL};
    port_order_usual(e->report.order);
    if (!choose_ports(e, options, error))
        return false;
    e->report.colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
    options->host = e->target.host;
    if (e->target.address[0] != '\0' && !find_host(e, options, error))
        return false;
    if (e->target.ports[0] == '\0')
        server_connection_last_resort(options);
    if (e->report.provider == NULL)
        e->report.provider = provider_by_host(bytes_of_text(e->report.host));
    if (e->report.provider != NULL) {
        e->report.password = e->report.provider->password;
        if (e->report.provider->fixed_user != NULL)
            e->report.user = e->report.provider->fixed_user;
    }
    return true;
}

/* Prints changes since the last check, one line per port. */
static void print_changes(struct ports_run *e)
{
    char clock[16];
    time_t now = time(NULL);
    struct tm local;
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &local));
    const struct port_connect *seen = e->report.seen;
    for (size_t i = 0; i < seen->options.port_count; i++) {
        const char *state = port_report_state(seen, seen->options.ports[i].port);
        if (e->states[i] != NULL && state != e->states[i])
            printf("%s  %s %u: %s -> %s\n", clock, e->report.host, (unsigned)seen->options.ports[i].port,
                   e->states[i], state);
        e->states[i] = state;
    }
    fflush(stdout);
}

static void print_report(struct ports_run *e, json_t *all)
{
    if (e->lines > 0) { /* the report replaces the live display */
        printf("\033[%zuA\033[J", e->lines);
        e->lines = 0;
    }
    if (all != NULL)
        json_array_append_new(all, port_report_json(&e->report));
    else if (!e->wish->watch || e->states[0] == NULL)
        port_report_print(&e->report);
    if (e->wish->watch && all == NULL)
        print_changes(e);
}

/* Nothing was tried: the host has no address. */
static int print_unresolved(struct ports_run *e, json_t *all)
{
    struct error error = {0};
    tell_lookup(e, e->report.seen);
    host_lookup_explain(&e->report.seen->lookup, e->report.host, &error);
    if (all == NULL)
        answer_print(stdout, e->report.facts, e->report.diagnosis);
    else
        json_array_append_new(all, json_pack("{s:s, s:s, s:[], s:n, s:s, s:o}", "target", e->report.target,
                                             "host", e->report.host, "ports", "use", "error", error.text,
                                             "diagnosis", answer_json(e->report.facts, e->report.diagnosis)));
    return error.exit_code;
}

static int print_result(struct ports_run *e, const struct diagnose *diagnose, json_t *all)
{
    struct error error = {0};
    int exit_code;
    e->report.seen = &diagnose->examine.target;
    e->report.facts = &diagnose->examine.facts;
    e->report.diagnosis = &diagnose->diagnosis;
    if (e->report.seen->outcome != PORT_CONNECT_OVER) {
        exit_code = print_unresolved(e, all);
    } else {
        if (!e->report.seen->loopback)
            history_remember_race(e->report.host, &e->report.seen->race);
        print_report(e, all);
        exit_code = port_report_best(&e->report) == NULL ? EX_UNAVAILABLE : EX_OK;
    }
    if (e->wish->report != NULL && !facts_json_save(e->wish->report, e->report.facts, &error))
        exit_code = command_fail(&ports_command, &error);
    return exit_code;
}

/* Without a full name the address tells more (RFC 5321 4.1.3): then it is empty. */
static struct bytes own_name(char *name, size_t size)
{
    bool has_name = gethostname(name, size - 1) == 0 && strchr(name, '.') != NULL &&
                    host_is_name(bytes_of_text(name), true);
    return has_name ? bytes_of_text(name) : bytes_none();
}

static int examine(struct ports_run *e, json_t *all)
{
    static struct diagnose diagnose;
    struct server_connection_options options = {0};
    struct error error = {0};
    char name[256] = "";
    if (!prepare(e, &options, &error) || !host_check(bytes_of_text(options.host), &error))
        return command_fail(&ports_command, &error);
    struct examine_options way = {.host = options.host,
                                  .port_count = options.port_count,
                                  .helo = own_name(name, sizeof name),
                                  .last_resort = options.last_resort,
                                  .only_target = e->wish->only_target,
                                  .purpose = PURPOSE_SUBMIT,
                                  .target_ms = e->wish->deadline_ms};
    memcpy(way.ports, options.ports, sizeof way.ports);
    if (e->target.ports[0] != '\0')
        for (size_t i = 0; i < options.port_count && i + 1 < ARRAY_LENGTH(way.asked); i++)
            way.asked[i] = options.ports[i].port;
    if (way.asked[0] == PORT_SMTP && way.asked[1] == 0) /* no client submits there: a server asks */
        way.purpose = PURPOSE_RELAY;
    way.on_progress = show_progress;
    way.owner = e;
    e->lookup_failed = 0;
    int exit_code = diagnose_start(&diagnose, &way, e->wish->ca_file, &error)
                        ? print_result(e, &diagnose, all)
                        : command_fail(&ports_command, &error);
    diagnose_end(&diagnose);
    return exit_code;
}

/* Judges here what somebody else saw. */
static int replay(const struct ports_options *wish)
{
    static struct diagnosis_facts facts;
    struct diagnosis diagnosis;
    struct error error = {0};
    struct buffer words = {0};
    if (!facts_json_load(wish->replay, &facts, &error))
        return command_fail(&ports_command, &error);
    diagnosis_make(&facts, &diagnosis);
    if (wish->json) {
        json_t *answer = answer_json(&facts, &diagnosis);
        json_dumpf(answer, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        putchar('\n');
        json_decref(answer);
    } else {
        diagnosis_sentence(&facts, &diagnosis, &words);
        printf("%s\n", buffer_text(&words));
        answer_print(stdout, &facts, &diagnosis);
    }
    buffer_free(&words);
    return diagnosis.works ? EX_OK : EX_UNAVAILABLE;
}

/* ---- the command ---- */

static int examine_all(struct ports_run *all, size_t count, const struct ports_options *wish)
{
    int exit_code = EX_OK;
    json_t *facts = wish->json ? json_array() : NULL;
    for (size_t i = 0; i < count; i++) {
        int code = examine(&all[i], facts);
        exit_code = code != EX_OK ? code : exit_code;
    }
    if (facts != NULL) {
        json_dumpf(facts, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        putchar('\n');
        fflush(stdout);
        json_decref(facts);
    }
    return exit_code;
}

static bool is_number(const char *text)
{
    uint64_t number;
    return bytes_to_u64(bytes_of_text(text), UINT64_MAX, &number);
}

/* "HOST 587", as telnet has it, is HOST:587: joins them in place. False after an error was printed. */
static bool join_ports(struct arguments *arguments)
{
    static char joined[ARGUMENTS_MAX][320];
    size_t count = 0;
    for (size_t i = 0; i < arguments->count; i++) {
        const char *host = arguments->at[i], *port = i + 1 < arguments->count ? arguments->at[i + 1] : "";
        if (is_number(host)) {
            command_usage(&ports_command,
                          i == 0 ? "'%s' is a port; name its host first: HOST:%s"
                                 : "'%s' is another port; name its host again: HOST:%s",
                          host, host);
            return false;
        }
        arguments->at[count++] = host;
        if (!is_number(port))
            continue;
        bool bare_six = strchr(host, ':') != strrchr(host, ':') && host[0] != '[';
        snprintf(joined[i], sizeof joined[i], bare_six ? "[%s]:%s" : "%s:%s", host, port);
        arguments->at[count - 1] = joined[i++];
    }
    arguments->count = count;
    return true;
}

static int run(int argc, char **argv)
{
    static struct ports_options wish;
    static struct ports_run all[ARGUMENTS_MAX];
    struct arguments arguments;
    struct error error = {0};
    const struct option_rule rules[] = {{OPTION_FLAG, "json", 0, &wish.json},
                                        {OPTION_FLAG, "watch", 0, &wish.watch},
                                        {OPTION_TEXT, "ca-file", 0, &wish.ca_file},
                                        {OPTION_TEXT, "deadline", 0, &wish.deadline},
                                        {OPTION_TEXT, "explain", 0, &wish.explain},
                                        {OPTION_TEXT, "report", 0, &wish.report},
                                        {OPTION_TEXT, "replay", 0, &wish.replay},
                                        {OPTION_FLAG, "only-target", 0, &wish.only_target},
                                        {OPTION_END, NULL, 0, NULL}};
    wish = (struct ports_options){.deadline_ms = EXAMINE_TARGET_MS};
    if (!options_read(&ports_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (wish.explain != NULL && !port_explain(wish.explain, wish.json, &error))
        return command_fail(&ports_command, &error);
    if (wish.explain != NULL && arguments.count == 0)
        return EX_OK;
    if (wish.replay != NULL)
        return arguments.count == 0 ? replay(&wish)
                                    : command_usage(&ports_command, "--replay takes no target");
    if (wish.report != NULL && arguments.count > 1)
        return command_usage(&ports_command, "--report takes one target");
    if (arguments.count == 0)
        return command_usage(&ports_command, "name a host, a host:port or a mail address");
    if (wish.deadline != NULL && !server_connection_deadline(wish.deadline, &wish.deadline_ms, &error))
        return command_fail(&ports_command, &error);
    if (!join_ports(&arguments))
        return EX_USAGE;
    wish.live = isatty(STDOUT_FILENO) && !wish.json;
    for (size_t i = 0; i < arguments.count; i++)
        all[i] = (struct ports_run){.wish = &wish, .said = arguments.at[i]};
    command_end_on_interrupt();
    int exit_code = examine_all(all, arguments.count, &wish);
    while (wish.watch && exit_code != EX_DATAERR && exit_code != EX_USAGE) {
        sleep(WATCH_EVERY_S);
        exit_code = examine_all(all, arguments.count, &wish);
    }
    return exit_code;
}

const struct command ports_command = {
    .name = "ports",
    .summary = "check which of ports 25, 587, 2525 and 465 of a host work from here, and why",
    .help =
        "usage: mailboat ports TARGET... [--json] [--watch]\n"
        "       mailboat ports --explain NAME | --replay FILE\n"
        "\n"
        "TARGET is a host, a host:port (or HOST PORT), a URL such as smtp://HOST, or a mail address: then\n"
        "the domain's own settings are looked up. Examines ports 25, 587, 2525 and 465\n"
        "concurrently, within eight seconds, and prints for each: its state, how\n"
        "long it took, TLS, how the certificate was judged, the sign-in mechanisms, and what\n"
        "is wrong; then which port to use, and why. Paste the last line into a mail\n"
        "program. Where something does not work, compares it with other known mail hosts and\n"
        "with what this machine tells, and says the cause, what to do and what was seen.\n"
        "Sends nothing and does not sign in.\n"
        "\n"
        "      --watch         repeat every five seconds and report changes, until ^C\n"
        "      --explain NAME  what is known about a port (587), a provider (sendgrid, gmail) or a\n"
        "                      network (digitalocean), with its source; \"all\" for everything\n"
        "      --deadline S    seconds for each target; default 8\n"
        "      --ca-file FILE  CA certificates to trust instead of the system's\n"
        "      --only-target   call no other host to compare with\n"
        "      --report FILE   write what was seen, without secrets, for an issue or a ticket\n"
        "      --replay FILE   judge such a report again\n"
        "      --json          print JSON (docs/ports.md has the schema)\n"
        "\n"
        "exit codes: 0 a port can be used, 65 not a valid host, 68 unknown host, 69 no\n"
        "port works, 75 temporary DNS failure, 130 ended by ^C\n"
        "\n"
        "example: mailboat ports smtp.example.net\n",
    .run = run,
};
