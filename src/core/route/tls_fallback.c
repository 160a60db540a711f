/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/tls_fallback.h"

enum tls_next tls_trouble_next(bool may_go_clear, enum tls_loss loss, unsigned tries)
{
    if (!may_go_clear)
        return TLS_NEXT_HOST;
    switch (loss) {
    case TLS_LOSS_CLEAR_TEXT:
        break;
    case TLS_LOSS_SILENT:
        return TLS_NEXT_CLEAR;
    case TLS_LOSS_ENDED:
        return tries < TLS_TRIES ? TLS_NEXT_AGAIN : TLS_NEXT_CLEAR;
    }
    return TLS_NEXT_HOST;
}

static bool is_it(const struct tls_trouble_host *at, struct bytes host, uint16_t port)
{
    struct bytes name = bytes_of(at->name, at->name_length);
    return name.length > 0 && at->port == port && bytes_equal_nocase(name, host);
}

/* Its index, or TLS_TROUBLE_HOSTS_MAX. */
static size_t find(const struct tls_trouble *trouble, struct bytes host, uint16_t port)
{
    size_t i = 0;
    while (i < TLS_TROUBLE_HOSTS_MAX && !is_it(&trouble->hosts[i], host, port))
        i++;
    return i;
}

/* A free place, or the oldest host's. */
static size_t find_room(const struct tls_trouble *trouble)
{
    size_t oldest = 0;
    for (size_t i = 0; i < TLS_TROUBLE_HOSTS_MAX; i++) {
        if (trouble->hosts[i].name_length == 0)
            return i;
        if (trouble->hosts[i].since_ms < trouble->hosts[oldest].since_ms)
            oldest = i;
    }
    return oldest;
}

void tls_trouble_note(struct tls_trouble *trouble, struct bytes host, uint16_t port)
{
    if (host.length == 0 || host.length > DOMAIN_MAX || tls_trouble_has(trouble, host, port, NULL))
        return;
    size_t i = find(trouble, host, port);
    if (i == TLS_TROUBLE_HOSTS_MAX)
        i = find_room(trouble);
    struct tls_trouble_host *at = &trouble->hosts[i];
    *at = (struct tls_trouble_host){.port = port, .since_ms = trouble->now_ms};
    at->name_length = (uint16_t)host.length;
    memcpy(at->name, host.at, host.length);
}

void tls_trouble_forget(struct tls_trouble *trouble, struct bytes host, uint16_t port)
{
    size_t i = find(trouble, host, port);
    if (i < TLS_TROUBLE_HOSTS_MAX)
        trouble->hosts[i].name_length = 0;
}

bool tls_trouble_has(const struct tls_trouble *trouble, struct bytes host, uint16_t port, uint64_t *ago_ms)
{
    size_t i = find(trouble, host, port);
    if (i == TLS_TROUBLE_HOSTS_MAX)
        return false;
    uint64_t since_ms = trouble->hosts[i].since_ms;
    uint64_t ago = trouble->now_ms > since_ms ? trouble->now_ms - since_ms : 0;
    if (ago_ms != NULL)
        *ago_ms = ago;
    return ago < TLS_TROUBLE_KEPT_MS;
}
