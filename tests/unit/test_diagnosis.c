/* SPDX-License-Identifier: Apache-2.0 */
/* Why mail does not leave: facts in, the cause and the first step out; and the rules of safety. */
#include "diagnosis_expect.h"

#define CPANEL                                                                                               \
    "220-host7.hoster.example ESMTP Exim 4.96 #2 Mon, 30 Nov 2026\n220-We do not authorize the use of this " \
    "system to transport unsolicited,\n220 and/or bulk e-mail."

static void all_ports(enum fact_reach reach)
{
    static const uint16_t ports[] = {25, 587, 2525, 465};
    for (size_t i = 0; i < ARRAY_LENGTH(ports); i++)
        facts_reach(&facts, FOUR, ports[i], reach);
}

/* ---- nothing is wrong ---- */

static void healthy_servers_cause_no_alarm(void **state)
{
    facts_start(&facts, "mail.example.org");
    facts_ready(&facts, FOUR, 587);
    facts_ready(&facts, FOUR, 465);
    facts_ready(&facts, FOUR, 2525);
    expect_works(587, 0);
    assert_int_equal(diagnosis_lacks(&facts), 0);

    facts_start(&facts, "mail.example.org"); /* 465 alone */
    facts_reach(&facts, FOUR, 587, REACH_REFUSED);
    facts_reach(&facts, FOUR, 2525, REACH_REFUSED);
    facts_ready(&facts, FOUR, 465);
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    expect_works(465, 0);

    facts_start(&facts, "mail.example.org"); /* 587 alone, the server's firewall drops the rest */
    facts_ready(&facts, FOUR, 587);
    facts_reach(&facts, FOUR, 2525, REACH_SILENT);
    facts_reach(&facts, FOUR, 465, REACH_SILENT);
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    expect_works(587, 0);

    facts_start(&facts, "smtp.office365.com"); /* 465 does not exist there */
    facts_ready(&facts, FOUR, 587);
    facts_reach(&facts, FOUR, 465, REACH_SILENT);
    facts_reach(&facts, FOUR, 2525, REACH_SILENT);
    expect_works(587, 0);

    facts_start(&facts, "mail.example.org"); /* no IPv6 on this machine: nobody tries it */
    facts_ready(&facts, FOUR, 587);
    facts_reach(&facts, SIX, 587, REACH_UNREACHABLE)->unreachable = UNREACHABLE_NO_ROUTE;
    expect_works(587, 0);
}

/* ---- blocks ---- */

static void silent_ports_are_the_networks_when_others_are_silent_too(void **state)
{
    facts_start(&facts, "smtp.sendgrid.net");
    facts_reach(&facts, FOUR, 25, REACH_SILENT);
    facts_reach(&facts, FOUR, 587, REACH_SILENT);
    facts_reach(&facts, FOUR, 465, REACH_SILENT);
    facts_ready(&facts, FOUR, 2525);
    facts_controls(&facts, REACH_SILENT, REACH_SILENT, REACH_CONNECTED);
    judge();
    assert_true(diagnosis.works);
    assert_int_equal(diagnosis.use_port, 2525);
    assert_int_equal(diagnosis.causes[0].cause, CAUSE_PORTS_BLOCKED);
    assert_int_equal(diagnosis.causes[0].confidence, CONFIDENCE_CERTAIN);
}

static void four_silent_ports_mean_https(void **state)
{
    facts_start(&facts, "smtp.sendgrid.net");
    all_ports(REACH_SILENT);
    facts_controls(&facts, REACH_SILENT, REACH_SILENT, REACH_SILENT);
    facts.web_elsewhere = KNOWN_YES;
    facts_web(&facts, REACH_CONNECTED);
    expect("all-ports-blocked", STEP_HTTPS_PROVIDER);
    facts.machine.network = network_by_name(BYTES("Railway"));
    assert_non_null(facts.machine.network);
    facts_text(facts.machine.network_sign, sizeof facts.machine.network_sign, "RAILWAY_ENVIRONMENT_NAME");
    expect("all-ports-blocked", STEP_HTTPS_PROVIDER);
    assert_true(diagnosis_has_step(&diagnosis, STEP_NETWORK_LIFTS));
}

