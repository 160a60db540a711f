/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* pipe2() */
#include "io/firewall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"

/* ---- the tools ---- */

/* Reads until the end, the bound or the deadline; false when it is not whole. */
static bool collect(int from, uint64_t deadline_ms, struct buffer *out)
{
    char room[16 * 1024];
    for (;;) {
        uint64_t now = clock_now_ms();
        struct pollfd ready = {.fd = from, .events = POLLIN};
        if (now >= deadline_ms || poll(&ready, 1, (int)(deadline_ms - now)) <= 0)
            return false;
        ssize_t got = read(from, room, sizeof room);
        if (got == 0)
            return true;
        if (got < 0 && errno != EINTR)
            return false;
        if (got > 0)
            buffer_add(out, bytes_of(room, (size_t)got));
        if (out->length > FIREWALL_OUTPUT_MAX)
            return false;
    }
}

static pid_t start_tool(const char *const *arguments, int out)
{
    static char *const no_environment[] = {NULL};
    posix_spawn_file_actions_t files;
    pid_t child = -1;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    if (posix_spawn(&child, arguments[0], &files, NULL, (char *const *)(uintptr_t)arguments,
                    no_environment) != 0)
        child = -1;
    posix_spawn_file_actions_destroy(&files);
    return child;
}

/* Reads the tool's output; false if it is missing, fails, or times out and is killed. */
static bool run_tool(const char *const *arguments, uint64_t deadline_ms, struct buffer *out)
{
    int ends[2], status = -1;
    buffer_clear(out);
    if (access(arguments[0], X_OK) != 0 || pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pid_t child = start_tool(arguments, ends[1]);
    close(ends[1]);
    bool whole = child > 0 && collect(ends[0], deadline_ms, out);
    close(ends[0]);
    if (child > 0 && !whole)
        kill(child, SIGKILL);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return whole && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void read_rules(struct fact_machine *facts)
{
    static const char *const nft[] = {"/usr/sbin/nft", "-j", "list", "ruleset", NULL};
    static const char *const iptables[] = {"/usr/sbin/iptables-save", NULL};
    static const char *const ip6tables[] = {"/usr/sbin/ip6tables-save", NULL};
    struct firewall_rules rules = {0};
    struct buffer out = {0};
    uint64_t deadline_ms = clock_now_ms() + FIREWALL_TOOL_MS;
    bool read = run_tool(nft, deadline_ms, &out) && firewall_nft_read(&rules, buffer_bytes(&out));
    if (run_tool(iptables, deadline_ms, &out)) {
        firewall_iptables_read(&rules, buffer_bytes(&out), "iptables");
        read = true;
    }
    if (run_tool(ip6tables, deadline_ms, &out)) {
        firewall_iptables_read(&rules, buffer_bytes(&out), "ip6tables");
        read = true;
    }
    facts->rules_read = read ? KNOWN_YES : KNOWN_NOT;
    if (read)
        firewall_rules_judge(&rules, facts);
    firewall_rules_free(&rules);
    buffer_free(&out);
}

/* ---- listeners ---- */

/* As the kernel prints them: 32 bits at a time, in this machine's order. */
static bool is_loopback(const char *hex)
{
    unsigned word;
    size_t length = strlen(hex);
    if (length == 32 && strncmp(hex, "0000000000000000FFFF0000", 24) != 0)
        return strcmp(hex, "00000000000000000000000001000000") == 0;
    return length >= 8 && sscanf(hex + length - 8, "%8x", &word) == 1 &&
           ((const unsigned char *)&word)[0] == 127;
}

static void add_listener(struct fact_machine *facts, uint16_t port, bool loopback)
{
    for (size_t i = 0; i < facts->listener_count; i++)
        if (facts->listeners[i].port == port) {
            facts->listeners[i].loopback_only = facts->listeners[i].loopback_only && loopback;
            return;
        }
    if (facts->listener_count == FACTS_LISTENERS_MAX)
        return;
    facts->listeners[facts->listener_count].port = port;
    facts->listeners[facts->listener_count++].loopback_only = loopback;
}

static bool read_table(const char *root, const char *name, struct fact_machine *facts)
{
    enum { LISTENING = 0x0a };
    char path[PATH_MAX], line[512], address[33];
    unsigned port, state;
    snprintf(path, sizeof path, "%s/proc/net/%s", root, name);
    FILE *table = fopen(path, "re");
    if (table == NULL)
        return false;
    while (fgets(line, sizeof line, table) != NULL)
        if (sscanf(line, " %*[0-9]: %32[0-9A-F]:%4x %*32[0-9A-F]:%*4x %2x", address, &port, &state) == 3 &&
            state == LISTENING && network_bit((uint16_t)port) != 0)
            add_listener(facts, (uint16_t)port, is_loopback(address));
    fclose(table);
    return true;
}

void firewall_listeners(const char *root, struct fact_machine *facts)
{
    facts->listener_count = 0;
    bool four = read_table(root, "tcp", facts);
    read_table(root, "tcp6", facts); /* not there without IPv6 */
    facts->listeners_read = four ? KNOWN_YES : KNOWN_NOT;
}

void firewall_facts(struct fact_machine *facts)
{
    facts->rule_count = 0;
    facts->rules_read = KNOWN_NOT;
    if (geteuid() == 0)
        read_rules(facts);
    firewall_listeners("", facts);
}
