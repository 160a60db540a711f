/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The diagnosis of any facts: it ends, says something to do, breaks no rule of
 * safety, fills each place, and does not depend on the order of the facts.
 */
#include "../tests/unit/diagnosis_facts.h"
#include "choices.h"

struct diagnosis_input {
    struct bytes left;
};

static unsigned take(struct diagnosis_input *input, unsigned options)
{
    if (input->left.length == 0)
        return 0;
    unsigned octet = (unsigned char)input->left.at[0];
    input->left = bytes_from(input->left, 1);
    return octet % options;
}

static const char *const texts[] = {
    "",
    "220 mail.example.org ESMTP",
    "220 h ESMTP Exim 4.96\n220-We do not authorize the use of this system to transport unsolicited,",
    "554 5.7.1 blocked using zen.spamhaus.org",
    "421 too many connections",
    "250-x Hello y [127.0.0.1]\n250 STARTTLS",
    "535 5.7.8 Username and Password not accepted",
    "O=Zscaler Inc., CN=Zscaler Intermediate Root CA",
    "O=Avast Web/Mail Shield, CN=Avast Web/Mail Shield Root",
    "host7.prod.iad2.secureserver.net",
    "{host}{said}{",
    "550 no reverse DNS",
    "525 Unauthorized IP address, account suspended, use a browser",
    "timed out",
    "451 5.7.3 STARTTLS is required; Helo command rejected, cannot find your reverse hostname",
    "552 5.2.2 mailbox full; Client host rejected: Access denied",
    "fritz.box",
};

static void take_text(struct diagnosis_input *input, char *to, size_t size)
{
    facts_text(to, size, texts[take(input, ARRAY_LENGTH(texts))]);
}

static enum known take_known(struct diagnosis_input *input)
{
    return (enum known)take(input, 3);
}

static void take_certificate(struct diagnosis_input *input, struct fact_certificate *c)
{
    c->state = (enum fact_certificate_state)take(input, FACT_CERTIFICATE_INVALID + 1);
    c->names_host = take_known(input);
    c->chain_trusted = take_known(input);
    c->fingerprint[0] = (uint8_t)take(input, 3);
    c->chain_length = (uint8_t)take(input, 3);
    take_text(input, c->issuer, sizeof c->issuer);
    take_text(input, c->names, sizeof c->names);
}

/* What a shell would give: no connection, no words. */
static void take_attempt(struct diagnosis_input *input, struct fact_attempt *a, unsigned number)
{
    static const uint16_t ports[] = {587, 465, 2525, 25, 443, 2587};
    a->port = ports[take(input, ARRAY_LENGTH(ports))];
    a->six = take(input, 4) == 3;
    facts_text(a->address, sizeof a->address, a->six ? "2001:db8::1" : "192.0.2.1");
    a->address[a->six ? 10 : 8] = (char)('0' + number % 10);
    a->implicit_tls = a->port % 1000 == 465;
    a->reach = (enum fact_reach)take(input, REACH_CONNECTED + 1);
    a->unreachable = (enum fact_unreachable)take(input, UNREACHABLE_PROTOCOL + 1);
    a->connect_ms = take(input, 40);
    a->icmp = (enum fact_icmp)take(input, FACT_ICMP_OTHER + 1);
    if (a->icmp > FACT_ICMP_NONE)
        facts_text(a->icmp_from, sizeof a->icmp_from, take(input, 2) == 1 ? a->address : "198.51.100.1");
    a->ready = KNOWN_NO;
    if (a->reach != REACH_CONNECTED)
        return;
    a->voice = (enum fact_voice)take(input, VOICE_OTHER + 1);
    take_text(input, a->greeting, sizeof a->greeting);
    take_text(input, a->ehlo, sizeof a->ehlo);
    take_text(input, a->said, sizeof a->said);
    a->greeting_masked = take_known(input);
    a->ehlo_masked = take_known(input);
    a->starttls_offered = take_known(input);
    a->starttls_code = (uint16_t)(take(input, 6) * 100);
    a->end_code = (uint16_t)(take(input, 6) * 100);
    a->greeting_code = (uint16_t)(take(input, 6) * 100);
    a->ehlo_code = a->greeting_code;
    a->auth_offered = take_known(input);
    a->auth_passwords = take_known(input);
    a->auth_tokens = take_known(input);
    facts_text(a->mechanisms, sizeof a->mechanisms, "NTLM");
    a->tls = (enum fact_tls)take(input, FACT_TLS_BROKEN + 1);
    a->tls_sent = take(input, 2) * 300;
    a->tls_received = take(input, 2) * 300;
    if (a->tls == FACT_TLS_DONE)
        take_certificate(input, &a->certificate);
    if (a->tls == FACT_TLS_DONE && a->certificate.state == FACT_CERTIFICATE_VALID && a->voice != VOICE_HTTP)
        a->ready = KNOWN_YES;
}

