/* SPDX-License-Identifier: Apache-2.0 */
/* A second opinion on a host's addresses, from small servers of DNS on the loopback: this machine's
 * resolver at 127.0.0.1, the domain's own at 127.0.0.2, a public one at 127.0.0.3. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dial/other_resolver.h"
#include "unit.h"

enum { RESOLVER = 1, AUTHORITY, PUBLIC, SERVERS };

/* ---- the servers ---- */

struct told {
    int by; /* which of them says so */
    const char *name;
    int type;
    const char *data; /* an address, a name; "" no such name; "-" no data; "!" SERVFAIL */
};

static const struct told zone[] = {
    {RESOLVER, "example.test", DNS_NS, "ns.example.test"},
    {RESOLVER, "ns.example.test", DNS_A, "127.0.0.2"},
    {RESOLVER, "smtp.example.test", DNS_A, "198.18.0.7"},
    {AUTHORITY, "smtp.example.test", DNS_A, "203.0.113.7"},
    {RESOLVER, "same.example.test", DNS_A, "203.0.113.8"},
    {AUTHORITY, "same.example.test", DNS_A, "203.0.113.8"},
    {AUTHORITY, "hidden.example.test", DNS_A, "203.0.113.9"},
    {RESOLVER, "example.test", DNS_MX, "mx.example.test"},
    {RESOLVER, "example.test", DNS_A, "-"},
    {AUTHORITY, "example.test", DNS_A, "-"},
    /* whose servers do not answer for it */
    {RESOLVER, "lame.test", DNS_NS, "ns.example.test"},
    {AUTHORITY, "smtp.lame.test", DNS_A, "!"},
    {AUTHORITY, "smtp.lame.test", DNS_AAAA, "!"},
    {PUBLIC, "smtp.lame.test", DNS_A, "203.0.113.10"},
    /* whose servers nobody tells */
    {RESOLVER, "smtp.lost.test", DNS_A, "!"},
    {RESOLVER, "lost.test", DNS_NS, "!"},
    {PUBLIC, "smtp.lost.test", DNS_A, "203.0.113.11"},
};

static size_t put_name(unsigned char *out, const char *name)
{
    size_t length = 0;
    while (*name != '\0') {
        size_t label = strcspn(name, ".");
        out[length++] = (unsigned char)label;
        memcpy(out + length, name, label);
        length += label;
        name += label + (name[label] == '.');
    }
    out[length++] = 0;
    return length;
}

static size_t read_question(const unsigned char *packet, size_t size, char *name, int *type)
{
    size_t at = 12, length = 0;
    while (at < size && packet[at] != 0) {
        for (size_t i = 1; i <= packet[at] && at + i < size; i++)
            name[length++] = ascii_lower((char)packet[at + i]);
        name[length++] = '.';
        at += packet[at] + 1U;
    }
    name[length > 0 ? length - 1 : 0] = '\0';
    *type = packet[at + 1] << 8 | packet[at + 2];
    return at + 5;
}

static const char *answer_of(int by, const char *name, int type)
{
    bool known = false;
    for (size_t i = 0; i < ARRAY_LENGTH(zone); i++) {
        if (zone[i].by == by && strcmp(zone[i].name, name) == 0 && zone[i].type == type)
            return zone[i].data;
        known = known || (zone[i].by == by && strcmp(zone[i].name, name) == 0);
    }
    return known ? "-" : "";
}

/* The question with one record behind it. */
static size_t reply(int by, unsigned char *packet, size_t size)
{
    char name[256];
    int type;
    size_t end = read_question(packet, size, name, &type);
    const char *data = answer_of(by, name, type);
    bool found = data[0] != '\0' && data[0] != '-' && data[0] != '!';
    packet[2] = (unsigned char)(0x84 | (packet[2] & 1)); /* an answer, of authority */
    packet[3] = (unsigned char)(0x80 | (data[0] == '\0' ? 3 : data[0] == '!' ? 2 : 0));
    memset(packet + 6, 0, 6);
    packet[7] = found;
    if (!found)
        return end;
    const unsigned char head[] = {0xc0, 12, 0, (unsigned char)type, 0, 1, 0, 0, 0, 60};
    unsigned char value[300];
    size_t length = 0;
    if (type == DNS_MX)
        length = 2, value[0] = 0, value[1] = 10;
    if (type == DNS_A)
        inet_pton(AF_INET, data, value), length = 4;
    else
        length += put_name(value + length, data);
    memcpy(packet + end, head, sizeof head);
    packet[end + sizeof head] = 0;
    packet[end + sizeof head + 1] = (unsigned char)length;
    memcpy(packet + end + sizeof head + 2, value, length);
    return end + sizeof head + 2 + length;
}

static pid_t servers[SERVERS];
static uint16_t server_port;

static int listen_at(int by, uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(*port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (unsigned)by - 1)};
    socklen_t length = sizeof at;
    int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(file, (struct sockaddr *)&at, sizeof at) != 0)
        return -1;
    getsockname(file, (struct sockaddr *)&at, &length);
    *port = ntohs(at.sin_port);
    return file;
}

static void serve(int by, int file)
{
    unsigned char packet[1024];
    struct sockaddr_in from;
    for (;;) {
        socklen_t length = sizeof from;
        ssize_t got = recvfrom(file, packet, 512, 0, (struct sockaddr *)&from, &length);
        if (got > 16)
            sendto(file, packet, reply(by, packet, (size_t)got), 0, (struct sockaddr *)&from, length);
    }
}

