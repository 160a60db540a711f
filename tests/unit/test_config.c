/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: defaults, valid and invalid values of each type, error positions, and the round trip
 * through config show. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"
#include "config/keys.h"
#include "unit.h"

#define BASE "hostname: mx.example.org\n"

static struct config config;
static struct error error;

static bool parse(const char *text)
{
    error = (struct error){0};
    return config_parse(&config, "test.conf", bytes_of_text(text), &error);
}

/* Asserts an error at this line, with all these words in one line. */
static void refused_at(const char *file, int test_line, const char *text, int line, const char *word,
                       const char *another)
{
    char place[32];
    snprintf(place, sizeof place, "test.conf:%d:", line);
    if (parse(text)) {
        config_free(&config);
        print_error("this was taken: %s\n", text);
        _fail(file, test_line);
    }
    bool fine = strncmp(error.text, place, strlen(place)) == 0 && strstr(error.text, word) != NULL &&
                strstr(error.text, another) != NULL && strchr(error.text, '\n') == NULL &&
                error.exit_code == 78;
    if (!fine) {
        print_error("it says (%d): %s\n", error.exit_code, error.text);
        _fail(file, test_line);
    }
}
#define REFUSED(text, line, word, another) refused_at(__FILE__, __LINE__, text, line, word, another)

static void the_role_of_port_25_is_mx_and_was_relay(void **state)
{
    struct buffer shown = {0};
    assert_true(parse(BASE "listeners: [{port: 2501, role: mx}, {port: 2502, role: relay}]\n"));
    assert_int_equal(config.listeners[0].role, ROLE_MX);
    assert_int_equal(config.listeners[1].role, ROLE_MX);
    config_write(&config, &shown);
    assert_non_null(strstr(buffer_text(&shown), "port: 2501, role: mx,"));
    assert_non_null(strstr(buffer_text(&shown), "port: 2502, role: mx,"));
    buffer_free(&shown);
    config_free(&config);
    REFUSED(BASE "listeners: [{port: 2501, role: local}]\n", 2, "local", "mx or submission");
}

static void three_lines_are_a_server(void **state)
{
    assert_true(parse(BASE "domains: [example.org]\n"));
    assert_int_equal(config.listener_count, 4);
    assert_int_equal(config.listeners[0].port, 25);
    assert_int_equal(config.listeners[0].role, ROLE_MX);
    assert_int_equal(config.listeners[1].port, 587);
    assert_int_equal(config.listeners[1].tls, TLS_STARTTLS);
    assert_int_equal(config.listeners[2].tls, TLS_IMPLICIT);
    assert_int_equal(config.listeners[3].port, 2525);
    assert_int_equal(config.listeners[3].role, ROLE_SUBMISSION);
    assert_string_equal(config.data_dir, "/var/lib/mailboat");
    assert_int_equal(config.limits.message_size, 50 * 1024 * 1024);
    assert_int_equal(config.limits.connections, 10000);
    assert_int_equal(config.limits.unknown_recipients, 50);
    assert_int_equal(config.queue.first_ms, 5 * 60 * 1000);
    assert_int_equal(config.queue.expire_ms, UINT64_C(5) * 24 * 3600 * 1000);
    assert_int_equal(config.relay.port, 25);
    config_free(&config);
}

static void what_is_shown_can_be_read_back(void **state)
{
    struct buffer first = {0}, second = {0};
    assert_true(parse(
        BASE "domains: [example.org, b.example]\nlisteners: [{port: 25}, {address: 127.0.0.1, port: 10587, "
             "role: submission, tls: starttls}]\n"
             "relay: {via: smarthost, smarthost: {host: smtp.example.net, port: 2525}, tls: {a.example: "
             "dane, \"*\": encrypt}, "
             "routes: [{domain: In.Example, host: 192.0.2.1, tls: verify}, {domain: \"*.example\", via: mx, "
             "connections: 3, rate: 60}]}\nlimits: {message_size: 5MiB}\n"
             "submission: {local: {protect_accounts: false, users: [{user: www-data, senders: [\"*\"]}, "
             "{user: 7, messages_per_hour: 0}]}}\nqueue: {hold: true, retry: {first: 90s, factor: 1.5}}\n"
             "resolver: {servers: [\"127.0.0.1:5353\"]}\nlog: {format: json, level: warn}\n"
             "mta_sts: {mode: testing, max_age: 30d, mx: [mx.a.example, \"*.b.example\"]}\n"
             "trust: {mode: observe, arc_trusted: [a.example], forwarders: [192.0.2.1, \"*.b.example\"]}\n"));
    config_write(&config, &first);
    config_free(&config);
    if (!parse(buffer_text(&first)))
        fail_msg("%s\n%s", error.text, buffer_text(&first));
    config_write(&config, &second);
    config_free(&config);
    assert_string_equal(buffer_text(&first), buffer_text(&second));
    buffer_free(&first);
    buffer_free(&second);
}

