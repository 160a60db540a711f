/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine says of itself, read from trees that are made for it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/firewall.h"
#include "io/machine.h"
#include "unit.h"

static char root[64];
static char *no_environment[] = {NULL};

/* ---- a tree ---- */

static void make_folders(const char *path)
{
    char part[256];
    for (const char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        mkdir(part, 0755);
    }
}

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s", root, name);
    make_folders(path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int start_tree(void **state)
{
    snprintf(root, sizeof root, "/tmp/machine-XXXXXX");
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int end_tree(void **state)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static struct fact_machine facts_with(char *const *environment)
{
    struct fact_machine facts;
    machine_facts_of(root, environment, &facts);
    return facts;
}

#define ROUTES "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
#define NOWHERE "00000000000000000000000000000000"

/* ---- the tests ---- */

static void an_empty_tree_tells_nothing_and_lies_about_nothing(void **state)
{
    struct fact_machine facts = facts_with(no_environment);
    assert_int_equal(facts.route_4, KNOWN_NOT);
    assert_int_equal(facts.route_6, KNOWN_NOT);
    assert_int_equal(facts.container, KNOWN_NO);
    assert_int_equal(facts.virtual_network, KNOWN_NOT);
    assert_null(facts.network);
    assert_int_equal(facts.proxy_set, KNOWN_NO);
    assert_int_equal(facts.ca_bundle, KNOWN_NO);
    assert_int_equal(facts.panel_cpanel, KNOWN_NO);
    assert_string_equal(facts.resolver, "");
    assert_int_equal(facts.clock_right, KNOWN_NOT);
}

static void the_default_route_of_the_best_metric_counts(void **state)
{
    put("/proc/net/route", ROUTES "eth1\t00000000\t0102A8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0\n"
                                  "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
                                  "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n");
    put("/sys/class/net/eth0/mtu", "1400\n");
    put("/sys/class/net/eth0/type", "1\n");
    put("/sys/class/net/eth1/mtu", "1500\n");
    put("/proc/net/ipv6_route",
        NOWHERE " 00 " NOWHERE " 00 " NOWHERE " ffffffff 00000001 00000000 00200200       lo\n");
    struct fact_machine facts = facts_with(no_environment);
    assert_int_equal(facts.route_4, KNOWN_YES);
    assert_int_equal(facts.route_6, KNOWN_NO);
    assert_int_equal(facts.mtu, 1400);
    assert_int_equal(facts.virtual_network, KNOWN_NO);
    assert_string_equal(facts.tunnel, "");
}

static void a_vpn_is_seen_in_either_family_and_in_two_halves(void **state)
{
    put("/proc/net/route", ROUTES "tun0\t00000000\t0100080A\t0003\t0\t0\t0\t00000080\t0\t0\t0\n"
                                  "tun0\t00000080\t0100080A\t0003\t0\t0\t0\t00000080\t0\t0\t0\n"
                                  "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
    put("/sys/class/net/tun0/mtu", "1300\n");
    struct fact_machine facts = facts_with(no_environment);
    assert_int_equal(facts.virtual_network, KNOWN_YES);
    assert_string_equal(facts.tunnel, "tun0");
    assert_int_equal(facts.mtu, 1300);

    put("/proc/net/route", ROUTES);
    put("/proc/net/ipv6_route",
        NOWHERE " 00 " NOWHERE " 00 " NOWHERE " 00000400 00000001 00000000 00000001      office\n");
    put("/sys/class/net/office/type", "65534\n");
    facts = facts_with(no_environment);
    assert_int_equal(facts.route_4, KNOWN_NO);
    assert_int_equal(facts.route_6, KNOWN_YES);
    assert_int_equal(facts.virtual_network, KNOWN_YES);
    assert_string_equal(facts.tunnel, "office");
}

static void a_line_of_ppp_is_a_tunnel_and_perhaps_no_vpn(void **state)
{
    put("/proc/net/route", ROUTES "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n");
    put("/sys/class/net/ppp0/mtu", "1492\n");
    put("/sys/class/net/ppp0/type", "512\n");
    struct fact_machine facts = facts_with(no_environment);
    assert_string_equal(facts.tunnel, "ppp0");
    assert_int_equal(facts.mtu, 1492);
    assert_int_equal(facts.virtual_network, KNOWN_NOT);
}

static void a_route_that_rejects_is_none(void **state)
{
    put("/proc/net/route", ROUTES "*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n"
                                  "broken line\n\n");
    assert_int_equal(facts_with(no_environment).route_4, KNOWN_NO);
}

static void firmware_and_environment_name_the_network(void **state)
{
    put("/sys/class/dmi/id/sys_vendor", "DigitalOcean\n");
    put("/sys/class/dmi/id/product_name", "Droplet\n");
    struct fact_machine facts = facts_with(no_environment);
    assert_non_null(facts.network);
    assert_string_equal(facts.network->name, "DigitalOcean");
    assert_string_equal(facts.network_sign, "sys_vendor DigitalOcean");

    char *railway[] = {(char[]){"PATH=/bin"}, (char[]){"RAILWAY_ENVIRONMENT_NAME=production"}, NULL};
    facts = facts_with(railway); /* a platform on a cloud */
    assert_string_equal(facts.network->name, "Railway");
    assert_string_equal(facts.network_sign, "environment variable RAILWAY_ENVIRONMENT_NAME");
}

static void containers_and_panels_leave_their_marks(void **state)
{
    put("/proc/1/cgroup", "0::/kubepods/besteffort/pod1\n");
    put("/usr/local/cpanel/version", "11");
    put("/etc/csf/csf.conf", "SMTP_BLOCK = \"1\"\n");
    struct fact_machine facts = facts_with(no_environment);
    assert_int_equal(facts.container, KNOWN_YES);
    assert_int_equal(facts.panel_cpanel, KNOWN_YES);
    assert_int_equal(facts.panel_csf, KNOWN_YES);
    assert_int_equal(facts.panel_directadmin, KNOWN_NO);
    put("/proc/1/cgroup", "0::/init.scope\n");
    assert_int_equal(facts_with(no_environment).container, KNOWN_NO);
    put("/.dockerenv", "");
    assert_int_equal(facts_with(no_environment).container, KNOWN_YES);
}

static void a_proxy_s_password_is_never_kept(void **state)
{
    static const struct {
        const char *variable, *kept;
    } cases[] = {
        {"https_proxy=http://ada:secret@proxy.example:3128/", "https_proxy=http://proxy.example:3128/"},
        {"HTTP_PROXY=ada:sec@ret@proxy.example:3128", "HTTP_PROXY=proxy.example:3128"},
        {"all_proxy=socks5://127.0.0.1:1080", "all_proxy=socks5://127.0.0.1:1080"},
        {"http_proxy=", ""},
        {"http_proxyx=http://ada:secret@x", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char *environment[] = {(char *)(uintptr_t)cases[i].variable, NULL};
        struct fact_machine facts = facts_with(environment);
        assert_string_equal(facts.proxy, cases[i].kept);
        assert_int_equal(facts.proxy_set, cases[i].kept[0] == '\0' ? KNOWN_NO : KNOWN_YES);
    }
}

static void certificates_are_counted_and_resolvers_listed(void **state)
{
    put("/etc/ssl/certs/ca-certificates.crt",
        "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"
        "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n");
    put("/etc/resolv.conf", "# nameserver 192.0.2.9\nnameserver 192.0.2.1\n  nameserver\t2001:db8::1 "
                            "\nnameserverx 1\nnameserver\n");
    struct fact_machine facts = facts_with(no_environment);
    assert_int_equal(facts.ca_bundle, KNOWN_YES);
    assert_int_equal(facts.ca_count, 2);
    assert_int_equal(facts.ca_age_days, 0);
    assert_string_equal(facts.resolver, "192.0.2.1, 2001:db8::1");
    put("/etc/ssl/certs/ca-certificates.crt", "");
    assert_int_equal(facts_with(no_environment).ca_bundle, KNOWN_NO);
}

static void listeners_are_read_from_both_tables(void **state)
{
    struct fact_machine facts = {0};
    firewall_listeners(root, &facts);
    assert_int_equal(facts.listeners_read, KNOWN_NOT);
    put("/proc/net/tcp",
        "  sl  local_address rem_address   st tx_queue rx_queue\n"
        "   0: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n"
        "   1: 00000000:024B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1\n"
        "   2: 0100007F:01D1 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 3 1\n"
        "   3: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4 1\n");
    put("/proc/net/tcp6",
        "  sl  local_address                         remote_address                        st\n"
        "   0: 00000000000000000000000001000000:0019 00000000000000000000000000000000:0000 0A 0:0\n"
        "   1: 0000000000000000FFFF00000100007F:09DD 00000000000000000000000000000000:0000 0A 0:0\n");
    firewall_listeners(root, &facts);
    assert_int_equal(facts.listeners_read, KNOWN_YES);
    assert_int_equal(facts.listener_count, 3);
    assert_true(facts.listeners[0].port == 25 && facts.listeners[0].loopback_only);
    assert_true(facts.listeners[1].port == 587 && !facts.listeners[1].loopback_only);
    assert_true(facts.listeners[2].port == 2525 && facts.listeners[2].loopback_only);
    put("/proc/net/tcp6",
        "x\n   0: 00000000000000000000000000000000:0019 00000000000000000000000000000000:0000 0A 0:0\n");
    firewall_listeners(root, &facts);
    assert_true(facts.listeners[0].port == 25 && !facts.listeners[0].loopback_only);
}

static void this_machine_has_its_own_addresses(void **state)
{
    struct route_address loopback = {.octets = {127, 0, 0, 1}}, stranger = {.octets = {192, 0, 2, 77}};
    struct fact_machine facts;
    assert_int_equal(machine_has_address(&loopback), KNOWN_YES);
    assert_int_equal(machine_has_address(&stranger), KNOWN_NO);
    machine_facts(&facts);
    firewall_facts(&facts);
    assert_int_not_equal(facts.route_4, KNOWN_NOT);
    assert_int_equal(facts.listeners_read, KNOWN_YES);
}

static void the_hosts_file_is_read_for_one_name(void **state)
{
    char address[FACTS_ADDRESS_MAX];
    machine_hosts_address_of(root, "mail.example.org", address);
    assert_string_equal(address, ""); /* there is none */
    put("/etc/hosts", "127.0.0.1 localhost # mail.example.org\n# 192.0.2.9 mail.example.org\n"
                      "not-an-address mail.example.org\n\t127.0.1.1\tweb01  MAIL.example.org\r\n"
                      "192.0.2.8 mail.example.org\n2001:DB8:0::7 six.example.org");
    machine_hosts_address_of(root, "mail.example.org", address);
    assert_string_equal(address, "127.0.1.1");
    machine_hosts_address_of(root, "six.example.org", address);
    assert_string_equal(address, "2001:db8::7");
    machine_hosts_address_of(root, "example.org", address);
    assert_string_equal(address, "");
}

int main(void)
{
#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, start_tree, end_tree)
    const struct CMUnitTest tests[] = {
        IN_TREE(an_empty_tree_tells_nothing_and_lies_about_nothing),
        IN_TREE(the_default_route_of_the_best_metric_counts),
        IN_TREE(a_vpn_is_seen_in_either_family_and_in_two_halves),
        IN_TREE(a_line_of_ppp_is_a_tunnel_and_perhaps_no_vpn),
        IN_TREE(a_route_that_rejects_is_none),
        IN_TREE(firmware_and_environment_name_the_network),
        IN_TREE(containers_and_panels_leave_their_marks),
        IN_TREE(a_proxy_s_password_is_never_kept),
        IN_TREE(certificates_are_counted_and_resolvers_listed),
        IN_TREE(the_hosts_file_is_read_for_one_name),
        IN_TREE(listeners_are_read_from_both_tables),
        cmocka_unit_test(this_machine_has_its_own_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
