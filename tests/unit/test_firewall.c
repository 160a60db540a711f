/* SPDX-License-Identifier: Apache-2.0 */
/* A firewall's rules, as its tools print them, and what they do to the four ports. */
#define _GNU_SOURCE /* unshare() */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/firewall.h"
#include "unit.h"

/* "25d 465j 587r": which port, and what is done: dropped, rejected, redirected */
static const char *seen(const struct fact_machine *facts)
{
    static char text[128];
    text[0] = '\0';
    for (size_t i = 0; i < facts->rule_count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u%c", i == 0 ? "" : " ",
                 (unsigned)facts->rules[i].port, "djr"[facts->rules[i].does]);
    return text;
}

struct rules_case {
    const char *text, *seen;
};

static void check_iptables(const struct rules_case *c)
{
    struct firewall_rules rules = {0};
    struct fact_machine facts = {0};
    firewall_iptables_read(&rules, bytes_of_text(c->text), "iptables");
    firewall_rules_judge(&rules, &facts);
    if (strcmp(seen(&facts), c->seen) != 0)
        fail_msg("%s: %s", c->text, seen(&facts));
    firewall_rules_free(&rules);
}

#define FILTER "*filter\n:INPUT DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n"

static const struct rules_case iptables_cases[] = {
    {"", ""},
    {FILTER "COMMIT\n", ""},
    {FILTER "-A OUTPUT -p tcp -m tcp --dport 25 -j DROP\n", "25d"},
    {FILTER "-A OUTPUT -p tcp -m multiport --dports 25,465,587 -j REJECT --reject-with tcp-reset\n",
     "25j 465j 587j"},
    {FILTER "-A OUTPUT -p tcp -m tcp --dport 400:600 -j DROP\n", "465d 587d"},
    {FILTER "-A OUTPUT -p tcp -m tcp ! --dport 587 -j DROP\n", "25d 465d 2525d"},
    {FILTER "-A OUTPUT -p udp -m udp --dport 25 -j DROP\n-A INPUT -p tcp --dport 25 -j DROP\n", ""},
    /* what comes first counts */
    {FILTER "-A OUTPUT -p tcp --dport 25 -j ACCEPT\n-A OUTPUT -p tcp --dport 25 -j DROP\n", ""},
    {FILTER "-A OUTPUT -o lo -j ACCEPT\n-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
            "-A OUTPUT -p tcp --dport 25 -j REJECT\n",
     "25j"},
    /* a list of what may go out, as csf has it */
    {FILTER
     ":LOGDROPOUT - [0:0]\n"
     "-A OUTPUT ! -o lo -p tcp -m conntrack --ctstate NEW -m tcp --dport 25 -j ACCEPT\n"
     "-A OUTPUT ! -o lo -p tcp -m conntrack --ctstate NEW -m tcp --dport 587 -j ACCEPT\n"
     "-A OUTPUT ! -o lo -j LOGDROPOUT\n"
     "-A LOGDROPOUT -p tcp -m limit --limit 30/min -j LOG --log-prefix \"Firewall: *TCP_OUT* \" --log-uid\n"
     "-A LOGDROPOUT -j REJECT --reject-with icmp-port-unreachable\n",
     "465j 2525j"},
    {"*filter\n:OUTPUT DROP [0:0]\n-A OUTPUT -p tcp -m multiport --dports 587,465 -j ACCEPT\n", "25d 2525d"},
    /* cPanel's */
    {"*nat\n:OUTPUT ACCEPT [0:0]\n:cpanel_smtp - [0:0]\n"
     "-A OUTPUT -p tcp -m multiport --dports 25,465,587 -j cpanel_smtp\n"
     "-A cpanel_smtp -d 127.0.0.1/32 -j ACCEPT\n"
     "-A cpanel_smtp -m owner --gid-owner 12 -j RETURN\n"
     "-A cpanel_smtp -m owner --uid-owner 0 -j RETURN\n"
     "-A cpanel_smtp -p tcp -j REDIRECT\nCOMMIT\n",
     "25r 465r 587r"},
    {FILTER "-A OUTPUT -p tcp --dport 25 -m owner ! --uid-owner 0 -j REJECT\n", "25j"},
    /* a condition that is not known, and no port of ours in it */
    {FILTER
     "-A OUTPUT -m set --match-set bad dst -j DROP\n-A OUTPUT -d 192.0.2.1/32 -p tcp --dport 25 -j DROP\n",
     ""},
    {FILTER ":A - [0:0]\n:B - [0:0]\n-A OUTPUT -j A\n-A A -j B\n-A B -j A\n-A B -g A\n-A B -p tcp --dport 25 "
            "-j DROP\n",
     ""},
    {FILTER "-A OUTPUT -m comment --comment \"-p udp -j DROP\" -p tcp --dport 2525 -j DROP\n", "2525d"},
    {"-A\n-A \n-A OUTPUT\n:\n: \n*\n-A OUTPUT -j\n-A OUTPUT --comment \"\n-A OUTPUT --comment \"\\\n", ""},
};