/* The default socket path is too long, but not used. */
static void a_long_data_folder_is_read_back(void **state)
{
    struct buffer text = {0}, written = {0};
    buffer_add_text(&text, BASE "data_dir: /var/lib/");
    while (text.length < 200)
        buffer_add_octet(&text, 'm');
    assert_true(parse(buffer_text(&text)));
    config_write(&config, &written);
    config_free(&config);
    if (!parse(buffer_text(&written)))
        fail_msg("%s\n%s", error.text, buffer_text(&written));
    config_free(&config);
    buffer_add_text(&text, "\nmailboxes: {deliver: lmtp}\n");
    assert_false(parse(buffer_text(&text)));
    buffer_free(&text);
    buffer_free(&written);
}

static void local_users_have_rules_of_their_own(void **state)
{
    assert_true(parse(BASE "submission: {local: {users: [{user: www-data, senders: [\"*@example.org\", "
                           "a@example.net]}, {user: 1000, messages_per_hour: 0}], messages_per_hour: 7}}\n"));
    const struct config_local_user *users = config.submission.local.users;
    assert_int_equal(config.submission.local.user_count, 2);
    assert_int_equal(config.submission.local.recipients_per_hour, 5000);
    assert_true(config.submission.local.protect_accounts);
    assert_string_equal(users[0].user, "www-data");
    assert_int_equal(users[0].messages_per_hour, 7); /* as all, wherever that is said */
    assert_int_equal(users[0].recipients_per_hour, 5000);
    assert_int_equal(users[0].sender_count, 2);
    assert_string_equal(users[0].senders[1], "a@example.net");
    assert_string_equal(users[1].user, "1000");
    assert_int_equal(users[1].messages_per_hour, 0);
    assert_int_equal(users[1].sender_count, 0);
    config_free(&config);
    REFUSED(BASE "submission: {local: {users: [{senders: [\"*\"]}]}}\n", 2, "user", "missing");
    REFUSED(BASE "submission: {local: {users: [{user: a, senders: [b]}]}}\n", 2, "'b'", "not a sender");
    REFUSED(BASE "submission: {local: {users: [{user: a, senders: [\"*x@example.org\"]}]}}\n", 2, "*x@",
            "not a sender");
    REFUSED(BASE "submission: {local: {users: [{user: a, senders: b@example.org}]}}\n", 2, "senders", "list");
    REFUSED(BASE "submission: {local: {users: [{user: a}, {user: a}]}}\n", 2, "a", "twice");
    REFUSED(BASE "submission: {local: {users: [{user: a, sender: []}]}}\n", 2, "sender", "senders");
}

