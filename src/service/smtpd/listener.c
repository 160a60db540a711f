/* SPDX-License-Identifier: Apache-2.0 */
/* listener: accepts connections, and rejects those over a limit. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/route/ip_network.h"
#include "io/clock.h"
#include "io/log.h"
#include "run/listen.h"
#include "service/smtpd/smtpd.h"

/* Why one cannot come in: what is logged, and the greeting. */
static const struct listener_refusal {
    struct bytes reply;
    const char *reason;
} refusals[] = {
    [CLIENT_LOG_FULL] = {BYTES("421 4.3.2 Too many connections; try again in a minute\r\n"),
                         "too many connections"},
    [CLIENT_LOG_TOO_MANY] = {BYTES("421 4.7.0 Too many connections from your address or network; "
                                   "close some first\r\n"),
                             "too many connections from this address"},
    [CLIENT_LOG_BLOCKED] = {BYTES("421 4.7.0 Too many unknown recipients from your address or network; "
                                  "try again later\r\n"),
                            "too many unknown recipients from this address"},
};

/* With implicit TLS no reply is possible before the handshake, which would cost more than it is worth.
 * Logs once per client and interval, not per connection. */
static void turn_away(const struct listener *listener, struct accepted_connection *accepted,
                      enum client_log_kind why)
{
    struct smtpd *smtpd = listener->smtpd;
    const struct listener_refusal *refusal = &refusals[why];
    uint64_t times;
    if (listener->policy.tls != TLS_IMPLICIT)
        (void)!send(accepted->descriptor, refusal->reply.at, refusal->reply.length,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
    close(accepted->descriptor);
    if (client_log_throttle_is_due(&smtpd->client_log, why, connection_limit_network(accepted->network)->key,
                                   clock_now_ms(), &times))
        log_event(LOG_EVENT_WARN, "connection_rejected", LOG_U64("code", 421),
                  LOG_TEXT("reason", refusal->reason), LOG_BYTES("client", accepted->address),
                  LOG_U64("port", listener->port), LOG_TEXT("account", accepted->account),
                  LOG_U64("occurrences", times));
    connection_limit_leave(smtpd, accepted->network);
}

/* Counts the client first: making room for it must not free its network's entry. */
static bool count_connection(struct listener *listener, struct accepted_connection *accepted)
{
    struct ucred who;
    socklen_t length = sizeof who;
    if (listener->policy.role != ROLE_LOCAL) {
        if (accepted->is_trusted)
            snprintf(accepted->account, sizeof accepted->account, SERVER_TRUSTED_MARK "%.*s",
                     BYTES_ARG(accepted->address));
        accepted->network = connection_limit_enter(listener->smtpd, &accepted->from);
        return accepted->network != NULL;
    }
    /* The kernel reports the user of a local program. */
    if (getsockopt(accepted->descriptor, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0)
        return false;
    accepted->network = connection_limit_enter_user(listener->smtpd, who.uid);
    accepted->by_root = who.uid == 0;
    snprintf(accepted->account, sizeof accepted->account, "uid %u", (unsigned)who.uid);
    return true;
}

/* The connection's own address counts, never one that a balancer names. */
static bool is_trusted(const struct listener *listener, const struct accepted_connection *accepted)
{
    const struct config *config = listener->smtpd->child->config;
    struct route_address address;
    return listener->policy.role == ROLE_MX && !accepted->is_proxied &&
           config->submission.trusted_count > 0 && conn_address(&accepted->from, &address) &&
           ip_network_list_has(config->submission.trusted, config->submission.trusted_count, &address);
}

void listener_admit(struct listener *listener, struct accepted_connection *accepted)
{
    struct smtpd *smtpd = listener->smtpd;
    accepted->is_trusted = is_trusted(listener, accepted);
    accepted->address = conn_address_text((struct sockaddr *)&accepted->from, accepted->buffer,
                                          sizeof accepted->buffer);
    if (!count_connection(listener, accepted)) {
        close(accepted->descriptor);
        return;
    }
    bool own = listener->policy.role == ROLE_LOCAL && connection_limit_factor(accepted->network) == 0;
    bool known = own ||
                 (listener->policy.role == ROLE_SUBMISSION && known_clients_has(smtpd, accepted->network));
    if (connection_limit_is_exceeded(smtpd, accepted->network))
        turn_away(listener, accepted, CLIENT_LOG_TOO_MANY);
    else if (listener->policy.role == ROLE_MX && !accepted->is_trusted &&
             harvest_table_blocked_min(smtpd, accepted->network) > 0)
        turn_away(listener, accepted, CLIENT_LOG_BLOCKED);
    else if (!admission_control_lets_in(listener, known))
        turn_away(listener, accepted, CLIENT_LOG_FULL);
    else
        smtp_connection_start(listener, accepted, known);
}

void listener_take_over(struct listener *listener, int descriptor)
{
    struct accepted_connection accepted = {.descriptor = descriptor};
    socklen_t length = sizeof accepted.from;
    if (getpeername(descriptor, (struct sockaddr *)&accepted.from, &length) == 0)
        listener_admit(listener, &accepted);
    else
        close(descriptor); /* it has already disconnected */
}

/* The limit of open files can be lower than that of connections: then an idle one is closed. */
static int accept_connection(struct listener *listener, struct accepted_connection *accepted)
{
    socklen_t length = sizeof accepted->from;
    int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    int descriptor = accept4(listener->descriptor, (struct sockaddr *)&accepted->from, &length, flags);
    if (descriptor >= 0 || errno != EMFILE || !admission_control_makes_room(listener->smtpd, true))
        return descriptor;
    length = sizeof accepted->from;
    return accept4(listener->descriptor, (struct sockaddr *)&accepted->from, &length, flags);
}

/* False if no client waits, or none can be accepted currently. */
static bool accept_one(struct listener *listener)
{
    struct smtpd *smtpd = listener->smtpd;
    struct accepted_connection accepted = {.network = NULL};
    accepted.descriptor = accept_connection(listener, &accepted);
    if (accepted.descriptor < 0) {
        if (!listen_is_exhausted(errno))
            return errno == EINTR || errno == ECONNABORTED;
        if (log_throttle_is_due(&smtpd->accepting, clock_now_ms()))
            log_event(LOG_EVENT_ERROR, "accept_failed", LOG_TEXT("error", strerror(errno)),
                      LOG_U64("occurrences", smtpd->accepting.times),
                      LOG_TEXT("hint", "raise the limit of open files or lower limits.connections"));
        listener_pause_all(smtpd, LISTEN_PAUSE_MS);
        return false;
    }
    if (log_throttle_recovered(&smtpd->accepting, clock_now_ms()))
        log_event(LOG_EVENT_INFO, "accept_recovered", LOG_U64("occurrences", smtpd->accepting.times));
    if (proxy_intake_applies(listener, &accepted.from))
        proxy_intake_start(listener, &accepted);
    else
        listener_admit(listener, &accepted);
    return true;
}

static void listener_ready(void *owner, bool readable, bool writable)
{
    struct listener *listener = owner;
    for (int i = 0; i < ACCEPTS_A_TURN_MAX; i++)
        if (accept_share_leaves(listener->smtpd) || !accept_one(listener))
            break;
}

void listener_open(struct listener *listener, struct smtpd *smtpd, int descriptor)
{
    listener->smtpd = smtpd;
    listener->descriptor = descriptor;
    watch_start(&listener->watch, smtpd->child->loop, descriptor, true, false, listener_ready, listener);
}

void listener_pause_all(struct smtpd *smtpd, uint64_t reopen_ms)
{
    for (size_t i = 0; i < smtpd->listener_count; i++)
        watch_change(&smtpd->listeners[i].watch, false, false);
    timer_set(&smtpd->reopen, reopen_ms);
}

void listener_reopen_all(void *owner)
{
    struct smtpd *smtpd = owner;
    for (size_t i = 0; !smtpd->draining && i < smtpd->listener_count; i++)
        watch_change(&smtpd->listeners[i].watch, true, false);
}

void listener_close_all(struct smtpd *smtpd)
{
    accept_share_end(smtpd);
    timer_cancel(&smtpd->reopen);
    proxy_intake_end_all(smtpd);
    for (size_t i = 0; i < smtpd->listener_count; i++) {
        struct listener *listener = &smtpd->listeners[i];
        if (listener->descriptor < 0)
            continue;
        watch_stop(&listener->watch);
        close(listener->descriptor);
        listener->descriptor = -1;
    }
}