static void take_machine(struct diagnosis_input *input, struct fact_machine *machine)
{
    machine->route_4 = take_known(input);
    machine->route_6 = take_known(input);
    machine->container = take_known(input);
    machine->virtual_network = take_known(input);
    machine->clock_right = take_known(input);
    machine->ca_bundle = take_known(input);
    machine->proxy_set = take_known(input);
    machine->panel_cpanel = take_known(input);
    machine->panel_csf = take_known(input);
    machine->rules_read = take_known(input);
    machine->rule_count = take(input, 3);
    for (size_t i = 0; i < machine->rule_count; i++) {
        machine->rules[i].port = 587;
        machine->rules[i].does = (enum fact_firewall)take(input, 3);
    }
    machine->listeners_read = take_known(input);
    machine->listener_count = take(input, 2);
    if (take(input, 2) == 1)
        machine->network = &networks[take(input, (unsigned)network_count)];
}

static void take_facts(struct diagnosis_input *input, struct diagnosis_facts *facts)
{
    static const char *const hosts[] = {"mail.example.org", "smtp.gmail.com", "smtp.sendgrid.net",
                                        "localhost"};
    facts_start(facts, hosts[take(input, ARRAY_LENGTH(hosts))]);
    facts->purpose = (enum fact_purpose)take(input, 3);
    facts->gathered = take(input, 128);
    facts->dns = (enum fact_dns)take(input, FACT_DNS_NO_RESOLVER + 1);
    facts->other_dns = (enum fact_dns)take(input, FACT_DNS_NO_RESOLVER + 1);
    facts->other_dns_agrees = take_known(input);
    facts->host_in_mail_domain = take_known(input);
    facts->host_is_own = take_known(input);
    facts->smarthost_is_set = take_known(input);
    facts->web_elsewhere = take_known(input);
    facts->addresses[0].kind = (enum fact_address_kind)take(input, ADDRESS_CLOUDFLARE + 1);
    take_machine(input, &facts->machine);
    facts->reply.step = (enum fact_reply_step)take(input, REPLY_CONTENT + 1);
    facts->reply.code = (uint16_t)(take(input, 6) * 100);
    facts->reply.signed_in = take(input, 2) == 1;
    take_text(input, facts->reply.text, sizeof facts->reply.text);
    facts->history.password_refused = take_known(input);
    facts->history.calls_last_hour = take(input, 2) * 30;
    if (take(input, 2) == 1)
        facts_text(facts->machine.hosts_address, sizeof facts->machine.hosts_address, "127.0.1.1");
    for (unsigned count = take(input, 2); facts->web_count < count; facts->web_count++)
        take_attempt(input, &facts->web[facts->web_count], (unsigned)facts->web_count);
    for (unsigned count = take(input, 4); facts->control_count < count; facts->control_count++) {
        take_attempt(input, &facts->controls[facts->control_count], (unsigned)facts->control_count);
        facts_text(facts->controls[facts->control_count].host, FACTS_HOST_MAX, "smtp.gmail.com");
    }
    for (; input->left.length > 0 && facts->attempt_count < 10; facts->attempt_count++)
        take_attempt(input, &facts->attempts[facts->attempt_count], (unsigned)facts->attempt_count);
}

static void turn_round(struct diagnosis_facts *facts)
{
    for (size_t i = 0; i < facts->attempt_count / 2; i++) {
        struct fact_attempt one = facts->attempts[i];
        facts->attempts[i] = facts->attempts[facts->attempt_count - 1 - i];
        facts->attempts[facts->attempt_count - 1 - i] = one;
    }
}

static void insist_on_words(const struct buffer *words)
{
    for (size_t i = 0; i < ARRAY_LENGTH(diagnosis_harmful); i++)
        INSIST(words->length == 0 || strstr(words->at + words->start, diagnosis_harmful[i]) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct diagnosis_facts facts;
    struct diagnosis_input input = {bytes_of(data, size)};
    struct diagnosis diagnosis, again;
    struct buffer words = {0};
    take_facts(&input, &facts);
    diagnosis_make(&facts, &diagnosis);
    INSIST(diagnosis_breaks(&facts, &diagnosis) == NULL);
    diagnosis_words(&facts, &diagnosis, &words);
    buffer_text(&words);
    insist_on_words(&words);
    buffer_free(&words);
    unsigned lacks = diagnosis_lacks(&facts);
    INSIST((lacks & facts.gathered) == 0);
    turn_round(&facts);
    diagnosis_make(&facts, &again);
    INSIST(again.works == diagnosis.works && again.cause_count == diagnosis.cause_count);
    for (size_t i = 0; i < again.cause_count; i++)
        INSIST(again.causes[i].cause == diagnosis.causes[i].cause);
    INSIST(again.step_count == diagnosis.step_count &&
           memcmp(again.steps, diagnosis.steps, again.step_count * sizeof again.steps[0]) == 0);
    INSIST(diagnosis_lacks(&facts) == lacks);
    return 0;
}