static void routes_by_domain(void **state)
{
    assert_true(parse(BASE "relay:\n  port: 26\n  smarthost: {host: smtp.example.net}\n  routes:\n    - "
                           "{domain: In.Example, host: mx.inside.example}\n"
                           "    - {domain: \"*.example\", via: smarthost, rate: 60000}\n    - {domain: "
                           "\"*\", connections: 1000}\n"));
    assert_int_equal(config.relay.route_count, 3);
    const struct route_rule *r = config.relay.routes;
    assert_string_equal(r[0].domain, "in.example");
    assert_true(r[0].via == RELAY_HOST && r[0].port == 26 && r[0].tls == RULE_TLS_MAY);
    assert_true(r[1].via == RELAY_SMARTHOST && r[1].rate == 60000 && r[1].connections == 0);
    assert_true(r[2].via == RELAY_MX && r[2].connections == 1000);
    assert_int_equal(config.relay.smarthost.connections, 20);
    config_free(&config);
    REFUSED(BASE "relay:\n  routes: [{host: a.example}]\n", 3, "domain", "missing");
    REFUSED(BASE "relay:\n  routes: [{domain: a_b c, host: a.example}]\n", 3, "a_b c", "not a domain");
    REFUSED(BASE "relay:\n  routes: [{domain: \"x.*.example\"}]\n", 3, "x.*", "not a domain");
    REFUSED(BASE "relay:\n  routes: [{domain: a.example, host: b.example, via: mx}]\n", 3, "a.example",
            "exclude each other");
    REFUSED(BASE "relay:\n  routes: [{domain: a.example, port: 26}]\n", 3, "port", "host");
    REFUSED(BASE "relay:\n  routes: [{domain: a.example, tls: none}]\n", 3, "tls", "relay.tls");
    REFUSED(BASE "relay:\n  routes: [{domain: a.example, via: smarthost}]\n", 3, "smarthost",
            "relay.smarthost.host");
    REFUSED(BASE "relay:\n  routes:\n    - {domain: a.example}\n    - {domain: A.example}\n", 5, "a.example",
            "twice");
    REFUSED(BASE "relay:\n  routes: [{domain: a.example, rate: 0}]\n", 3, "rate", "out of range");
    REFUSED(BASE "relay:\n  routes: [{domain: a.example, rate: 60001}]\n", 3, "rate", "out of range");
    REFUSED(BASE "relay:\n  routes: [{domain: a.example, connections: 1001}]\n", 3, "connections",
            "out of range");
    REFUSED(BASE "relay:\n  routes: [{domain: a.example, hots: b}]\n", 3, "hots", "host");
    REFUSED(BASE "relay:\n  routes: {a.example: b}\n", 3, "routes", "list");
}

static void unknown_keys_are_found_with_the_one_that_was_meant(void **state)
{
    REFUSED(BASE "listners: []\n", 2, "listners", "listeners");
    REFUSED(BASE "limits:\n  recipient: 5\n", 3, "recipient", "recipients");
    REFUSED(BASE "relay:\n  smarthost:\n    hots: x.example\n", 4, "hots", "host");
    REFUSED(BASE "listeners:\n  - {port: 25, rolle: mx}\n", 3, "rolle", "role");
    REFUSED(BASE "hostname: twice.example.org\n", 2, "hostname", "duplicate key");
}

static void each_type_has_its_words(void **state)
{
    REFUSED("hostname: 222.501.285.45\n", 1, "hostname", "222.501.285.45");
    REFUSED("hostname: [a]\n", 1, "hostname", "");
    REFUSED(BASE "domains: example.org\n", 2, "domains", "list");
    REFUSED(BASE "domains: [\"not a domain\"]\n", 2, "not a domain", "");
    REFUSED(BASE "limits: {recipients: many}\n", 2, "recipients", "many");
    REFUSED(BASE "limits: {message_size: 5XB}\n", 2, "message_size", "5XB");
    REFUSED(BASE "queue: {retry: {first: soon}}\n", 2, "first", "soon");
    REFUSED(BASE "queue: {retry: {factor: 0.5}}\n", 2, "factor", "0.5");
    REFUSED(BASE "queue: {hold: perhaps}\n", 2, "hold", "perhaps");
    REFUSED(BASE "relay: {via: pigeon}\n", 2, "pigeon", "smarthost");
    REFUSED(BASE "listeners: [{port: 70000}]\n", 2, "port", "70000");
    REFUSED(BASE "listeners: 25\n", 2, "listeners", "list");
    REFUSED(BASE "relay: {tls: dane}\n", 2, "relay.tls", "example.com");
    REFUSED(BASE "relay: {tls: {a.example: dnae}}\n", 2, "dnae", "dane");
    REFUSED(BASE "relay: {tls: {a.example: [dane]}}\n", 2, "a.example", "one value");
    REFUSED(BASE "relay:\n  tls: {192.0.2.1: dane}\n", 3, "192.0.2.1", "domain");
    REFUSED(BASE "relay: {tls: {a.example: dane, A.Example: may}}\n", 2, "a.example", "twice");
    REFUSED(BASE "resolver: {dnssec: perhaps}\n", 2, "perhaps", "required");
    REFUSED(BASE "resolver: {trust_anchor: /does/not/exist}\n", 2, "/does/not/exist", "");
    REFUSED(BASE "limits: 5\n", 2, "limits", "");
    REFUSED("- a\n", 1, "", "");
    REFUSED(BASE "tls: {certificate: /does/not/exist.pem, key: /does/not/exist.key}\n", 2,
            "/does/not/exist.pem", "");
}

