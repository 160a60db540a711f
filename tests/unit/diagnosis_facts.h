/* SPDX-License-Identifier: Apache-2.0 */
/* diagnosis_facts: short words for the facts of a test, and the rules of safety that hold for any facts. */
#ifndef MAILBOAT_TESTS_UNIT_DIAGNOSIS_FACTS_H
#define MAILBOAT_TESTS_UNIT_DIAGNOSIS_FACTS_H

#include <string.h>

#include "core/diagnosis/diagnosis.h"

static inline void facts_text(char *to, size_t size, const char *text)
{
    struct bytes kept = bytes_first(bytes_of_text(text), size - 1);
    memcpy(to, kept.at, kept.length);
    to[kept.length] = '\0';
}

static inline struct fact_attempt *facts_attempt(struct diagnosis_facts *facts, const char *address,
                                                 uint16_t port)
{
    struct fact_attempt *attempt = &facts->attempts[facts->attempt_count++];
    *attempt = (struct fact_attempt){.port = port, .six = strchr(address, ':') != NULL};
    attempt->implicit_tls = port % 1000 == 465;
    facts_text(attempt->address, sizeof attempt->address, address);
    return attempt;
}

static inline void facts_certificate(struct fact_attempt *attempt, enum fact_certificate_state state,
                                     const char *names, const char *issuer)
{
    struct fact_certificate *c = &attempt->certificate;
    attempt->tls = FACT_TLS_DONE;
    c->state = state;
    c->names_host = state == FACT_CERTIFICATE_OTHER_NAME ? KNOWN_NO : KNOWN_YES;
    c->chain_trusted = state == FACT_CERTIFICATE_SELF_SIGNED || state == FACT_CERTIFICATE_UNKNOWN_ISSUER
                           ? KNOWN_NO
                           : KNOWN_YES;
    c->chain_length = 2;
    c->not_after_s = 1700000000;
    c->not_before_s = 1600000000;
    facts_text(c->names, sizeof c->names, names);
    facts_text(c->issuer, sizeof c->issuer, issuer);
    facts_text(c->subject, sizeof c->subject, names);
    c->fingerprint[0] = (uint8_t)names[0];
}

/* Connected, greeted, EHLO answered with STARTTLS where TLS does not come first. */
static inline struct fact_attempt *facts_smtp(struct diagnosis_facts *facts, const char *address,
                                              uint16_t port, const char *greeting)
{
    struct fact_attempt *attempt = facts_attempt(facts, address, port);
    attempt->reach = REACH_CONNECTED;
    attempt->voice = VOICE_SMTP;
    attempt->connect_ms = 20;
    attempt->greeting_code = 220;
    attempt->ehlo_code = 250;
    attempt->ready = KNOWN_NO;
    attempt->greeting_masked = attempt->ehlo_masked = KNOWN_NO;
    facts_text(attempt->greeting, sizeof attempt->greeting, greeting);
    facts_text(attempt->ehlo, sizeof attempt->ehlo, "250-hello\n250 STARTTLS");
    if (!attempt->implicit_tls) {
        attempt->starttls_offered = KNOWN_YES;
        attempt->starttls_code = 220;
    }
    return attempt;
}

static inline struct fact_attempt *facts_ready(struct diagnosis_facts *facts, const char *address,
                                               uint16_t port)
{
    struct fact_attempt *attempt = facts_smtp(facts, address, port, "220 mail ESMTP");
    facts_certificate(attempt, FACT_CERTIFICATE_VALID, facts->host, "CN=Public CA");
    attempt->ready = attempt->auth_offered = attempt->auth_passwords = KNOWN_YES;
    return attempt;
}

static inline struct fact_attempt *facts_reach(struct diagnosis_facts *facts, const char *address,
                                               uint16_t port, enum fact_reach reach)
{
    struct fact_attempt *attempt = facts_attempt(facts, address, port);
    attempt->reach = reach;
    attempt->ready = KNOWN_NO;
    attempt->connect_ms = reach == REACH_REFUSED ? 20 : 4000;
    if (reach == REACH_UNREACHABLE)
        attempt->unreachable = UNREACHABLE_HOST;
    return attempt;
}

static inline void facts_control(struct diagnosis_facts *facts, const char *host, uint16_t port,
                                 enum fact_reach reach)
{
    struct fact_attempt *control = &facts->controls[facts->control_count++];
    *control = (struct fact_attempt){.port = port, .reach = reach, .connect_ms = 20};
    facts_text(control->host, sizeof control->host, host);
    facts->gathered |= FACT_CONTROLS;
    if (reach != REACH_CONNECTED)
        return;
    control->voice = VOICE_SMTP;
    control->ready = KNOWN_YES;
    control->greeting_code = 220;
    facts_certificate(control, FACT_CERTIFICATE_VALID, host, "CN=Public CA");
}

static inline void facts_controls(struct diagnosis_facts *facts, enum fact_reach on_587,
                                  enum fact_reach on_465, enum fact_reach on_2525)
{
    facts_control(facts, "smtp.gmail.com", 587, on_587);
    facts_control(facts, "smtp.gmail.com", 465, on_465);
    facts_control(facts, "smtp.sendgrid.net", 2525, on_2525);
}

static inline void facts_web(struct diagnosis_facts *facts, enum fact_reach reach)
{
    struct fact_attempt *web = &facts->web[facts->web_count++];
    *web = (struct fact_attempt){.port = 443, .reach = reach, .connect_ms = 20};
    facts->gathered |= FACT_WEB;
}

