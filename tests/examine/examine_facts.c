/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Examines a host as `mailboat ports` does and prints what was seen as JSON,
 * for tests/situations/test_examine.py: examine-facts HOST [PORT,PORT...] [only-target]
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/port/port_facts.h"
#include "dial/examine.h"
#include "io/clock.h"

static struct loop loop;
static struct examine examine;

static void on_done(void *owner)
{
    loop_stop(&loop);
}

static json_t *certificate_json(const struct fact_certificate *c)
{
    return json_pack("{s:i, s:i, s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:i}", "state", (int)c->state,
                     "names_host", (int)c->names_host, "chain_trusted", (int)c->chain_trusted, "subject",
                     c->subject, "issuer", c->issuer, "root", c->root, "names", c->names, "not_before_s",
                     (json_int_t)c->not_before_s, "not_after_s", (json_int_t)c->not_after_s, "chain",
                     (int)c->chain_length);
}

static json_t *attempt_json(const struct fact_attempt *a)
{
    json_t *dialogue = json_pack("{s:i, s:s, s:i, s:i, s:s, s:i, s:i, s:i, s:s, s:i, s:s}", "greeting_code",
                                 (int)a->greeting_code, "greeting", a->greeting, "greeting_masked",
                                 (int)a->greeting_masked, "ehlo_code", (int)a->ehlo_code, "ehlo", a->ehlo,
                                 "starttls_offered", (int)a->starttls_offered, "ehlo_masked",
                                 (int)a->ehlo_masked, "starttls_code", (int)a->starttls_code, "starttls_said",
                                 a->starttls_said, "end_code", (int)a->end_code, "said", a->said);
    json_t *all = json_pack(
        "{s:s, s:s, s:b, s:i, s:b, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s}", "host", a->host,
        "address", a->address, "six", (int)a->six, "port", (int)a->port, "implicit", (int)a->implicit_tls,
        "reach", (int)a->reach, "unreachable", (int)a->unreachable, "voice", (int)a->voice, "connect_ms",
        (int)a->connect_ms, "first_ms", (int)a->first_ms, "took_ms", (int)a->took_ms, "tls", (int)a->tls,
        "tls_sent", (int)a->tls_sent, "tls_received", (int)a->tls_received, "tls_version", a->tls_version);
    json_object_update_new(all, dialogue);
    json_object_set_new(all, "auth_offered", json_integer(a->auth_offered));
    json_object_set_new(all, "auth_passwords", json_integer(a->auth_passwords));
    json_object_set_new(all, "ready", json_integer(a->ready));
    json_object_set_new(all, "certificate", certificate_json(&a->certificate));
    return all;
}

static json_t *attempts_json(const struct fact_attempt *attempts, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, attempt_json(&attempts[i]));
    return list;
}

static void print_facts(const struct diagnosis_facts *facts, uint64_t took_ms)
{
    json_t *addresses = json_array();
    for (size_t i = 0; i < facts->address_count; i++)
        json_array_append_new(addresses,
                              json_pack("{s:s, s:i, s:i}", "text", facts->addresses[i].text, "kind",
                                        (int)facts->addresses[i].kind, "own", (int)facts->addresses[i].own));
    json_t *all = json_pack("{s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:o, s:o}", "dns", (int)facts->dns, "own",
                            (int)facts->host_is_own, "gathered", (int)facts->gathered, "web_elsewhere",
                            (int)facts->web_elsewhere, "took_ms", (int)took_ms, "addresses", addresses,
                            "attempts", attempts_json(facts->attempts, facts->attempt_count), "controls",
                            attempts_json(facts->controls, facts->control_count), "web",
                            attempts_json(facts->web, facts->web_count));
    json_dumpf(all, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

static void read_ports(struct examine_options *options, const char *list)
{
    for (struct bytes rest = bytes_of_text(list); rest.length > 0 && options->port_count < RACE_PORTS_MAX;) {
        uint64_t number = 0;
        bytes_to_u64(bytes_split(&rest, ','), UINT16_MAX, &number);
        options->ports[options->port_count++] = (struct race_port){(uint16_t)number,
                                                                   port_tls((uint16_t)number)};
    }
}

int main(int argc, char **argv)
{
    struct error error = {0};
    struct tls_context tls = {0};
    struct examine_options options = {.host = argc > 1 ? argv[1] : "localhost", .purpose = PURPOSE_SUBMIT};
    read_ports(&options, argc > 2 ? argv[2] : "25,587,2525,465");
    options.only_target = argc > 3;
    struct dns *dns = dns_open(NULL, 0, &error);
    if (!loop_start(&loop, &error) || dns == NULL || !dns_start(dns, &loop, &error) ||
        !tls_client_open(&tls, NULL, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    uint64_t started_ms = clock_now_ms();
    examine_start(&examine, &loop, &tls, dns, &options, on_done, NULL);
    if (!examine.done)
        loop_run(&loop);
    print_facts(&examine.facts, clock_now_ms() - started_ms);
    examine_end(&examine);
    dns_close(dns);
    tls_close(&tls);
    loop_free(&loop);
    return 0;
}