static void a_network_is_not_blamed_for_what_the_server_does(void **state)
{
    facts_start(&facts, "mail.example.org");
    all_ports(REACH_SILENT);
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    facts_web(&facts, REACH_CONNECTED);
    expect("server-firewall", STEP_ASK_SERVER);

    facts_start(&facts, "mail.example.org");
    all_ports(REACH_SILENT);
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    facts_web(&facts, REACH_SILENT);
    expect("host-down", STEP_CHECK_NAME);

    facts_start(&facts, "mail.example.org");
    all_ports(REACH_REFUSED);
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    facts_web(&facts, REACH_CONNECTED);
    expect("not-listening", STEP_CHECK_NAME);
}

/* A closed port answers with RST; "port unreachable" is said by firewalls, and the sender tells whose. */
static void a_rejection_by_icmp_is_a_firewalls(void **state)
{
    facts_start(&facts, "mail.example.org");
    all_ports(REACH_REFUSED);
    for (size_t i = 0; i < facts.attempt_count; i++) {
        facts.attempts[i].icmp = FACT_ICMP_PORT;
        facts_text(facts.attempts[i].icmp_from, sizeof facts.attempts[i].icmp_from, FOUR);
    }
    expect("host-rejects", STEP_BANNED);
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    facts_web(&facts, REACH_CONNECTED);
    expect("server-firewall", STEP_BANNED);
    for (size_t i = 0; i < facts.attempt_count; i++)
        facts_text(facts.attempts[i].icmp_from, sizeof facts.attempts[i].icmp_from, "198.51.100.1");
    expect("server-firewall", STEP_ASK_SERVER);
    facts.control_count = facts.web_count = 0;
    facts.gathered &= ~(unsigned)(FACT_CONTROLS | FACT_WEB);
    expect("firewall-rejects", STEP_HOSTER_RELAY);
    assert_non_null(strstr(buffer_text(&words), "ICMP from 198.51.100.1"));
    for (size_t i = 0; i < facts.attempt_count; i++)
        facts.attempts[i].icmp = FACT_ICMP_NONE;
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    facts_web(&facts, REACH_CONNECTED);
    expect("not-listening", STEP_CHECK_NAME);
}

static void refused_by_a_known_provider_is_a_firewall(void **state)
{
    facts_start(&facts, "smtp.gmail.com");
    facts_reach(&facts, FOUR, 587, REACH_REFUSED)->connect_ms = 0;
    facts_reach(&facts, FOUR, 465, REACH_REFUSED)->connect_ms = 0;
    expect("firewall-rejects", STEP_HOSTER_RELAY);
    facts_web(&facts, REACH_CONNECTED);
    expect("firewall-rejects", STEP_HOSTER_RELAY);
    assert_int_equal(diagnosis.causes[0].confidence, CONFIDENCE_CERTAIN);

    facts_start(&facts, "mail.example.org"); /* anybody's, and ICMP says that a firewall did it */
    facts_reach(&facts, FOUR, 587, REACH_UNREACHABLE)->unreachable = UNREACHABLE_PROHIBITED;
    facts_reach(&facts, FOUR, 465, REACH_UNREACHABLE)->unreachable = UNREACHABLE_PROHIBITED;
    expect("firewall-rejects", STEP_HOSTER_RELAY);
}

static void an_allow_list_passes_587_alone(void **state)
{
    facts_start(&facts, "smtp.sendgrid.net");
    facts_ready(&facts, FOUR, 587);
    facts_reach(&facts, FOUR, 465, REACH_REFUSED);
    facts_reach(&facts, FOUR, 2525, REACH_REFUSED);
    expect("allow-list", STEP_USE_PORT);
}

static void a_router_may_permit_listed_servers_only(void **state)
{
    facts_start(&facts, "mail.example.org");
    facts_reach(&facts, FOUR, 587, REACH_SILENT);
    facts_ready(&facts, FOUR, 465);
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    expect("router-list", STEP_USE_PORT);
}

