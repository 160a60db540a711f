/* SPDX-License-Identifier: Apache-2.0 */
/* What answers in the server's place, or keeps it from answering, near this machine: bans, routers, proxies,
 * names that are known inside a network alone. */
#include "diagnosis_expect.h"

static void all_ports(enum fact_reach reach)
{
    static const uint16_t ports[] = {25, 587, 2525, 465};
    for (size_t i = 0; i < ARRAY_LENGTH(ports); i++)
        facts_reach(&facts, FOUR, ports[i], reach);
}

/* A password that was rejected, or many calls, and then nothing but refusals: the port need not be closed. */
static void a_ban_looks_like_a_closed_port(void **state)
{
    static const enum fact_reach reaches[] = {REACH_REFUSED, REACH_SILENT};
    for (size_t i = 0; i < ARRAY_LENGTH(reaches); i++) {
        facts_start(&facts, "mail.example.org");
        all_ports(reaches[i]);
        facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
        facts_web(&facts, REACH_CONNECTED);
        facts.gathered |= FACT_HISTORY;
        facts.history.password_refused = KNOWN_YES;
        expect("banned", STEP_LIFT_BAN);
        assert_true(diagnosis_has_step(&diagnosis, STEP_OTHER_NETWORK));
        assert_null(strstr(buffer_text(&words), "no mail server listens"));
    }
    facts.history.password_refused = KNOWN_NO;
    facts.history.calls_last_hour = 30;
    expect("banned", STEP_LIFT_BAN);
    facts.history.calls_last_hour = 29;
    expect("server-firewall", STEP_ASK_SERVER);
    facts.history.calls_last_hour = 30;
    for (size_t i = 0; i < facts.attempt_count; i++)
        facts.attempts[i].reach = REACH_REFUSED;
    expect("not-listening", STEP_CHECK_NAME); /* a closed port is called as often as one likes */
    assert_true(diagnosis_has_step(&diagnosis, STEP_LIFT_BAN));
    for (size_t i = 0; i < facts.attempt_count; i++)
        facts.attempts[i].reach = REACH_SILENT;
    facts.control_count = 0; /* others are silent as well: it is the network */
    facts_controls(&facts, REACH_SILENT, REACH_SILENT, REACH_SILENT);
    expect("all-ports-blocked", STEP_ASK_NETWORK);
}

static void private_address(void)
{
    facts_text(facts.addresses[0].text, sizeof facts.addresses[0].text, "10.0.0.25");
    facts.addresses[0].kind = ADDRESS_PRIVATE;
    facts.gathered |= FACT_OTHER_RESOLVER;
    facts.other_dns = FACT_DNS_NO_SUCH_NAME;
    facts.other_dns_agrees = KNOWN_NO;
}

/* An own name that the world does not know is no lie, and what answers there answers inside alone. */
static void names_inside_a_network(void **state)
{
    facts_start(&facts, "relay.example.org");
    facts_ready(&facts, FOUR, 25);
    facts_reach(&facts, FOUR, 587, REACH_REFUSED);
    facts_reach(&facts, FOUR, 465, REACH_REFUSED);
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    private_address();
    expect("internal-relay", STEP_NAME_25);

    facts_start(&facts, "relay.example.org");
    all_ports(REACH_SILENT);
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    facts_web(&facts, REACH_SILENT);
    private_address();
    expect("private-host", STEP_JOIN_NETWORK);

    facts.control_count = 0; /* nobody answers as itself: the resolver leads all names astray */
    facts_controls(&facts, REACH_SILENT, REACH_SILENT, REACH_SILENT);
    judge();
    assert_string_equal(cause_row(diagnosis.causes[0].cause)->name, "dns-lies");

    facts_start(&facts, "mail.example.org"); /* a blocker of names, or a wrong record */
    all_ports(REACH_REFUSED);
    facts.host_is_own = KNOWN_YES;
    facts.addresses[0].kind = ADDRESS_LOOPBACK;
    facts_text(facts.addresses[0].text, sizeof facts.addresses[0].text, "127.0.1.1");
    expect("loopback-name", STEP_LOOPBACK_RECORD);
}

/* A line in /etc/hosts stands before DNS: where it leads astray, DNS is not to blame. */
static void a_line_in_the_hosts_file_is_told(void **state)
{
    facts_start(&facts, "mail.example.org");
    facts_ready(&facts, FOUR, 587);
    facts_text(facts.machine.hosts_address, sizeof facts.machine.hosts_address, FOUR);
    expect_works(587, 0);
    facts.attempt_count = 0;
    all_ports(REACH_REFUSED);
    facts.host_is_own = KNOWN_YES;
    facts.addresses[0].kind = ADDRESS_LOOPBACK;
    facts_text(facts.addresses[0].text, sizeof facts.addresses[0].text, "127.0.1.1");
    expect("loopback-name", STEP_LOOPBACK_RECORD); /* the line has another address */
    facts_text(facts.machine.hosts_address, sizeof facts.machine.hosts_address, "127.0.1.1");
    expect("hosts-file", STEP_HOSTS_FILE);
    facts.gathered |= FACT_OTHER_RESOLVER;
    facts.other_dns = FACT_DNS_HAS_ADDRESS;
    facts.other_dns_agrees = KNOWN_NO;
    expect("hosts-file", STEP_HOSTS_FILE);
    facts.other_dns_agrees = KNOWN_YES; /* DNS says the same */
    expect("loopback-name", STEP_LOOPBACK_RECORD);
}

