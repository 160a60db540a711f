/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/port_report.h"

#include <stdio.h>

#include "cli/ports/answer.h"
#include "core/port/network.h"
#include "core/port/port_facts.h"
#include "core/port/port_order.h"
#include "io/clock.h"

/* ---- result of a port ---- */

static const char *tls_words(enum client_tls tls)
{
    return tls == CLIENT_TLS_IMPLICIT ? "implicit TLS" : "STARTTLS";
}

/* A mail server on 443 is reported; a web server is not. */
static bool is_mere_web(const struct port_connect *seen, uint16_t port)
{
    const struct race_attempt *a = race_verdict(&seen->race, port);
    return port == seen->options.last_resort && (a == NULL || a->verdict != PORT_OPEN);
}

/* A port tried in both TLS modes is reported once. */
static bool is_passed_over(const struct port_connect *seen, size_t i)
{
    if (is_mere_web(seen, seen->options.ports[i].port))
        return true;
    for (size_t k = 0; k < i; k++)
        if (seen->options.ports[k].port == seen->options.ports[i].port)
            return true;
    return false;
}

/* Open, but with the other TLS mode: has its own word. */
static enum port_verdict verdict_of(const struct race_attempt *a)
{
    return a->verdict == PORT_OPEN && a->tls_mismatch ? PORT_TLS_OTHER : a->verdict;
}

const char *port_report_state(const struct port_connect *seen, uint16_t port)
{
    const struct race_attempt *a = race_verdict(&seen->race, port);
    return a == NULL ? "" : port_verdict_name(verdict_of(a));
}

/* ---- recommendation ---- */

static bool is_usable(const struct race_attempt *a)
{
    return a != NULL && a->port->port != 25 && a->verdict == PORT_OPEN && a->secured;
}

static bool offers_sign_in(const struct race_attempt *a)
{
    return client_can_sign_in(a->capabilities.mechanisms, false) ||
           client_can_sign_in(a->capabilities.mechanisms, true);
}

/* In the order of preference, then the other ports that were asked for. */
static const struct race_attempt *best_of(const struct port_report *report, bool with_sign_in)
{
    const struct port_connect *seen = report->seen;
    for (size_t i = 0; i < report->order_count + seen->options.port_count; i++) {
        uint16_t port = i < report->order_count ? report->order[i]
                                                : seen->options.ports[i - report->order_count].port;
        const struct race_attempt *a = race_verdict(&seen->race, port);
        if (is_usable(a) && (!with_sign_in || offers_sign_in(a)))
            return a;
    }
    return NULL;
}

/* As send chooses: a port without sign-in only where none has it. */
const struct race_attempt *port_report_best(const struct port_report *report)
{
    const struct race_attempt *best = best_of(report, true);
    return best != NULL ? best : best_of(report, false);
}

/* Returns which of the four ports are silent, and which respond. */
static struct port_pattern pattern_of(const struct port_report *report)
{
    struct port_pattern pattern = {0};
    for (size_t i = 0; i < report->seen->options.port_count; i++) {
        const struct race_attempt *a = race_verdict(&report->seen->race, report->seen->options.ports[i].port);
        unsigned bit = a == NULL ? 0 : network_bit(a->port->port);
        if (a != NULL && a->verdict == PORT_FILTERED)
            pattern.silent |= bit;
        else if (a != NULL && (a->connected || a->verdict == PORT_REFUSED))
            pattern.answers |= bit;
    }
    return pattern;
}

static void add_signature(const struct port_report *report, struct buffer *out)
{
    struct port_pattern pattern = pattern_of(report);
    if (pattern.answers == 0) /* nothing to tell one network from another by */
        return;
    if (report->diagnosis->works && report->diagnosis->cause_count == 0)
        return; /* nothing is to be explained */
    network_explain(&pattern, report->provider, out);
}

static const char *why_best(const struct port_report *report, const struct race_attempt *best)
{
    if (best != best_of(report, false))
        return "a preferred port offers no sign-in that this program has";
    if (report->source != NULL && best->port->port == report->order[0])
        return "the domain itself names it, and it works";
    const struct submission_port *usual = port_order_of(best->port->port);
    return usual != NULL ? usual->note : "it works";
}