static void own_rules_and_listeners_are_named(void **state)
{
    facts_start(&facts, "smtp.sendgrid.net");
    facts_reach(&facts, FOUR, 587, REACH_SILENT);
    facts_reach(&facts, FOUR, 465, REACH_SILENT);
    facts.machine.rules_read = KNOWN_YES;
    facts.machine.rule_count = 1;
    facts.machine.rules[0].port = 587;
    facts_text(facts.machine.rules[0].rule, FACTS_LINE_MAX, "tcp dport 587 drop");
    expect("local-rule", STEP_REMOVE_RULE);

    facts_start(&facts, "localhost");
    facts.addresses[0].kind = ADDRESS_LOOPBACK;
    facts.host_is_own = KNOWN_YES;
    facts_reach(&facts, "127.0.0.1", 587, REACH_REFUSED);
    expect("not-listening-here", STEP_START_LISTENER);
    facts.machine.container = KNOWN_YES;
    expect("container-localhost", STEP_CONTAINER_NAME);
}

/* ---- DNS ---- */

/* A name that exists for everybody: not the name is wrong. */
static void a_well_known_name_that_dns_denies(void **state)
{
    facts_start(&facts, "smtp.gmail.com");
    facts.provider = provider_by_host(BYTES("smtp.gmail.com"));
    facts.dns = FACT_DNS_NO_SUCH_NAME;
    facts.address_count = 0;
    expect("dns-closed", STEP_OTHER_RESOLVER);
    facts.gathered |= FACT_OTHER_RESOLVER;
    facts.other_dns = FACT_DNS_NO_SUCH_NAME;
    expect("dns-closed", STEP_OTHER_RESOLVER);
    facts.other_dns = FACT_DNS_HAS_ADDRESS;
    expect("name-blocked", STEP_OTHER_RESOLVER);
    facts_start(&facts, "");
    facts.dns = FACT_DNS_NO_SUCH_NAME;
    facts.address_count = 0;
    expect("dns-closed", STEP_OTHER_RESOLVER);
}

static void names_and_resolvers(void **state)
{
    facts_start(&facts, "smtp.gmial.com");
    facts.dns = FACT_DNS_NO_SUCH_NAME;
    facts.address_count = 0;
    facts_text(facts.near_provider, sizeof facts.near_provider, "smtp.gmail.com");
    expect("name-misspelled", STEP_USE_NEAR);

    facts_start(&facts, "smtp.example.org");
    facts.dns = FACT_DNS_NO_SUCH_NAME;
    facts.address_count = 0;
    expect("name-unknown", STEP_CHECK_NAME);
    facts.gathered |= FACT_OTHER_RESOLVER;
    facts.other_dns = FACT_DNS_HAS_ADDRESS;
    expect("name-blocked", STEP_OTHER_RESOLVER);

    /* a resolver that answers over the network is one, although no mail host answers */
    facts_start(&facts, "smtp.example.org");
    facts.dns = FACT_DNS_NO_SUCH_NAME;
    facts.address_count = 0;
    facts_controls(&facts, REACH_UNREACHABLE, REACH_UNREACHABLE, REACH_UNREACHABLE);
    facts.web_elsewhere = KNOWN_NO;
    facts_text(facts.machine.resolver, sizeof facts.machine.resolver, "192.168.1.1");
    expect("name-unknown", STEP_CHECK_NAME);
    facts_text(facts.machine.resolver, sizeof facts.machine.resolver, "127.0.0.53");
    expect("no-network", STEP_NETWORK_UP);
    facts_text(facts.machine.resolver, sizeof facts.machine.resolver, "192.168.1.1");
    facts.machine.route_4 = facts.machine.route_6 = KNOWN_NO;
    expect("no-network", STEP_NETWORK_UP);

    facts_start(&facts, "example.org");
    facts.dns = FACT_DNS_NO_ADDRESS_RECORD;
    facts.address_count = 0;
    facts.host_in_mail_domain = KNOWN_YES;
    facts.gathered |= FACT_OTHER_RESOLVER;
    expect("name-is-a-domain", STEP_SERVER_NAME);

    facts_start(&facts, "smtp.example.org");
    facts.dns = FACT_DNS_FAILS;
    facts.address_count = 0;
    expect("domain-dns-broken", STEP_ASK_DOMAIN);
    facts.dns = FACT_DNS_TIMED_OUT;
    expect("resolver-silent", STEP_FIX_RESOLVER);

    facts_start(&facts, "mail.example.org");
    facts.addresses[0].kind = ADDRESS_CLOUDFLARE;
    all_ports(REACH_SILENT);
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    facts_web(&facts, REACH_CONNECTED);
    expect("web-proxy-address", STEP_UNPROXY);
}

