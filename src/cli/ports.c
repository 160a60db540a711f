/* SPDX-License-Identifier: Apache-2.0 */
/* ports: examines the four ports of a host at the same time, and says which to use. */
#include "dial.h"
#include "options.h"
#include "port/facts.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

extern const struct command ports_command;

enum { EXAMINE_MS = 8 * 1000 };

/* ---- what was seen of a port ---- */

static const char *mechanisms_text(uint32_t set, char *room, size_t size)
{
    static const struct { uint32_t bit; const char *name; } names[] = {
        {MECHANISM_PLAIN, "PLAIN"}, {MECHANISM_LOGIN, "LOGIN"}, {MECHANISM_SCRAM_SHA_256, "SCRAM-SHA-256"}, {MECHANISM_SCRAM_SHA_256_PLUS, "SCRAM-SHA-256-PLUS"},
        {MECHANISM_XOAUTH2, "XOAUTH2"}, {MECHANISM_OAUTHBEARER, "OAUTHBEARER"}};
    size_t used = 0;
    room[0] = '\0';
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if ((set & names[i].bit) != 0)
            used += (size_t)snprintf(room + used, used < size ? size - used : 0, "%s%s", used == 0 ? "" : " ", names[i].name);
    return room;
}

static const char *state_of(enum port_verdict verdict)
{
    switch (verdict) {
    case PORT_REFUSED: return "refused";
    case PORT_FILTERED:
    case PORT_UNTRIED: return "filtered";
    case PORT_UNREACHABLE: return "unreachable";
    case PORT_NOT_SMTP: return "intercepted";
    default: return "open"; /* the verdict says how far it went */
    }
}

/* A port that is tried both ways is told of once. */
static bool is_repeated(const struct dial *dial, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (dial->options.ports[k].port == dial->options.ports[i].port)
            return true;
    return false;
}

static size_t index_of(const struct dial *dial, const struct race_attempt *attempt)
{
    return (size_t)(attempt - dial->race.attempts);
}

static bool is_usable(const struct race_attempt *a)
{
    return a->port->port != 25 && a->verdict == PORT_OPEN && a->secured;
}

/* The first of the order that works. */
static const struct race_attempt *best_of(const struct dial *dial)
{
    static const uint16_t order[] = {587, 2525, 465};
    for (size_t i = 0; i < ARRAY_LENGTH(order); i++) {
        const struct race_attempt *a = race_verdict(&dial->race, order[i]);
        if (a != NULL && is_usable(a))
            return a;
    }
    for (size_t i = 0; i < dial->options.port_count; i++) { /* ports that were asked for */
        const struct race_attempt *a = race_verdict(&dial->race, dial->options.ports[i].port);
        if (a != NULL && is_usable(a))
            return a;
    }
    return NULL;
}

static void advise(const struct dial *dial, struct buffer *out)
{
    const struct race_attempt *best = best_of(dial);
    size_t silent = 0, count = dial->options.port_count;
    for (size_t i = 0; i < count; i++) {
        const struct race_attempt *a = race_verdict(&dial->race, dial->options.ports[i].port);
        silent += a != NULL && a->verdict == PORT_FILTERED;
    }
    if (best != NULL) {
        const char *mode = best->port->tls == CLIENT_TLS_IMPLICIT ? "TLS from the first byte (SSL)" : "STARTTLS";
        buffer_add_format(out, "use port %u with %s", (unsigned)best->port->port, mode);
        if (best->port->port == 587)
            buffer_add_text(out, ": it is the default for programs that send mail, and it works");
        else if (best->port->port == 2525)
            buffer_add_text(out, ": 587 does not work from here, 2525 is the way round");
        else if (best->port->port == 465)
            buffer_add_text(out, ": neither 587 nor 2525 works from here");
        return;
    }
    if (silent == count)
        buffer_add_text(out, "every port is silent: this network blocks mail, or the host is not a mail server; try from another network, or send by the provider's HTTPS interface");
    else
        buffer_add_text(out, "no port can be used to submit mail from here; see each port's reason");
}

/* ---- printing ---- */

static uint64_t took_ms(const struct race_attempt *a)
{
    return a->ended_ms > a->started_ms ? a->ended_ms - a->started_ms : 0;
}

static void print_port(const struct dial *dial, const struct race_attempt *a)
{
    const struct port_facts *facts = port_facts_of(a->port->port);
    const struct dial_conn *line = &dial->conns[index_of(dial, a)];
    char room[128];
    printf("  %-5u %-11s %5llu ms  %s\n", (unsigned)a->port->port, state_of(a->verdict), (unsigned long long)took_ms(a), facts != NULL ? facts->role : "");
    if (line->tls_text[0] != '\0')
        printf("        %s, %s, certificate: %s\n", a->port->tls == CLIENT_TLS_IMPLICIT ? "TLS from the first byte" : "STARTTLS", line->tls_text, line->certificate);
    if (a->capabilities.mechanisms != 0)
        printf("        sign in by: %s\n", mechanisms_text(a->capabilities.mechanisms, room, sizeof room));
    if (a->verdict == PORT_OPEN)
        return;
    printf("        %s", port_verdict_sentence(a->verdict));
    if (a->said[0] != '\0' && a->verdict != PORT_FILTERED && a->verdict != PORT_REFUSED && a->verdict != PORT_NO_TLS)
        printf(" (%s)", a->said);
    const char *mend = port_verdict_mend(a->verdict);
    printf("%s%s\n", mend[0] != '\0' ? "; " : "", mend);
}