static void a_domain_has_its_tls_policy(void **state)
{
    assert_true(parse(BASE));
    assert_int_equal(config_tls_wish(&config, BYTES("a.example")), WISH_AUTO);
    config_free(&config);
    assert_true(
        parse(BASE "relay: {tls: {A.example: dane, \"*\": encrypt, b.example: none, c.example: auto}}\n"));
    assert_int_equal(config_tls_wish(&config, BYTES("a.EXAMPLE")), WISH_DANE);
    assert_int_equal(config_tls_wish(&config, BYTES("b.example")), WISH_NONE);
    assert_int_equal(config_tls_wish(&config, BYTES("c.example")), WISH_AUTO);
    assert_int_equal(config_tls_wish(&config, BYTES("sub.a.example")), WISH_ENCRYPT);
    config_free(&config);
}

static void mail_is_handed_to_a_socket_or_an_address(void **state)
{
    static const struct {
        const char *said, *path, *address;
        uint16_t port;
    } cases[] = {{NULL, "/var/lib/mailboat/dovecot/lmtp/socket", NULL, 0},
                 {"unix:/run/x", "/run/x", NULL, 0},
                 {"127.0.0.1:24", NULL, "127.0.0.1", 24},
                 {"[::1]:65535", NULL, "::1", 65535},
                 {"localhost:1", NULL, "127.0.0.1", 1}};
    char text[300];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, BASE "mailboxes: {deliver: lmtp%s%s%s}\n",
                 cases[i].said == NULL ? "" : ", lmtp: \"", cases[i].said == NULL ? "" : cases[i].said,
                 cases[i].said == NULL ? "" : "\"");
        assert_true(parse(text));
        if (cases[i].path != NULL) {
            assert_string_equal(config.mailboxes.lmtp_at.path, cases[i].path);
        } else {
            assert_null(config.mailboxes.lmtp_at.path);
            assert_string_equal(config.mailboxes.lmtp_at.address, cases[i].address);
            assert_int_equal(config.mailboxes.lmtp_at.port, cases[i].port);
        }
        config_free(&config);
    }
}

static void limits_hold_at_them_and_one_past(void **state)
{
    assert_true(parse(BASE "limits: {recipients: 100}\n"));
    config_free(&config);
    REFUSED(BASE "limits: {recipients: 99}\n", 2, "recipients", "100");
    assert_true(parse(BASE "limits: {recipients: 5000}\n"));
    config_free(&config);
    REFUSED(BASE "limits: {recipients: 5001}\n", 2, "recipients", "5000");
    assert_true(parse(BASE "processes: {smtpd: 64}\n"));
    config_free(&config);
    REFUSED(BASE "processes: {smtpd: 65}\n", 2, "smtpd", "64");
    REFUSED(BASE "processes: {smtpd: 0}\n", 2, "smtpd", "");
}

static void what_contradicts_itself_is_refused(void **state)
{
    REFUSED(BASE "relay: {via: smarthost}\n", 2, "smarthost", "host");
    REFUSED(BASE "relay: {via: smarthost, smarthost: {host: smtp.example.net, tls: none}}\n", 2, "none",
            "loopback");
    REFUSED(BASE "relay: {via: auto}\n", 2, "auto", "smarthost");
    REFUSED(BASE "mailboxes: {deliver: lmtp, lmtp: run/lmtp}\n", 2, "run/lmtp", "unix:/run");
    REFUSED(BASE "mailboxes: {deliver: lmtp, lmtp: \"unix:run/lmtp\"}\n", 2, "run/lmtp", "unix:/run");
    REFUSED(BASE "mailboxes: {lmtp: \"dovecot.example.org:24\"}\n", 2, "dovecot.example.org:24",
            "127.0.0.1:24");
    REFUSED(BASE "mailboxes: {lmtp: \"127.0.0.1:0\"}\n", 2, "127.0.0.1:0", "neither");
    REFUSED(BASE "mailboxes: {lmtp: \"127.0.0.1:65536\"}\n", 2, "65536", "neither");
    REFUSED(BASE "mailboxes: {lmtp: \"::1:24\"}\n", 2, "::1:24", "neither");
    REFUSED(BASE "mailboxes: {lmtp: \"[127.0.0.1]:24\"}\n", 2, "[127.0.0.1]", "neither");
    REFUSED(BASE "listeners: [{port: 10587}]\n", 2, "10587", "role");
}