static void advise(const struct port_report *report, struct buffer *out)
{
    const struct race_attempt *best = port_report_best(report);
    if (best != NULL)
        buffer_add_format(out, "use port %u with %s: %s", (unsigned)best->port->port, tls_words(best->tls),
                          why_best(report, best));
    else
        buffer_add_text(out, "no port can be used to submit mail from here");
}

/* ---- text ---- */

static uint64_t took_ms(const struct race_attempt *a)
{
    return a->ended_ms > a->started_ms ? a->ended_ms - a->started_ms : 0;
}

static const char *colour_of(const struct port_report *report, const struct race_attempt *a)
{
    if (!report->colour)
        return "";
    return a->verdict == PORT_OPEN ? "\033[32m" : "\033[31m";
}

static void print_problem(const struct race_attempt *a)
{
    enum port_verdict verdict = verdict_of(a);
    printf("        %s", port_verdict_sentence(verdict));
    if (verdict == PORT_SLOW || verdict == PORT_CLOSED)
        printf(" during %s", client_step_name(a->step));
    if (port_verdict_quotes(verdict) && a->said[0] != '\0')
        printf(" (%s)", a->said);
    putchar('\n');
}

static void print_sign_in(const struct race_attempt *a)
{
    struct buffer names = {0};
    uint32_t set = a->capabilities.mechanisms;
    if (set == 0 && is_usable(a))
        puts("        sign-in: not offered");
    if (set == 0)
        return;
    client_mechanism_names(set, &names);
    printf("        sign-in: %s%s\n", buffer_text(&names),
           offers_sign_in(a) ? "" : ", which this program does not have");
    buffer_free(&names);
}

static void print_port(const struct port_report *report, const struct race_attempt *a)
{
    const struct port_facts *facts = port_facts_of(a->port->port);
    const struct port_connect_line *line = port_connect_line_of(report->seen, a);
    printf("  %-5u %s%-11s%s %5llu ms  %s%s\n", (unsigned)a->port->port, colour_of(report, a),
           port_verdict_state(a->verdict), report->colour ? "\033[0m" : "", (unsigned long long)took_ms(a),
           facts != NULL                       ? facts->role
           : a->port->port == PORT_LAST_RESORT ? "submission"
                                               : "",
           a->port->port == 25 ? ": for servers, not for you" : "");
    if (line->tls_text[0] != '\0')
        printf("        %s, %s, certificate: %s\n", tls_words(a->tls), line->tls_text, line->certificate);
    print_sign_in(a);
    if (verdict_of(a) != PORT_OPEN)
        print_problem(a);
}

/* Prints the line to paste into a form. */
static void print_settings(const struct port_report *report, const struct race_attempt *best)
{
    printf("  host %s  port %u  %s", report->host, (unsigned)best->port->port,
           best->tls == CLIENT_TLS_IMPLICIT ? "SSL/TLS" : "STARTTLS");
    if (report->user[0] != '\0')
        printf("  user name %s", report->user);
    putchar('\n');
}

void port_report_print(const struct port_report *report)
{
    struct buffer words = {0};
    printf("%s", report->target);
    if (report->source != NULL)
        printf(": its outgoing server is %s (%s)", report->host, report->source);
    putchar('\n');
    for (size_t i = 0; i < report->seen->options.port_count; i++) {
        const struct race_attempt *a = race_verdict(&report->seen->race, report->seen->options.ports[i].port);
        if (a != NULL && !is_passed_over(report->seen, i))
            print_port(report, a);
    }
    add_signature(report, &words);
    if (words.length > 0)
        printf("  %s\n", buffer_text(&words));
    buffer_clear(&words);
    if (report->provider != NULL && report->provider->remark[0] != '\0')
        printf("  %s: %s\n", report->provider->name, report->provider->remark);
    if (report->password[0] != '\0')
        printf("  sign in with %s, and %s\n", report->provider->user, report->password);
    advise(report, &words);
    printf("  -> %s\n", buffer_text(&words));
    answer_print(stdout, report->facts, report->diagnosis);
    const struct race_attempt *best = port_report_best(report);
    if (best != NULL && best->port->port != PORT_LAST_RESORT) /* mail programs do not offer ALPN */
        print_settings(report, best);
    buffer_free(&words);
}

/* ---- progress ---- */