static void ipv6_is_judged_apart(void **state)
{
    facts_start(&facts, "mail.example.org");
    facts.address_count = 2;
    facts.addresses[1].six = true;
    facts_text(facts.addresses[1].text, FACTS_ADDRESS_MAX, SIX);
    facts_ready(&facts, FOUR, 587);
    facts_reach(&facts, SIX, 587, REACH_SILENT);
    judge();
    assert_true(diagnosis.works);
    assert_int_equal(diagnosis.cause_count, 1);
    assert_int_equal(diagnosis.causes[0].cause, CAUSE_IPV6_BROKEN);
}

/* ---- who answers ---- */

static void a_web_host_that_answers_in_anothers_place(void **state)
{
    facts_start(&facts, "smtp.gmail.com");
    struct fact_attempt *first = facts_smtp(&facts, FOUR, 587, CPANEL),
                        *second = facts_smtp(&facts, FOUR, 465, CPANEL);
    facts_certificate(first, FACT_CERTIFICATE_OTHER_NAME, "host7.hoster.example", "CN=Public CA");
    facts_certificate(second, FACT_CERTIFICATE_OTHER_NAME, "host7.hoster.example", "CN=Public CA");
    expect("redirected", STEP_DO_NOT_SIGN_IN);

    facts_start(&facts, "smtp.sendgrid.net"); /* 2525 is not in the rule */
    facts_certificate(facts_smtp(&facts, FOUR, 587, CPANEL), FACT_CERTIFICATE_OTHER_NAME,
                      "host7.hoster.example", "CN=Public CA");
    facts_ready(&facts, FOUR, 2525);
    expect("redirected", STEP_DO_NOT_SIGN_IN);
    assert_int_equal(diagnosis.steps[1], STEP_USE_PORT);
    assert_int_equal(diagnosis.use_port, 2525);

    facts_start(&facts, "mail.example.org"); /* anybody's own server: the machine's own address in EHLO */
    first = facts_smtp(&facts, FOUR, 587, CPANEL);
    facts_text(first->ehlo, sizeof first->ehlo,
               "250-host7.hoster.example Hello me [127.0.0.1]\n250 STARTTLS");
    facts_certificate(first, FACT_CERTIFICATE_OTHER_NAME, "host7.hoster.example", "CN=Public CA");
    expect("redirected", STEP_DO_NOT_SIGN_IN);
}

static void an_alias_of_a_web_host_is_no_interception(void **state)
{
    facts_start(&facts, "mail.customer.example");
    facts_certificate(facts_smtp(&facts, FOUR, 587, CPANEL), FACT_CERTIFICATE_OTHER_NAME,
                      "host7.hoster.example", "CN=Public CA");
    facts_certificate(facts_smtp(&facts, FOUR, 465, CPANEL), FACT_CERTIFICATE_OTHER_NAME,
                      "host7.hoster.example", "CN=Public CA");
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    expect("certificate-name", STEP_ASK_NAME);
}

static void scanners_are_named_and_never_trusted(void **state)
{
    facts_start(&facts, "mail.example.org");
    facts_certificate(
        facts_smtp(&facts, FOUR, 587, "220 mail.example.org ESMTP"), FACT_CERTIFICATE_UNKNOWN_ISSUER,
        "mail.example.org",
        "OU=generated by Avast Antivirus for SSL/TLS scanning, O=Avast Web/Mail Shield, CN=Avast "
        "Web/Mail Shield Root");
    expect("scanner", STEP_EXCLUDE_SCANNER);

    facts_start(&facts, "smtp.gmail.com");
    facts_certificate(facts_smtp(&facts, FOUR, 465, "220 smtp.gmail.com ESMTP"),
                      FACT_CERTIFICATE_UNKNOWN_ISSUER, "smtp.gmail.com",
                      "O=Zscaler Inc., CN=Zscaler Intermediate Root CA (zscloud.net) (t)");
    expect("inspection", STEP_EXEMPT_INSPECTION);
}