static int start_servers(void **state)
{
    for (int by = RESOLVER; by < SERVERS; by++) {
        int file = listen_at(by, &server_port);
        if (file < 0)
            return -1;
        servers[by] = fork();
        if (servers[by] == 0)
            serve(by, file);
        close(file);
    }
    return 0;
}

static int end_servers(void **state)
{
    for (int by = RESOLVER; by < SERVERS; by++) {
        kill(servers[by], SIGKILL);
        waitpid(servers[by], NULL, 0);
    }
    return 0;
}

/* ---- asking ---- */

static void on_done(void *owner)
{
    loop_stop(owner);
}

static void ask(const char *host, struct diagnosis_facts *facts)
{
    char first[32], public[32];
    const char *resolver[] = {first}, *publics[] = {public};
    struct loop loop;
    struct other_resolver other;
    struct error error = {0};
    snprintf(first, sizeof first, "127.0.0.1:%u", server_port);
    snprintf(public, sizeof public, "127.0.0.3:%u", server_port);
    assert_true(loop_start(&loop, &error));
    struct dns *dns = dns_open(resolver, 1, &error);
    assert_non_null(dns);
    assert_true(dns_start(dns, &loop, &error));
    struct other_resolver_options options = {
        .host = host, .public_servers = publics, .public_count = 1, .authority_port = server_port};
    other_resolver_start(&other, &loop, dns, &options, on_done, &loop);
    loop_run(&loop);
    other_resolver_fill(&other, facts);
    other_resolver_end(&other);
    dns_close(dns);
    loop_free(&loop);
}

static void set_own(struct diagnosis_facts *facts, enum fact_dns dns, const char *address)
{
    *facts = (struct diagnosis_facts){.dns = dns};
    facts->address_count = address == NULL ? 0 : 1;
    if (address != NULL)
        snprintf(facts->addresses[0].text, sizeof facts->addresses[0].text, "%s", address);
}

static struct diagnosis_facts facts;

static void the_domain_s_own_servers_are_asked(void **state)
{
    set_own(&facts, FACT_DNS_HAS_ADDRESS, "198.18.0.7");
    ask("smtp.example.test", &facts);
    assert_int_equal(facts.other_dns, FACT_DNS_HAS_ADDRESS);
    assert_int_equal(facts.other_dns_agrees, KNOWN_NO);
    assert_string_equal(facts.other_addresses[0].text, "203.0.113.7");
    assert_int_equal(facts.other_addresses[0].kind, ADDRESS_DOCUMENTATION);
    assert_true((facts.gathered & FACT_OTHER_RESOLVER) != 0);
    set_own(&facts, FACT_DNS_HAS_ADDRESS, "203.0.113.8");
    ask("same.example.test.", &facts);
    assert_int_equal(facts.other_dns_agrees, KNOWN_YES);
    set_own(&facts, FACT_DNS_NO_SUCH_NAME, NULL);
    ask("hidden.example.test", &facts);
    assert_int_equal(facts.other_dns, FACT_DNS_HAS_ADDRESS);
    assert_int_equal(facts.other_dns_agrees, KNOWN_NO);
    set_own(&facts, FACT_DNS_NO_SUCH_NAME, NULL);
    ask("nobody.example.test", &facts);
    assert_int_equal(facts.other_dns, FACT_DNS_NO_SUCH_NAME);
    assert_int_equal(facts.other_dns_agrees, KNOWN_YES);
    assert_int_equal(facts.host_in_mail_domain, KNOWN_NO);
}

static void public_resolvers_are_asked_where_they_tell_nothing(void **state)
{
    set_own(&facts, FACT_DNS_FAILS, NULL);
    ask("smtp.lame.test", &facts);
    assert_string_equal(facts.other_addresses[0].text, "203.0.113.10");
    set_own(&facts, FACT_DNS_FAILS, NULL);
    ask("smtp.lost.test", &facts);
    assert_string_equal(facts.other_addresses[0].text, "203.0.113.11");
    assert_int_equal(facts.other_dns_agrees, KNOWN_NOT);
}

static void a_bare_mail_domain_is_seen(void **state)
{
    set_own(&facts, FACT_DNS_NO_ADDRESS_RECORD, NULL);
    ask("example.test", &facts);
    assert_int_equal(facts.other_dns, FACT_DNS_NO_ADDRESS_RECORD);
    assert_int_equal(facts.host_in_mail_domain, KNOWN_YES);
}

static void an_address_is_nothing_to_ask(void **state)
{
    set_own(&facts, FACT_DNS_IS_ADDRESS, "192.0.2.1");
    ask("192.0.2.1", &facts);
    assert_int_equal(facts.other_dns, FACT_DNS_IS_ADDRESS);
    assert_int_equal(facts.other_dns_agrees, KNOWN_NOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_domain_s_own_servers_are_asked),
        cmocka_unit_test(public_resolvers_are_asked_where_they_tell_nothing),
        cmocka_unit_test(a_bare_mail_domain_is_seen),
        cmocka_unit_test(an_address_is_nothing_to_ask),
    };
    return cmocka_run_group_tests(tests, start_servers, end_servers);
}
