/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/port25_monitor.h"

bool port25_monitor_reached(struct port25_monitor *port25_monitor)
{
    bool was_blocked = port25_monitor->blocked;
    *port25_monitor = (struct port25_monitor){.worked = true};
    return was_blocked;
}

static bool is_known(const struct port25_monitor *port25_monitor, const struct port25_server *server)
{
    for (size_t i = 0; i < port25_monitor->silent_count; i++)
        if (port25_monitor->silent[i].six == server->six &&
            memcmp(port25_monitor->silent[i].octets, server->octets, server->six ? 16 : 4) == 0)
            return true;
    return false;
}

bool port25_monitor_was_silent(struct port25_monitor *port25_monitor, const struct port25_server *server,
                               uint64_t now_ms)
{
    if (port25_monitor->blocked || is_known(port25_monitor, server))
        return false;
    port25_monitor->silent[port25_monitor->silent_count++] = *server;
    if (port25_monitor->silent_count < PORT25_MONITOR_SILENT_MAX)
        return false;
    port25_monitor->blocked = true;
    port25_monitor->worked = false;
    port25_monitor->probe_ms = now_ms + PORT25_MONITOR_PROBE_MS;
    return true;
}

const struct port25_server *port25_monitor_probe(struct port25_monitor *port25_monitor, uint64_t now_ms)
{
    if (!port25_monitor->blocked || now_ms < port25_monitor->probe_ms)
        return NULL;
    port25_monitor->probe_ms = now_ms + PORT25_MONITOR_PROBE_MS;
    port25_monitor->probe_next = (port25_monitor->probe_next + 1) % port25_monitor->silent_count;
    return &port25_monitor->silent[port25_monitor->probe_next];
}