static void portals_and_strippers(void **state)
{
    facts_start(&facts, "smtp.gmail.com");
    facts_reach(&facts, FOUR, 587, REACH_CONNECTED)->voice = VOICE_HTTP;
    expect("portal", STEP_SIGN_IN_PORTAL);

    facts_start(&facts, "mail.example.org");
    struct fact_attempt *attempt = facts_smtp(&facts, FOUR, 587, "220 ****************2****");
    attempt->greeting_masked = attempt->ehlo_masked = KNOWN_YES;
    attempt->starttls_offered = KNOWN_NO;
    attempt->starttls_code = 0;
    facts_ready(&facts, FOUR, 465);
    expect("starttls-stripped", STEP_USE_PORT);
    assert_int_equal(diagnosis.use_port, 465);
}

static void a_foreign_certificate_everywhere_is_interception(void **state)
{
    facts_start(&facts, "mail.example.org");
    facts_certificate(facts_smtp(&facts, FOUR, 587, "220 mail ESMTP"), FACT_CERTIFICATE_SELF_SIGNED,
                      "mail.example.org", "CN=mail.example.org");
    facts_control(&facts, "smtp.gmail.com", 587, REACH_CONNECTED);
    facts_certificate(&facts.controls[0], FACT_CERTIFICATE_SELF_SIGNED, "smtp.gmail.com",
                      "CN=smtp.gmail.com");
    facts.controls[0].ready = KNOWN_NO;
    judge();
    assert_false(diagnosis_has_step(&diagnosis, STEP_PIN_OWN));
    assert_false(diagnosis_has_step(&diagnosis, STEP_ASK_NAME));
}

/* ---- TLS and certificates ---- */

static void faults_of_tls_and_certificates(void **state)
{
    static const struct {
        enum fact_certificate_state state;
        const char *names, *issuer, *cause;
        enum step_kind first;
    } certificates[] = {
        {FACT_CERTIFICATE_EXPIRED, "mail.example.org", "CN=R3", "certificate-expired", STEP_RENEW},
        {FACT_CERTIFICATE_SELF_SIGNED, "mail.example.org", "mail.example.org", "certificate-self-signed",
         STEP_PIN_OWN},
        {FACT_CERTIFICATE_UNKNOWN_ISSUER, "mail.example.org", "CN=Our CA", "certificate-issuer",
         STEP_PIN_OWN},
        {FACT_CERTIFICATE_NOT_YET_VALID, "mail.example.org", "CN=R3", "certificate-not-yet", STEP_FIX_CLOCK},
        {FACT_CERTIFICATE_OTHER_NAME, "other.example.org", "CN=R3", "certificate-name", STEP_ASK_NAME},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(certificates); i++) {
        facts_start(&facts, "mail.example.org");
        facts_certificate(facts_smtp(&facts, FOUR, 587, "220 mail.example.org ESMTP"), certificates[i].state,
                          certificates[i].names, certificates[i].issuer);
        facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
        facts_web(&facts, REACH_CONNECTED);
        expect(certificates[i].cause, certificates[i].first);
    }
    facts.attempts[0].certificate.state = FACT_CERTIFICATE_EXPIRED;
    facts.machine.clock_right = KNOWN_NO;
    facts.machine.clock_ahead_s = 86400 * 400;
    expect("clock", STEP_FIX_CLOCK);
}