static const char *stage_words(const struct race_attempt *a)
{
    switch (a->stage) {
    case ATTEMPT_WAITING: return "waits";
    case ATTEMPT_CONNECTING: return "connecting";
    case ATTEMPT_SHAKING: return "TLS";
    case ATTEMPT_TALKING: return client_step_name(a->step);
    case ATTEMPT_READY:
    case ATTEMPT_OVER: break;
    }
    return port_verdict_state(a->verdict);
}

size_t port_report_progress(const struct port_connect *seen, size_t lines)
{
    size_t now = 0;
    uint64_t now_ms = clock_now_ms();
    if (lines > 0)
        printf("\033[%zuA", lines);
    for (size_t i = 0; i < seen->options.port_count; i++) {
        const struct race_attempt *a = race_verdict(&seen->race, seen->options.ports[i].port);
        if (a == NULL || is_passed_over(seen, i))
            continue;
        uint64_t until_ms = a->stage == ATTEMPT_OVER ? a->ended_ms : now_ms;
        printf("\033[K  %-5u %-11s %5llu ms\n", (unsigned)a->port->port, stage_words(a),
               (unsigned long long)(a->started_ms != 0 && until_ms > a->started_ms ? until_ms - a->started_ms
                                                                                   : 0));
        now++;
    }
    fflush(stdout);
    return now;
}

/* ---- JSON ---- */

static json_t *port_json(const struct port_report *report, const struct race_attempt *a)
{
    const struct port_facts *facts = port_facts_of(a->port->port);
    const struct port_connect_line *line = port_connect_line_of(report->seen, a);
    enum port_verdict verdict = verdict_of(a);
    struct buffer address = {0}, mechanisms = {0};
    route_address_text(&address, a->address);
    client_mechanism_names(a->capabilities.mechanisms, &mechanisms);
    json_t *one = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s}",
                            "port", (int)a->port->port, "address", buffer_text(&address), "state",
                            port_verdict_state(a->verdict), "verdict", port_verdict_name(verdict), "role",
                            facts != NULL                       ? facts->role
                            : a->port->port == PORT_LAST_RESORT ? "submission"
                                                                : "",
                            "tls_mode", a->tls == CLIENT_TLS_IMPLICIT ? "implicit" : "starttls", "tls",
                            line->tls_text, "certificate", line->certificate, "auth",
                            buffer_text(&mechanisms), "took_ms", (json_int_t)took_ms(a), "step",
                            client_step_name(a->step), "reason", port_verdict_sentence(verdict), "hint",
                            port_verdict_hint(verdict), "mend", port_verdict_hint(verdict), "said", a->said);
    buffer_free(&mechanisms);
    buffer_free(&address);
    return one;
}

json_t *port_report_json(const struct port_report *report)
{
    struct buffer words = {0};
    json_t *ports = json_array();
    const struct race_attempt *best = port_report_best(report);
    for (size_t i = 0; i < report->seen->options.port_count; i++) {
        const struct race_attempt *a = race_verdict(&report->seen->race, report->seen->options.ports[i].port);
        if (a != NULL && !is_passed_over(report->seen, i))
            json_array_append_new(ports, port_json(report, a));
    }
    advise(report, &words);
    bool is_for_programs = best != NULL && best->port->port != PORT_LAST_RESORT; /* they offer no ALPN */
    json_t *settings = !is_for_programs
                           ? json_null()
                           : json_pack("{s:s, s:i, s:s, s:s}", "host", report->host, "port",
                                       (int)best->port->port, "tls",
                                       best->tls == CLIENT_TLS_IMPLICIT ? "implicit" : "starttls", "user",
                                       report->user);
    struct buffer signature = {0};
    add_signature(report, &signature);
    json_t *facts = json_pack("{s:s, s:s, s:s*, s:s*, s:o, s:o, s:o, s:s, s:s, s:o}", "target",
                              report->target, "host", report->host, "source", report->source, "provider",
                              report->provider == NULL ? NULL : report->provider->name, "ports", ports, "use",
                              best != NULL ? json_integer(best->port->port) : json_null(), "settings",
                              settings, "advice", buffer_text(&words), "signature", buffer_text(&signature),
                              "diagnosis", answer_json(report->facts, report->diagnosis));
    buffer_free(&signature);
    buffer_free(&words);
    return facts;
}