static void mail_authentication_has_its_defaults(void **state)
{
    assert_true(parse(BASE));
    assert_int_equal(config.trust.mode, VERDICT_ENFORCE);
    assert_int_equal(config.trust.arc_trusted_count, 0);
    assert_int_equal(config.trust.forwarder_count, 0);
    assert_string_equal(config.trust.junk_folder, "Junk");
    config_free(&config);
    assert_true(parse(BASE "trust: {mode: observe, junk_folder: Spam, arc_trusted: [Lists.Example.NET]}\n"));
    assert_int_equal(config.trust.mode, VERDICT_OBSERVE);
    assert_string_equal(config.trust.junk_folder, "Spam");
    assert_string_equal(config.trust.arc_trusted[0], "lists.example.net");
    config_free(&config);
    assert_true(parse(BASE "trust: {mode: off}\n"));
    assert_int_equal(config.trust.mode, VERDICT_OFF);
    config_free(&config);
    REFUSED(BASE "trust: {mode: reject}\n", 2, "reject", "enforce, observe, off");
    REFUSED(BASE "trust:\n  arc_trusted: [localhost]\n", 3, "localhost", "ARC-Seal");
    REFUSED(BASE "trust:\n  arc_trusted: [192.0.2.1]\n", 3, "192.0.2.1", "ARC-Seal");
    REFUSED(BASE "trust:\n  arc_trusted: [b\xC3\xBC.example]\n", 3, "example", "ASCII");
    REFUSED(BASE "trust:\n  arc_trusted: [\"*.example.net\"]\n", 3, "*.example.net", "domain");
}

static void reports_to_others_are_off(void **state)
{
    char text[400], from[CONFIG_REPORT_FROM_MAX + 2];
    assert_true(parse(BASE) && !config_sends_reports(&config, "tls") && config.trust.reports.from == NULL);
    config_free(&config);
    assert_true(parse(BASE "trust: {reports: {send: [tls], from: a@Reports.example.org, exclude: "
                           "[Example.NET]}}\n"));
    assert_true(config_sends_reports(&config, "tls") && !config_sends_reports(&config, "dmarc"));
    assert_string_equal(config.trust.reports.from, "a@Reports.example.org");
    assert_true(config_excludes_reports(&config, BYTES("example.net")) &&
                !config_excludes_reports(&config, BYTES("a.example.net")));
    config_free(&config);
    REFUSED(BASE "trust:\n  reports: {send: [arf]}\n", 3, "arf", "use [tls]");
    REFUSED(BASE "trust:\n  reports: {exclude: [\"*.a.test\"]}\n", 3, "*.a.test", "domain");
    static const char *const wrong[] = {"a",       "@b.test",         "a@b",        "a@b@c.test",
                                        "a b@c.d", "<a@b.test>",      "a,b@c.test", "a@[192.0.2.1]",
                                        "a@",      "b\xC3\xBC@c.test"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        snprintf(text, sizeof text, BASE "trust: {reports: {from: \"%s\"}}\n", wrong[i]);
        REFUSED(text, 2, wrong[i], "is not an address");
    }
    memset(from, 'a', sizeof from);
    memcpy(from + CONFIG_REPORT_FROM_MAX - 7, "@b.test", 8);
    snprintf(text, sizeof text, BASE "trust: {reports: {from: %s}}\n", from);
    assert_true(parse(text));
    config_free(&config);
    memset(from, 'a', sizeof from);
    memcpy(from + CONFIG_REPORT_FROM_MAX - 6, "@b.test", 8);
    snprintf(text, sizeof text, BASE "trust: {reports: {from: %s}}\n", from);
    REFUSED(text, 2, "aaa", "is not an address");
}