static void ends_of_the_handshake(void **state)
{
    static const struct {
        enum fact_tls tls;
        uint32_t received;
        const char *cause;
        enum step_kind first;
    } ends[] = {{FACT_TLS_TIMED_OUT, 0, "packets-too-large", STEP_LOWER_MTU},
                {FACT_TLS_RESET, 0, "tls-cut", STEP_OTHER_NETWORK},
                {FACT_TLS_ALERT_VERSION, 7, "tls-old", STEP_UPDATE_TLS},
                {FACT_TLS_BROKEN, 7, "tls-broken", STEP_ASK_SERVER}};
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        facts_start(&facts, "mail.example.org");
        struct fact_attempt *attempt = facts_smtp(&facts, FOUR, 587, "220 mail.example.org ESMTP");
        attempt->tls = ends[i].tls;
        attempt->tls_sent = 300;
        attempt->tls_received = ends[i].received;
        facts_text(attempt->said, sizeof attempt->said, "handshake failed");
        expect(ends[i].cause, ends[i].first);
    }
    facts_start(&facts, "mail.example.org");
    struct fact_attempt *attempt = facts_smtp(&facts, FOUR, 587, "220 mail.example.org ESMTP");
    attempt->starttls_code = 454;
    facts_text(attempt->starttls_said, sizeof attempt->starttls_said, "454 TLS not available");
    expect("starttls-refused", STEP_ASK_SERVER);
}

/* A server that greets late is asked in the other mode as well, and says there in clear what it says. */
static void a_late_refusal_is_no_other_tls_mode(void **state)
{
    facts_start(&facts, "mail.example.org");
    struct fact_attempt *usual = facts_smtp(&facts, FOUR, 587, "421 4.3.2 No system resources");
    usual->greeting_code = usual->end_code = 421;
    usual->starttls_offered = KNOWN_NOT;
    usual->ehlo_code = usual->starttls_code = 0;
    facts_text(usual->said, sizeof usual->said, "No system resources");
    struct fact_attempt *other = facts_smtp(&facts, FOUR, 587, "421 4.3.2 No system resources");
    other->implicit_tls = true;
    other->starttls_code = 0;
    other->tls = FACT_TLS_CLEAR_TEXT;
    other->greeting_code = other->end_code = 421;
    other->starttls_offered = KNOWN_NOT;
    facts_text(other->said, sizeof other->said, "plain text came");
    expect("later", STEP_WAIT);
    assert_null(strstr(buffer_text(&words), "plain text came"));
    *usual = facts.attempts[1]; /* the other mode alone was tried: the program is set wrong */
    facts.attempt_count = 1;
    usual->greeting_code = 220;
    usual->end_code = 0;
    expect("tls-mode", STEP_SWAP_MODE);
    assert_non_null(strstr(buffer_text(&words), "the other TLS mode than usual on 587"));
}

/* A server that takes both, as this one does, and a port that has no custom. */
static void a_port_in_both_modes_is_not_the_other_way_round(void **state)
{
    static const uint16_t ports[] = {587, 465, 10024};
    for (size_t i = 0; i < ARRAY_LENGTH(ports); i++) {
        facts_start(&facts, "smtp.example.org");
        facts_ready(&facts, FOUR, ports[i])->implicit_tls = true;
        facts_ready(&facts, FOUR, ports[i])->implicit_tls = false;
        judge();
        assert_true(diagnosis.works);
        assert_int_equal(diagnosis.cause_count, 0);
    }
    facts_start(&facts, "smtp.example.org");
    facts_ready(&facts, FOUR, 10024)->implicit_tls = true;
    judge();
    assert_int_equal(diagnosis.cause_count, 0);
}

static void an_address_is_not_a_name(void **state)
{
    facts_start(&facts, "93.184.215.77");
    facts.dns = FACT_DNS_IS_ADDRESS;
    facts_certificate(facts_smtp(&facts, FOUR, 587, "220 mail.example.org ESMTP"),
                      FACT_CERTIFICATE_OTHER_NAME, "mail.example.org", "CN=R3");
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    facts_web(&facts, REACH_CONNECTED);
    expect("named-by-address", STEP_NAME_NOT_ADDRESS);
}

/* ---- any pattern ---- */

