/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/tls_fallback.h"

#include "core/dns/dns_name.h"

enum tls_next tls_fallback_next(bool may_go_clear, enum tls_loss loss, unsigned tries)
{
    if (!may_go_clear)
        return TLS_NEXT_HOST;
    switch (loss) {
    case TLS_LOSS_CLEAR_TEXT: break;
    case TLS_LOSS_SILENT: return TLS_NEXT_CLEAR;
    case TLS_LOSS_ENDED: return tries < TLS_TRIES ? TLS_NEXT_AGAIN : TLS_NEXT_CLEAR;
    }
    return TLS_NEXT_HOST;
}

static bool is_it(const struct tls_fallback_host *at, struct bytes host, uint16_t port)
{
    struct bytes name = bytes_of(at->name, at->name_length);
    return name.length > 0 && at->port == port && dns_name_equal(name, host);
}

/* Returns its index, or TLS_FALLBACK_HOSTS_MAX. */
static size_t find(const struct tls_fallback *fallback, struct bytes host, uint16_t port)
{
    size_t i = 0;
    while (i < TLS_FALLBACK_HOSTS_MAX && !is_it(&fallback->hosts[i], host, port))
        i++;
    return i;
}

/* Returns a free place, or the oldest host's. */
static size_t find_room(const struct tls_fallback *fallback)
{
    size_t oldest = 0;
    for (size_t i = 0; i < TLS_FALLBACK_HOSTS_MAX; i++) {
        if (fallback->hosts[i].name_length == 0)
            return i;
        if (fallback->hosts[i].since_ms < fallback->hosts[oldest].since_ms)
            oldest = i;
    }
    return oldest;
}

void tls_fallback_note(struct tls_fallback *fallback, struct bytes host, uint16_t port)
{
    if (host.length == 0 || host.length > DOMAIN_MAX || tls_fallback_has(fallback, host, port, NULL))
        return;
    size_t i = find(fallback, host, port);
    if (i == TLS_FALLBACK_HOSTS_MAX)
        i = find_room(fallback);
    struct tls_fallback_host *at = &fallback->hosts[i];
    *at = (struct tls_fallback_host){.port = port, .since_ms = fallback->now_ms};
    at->name_length = (uint16_t)host.length;
    memcpy(at->name, host.at, host.length);
}

void tls_fallback_forget(struct tls_fallback *fallback, struct bytes host, uint16_t port)
{
    size_t i = find(fallback, host, port);
    if (i < TLS_FALLBACK_HOSTS_MAX)
        fallback->hosts[i].name_length = 0;
}

bool tls_fallback_has(const struct tls_fallback *fallback, struct bytes host, uint16_t port, uint64_t *ago_ms)
{
    size_t i = find(fallback, host, port);
    if (i == TLS_FALLBACK_HOSTS_MAX)
        return false;
    uint64_t since_ms = fallback->hosts[i].since_ms;
    uint64_t ago = fallback->now_ms > since_ms ? fallback->now_ms - since_ms : 0;
    if (ago_ms != NULL)
        *ago_ms = ago;
    return ago < TLS_FALLBACK_KEPT_MS;
}
