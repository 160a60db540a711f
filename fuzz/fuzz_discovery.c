/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery of a mail address through any DNS and any published settings: it
 * ends; what it asks for is a name or a whole URL over HTTPS; what it finds is
 * a host that could be, and ports with TLS of which none is 25. Who is known
 * as a provider stays the same with a final dot or one label more.
 */
#include "choices.h"
#include "core/dns/host.h"
#include "core/port/discovery.h"
#include "core/port/web_host.h"

enum { STEPS_MAX = 16, RECIPIENT_CACHE_MAX = 4 };

struct discovery_world {
    struct choices choices;
    struct bytes stream;
    struct discovery discovery;
};

/* One of a provider's names, or what the stream has. */
static struct bytes some_name(struct discovery_world *world)
{
    const struct provider *provider = &providers[choose(&world->choices, (unsigned)provider_count)];
    const char *const lists[] = {provider->domains, provider->hosts, provider->mx, provider->aliases};
    unsigned which = choose(&world->choices, 2 * ARRAY_LENGTH(lists));
    if (which >= ARRAY_LENGTH(lists))
        return bytes_split(&world->stream, ' ');
    struct bytes list = bytes_of_text(lists[which]);
    for (unsigned skipped = choose(&world->choices, 4); skipped > 0 && bytes_find(list, ',') != SIZE_MAX;
         skipped--)
        bytes_split(&list, ',');
    return bytes_split(&list, ',');
}

static void check_question(const struct discovery_question *question)
{
    struct bytes url = question->url;
    if (question->kind == DISCOVERY_DNS) {
        INSIST(question->name.length > 0 && !bytes_has_control(question->name));
        return;
    }
    INSIST(bytes_starts_nocase(url, "https://") && !bytes_has_control(url) &&
           bytes_find(url, ' ') == SIZE_MAX && bytes_find(url, '@') == SIZE_MAX &&
           bytes_find(url, '#') == SIZE_MAX);
    for (size_t at; (at = bytes_find(url, '%')) != SIZE_MAX; url = bytes_from(url, at + 3))
        INSIST(url.length >= at + 3 && ascii_is_alnum(url.at[at + 1]) && ascii_is_alnum(url.at[at + 2]));
}

static void answer_records(struct discovery_world *world)
{
    struct dns_record records[RECIPIENT_CACHE_MAX];
    size_t count = choose(&world->choices, RECIPIENT_CACHE_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        static const uint16_t ports[] = {587, 465, 2525, 25, 0, 8587, 65535};
        records[i] = (struct dns_record){.preference = (uint16_t)choose(&world->choices, 3),
                                         .weight = (uint16_t)choose(&world->choices, 3),
                                         .port = ports[choose(&world->choices, ARRAY_LENGTH(ports))],
                                         .name = some_name(world)};
    }
    discovery_learn_records(&world->discovery, records, count);
}

static void answer_settings(struct discovery_world *world)
{
    struct published_server servers[RECIPIENT_CACHE_MAX];
    size_t count = choose(&world->choices, RECIPIENT_CACHE_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        servers[i] = (struct published_server){.host = some_name(world),
                                               .user = bytes_split(&world->stream, ' '),
                                               .port = choose(&world->choices, 4) == 0 ? 25 : 587,
                                               .tls = (enum client_tls)choose(&world->choices, 4)};
    }
    discovery_learn_settings(&world->discovery, servers, count);
}

static void check_outcome(const struct discovery *d)
{
    INSIST(d->host[0] == '\0' || host_is_name(bytes_of_text(d->host), true));
    INSIST(d->host[0] == '\0' || d->source[0] != '\0');
    INSIST(d->port_count <= RACE_PORTS_MAX);
    for (size_t i = 0; i < d->port_count; i++) {
        INSIST(d->ports[i].port != 25 && d->ports[i].port != 0 && d->ports[i].tls != CLIENT_TLS_NEVER);
        INSIST(d->provider == NULL || provider_offers(d->provider, d->ports[i].port));
    }
    INSIST(d->provider == NULL || provider_host(d->provider).length == 0 ||
           provider_is_called(d->provider, bytes_of_text(d->host)));
}

static void check_providers(struct bytes name)
{
    struct buffer dotted = {0}, below = {0};
    if (name.length < 2 || name.at[name.length - 1] == '.')
        return;
    buffer_add(&dotted, name);
    buffer_add_octet(&dotted, '.');
    buffer_add_format(&below, "mx1.%.*s", BYTES_ARG(name));
    INSIST(provider_by_domain(name) == provider_by_domain(buffer_bytes(&dotted)));
    INSIST(provider_by_host(name) == provider_by_host(buffer_bytes(&dotted)));
    INSIST(provider_by_mx(name) == provider_by_mx(buffer_bytes(&dotted)));
    INSIST(bytes_find(name, '\0') != SIZE_MAX || provider_by_mx(name) == NULL ||
           provider_by_mx(name) == provider_by_mx(buffer_bytes(&below)));
    const struct provider *called = provider_by_name(name);
    INSIST(called == NULL || provider_is_called(called, name));
    struct bytes near = provider_near(name);
    INSIST(near.length == 0 || (provider_by_host(near) != NULL && provider_by_host(name) == NULL &&
                                provider_near(near).length == 0));
    INSIST(web_host_by_answer(name) == NULL || bytes_find(name, '.') != SIZE_MAX);
    buffer_free(&dotted);
    buffer_free(&below);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct discovery_world world;
    struct discovery_question question;
    struct buffer address = {0};
    world.stream = choices_start(&world.choices, data, size);
    if (choose(&world.choices, 2) == 0)
        buffer_add_text(&address, "ada@");
    struct bytes name = some_name(&world);
    buffer_add(&address, name);
    check_providers(name);
    unsigned steps = 0;
    if (discovery_start(&world.discovery, buffer_bytes(&address))) {
        for (; discovery_next(&world.discovery, &question); steps++) {
            INSIST(steps < STEPS_MAX);
            check_question(&question);
            if (choose(&world.choices, 3) == 0)
                discovery_learn_nothing(&world.discovery);
            else if (question.kind == DISCOVERY_FETCH)
                answer_settings(&world);
            else
                answer_records(&world);
        }
        check_outcome(&world.discovery);
    }
    buffer_free(&address);
    return 0;
}