/* No two causes say the same. */
static void expect_no_repetition(void)
{
    struct buffer first = {0}, second = {0};
    for (size_t i = 0; i < diagnosis.cause_count; i++)
        for (size_t k = i + 1; k < diagnosis.cause_count; k++) {
            buffer_clear(&first);
            buffer_clear(&second);
            diagnosis_cause_sentence(&facts, &diagnosis, &diagnosis.causes[i], &first);
            diagnosis_cause_sentence(&facts, &diagnosis, &diagnosis.causes[k], &second);
            assert_string_not_equal(buffer_text(&first), buffer_text(&second));
            enum cause one = diagnosis.causes[i].cause, other = diagnosis.causes[k].cause;
            bool both = (one == CAUSE_ALL_PORTS_BLOCKED && other == CAUSE_PORTS_BLOCKED) ||
                        (other == CAUSE_ALL_PORTS_BLOCKED && one == CAUSE_PORTS_BLOCKED);
            assert_false(both);
        }
    buffer_free(&first);
    buffer_free(&second);
}

/* Each of four ports in each of five states, for a known and an unknown host, with controls that work or not.
 */
static void every_pattern_of_ports_is_answered_without_harm(void **state)
{
    static const uint16_t ports[] = {25, 587, 2525, 465};
    for (unsigned pattern = 0; pattern < 5 * 5 * 5 * 5 * 8; pattern++) {
        unsigned rest = pattern / 8;
        facts_start(&facts, (pattern & 1) != 0 ? "smtp.sendgrid.net" : "mail.example.org");
        for (size_t i = 0; i < ARRAY_LENGTH(ports); i++, rest /= 5) {
            static const enum fact_reach reaches[] = {REACH_SILENT, REACH_REFUSED, REACH_UNREACHABLE};
            if (rest % 5 < 3)
                facts_reach(&facts, FOUR, ports[i], reaches[rest % 5]);
            else if (rest % 5 == 3)
                facts_ready(&facts, FOUR, ports[i]);
            else
                facts_certificate(facts_smtp(&facts, FOUR, ports[i], CPANEL), FACT_CERTIFICATE_OTHER_NAME,
                                  "host7.hoster.example", "CN=Public CA");
        }
        if ((pattern & 6) == 2)
            facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
        else if ((pattern & 6) == 4)
            facts_controls(&facts, REACH_SILENT, REACH_SILENT, REACH_SILENT);
        judge();
        expect_no_repetition();
    }
}

/* Each sentence has places that are known to the writer: none is misspelled. */
static void every_place_has_a_writer(void **state)
{
    facts_start(&facts, "smtp.sendgrid.net");
    facts_ready(&facts, FOUR, 587);
    judge();
    for (int i = 0; i < CAUSE_COUNT; i++)
        assert_non_null(cause_row((enum cause)i)->sentence);
    for (int i = 1; i < STEP_COUNT; i++)
        assert_non_null(step_words((enum step_kind)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_in_both_modes_is_not_the_other_way_round),
        cmocka_unit_test(healthy_servers_cause_no_alarm),
        cmocka_unit_test(silent_ports_are_the_networks_when_others_are_silent_too),
        cmocka_unit_test(four_silent_ports_mean_https),
        cmocka_unit_test(a_network_is_not_blamed_for_what_the_server_does),
        cmocka_unit_test(a_rejection_by_icmp_is_a_firewalls),
        cmocka_unit_test(refused_by_a_known_provider_is_a_firewall),
        cmocka_unit_test(an_allow_list_passes_587_alone),
        cmocka_unit_test(a_router_may_permit_listed_servers_only),
        cmocka_unit_test(own_rules_and_listeners_are_named),
        cmocka_unit_test(a_well_known_name_that_dns_denies),
        cmocka_unit_test(names_and_resolvers),
        cmocka_unit_test(ipv6_is_judged_apart),
        cmocka_unit_test(a_web_host_that_answers_in_anothers_place),
        cmocka_unit_test(an_alias_of_a_web_host_is_no_interception),
        cmocka_unit_test(scanners_are_named_and_never_trusted),
        cmocka_unit_test(portals_and_strippers),
        cmocka_unit_test(a_foreign_certificate_everywhere_is_interception),
        cmocka_unit_test(faults_of_tls_and_certificates),
        cmocka_unit_test(ends_of_the_handshake),
        cmocka_unit_test(a_late_refusal_is_no_other_tls_mode),
        cmocka_unit_test(an_address_is_not_a_name),
        cmocka_unit_test(every_pattern_of_ports_is_answered_without_harm),
        cmocka_unit_test(every_place_has_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