static void iptables_save_is_read(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(iptables_cases); i++)
        check_iptables(&iptables_cases[i]);
}

/* `condition` is of each jump: one that is not known lets the walk go on behind it. */
static void check_a_jungle_of_jumps(const char *condition)
{
    struct buffer text = {0};
    buffer_add_text(&text, FILTER);
    for (int chain = 0; chain < 20; chain++)
        for (int i = 0; i < 20; i++)
            buffer_add_format(&text, "-A C%d %s -j C%d\n", chain, condition, chain + 1);
    buffer_add_text(&text, "-A OUTPUT -j C0\n");
    struct rules_case c = {buffer_text(&text), ""};
    check_iptables(&c);
    for (int i = 0; i < 2 * FIREWALL_RULES_MAX; i++)
        buffer_add_format(&text, "-A X%d -p tcp --dport 25 -j DROP\n", i);
    c.text = buffer_text(&text);
    check_iptables(&c); /* no room for all of them */
    buffer_free(&text);
}

static void a_jungle_of_jumps_ends(void **state)
{
    check_a_jungle_of_jumps("");
    check_a_jungle_of_jumps("-m owner --uid-owner 33");
}

#define NFT(rules)                                                                                       \
    "{\"nftables\": [{\"metainfo\": {\"json_schema_version\": 1}},"                                      \
    "{\"set\": {\"family\": \"inet\", \"name\": \"mail\", \"table\": \"t\", \"type\": \"inet_service\"," \
    " \"elem\": [25, {\"range\": [465, 587]}, {\"elem\": {\"val\": 2525, \"timeout\": 60}}]}},"          \
    "{\"chain\": {\"family\": \"inet\", \"table\": \"t\", \"name\": \"out\", \"type\": \"filter\","      \
    " \"hook\": \"output\", \"prio\": 0, \"policy\": \"accept\"}}" rules "]}"
#define RULE(expressions)                                                                                 \
    ", {\"rule\": {\"family\": \"inet\", \"table\": \"t\", \"chain\": \"out\", \"handle\": 7, \"expr\": " \
    "[" expressions "]}}"
#define DPORT(op, right)         \
    "{\"match\": {\"op\": \"" op \
    "\", \"left\": {\"payload\": {\"protocol\": \"tcp\", \"field\": \"dport\"}}, \"right\": " right "}}"

