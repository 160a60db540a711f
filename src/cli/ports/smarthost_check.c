/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/smarthost_check.h"

#include <stdio.h>

#include "cli/ports/answer.h"
#include "cli/ports/history.h"
#include "core/port/port_facts.h"
#include "core/port/port_order.h"

/* Within the time of doctor's own probes, and the smarthost's controls after them. */
enum { SMARTHOST_CHECK_MS = 5 * 1000 };

static void on_examined(void *owner)
{
    struct smarthost_check *check = owner;
    check->done = true;
    check->on_done(check->owner);
}

/* ---- as the relay would connect ---- */

static bool is_wanted(const struct config *config, enum client_tls tls)
{
    return config->relay.smarthost.tls == SMARTHOST_TLS_AUTO ||
           (config->relay.smarthost.tls == SMARTHOST_TLS_IMPLICIT) == (tls == CLIENT_TLS_IMPLICIT);
}

static void choose_ports(const struct config *config, struct examine_options *options)
{
    uint16_t port = config->relay.smarthost.port;
    if (port != 0) {
        enum client_tls tls = config->relay.smarthost.tls == SMARTHOST_TLS_AUTO       ? port_tls(port)
                              : config->relay.smarthost.tls == SMARTHOST_TLS_IMPLICIT ? CLIENT_TLS_IMPLICIT
                                                                                      : CLIENT_TLS_REQUIRED;
        options->ports[options->port_count++] = (struct race_port){port, tls};
        options->asked[0] = port;
        options->purpose = port == PORT_SMTP ? PURPOSE_RELAY : PURPOSE_SUBMIT;
        return;
    }
    for (size_t i = 0; i < PORT_ORDER_ALL; i++)
        if (is_wanted(config, port_order[i].tls))
            options->ports[options->port_count++] = (struct race_port){port_order[i].port, port_order[i].tls};
    options->last_resort = PORT_LAST_RESORT;
}

void smarthost_check_start(struct smarthost_check *check, const struct config *config, struct loop *loop,
                           struct tls_context *tls, struct dns *dns, bool own_ca)
{
    struct error error = {0};
    if (config == NULL || check->host == NULL)
        return;
    if (!own_ca && config->relay.ca_file != NULL)
        check->has_tls = tls_client_open(&check->tls, config->relay.ca_file, &error);
    struct examine_options options = {.host = check->host,
                                      .helo = bytes_of_text(config->hostname),
                                      .own_ca = own_ca || check->has_tls,
                                      .purpose = PURPOSE_SUBMIT,
                                      .target_ms = SMARTHOST_CHECK_MS,
                                      .history = &check->history};
    check->port = config->relay.smarthost.port;
    choose_ports(config, &options);
    history_facts(check->host, NULL, &check->history);
    check->begun = true;
    examine_start(&check->examine, loop, check->has_tls ? &check->tls : tls, dns, &options, on_examined,
                  check);
}

void smarthost_check_judge(struct smarthost_check *check)
{
    if (check->begun)
        diagnosis_make(&check->examine.facts, &check->diagnosis);
}

void smarthost_check_end(struct smarthost_check *check)
{
    if (check->begun)
        examine_end(&check->examine);
    if (check->has_tls)
        tls_close(&check->tls);
    check->begun = check->has_tls = false;
}

/* The verdict on each of its ports; NULL where it was not tried. */
static const struct race_attempt *verdict_on(const struct smarthost_check *check, size_t i)
{
    const struct port_connect *seen = &check->examine.target;
    uint16_t port = seen->options.ports[i].port;
    const struct race_attempt *a = seen->has_race ? race_verdict(&seen->race, port) : NULL;
    bool is_mere_web = a != NULL && port == seen->options.last_resort && a->verdict != PORT_OPEN;
    return is_mere_web ? NULL : a;
}

bool smarthost_check_works(const struct smarthost_check *check)
{
    if (!check->begun || !check->diagnosis.works)
        return false;
    const struct race_attempt *configured = verdict_on(check, 0);
    return check->port == 0 || check->port == check->diagnosis.use_port ||
           (configured != NULL && configured->verdict == PORT_OPEN);
}

/* ---- output ---- */

void smarthost_check_explain(const struct smarthost_check *check, struct buffer *out)
{
    const struct diagnosis *diagnosis = &check->diagnosis;
    if (!diagnosis->works) {
        diagnosis_line(&check->examine.facts, diagnosis, out);
        return;
    }
    const struct race_attempt *configured = verdict_on(check, 0);
    buffer_add_format(out, "%u does not work from here (%s); set relay.smarthost.port to auto, or to %u",
                      (unsigned)check->port,
                      configured == NULL ? "not tried" : port_verdict_sentence(configured->verdict),
                      (unsigned)diagnosis->use_port);
}

void smarthost_check_print(const struct smarthost_check *check)
{
    if (!check->begun)
        return;
    printf("smarthost %s\n", check->host);
    for (size_t i = 0; i < check->examine.target.options.port_count; i++) {
        const struct race_attempt *a = verdict_on(check, i);
        if (a != NULL)
            printf("  %-5u %-12s %s\n", (unsigned)a->port->port, port_verdict_state(a->verdict),
                   port_verdict_sentence(a->verdict));
    }
    if (!smarthost_check_works(check))
        answer_print(stdout, &check->examine.facts, &check->diagnosis);
}

json_t *smarthost_check_json(const struct smarthost_check *check)
{
    if (!check->begun)
        return NULL;
    json_t *ports = json_array();
    for (size_t i = 0; i < check->examine.target.options.port_count; i++) {
        const struct race_attempt *a = verdict_on(check, i);
        if (a != NULL)
            json_array_append_new(ports, json_pack("{s:i, s:s}", "port", (int)a->port->port, "state",
                                                   port_verdict_state(a->verdict)));
    }
    json_t *all = json_pack("{s:s, s:b, s:o}", "host", check->host, "works",
                            (int)smarthost_check_works(check), "ports", ports);
    if (!smarthost_check_works(check))
        json_object_set_new(all, "diagnosis", answer_json(&check->examine.facts, &check->diagnosis));
    return all;
}