/* A resolver that blocks names is no network that one signs in to. */
static void an_impossible_address_is_no_portal(void **state)
{
    facts_start(&facts, "mail.example.org");
    all_ports(REACH_SILENT);
    facts.addresses[0].kind = ADDRESS_UNSPECIFIED;
    facts_text(facts.addresses[0].text, sizeof facts.addresses[0].text, "0.0.0.0");
    facts.gathered |= FACT_OTHER_RESOLVER;
    facts.other_dns = FACT_DNS_HAS_ADDRESS;
    facts.other_dns_agrees = KNOWN_NO;
    expect("address-impossible", STEP_OTHER_RESOLVER);
}

/* A large provider's incoming server that is silent on 25, and on the web, which it never had, is not down.
 */
static void a_large_providers_mx_is_not_down(void **state)
{
    static const struct {
        const char *host, *cause;
    } hosts[] = {{"gmail-smtp-in.l.google.com", "port-25-blocked"}, {"mx.example.org", "host-down"}};
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        facts_start(&facts, hosts[i].host);
        facts.purpose = PURPOSE_RELAY;
        facts_reach(&facts, FOUR, 25, REACH_SILENT);
        facts_control(&facts, "smtp.fastmail.com", 587, REACH_CONNECTED);
        facts_web(&facts, REACH_SILENT);
        judge();
        assert_string_equal(cause_row(diagnosis.causes[0].cause)->name, hosts[i].cause);
    }
}

/* From inside, the public name of one's own server may lead to the router. */
static void a_router_may_answer_in_a_servers_place(void **state)
{
    facts_start(&facts, "mail.example.org");
    all_ports(REACH_REFUSED);
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    facts_web(&facts, REACH_CONNECTED);
    facts_certificate(&facts.web[0], FACT_CERTIFICATE_SELF_SIGNED, "fritz.box", "CN=fritz.box");
    facts.web[0].certificate.names_host = KNOWN_NO;
    expect("router-answers", STEP_INSIDE_NAME);
    facts_text(facts.web[0].certificate.names, sizeof facts.web[0].certificate.names, "www.example.org");
    facts_text(facts.web[0].certificate.subject, sizeof facts.web[0].certificate.subject, "www.example.org");
    expect("not-listening", STEP_CHECK_NAME);
}

/* A service mesh's sidecar accepts before it knows whether anybody is there. */
static void a_proxy_accepts_and_says_nothing(void **state)
{
    facts_start(&facts, "mail.example.org");
    for (uint16_t port = 465; port <= 587; port = (uint16_t)(port + 122)) {
        struct fact_attempt *attempt = facts_reach(&facts, FOUR, port, REACH_CONNECTED);
        attempt->connect_ms = 0;
        attempt->voice = VOICE_CLOSED;
    }
    facts_web(&facts, REACH_CONNECTED); /* in 20 ms */
    expect("local-proxy", STEP_EXCLUDE_PORTS);
    facts.web[0].connect_ms = 0; /* all that leaves goes through it */
    facts_controls(&facts, REACH_CONNECTED, REACH_CONNECTED, REACH_CONNECTED);
    for (size_t i = 0; i < facts.control_count; i++) {
        facts.controls[i].connect_ms = 0;
        facts.controls[i].voice = VOICE_CLOSED;
    }
    expect("local-proxy", STEP_EXCLUDE_PORTS);
    facts.control_count = 1; /* one may be next door */
    expect("closed", STEP_FEWER);
}

static void two_hosts_may_share_a_name(void **state)
{
    facts_start(&facts, "mail.example.org");
    facts_ready(&facts, FOUR, 587);
    facts_certificate(facts_smtp(&facts, SIX, 587, "220 other ESMTP"), FACT_CERTIFICATE_OTHER_NAME,
                      "other.example.net", "CN=Public CA");
    judge();
    assert_true(diagnosis.works);
    assert_string_equal(cause_row(diagnosis.causes[0].cause)->name, "two-hosts");
    assert_non_null(strstr(buffer_text(&words), "the name's AAAA record leads elsewhere"));
    assert_non_null(strstr(buffer_text(&words), "its certificate is for other.example.net"));
    assert_null(strstr(buffer_text(&words), "intercepted"));
    facts.attempts[1].certificate.chain_trusted = KNOWN_NO; /* no public CA says so */
    judge();
    assert_string_not_equal(cause_row(diagnosis.causes[0].cause)->name, "two-hosts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ban_looks_like_a_closed_port),
        cmocka_unit_test(names_inside_a_network),
        cmocka_unit_test(a_line_in_the_hosts_file_is_told),
        cmocka_unit_test(an_impossible_address_is_no_portal),
        cmocka_unit_test(a_large_providers_mx_is_not_down),
        cmocka_unit_test(a_router_may_answer_in_a_servers_place),
        cmocka_unit_test(a_proxy_accepts_and_says_nothing),
        cmocka_unit_test(two_hosts_may_share_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