static const struct rules_case nft_cases[] = {
    {NFT(""), ""},
    {NFT(RULE(DPORT("==", "25") ", {\"drop\": null}")), "25d"},
    {NFT(RULE(DPORT("==", "{\"set\": [25, 587]}") ", {\"reject\": {\"type\": \"tcp reset\"}}")), "25j 587j"},
    {NFT(RULE(DPORT("==", "{\"range\": [400, 600]}") ", {\"drop\": null}")), "465d 587d"},
    {NFT(RULE(DPORT("==", "\"@mail\"") ", {\"counter\": {}}, {\"drop\": null}")), "25d 465d 587d 2525d"},
    {NFT(RULE(DPORT("==", "\"@nothing\"") ", {\"drop\": null}")), ""},
    {NFT(RULE(DPORT("!=", "443") ", {\"drop\": null}")), "25d 465d 587d 2525d"},
    {NFT(RULE(DPORT("==", "587") ", {\"redirect\": {\"port\": 25}}")), "587r"},
    {NFT(RULE("{\"xt\": null}, {\"drop\": null}")), ""},
    {NFT(RULE("{\"vmap\": {\"key\": {\"payload\": {\"protocol\": \"tcp\", \"field\": \"dport\"}},"
              " \"data\": {\"set\": [[25, {\"drop\": null}], [587, {\"accept\": null}]]}}}")),
     "25d"},
    {"{\"nftables\": [[], 1, {\"rule\": {}}, {\"rule\": {\"expr\": [1, {\"match\": {}}]}}, {\"chain\": {}}]}",
     ""},
};

static void nft_json_is_read(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(nft_cases); i++) {
        struct firewall_rules rules = {0};
        struct fact_machine facts = {0};
        assert_true(firewall_nft_read(&rules, bytes_of_text(nft_cases[i].text)));
        firewall_rules_judge(&rules, &facts);
        if (strcmp(seen(&facts), nft_cases[i].seen) != 0)
            fail_msg("%s: %s", nft_cases[i].text, seen(&facts));
        firewall_rules_free(&rules);
    }
    struct firewall_rules none = {0};
    assert_false(firewall_nft_read(&none, BYTES("")));
    assert_false(firewall_nft_read(&none, BYTES("[]")));
    assert_false(firewall_nft_read(&none, BYTES("{\"nftables\": 1}")));
    firewall_rules_free(&none);
}

/* ---- the real one, in a namespace of its own ---- */

static const char real_rules[] = "table inet t {\n"
                                 " set mail {\n  type inet_service\n  flags interval\n"
                                 "  elements = { 465, 2000-3000 }\n }\n"
                                 " chain other {\n  tcp dport 587 reject with tcp reset\n }\n"
                                 " chain out {\n  type filter hook output priority 0; policy accept;\n"
                                 "  oifname \"lo\" accept\n  ct state established,related accept\n"
                                 "  tcp dport @mail counter drop\n  jump other\n }\n"
                                 " chain nat {\n  type nat hook output priority -100;\n"
                                 "  meta skuid != 0 tcp dport 25 redirect to :26\n }\n}\n";

/* 0: as it should be; 77: not allowed here; else wrong */
static int in_namespace(void)
{
    struct fact_machine facts = {0};
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0 || access("/usr/sbin/nft", X_OK) != 0)
        return 77;
    FILE *nft = popen("/usr/sbin/nft -f -", "we");
    if (nft == NULL || fputs(real_rules, nft) < 0 || pclose(nft) != 0)
        return 77;
    firewall_facts(&facts);
    if (facts.rules_read != KNOWN_YES || strcmp(seen(&facts), "25r 465d 587j 2525d") != 0) {
        print_error("%s\n", seen(&facts));
        return 1;
    }
    for (size_t i = 0; i < facts.rule_count; i++)
        print_message("%s\n", facts.rules[i].rule);
    return strstr(facts.rules[0].rule, "under a condition") != NULL ? 0 : 2;
}

static void the_kernel_s_own_rules_are_read(void **state)
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(in_namespace());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iptables_save_is_read),
        cmocka_unit_test(a_jungle_of_jumps_ends),
        cmocka_unit_test(nft_json_is_read),
        cmocka_unit_test(the_kernel_s_own_rules_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