static void print_text(const struct dial *dial, const char *target)
{
    struct buffer words = {0};
    printf("%s\n", target);
    for (size_t i = 0; i < dial->options.port_count; i++) {
        const struct race_attempt *a = race_verdict(&dial->race, dial->options.ports[i].port);
        if (a != NULL && !is_repeated(dial, i))
            print_port(dial, a);
    }
    advise(dial, &words);
    printf("  -> %s\n", buffer_text(&words));
    buffer_free(&words);
}

static json_t *port_as_json(const struct dial *dial, const struct race_attempt *a)
{
    const struct port_facts *facts = port_facts_of(a->port->port);
    const struct dial_conn *line = &dial->conns[index_of(dial, a)];
    char room[128];
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s}", "port", (int)a->port->port, "state", state_of(a->verdict), "verdict",
                     port_verdict_name(a->verdict), "role", facts != NULL ? facts->role : "", "tls_mode", a->port->tls == CLIENT_TLS_IMPLICIT ? "implicit" : "starttls", "tls",
                     line->tls_text, "certificate", line->certificate, "auth", mechanisms_text(a->capabilities.mechanisms, room, sizeof room), "took_ms", (json_int_t)took_ms(a),
                     "step", client_step_name(a->step), "reason", port_verdict_sentence(a->verdict), "said", a->said);
}

static json_t *target_as_json(const struct dial *dial, const char *target)
{
    struct buffer words = {0};
    json_t *ports = json_array();
    const struct race_attempt *best = best_of(dial);
    for (size_t i = 0; i < dial->options.port_count; i++) {
        const struct race_attempt *a = race_verdict(&dial->race, dial->options.ports[i].port);
        if (a != NULL && !is_repeated(dial, i))
            json_array_append_new(ports, port_as_json(dial, a));
    }
    advise(dial, &words);
    json_t *facts = json_pack("{s:s, s:o, s:o, s:s}", "target", target, "ports", ports, "use", best != NULL ? json_integer(best->port->port) : json_null(), "advice", buffer_text(&words));
    buffer_free(&words);
    return facts;
}

/* ---- the command ---- */

/* "host", "host:port", "[v6]:port", or a mail address: then its domain. */
static bool read_target(const char *target, char *host, size_t size, struct dial_options *options, struct error *error)
{
    struct bytes text = bytes_of_text(target);
    size_t at = bytes_find_last(text, '@');
    if (at != SIZE_MAX)
        text = bytes_from(text, at + 1);
    size_t colon = bytes_find_last(text, ':');
    bool bracketed = text.length > 0 && text.at[0] == '[';
    bool has_port = colon != SIZE_MAX && (bytes_find(text, ':') == colon || (bracketed && text.at[colon - 1] == ']'));
    struct bytes name = has_port ? bytes_first(text, colon) : text;
    if (bracketed && name.length > 2)
        name = bytes_of(name.at + 1, name.length - 2);
    if (name.length == 0 || name.length >= size)
        return error_set(error, EX_DATAERR, "'%s' names no host", target);
    memcpy(host, name.at, name.length);
    host[name.length] = '\0';
    options->host = host;
    return dial_check_host(host, error) && dial_ports(options, has_port ? text.at + colon + 1 : "25,587,2525,465", error);
}

static int examine(const char *target, const char *ca_file, json_t *all)
{
    struct dial_options options = {.ca_file = ca_file, .examine = true, .deadline_ms = EXAMINE_MS};
    struct dial *dial = memory_new(sizeof *dial);
    struct error error = {0};
    char host[256];
    int exit_code = EX_OK;
    if (!read_target(target, host, sizeof host, &options, &error)) {
        free(dial);
        return command_fail(&ports_command, &error);
    }
    dial_race(dial, &options, &error); /* to examine, nobody wins */
    if (!dial->has_race)
        exit_code = command_fail(&ports_command, &error);
    else if (all != NULL)
        json_array_append_new(all, target_as_json(dial, target));
    else
        print_text(dial, target);
    if (exit_code == EX_OK && best_of(dial) == NULL)
        exit_code = EX_UNAVAILABLE;
    dial_end(dial);
    free(dial);
    return exit_code;
}

static int run(int argc, char **argv)
{
    bool json = false;
    const char *ca_file = NULL;
    struct arguments arguments;
    const struct option_rule rules[] = {{OPTION_FLAG, "json", 0, &json}, {OPTION_TEXT, "ca-file", 0, &ca_file}, {OPTION_END, NULL, 0, NULL}};
    int exit_code = EX_OK;
    if (!options_read(&ports_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (arguments.count == 0)
        return command_usage(&ports_command, "name a host, a host:port or a mail address");
    json_t *all = json ? json_array() : NULL;
    for (size_t i = 0; i < arguments.count; i++) {
        int code = examine(arguments.at[i], ca_file, all);
        exit_code = code != EX_OK ? code : exit_code;
    }
    if (json) {
        json_dumpf(all, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        putchar('\n');
        json_decref(all);
    }
    return exit_code;
}

const struct command ports_command = {
    .name = "ports",
    .summary = "which of 25, 587, 2525 and 465 of a host works from here, and why",
    .help = "usage: mailboat ports TARGET... [--json]\n\n"
            "TARGET is a host, a host:port, or a mail address (then its domain is the host).\n"
            "Examines the ports 25, 587, 2525 and 465 at the same time, in eight seconds at\n"
            "most, and prints for each: its state, how long it took, TLS, how the\n"
            "certificate was judged, the ways to sign in, and what is wrong; then which port\n"
            "to use, and why. Nobody signs in and nothing is sent.\n\n"
            "      --ca-file FILE  CA certificates to trust instead of the system's\n"
            "      --json          facts for programs\n\n"
            "exit codes: 0 a port can be used, 65 a host that cannot be, 69 no port works\n\n"
            "example: mailboat ports smtp.example.net\n",
    .run = run,
};
