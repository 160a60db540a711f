/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/port25_monitor.h"

bool direct_reached(struct direct *direct)
{
    bool was_blocked = direct->blocked;
    *direct = (struct direct){.worked = true};
    return was_blocked;
}

static bool is_known(const struct direct *direct, const struct direct_server *server)
{
    for (size_t i = 0; i < direct->silent_count; i++)
        if (direct->silent[i].six == server->six && memcmp(direct->silent[i].octets, server->octets, server->six ? 16 : 4) == 0)
            return true;
    return false;
}

bool direct_was_silent(struct direct *direct, const struct direct_server *server, uint64_t now_ms)
{
    if (direct->blocked || is_known(direct, server))
        return false;
    direct->silent[direct->silent_count++] = *server;
    if (direct->silent_count < DIRECT_SILENT_MAX)
        return false;
    direct->blocked = true;
    direct->worked = false;
    direct->probe_ms = now_ms + DIRECT_PROBE_MS;
    return true;
}

const struct direct_server *direct_probe(struct direct *direct, uint64_t now_ms)
{
    if (!direct->blocked || now_ms < direct->probe_ms)
        return NULL;
    direct->probe_ms = now_ms + DIRECT_PROBE_MS;
    direct->probe_next = (direct->probe_next + 1) % direct->silent_count;
    return &direct->silent[direct->probe_next];
}
