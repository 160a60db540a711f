/* SPDX-License-Identifier: Apache-2.0 */
#include "service/smtpd/proxy_intake.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/route/ip_network.h"
#include "core/route/proxy_header.h"
#include "io/clock.h"
#include "io/log.h"
#include "service/smtpd/smtpd.h"

struct proxy_intake {
    struct listener *listener;
    struct accepted_connection accepted;
    struct watch watch;
    struct timer deadline;
    struct buffer input; /* a beginning of the header; the socket holds the rest */
    struct released released;
    struct proxy_intake *previous, *next;
};

bool proxy_intake_is_listed(const struct sockaddr_storage *from, const char *const *networks, size_t count)
{
    struct route_address address;
    return conn_address(from, &address) && ip_network_list_has(networks, count, &address);
}

bool proxy_intake_applies(const struct listener *listener, const struct sockaddr_storage *from)
{
    return listener->proxy_count > 0 &&
           proxy_intake_is_listed(from, listener->proxies, listener->proxy_count);
}

static void set_client(struct accepted_connection *accepted, const struct proxy_header *header)
{
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)&accepted->from;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&accepted->from;
    accepted->from = (struct sockaddr_storage){0};
    accepted->is_proxied = true;
    if (header->client.six) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(header->port);
        memcpy(&six->sin6_addr, header->client.octets, 16);
    } else {
        four->sin_family = AF_INET;
        four->sin_port = htons(header->port);
        memcpy(&four->sin_addr, header->client.octets, 4);
    }
}

/* ---- life ---- */

static void intake_free(void *owner)
{
    struct proxy_intake *intake = owner;
    buffer_free(&intake->input);
    free(intake);
}

/* The descriptor is the caller's again. */
static int leave(struct proxy_intake *intake)
{
    struct smtpd *smtpd = intake->listener->smtpd;
    watch_stop(&intake->watch);
    timer_cancel(&intake->deadline);
    if (intake->previous != NULL)
        intake->previous->next = intake->next;
    else
        smtpd->proxy_intakes = intake->next;
    if (intake->next != NULL)
        intake->next->previous = intake->previous;
    assert(smtpd->proxy_intake_count > 0);
    smtpd->proxy_intake_count--;
    loop_release(smtpd->child->loop, &intake->released, intake_free, intake);
    return intake->accepted.descriptor;
}

/* Logs once per balancer and interval: it can be misconfigured for all of its clients. */
static void refuse(struct proxy_intake *intake, const char *why)
{
    struct listener *listener = intake->listener;
    static const char reply[] = "421 4.7.0 PROXY protocol header expected; closing connection\r\n";
    char buffer[INET6_ADDRSTRLEN];
    int descriptor = leave(intake);
    char unread[PROXY_HEADER_MAX];
    (void)!recv(descriptor, unread, sizeof unread, MSG_DONTWAIT); /* else the reply is lost with a reset */
    if (listener->policy.tls != TLS_IMPLICIT)
        (void)!send(descriptor, reply, strlen(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
    close(descriptor);
    if (log_throttle_is_due(&listener->smtpd->proxying, clock_now_ms()))
        log_event(LOG_EVENT_WARN, "proxy_header_rejected",
                  LOG_BYTES("proxy", conn_address_text((struct sockaddr *)&intake->accepted.from, buffer,
                                                       sizeof buffer)),
                  LOG_U64("port", listener->port), LOG_TEXT("reason", why),
                  LOG_U64("occurrences", listener->smtpd->proxying.times),
                  LOG_TEXT("hint", "have the load balancer send it (haproxy: send-proxy-v2), or remove its "
                                   "address from proxy of this listener"));
}

/* Removes octets that were only looked at. False if the connection broke meanwhile. */
static bool take(int descriptor, size_t count)
{
    char octets[PROXY_HEADER_MAX];
    assert(count <= sizeof octets);
    return count == 0 || recv(descriptor, octets, count, MSG_DONTWAIT) == (ssize_t)count;
}

static void admit(struct proxy_intake *intake, const struct proxy_header *header)
{
    struct listener *listener = intake->listener;
    struct accepted_connection accepted = intake->accepted;
    log_throttle_recovered(&listener->smtpd->proxying, clock_now_ms());
    if (header->has_client)
        set_client(&accepted, header);
    leave(intake);
    listener_admit(listener, &accepted);
}

/* Looks at what has come, so that nothing behind the header is read here. */
static void on_ready(void *owner, bool readable, bool writable)
{
    struct proxy_intake *intake = owner;
    struct proxy_header header;
    int descriptor = intake->accepted.descriptor;
    size_t before = intake->input.length;
    assert(before < PROXY_HEADER_MAX);
    ssize_t got = recv(descriptor, buffer_reserve(&intake->input, PROXY_HEADER_MAX - before),
                       PROXY_HEADER_MAX - before, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) { /* a balancer that looks whether the port is open */
        close(leave(intake));
        return;
    }
    buffer_written(&intake->input, (size_t)got);
    switch (proxy_header_parse(buffer_bytes(&intake->input), &header)) {
    case PROXY_MORE:
        if (!take(descriptor, (size_t)got))
            close(leave(intake));
        break;
    case PROXY_MALFORMED: refuse(intake, header.why); break;
    case PROXY_COMPLETE:
        if (take(descriptor, header.octets - before))
            admit(intake, &header);
        else
            close(leave(intake));
        break;
    }
}

static void on_deadline(void *owner)
{
    refuse(owner, "no header came in time");
}

void proxy_intake_start(struct listener *listener, const struct accepted_connection *accepted)
{
    struct smtpd *smtpd = listener->smtpd;
    if (smtpd->proxy_intake_count >= PROXY_WAITING_MAX) {
        close(accepted->descriptor);
        return;
    }
    struct proxy_intake *intake = memory_new(sizeof *intake);
    intake->listener = listener;
    intake->accepted = *accepted;
    intake->next = smtpd->proxy_intakes;
    if (intake->next != NULL)
        intake->next->previous = intake;
    smtpd->proxy_intakes = intake;
    smtpd->proxy_intake_count++;
    watch_start(&intake->watch, smtpd->child->loop, accepted->descriptor, true, false, on_ready, intake);
    timer_start(&intake->deadline, smtpd->child->loop, on_deadline, intake);
    timer_set(&intake->deadline, PROXY_TIMEOUT_MS);
}

void proxy_intake_end_all(struct smtpd *smtpd)
{
    while (smtpd->proxy_intakes != NULL)
        close(leave(smtpd->proxy_intakes));
}