static inline void facts_start(struct diagnosis_facts *facts, const char *host)
{
    *facts = (struct diagnosis_facts){
        .dns = FACT_DNS_HAS_ADDRESS, .host_is_own = KNOWN_NO, .address_count = 1};
    facts_text(facts->host, sizeof facts->host, host);
    facts_text(facts->addresses[0].text, sizeof facts->addresses[0].text, "192.0.2.1");
    facts->addresses[0].kind = ADDRESS_PUBLIC;
    facts->provider = provider_by_host(bytes_of_text(host));
    facts->machine = (struct fact_machine){.route_4 = KNOWN_YES,
                                           .route_6 = KNOWN_YES,
                                           .container = KNOWN_NO,
                                           .virtual_network = KNOWN_NO,
                                           .mtu = 1500,
                                           .clock_right = KNOWN_YES,
                                           .ca_bundle = KNOWN_YES,
                                           .ca_count = 140,
                                           .proxy_set = KNOWN_NO,
                                           .panel_cpanel = KNOWN_NO,
                                           .panel_csf = KNOWN_NO,
                                           .listeners_read = KNOWN_YES,
                                           .rules_read = KNOWN_NO};
    facts->gathered = FACT_MACHINE | FACT_FIREWALL | FACT_HISTORY;
}

/* ---- what holds for any facts ---- */

/* Words that would do harm in any answer, whatever the cause. */
static const char *const diagnosis_harmful[] = {"ignore the certificate",
                                                "disable the check",
                                                "disable certificate",
                                                "switch off the check",
                                                "verify_peer",
                                                "--insecure",
                                                "trust the certificate",
                                                "trust this certificate",
                                                "install the issuer",
                                                "install its root",
                                                "import the certificate",
                                                "accept the certificate",
                                                "without TLS",
                                                "no encryption",
                                                "plain text password",
                                                "use the name in the certificate",
                                                "start the server's listener"};

static inline bool diagnosis_has_step(const struct diagnosis *diagnosis, enum step_kind step)
{
    for (size_t i = 0; i < diagnosis->step_count; i++)
        if (diagnosis->steps[i] == step)
            return true;
    return false;
}

/* An oracle of its own, from the facts alone: may another server than the one that was meant be there? */
static inline bool diagnosis_is_doubtful(const struct diagnosis_facts *facts)
{
    for (size_t i = 0; i < facts->attempt_count; i++) {
        const struct fact_attempt *a = &facts->attempts[i];
        bool judged = a->tls == FACT_TLS_DONE && a->certificate.state > FACT_CERTIFICATE_VALID &&
                      a->certificate.state != FACT_CERTIFICATE_EXPIRED &&
                      a->certificate.state != FACT_CERTIFICATE_NOT_YET_VALID;
        if (judged && facts->provider != NULL && a->host[0] == '\0')
            return true;
        if (a->voice == VOICE_HTTP && a->port != 443 && a->port != 80)
            return true;
        bool proved = a->tls == FACT_TLS_DONE && a->certificate.state == FACT_CERTIFICATE_VALID;
        if ((a->greeting_masked == KNOWN_YES || a->ehlo_masked == KNOWN_YES) && !proved)
            return true;
    }
    return false;
}

static inline void diagnosis_words(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                                   struct buffer *out)
{
    diagnosis_sentence(facts, diagnosis, out);
    buffer_add_text(out, "\n");
    for (size_t i = 0; i < diagnosis->cause_count; i++) {
        diagnosis_cause_sentence(facts, diagnosis, &diagnosis->causes[i], out);
        buffer_add_text(out, "\n");
        diagnosis_evidence(facts, diagnosis, &diagnosis->causes[i], out);
        buffer_add_text(out, "\n");
    }
    for (size_t i = 0; i < diagnosis->step_count; i++) {
        diagnosis_step_sentence(facts, diagnosis, diagnosis->steps[i], out);
        buffer_add_text(out, "\n");
    }
    diagnosis_ticket(facts, diagnosis, out);
}

/* The rule that is broken, or NULL. */
static inline const char *diagnosis_breaks(const struct diagnosis_facts *facts,
                                           const struct diagnosis *diagnosis)
{
    static const enum step_kind trusting[] = {
        STEP_ASK_NAME,      STEP_PIN_OWN,        STEP_SEND_CHAIN,           STEP_CHECK_PASSWORD,
        STEP_GIVE_USER,     STEP_OAUTH,          STEP_APPLICATION_PASSWORD, STEP_OPEN_ACCOUNT,
        STEP_ALLOW_ADDRESS, STEP_SIGN_IN_BROWSER};
    bool own = facts->host_is_own == KNOWN_YES || strncmp(facts->host, "localhost", 9) == 0 ||
               strncmp(facts->host, "127.", 4) == 0;
    if (diagnosis_is_doubtful(facts))
        for (size_t i = 0; i < sizeof trusting / sizeof trusting[0]; i++)
            if (diagnosis_has_step(diagnosis, trusting[i]))
                return "a step that trusts, where the other side is in doubt";
    if (!own && (diagnosis_has_step(diagnosis, STEP_START_LISTENER) ||
                 diagnosis_has_step(diagnosis, STEP_LISTEN_OUTSIDE) ||
                 diagnosis_has_step(diagnosis, STEP_ENABLE_OWN_TLS)))
        return "\"your server\" is said of another's";
    if (facts->machine.network == NULL && diagnosis_has_step(diagnosis, STEP_NETWORK_LIFTS))
        return "a network is named without its sign";
    if (diagnosis->works) {
        bool any = false;
        for (size_t i = 0; i < facts->attempt_count; i++)
            any = any ||
                  (facts->attempts[i].ready == KNOWN_YES && facts->attempts[i].port == diagnosis->use_port);
        if (!any)
            return "said to work, though nothing went through";
    }
    if (!diagnosis->works && diagnosis->cause_count == 0)
        return "neither works nor has a cause";
    if (diagnosis->step_count == 0)
        return "nothing to do is said";
    return NULL;
}

#endif