static void the_junk_folder_has_a_name_of_its_own(void **state)
{
    char text[160], name[CONFIG_JUNK_FOLDER_MAX + 2] = "";
    static const char *const wrong[] = {"INBOX",     "inbox", "a.b", "../x", "a/b",
                                        "Junk Mail", "%u",    "~",   "&AOQ-"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        snprintf(text, sizeof text, BASE "trust: {junk_folder: \"%s\"}\n", wrong[i]);
        REFUSED(text, 2, wrong[i], "use Junk or Spam");
    }
    memset(name, 'j', CONFIG_JUNK_FOLDER_MAX);
    snprintf(text, sizeof text, BASE "trust: {junk_folder: %s}\n", name);
    assert_true(parse(text));
    config_free(&config);
    name[CONFIG_JUNK_FOLDER_MAX] = 'j';
    snprintf(text, sizeof text, BASE "trust: {junk_folder: %s}\n", name);
    REFUSED(text, 2, "junk_folder", "at most 64");
}

static void signing_keys_have_an_algorithm_a_selector_and_an_age(void **state)
{
    char text[200];
    assert_true(parse(BASE));
    assert_int_equal(config.dkim.algorithm_count, 1);
    assert_true(config_has_algorithm(&config, DKIM_RSA_SHA256));
    assert_false(config_has_algorithm(&config, DKIM_ED25519_SHA256));
    assert_string_equal(config.dkim.selector, "auto");
    assert_int_equal(config.dkim.rotate_ms, 180 * (uint64_t)86400000);
    config_free(&config);
    assert_true(parse(BASE "dkim: {algorithms: [ED25519, RSA], selector: Mail, rotate: never}\n"));
    assert_true(config_has_algorithm(&config, DKIM_ED25519_SHA256));
    assert_string_equal(config.dkim.selector, "mail");
    assert_int_equal(config.dkim.rotate_ms, 0);
    config_free(&config);
    assert_true(parse(BASE "dkim: {algorithms: [], rotate: 1d}\n"));
    assert_false(config_has_algorithm(&config, DKIM_RSA_SHA256));
    config_free(&config);
    REFUSED(BASE "dkim: {algorithms: [dsa]}\n", 2, "dsa", "[rsa, ed25519]");
    REFUSED(BASE "dkim: {algorithms: [ed25519]}\n", 2, "ed25519", "[rsa, ed25519]");
    REFUSED(BASE "dkim: {algorithms: [rsa, RSA]}\n", 2, "duplicate", "RSA");
    REFUSED(BASE "dkim:\n  rotate: 23h\n", 3, "dkim.rotate", "out of range");
    REFUSED(BASE "dkim:\n  rotate: often\n", 3, "often", "or never");
    REFUSED(BASE "dkim: {selector: ../x}\n", 2, "../x", "auto");
    REFUSED(BASE "queue: {warn_after: never}\n", 2, "never", "a time such as");
    snprintf(text, sizeof text, BASE "dkim: {selector: %059d}\n", 1);
    assert_true(parse(text));
    config_free(&config);
    snprintf(text, sizeof text, BASE "dkim: {selector: %060d}\n", 1);
    REFUSED(text, 2, "0001", "at most 59");
}

static bool forwards(const char *address, const char *name)
{
    struct route_address client = route_literal(bytes_of_text(address));
    return config_is_forwarder(&config, &client, bytes_of_text(name));
}

static void forwarders_are_addresses_networks_and_names(void **state)
{
    assert_true(parse(BASE "trust: {forwarders: [192.0.2.7, 10.0.0.0/8, \"2001:db8::/32\", MX.example.net, "
                           "\"*.Out.example.com\"]}\n"));
    assert_true(forwards("192.0.2.7", ""));
    assert_false(forwards("192.0.2.8", ""));
    assert_true(forwards("10.255.0.1", "any.example"));
    assert_true(forwards("2001:db8:1::1", ""));
    assert_false(forwards("2001:db9::1", ""));
    assert_true(forwards("198.51.100.1", "mx.EXAMPLE.net"));
    assert_true(forwards("198.51.100.1", "mx.example.net."));
    assert_false(forwards("198.51.100.1", "a.mx.example.net"));
    assert_false(forwards("198.51.100.1", "xmx.example.net"));
    assert_true(forwards("198.51.100.1", "a.out.example.com"));
    assert_true(forwards("198.51.100.1", "b.a.out.example.com"));
    assert_false(forwards("198.51.100.1", "out.example.com"));
    assert_false(forwards("198.51.100.1", "about.example.com"));
    assert_false(forwards("198.51.100.1", ".out.example.com"));
    config_free(&config);
    assert_true(parse(BASE));
    assert_false(forwards("198.51.100.1", ""));
    config_free(&config);
    REFUSED(BASE "trust: {forwarders: [0.0.0.0/0]}\n", 2, "0.0.0.0/0", "at least /8");
    REFUSED(BASE "trust: {forwarders: [8.0.0.0/7]}\n", 2, "8.0.0.0/7", "at least /8");
    REFUSED(BASE "trust: {forwarders: [\"2000::/15\"]}\n", 2, "2000::/15", "at least /16");
    REFUSED(BASE "trust: {forwarders: [192.0.2.300]}\n", 2, "192.0.2.300", "mx.example.net");
    REFUSED(BASE "trust: {forwarders: [192.0.2.1/24]}\n", 2, "192.0.2.1/24", "beyond its prefix");
    REFUSED(BASE "trust: {forwarders: [\"*\"]}\n", 2, "'*'", "mx.example.net");
    REFUSED(BASE "trust: {forwarders: [\"*.net\"]}\n", 2, "*.net", "mx.example.net");
}

