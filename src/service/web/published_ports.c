/* SPDX-License-Identifier: Apache-2.0 */
/*
 * published_ports: publishes a port only while it responds. Relay tests them, at the start and every few
 * minutes; sooner where it could not, since DNS did not answer yet. If none responds, possibly only the route
 * from this machine to itself is missing (a router without hairpin NAT), so then all stay published, as they
 * do before the first result.
 */
#include "io/log.h"
#include "service/web/web.h"

static bool is_listed(struct bytes list, uint16_t port)
{
    uint64_t number;
    while (list.length > 0)
        if (bytes_to_u64(bytes_split(&list, ','), UINT16_MAX, &number) && number == port)
            return true;
    return false;
}

static bool has_port(const uint16_t *ports, size_t count, uint16_t port)
{
    for (size_t i = 0; i < count; i++)
        if (ports[i] == port)
            return true;
    return false;
}

/* Lists the ports of `configured` that respond, in order; logs changes. */
static void keep_open(const uint16_t *configured, uint16_t *published, size_t count, struct bytes closed)
{
    size_t kept = 0;
    uint16_t open[CONFIG_STARTTLS_PORTS + CONFIG_IMPLICIT_PORTS] = {0};
    for (size_t i = 0; i < count && configured[i] != 0; i++) {
        bool answers = !is_listed(closed, configured[i]), was = has_port(published, count, configured[i]);
        if (answers)
            open[kept++] = configured[i];
        if (answers != was)
            log_event(answers ? LOG_EVENT_INFO : LOG_EVENT_WARN,
                      answers ? "port_published" : "port_not_published", LOG_U64("port", configured[i]),
                      LOG_TEXT("reason", answers ? "the port answers again" : "the port does not answer"));
    }
    memcpy(published, open, count * sizeof *published);
}

void published_ports_answered(struct web *web, struct bytes closed)
{
    bool any = false;
    web->examine_ms = WEB_EXAMINE_MS;
    timer_set(&web->examine, WEB_EXAMINE_MS);
    for (size_t i = 0; i < CONFIG_STARTTLS_PORTS; i++)
        any = any || (web->configured.starttls[i] != 0 && !is_listed(closed, web->configured.starttls[i]));
    for (size_t i = 0; i < CONFIG_IMPLICIT_PORTS; i++)
        any = any || (web->configured.implicit[i] != 0 && !is_listed(closed, web->configured.implicit[i]));
    if (!any && closed.length > 0) {
        log_event(LOG_EVENT_WARN, "port_check_inconclusive", LOG_BYTES("ports", closed),
                  LOG_TEXT("reason", "no port answers from this machine: all stay published"));
        closed = bytes_none();
    }
    keep_open(web->configured.starttls, web->facts.starttls, CONFIG_STARTTLS_PORTS, closed);
    keep_open(web->configured.implicit, web->facts.implicit, CONFIG_IMPLICIT_PORTS, closed);
}

void published_ports_ask(void *owner)
{
    struct web *web = owner;
    struct channel *relay = child_peer(web->child, PROCESS_RELAY);
    if (relay != NULL)
        child_send(web->child, relay, IPC_EXAMINE, &(struct ipc_nothing){0}, -1);
    timer_set(&web->examine, web->examine_ms);
    web->examine_ms = web->examine_ms < WEB_EXAMINE_MS / 2 ? web->examine_ms * 2 : WEB_EXAMINE_MS;
}
