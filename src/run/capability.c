/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/capability.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

enum { PRIVILEGED_PORTS = 1024 };

bool capability_is_held(int number)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{0}};
    return syscall(SYS_capget, &header, sets) == 0 &&
           (sets[number / 32].effective & 1u << (number % 32)) != 0;
}

/* ---- when each is needed ---- */

static bool always(const struct config *config)
{
    return true;
}

static bool has_low_ports(const struct config *config)
{
    unsigned first = PRIVILEGED_PORTS;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
    if (file != NULL && fscanf(file, "%u", &first) != 1)
        first = PRIVILEGED_PORTS;
    if (file != NULL)
        fclose(file);
    for (size_t i = 0; i < config->listener_count; i++)
        if (config->listeners[i].port < first)
            return true;
    return false;
}

static const struct {
    int number;
    const char *name;
    bool (*is_needed)(const struct config *config);
    const char *without; /* NULL: the server does not start */
} rows[] = {
    {CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", has_low_ports, NULL},
    {CAP_CHOWN, "CAP_CHOWN", always, NULL},
    {CAP_SETUID, "CAP_SETUID", always, NULL},
    {CAP_SETGID, "CAP_SETGID", always, NULL},
    {CAP_KILL, "CAP_KILL", always, "a process that hangs cannot be ended"},
    {CAP_SYS_CHROOT, "CAP_SYS_CHROOT", always, "the processes keep their root directory"},
};

bool capability_check(const struct config *config, struct buffer *warnings, struct error *error)
{
    struct buffer missing = {0};
    size_t count = 0;
    if (geteuid() != 0)
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (capability_is_held(rows[i].number) || !rows[i].is_needed(config))
            continue;
        if (rows[i].without != NULL)
            buffer_add_format(warnings, "the capability %s is missing: %s\n", rows[i].name, rows[i].without);
        else
            buffer_add_format(&missing, "%s%s", count++ == 0 ? "" : ", ", rows[i].name);
    }
    if (count > 0)
        error_set(error, EX_NOPERM,
                  "root lacks the %s %s; give %s to the container (cap_add, --cap-add), or run the server as "
                  "another user with ports that this user may open",
                  count == 1 ? "capability" : "capabilities", buffer_text(&missing),
                  count == 1 ? "it" : "them");
    buffer_free(&missing);
    return count == 0;
}