static void broken_yaml_is_told_with_its_line(void **state)
{
    REFUSED(BASE "domains: [a\nlimits: {\n", 3, "YAML", "");
    REFUSED(BASE "\tdomains: x\n", 2, "YAML", "");
}

static void every_key_is_documented(void **state)
{
    for (size_t i = 0; i < config_key_count; i++)
        assert_true(config_keys[i].path[0] != '\0' && strlen(config_keys[i].about) > 5);
    for (size_t i = 0; i < listener_key_count; i++)
        assert_true(listener_keys[i].path[0] != '\0' && strlen(listener_keys[i].about) > 3);
}

/* ---- nothing of a command is left in memory ---- */

enum { MARK = 48, PIECE = 12, VEIL = 0x55, REGION_MAX = 64 << 20, LINE_ROOM = 512 };

/* Veiled, so that the mark itself does not occur in this program. */
static void make_mark(char veiled[MARK])
{
    for (int i = 0; i < MARK; i++)
        veiled[i] = (char)(("abcdefghijklmnopqrstuvwxyz0123456789"[(i * 7 + i / 5) % 36]) ^ VEIL);
}

/* Searches any piece of it: a reallocated buffer leaves its beginning behind. */
static bool holds_a_piece(const char *at, size_t length, const char veiled[MARK])
{
    for (size_t i = 0; i + PIECE <= length; i++)
        for (size_t k = 0; k + PIECE <= MARK; k += PIECE) {
            size_t same = 0;
            while (same < PIECE && (at[i + same] ^ VEIL) == veiled[k + same])
                same++;
            if (same == PIECE)
                return true;
        }
    return false;
}

/* Searches all writable memory of this process. */
static bool memory_holds_a_piece(const char veiled[MARK])
{
    char line[LINE_ROOM], rights[8];
    unsigned long start, end;
    bool found = false;
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    char *room = mmap(NULL, REGION_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_true(memory >= 0 && room != MAP_FAILED && maps != NULL);
    while (!found && fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) != 3 || rights[1] != 'w' ||
            end - start > REGION_MAX || (start <= (unsigned long)room && (unsigned long)room < end))
            continue;
        ssize_t got = pread(memory, room, end - start, (off_t)start);
        found = got > 0 && holds_a_piece(room, (size_t)got, veiled);
    }
    fclose(maps);
    munmap(room, REGION_MAX);
    close(memory);
    return found;
}

static void write_with_mark(const char *path, const char *text, const char veiled[MARK])
{
    enum { ROOM = 4096 };
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char *room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t length = 0;
    assert_true(file >= 0 && room != MAP_FAILED);
    for (; *text != '\0'; text++)
        if (*text == '@')
            for (int i = 0; i < MARK; i++)
                room[length++] = (char)(veiled[i] ^ VEIL);
        else
            room[length++] = *text;
    assert_int_equal(write(file, room, length), (ssize_t)length);
    munmap(room, ROOM);
    close(file);
}

static void nothing_of_a_command_is_left_in_memory(void **state)
{
#define SMARTHOST BASE "relay:\n  smarthost:\n    host: a.example\n    user: u\n    "
    static const struct {
        const char *text;
        bool fine;
    } files[] = {{SMARTHOST "password_command: echo @\n", true},
                 {SMARTHOST "token_command: \"printf '%s' \\\"@\\\"\"\n", true},
                 {SMARTHOST "token_command: 'echo @ @'\n", true},
                 {SMARTHOST "token_command: >-\n      echo\n      @\n", true},
                 {BASE "relay: {smarthost: {host: a.example, user: u, password_command: &a \"@\"}}\n", true},
                 {SMARTHOST "password_command: echo @\nnonsense: 5\n", false},
                 {SMARTHOST "password_command: echo @\n    token_command: echo @\n", false},
                 {SMARTHOST "password_command: \"echo @\n", false},
                 {SMARTHOST "password: @\n", false},
                 {"# @\n" BASE, true}};
    char veiled[MARK], path[] = "/tmp/mailboat-config-XXXXXX";
    make_mark(veiled);
    close(mkstemp(path));
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        write_with_mark(path, files[i].text, veiled);
        bool read = config_load(&config, path, &error);
        assert_int_equal(read, files[i].fine);
        if (read && config.relay.smarthost.user != NULL) {
            assert_true(memory_holds_a_piece(veiled)); /* else this looks for the wrong thing */
            config_forget_secrets(&config);
            assert_true(config.relay.smarthost.password_command != NULL ||
                        config.relay.smarthost.token_command != NULL);
        }
        if (memory_holds_a_piece(veiled))
            fail_msg("a piece is left of: %s", files[i].text);
        if (read)
            config_free(&config);
    }
    unlink(path);
}

static void a_policy_is_published_unless_it_is_off(void **state)
{
    assert_true(parse(BASE));
    struct sts_settings sts = config_sts_settings(&config);
    assert_true(sts.mode == STS_SETTING_ENFORCE && sts.max_age_s == 7 * 86400 && sts.mx_count == 0);
    config_free(&config);
    assert_true(parse(BASE "mta_sts: {mode: off, max_age: 1d, mx: [mx.example.net, \"*.example.net\"]}\n"));
    sts = config_sts_settings(&config);
    assert_true(sts.mode == STS_SETTING_OFF && sts.max_age_s == 86400 && sts.mx_count == 2);
    config_free(&config);
    assert_true(parse(BASE "mta_sts: {max_age: 365d}\n"));
    config_free(&config);
    REFUSED(BASE "mta_sts:\n  mode: strict\n", 3, "strict", "testing");
    REFUSED(BASE "mta_sts:\n  max_age: 23h\n", 3, "23h", "");
    REFUSED(BASE "mta_sts:\n  max_age: 366d\n", 3, "366d", "");
    REFUSED(BASE "mta_sts:\n  mx: [192.0.2.1]\n", 3, "192.0.2.1", "*.example.org");
    REFUSED(BASE "mta_sts:\n  mx: [\"*\"]\n", 3, "*", "name of a server");
    REFUSED(BASE "mta_sts:\n  mx: [\"mx.*.example\"]\n", 3, "mx.*", "name of a server");
    REFUSED(BASE "mta_sts:\n  mx: [localhost]\n", 3, "localhost", "name of a server");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_lines_are_a_server),
        cmocka_unit_test(the_role_of_port_25_is_mx_and_was_relay),
        cmocka_unit_test(what_is_shown_can_be_read_back),
        cmocka_unit_test(a_policy_is_published_unless_it_is_off),
        cmocka_unit_test(signing_keys_have_an_algorithm_a_selector_and_an_age),
        cmocka_unit_test(routes_by_domain),
        cmocka_unit_test(local_users_have_rules_of_their_own),
        cmocka_unit_test(unknown_keys_are_found_with_the_one_that_was_meant),
        cmocka_unit_test(each_type_has_its_words),
        cmocka_unit_test(a_long_data_folder_is_read_back),
        cmocka_unit_test(a_domain_has_its_tls_policy),
        cmocka_unit_test(mail_is_handed_to_a_socket_or_an_address),
        cmocka_unit_test(limits_hold_at_them_and_one_past),
        cmocka_unit_test(what_contradicts_itself_is_refused),
        cmocka_unit_test(mail_authentication_has_its_defaults),
        cmocka_unit_test(reports_to_others_are_off),
        cmocka_unit_test(the_junk_folder_has_a_name_of_its_own),
        cmocka_unit_test(forwarders_are_addresses_networks_and_names),
        cmocka_unit_test(broken_yaml_is_told_with_its_line),
        cmocka_unit_test(every_key_is_documented),
        cmocka_unit_test(nothing_of_a_command_is_left_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
