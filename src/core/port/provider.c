/* SPDX-License-Identifier: Apache-2.0 */
#include "core/port/provider.h"

#include "core/dns/dns_name.h"

const struct provider provider_unknown = {.starttls = {587, 2525}, .implicit = {465}};

/* True if the name matches, where one "*" stands for one label. */
static bool matches(struct bytes name, struct bytes pattern)
{
    size_t star = bytes_find(pattern, '*');
    if (star == SIZE_MAX)
        return bytes_equal_nocase(name, pattern);
    struct bytes head = bytes_first(pattern, star), tail = bytes_from(pattern, star + 1);
    if (name.length <= head.length + tail.length)
        return false;
    struct bytes region = bytes_of(name.at + head.length, name.length - head.length - tail.length);
    return bytes_equal_nocase(bytes_first(name, head.length), head) &&
           bytes_equal_nocase(bytes_from(name, name.length - tail.length), tail) &&
           bytes_find(region, '.') == SIZE_MAX;
}

static bool is_in_list(struct bytes name, const char *list)
{
    for (struct bytes rest = bytes_of_text(list); rest.length > 0;)
        if (matches(name, bytes_split(&rest, ',')))
            return true;
    return false;
}

/* Returns the length of the longest entry that the name equals or is below: "evilgoogle.com" is not below
 * "google.com". */
static size_t below_list(struct bytes name, const char *list)
{
    size_t longest = 0;
    for (struct bytes rest = bytes_of_text(list); rest.length > 0;) {
        struct bytes suffix = bytes_split(&rest, ',');
        if (suffix.length <= longest || name.length < suffix.length)
            continue;
        size_t more = name.length - suffix.length;
        bool at_border = more == 0 || (more > 1 && name.at[more - 1] == '.');
        if (at_border && bytes_equal_nocase(bytes_from(name, more), suffix))
            longest = suffix.length;
    }
    return longest;
}

static bool is_named(const struct provider *provider, struct bytes name)
{
    return bytes_is_nocase(name, provider->name) || is_in_list(name, provider->aliases);
}

bool provider_is_called(const struct provider *provider, struct bytes name)
{
    return is_named(provider, name) || is_in_list(dns_name_without_dot(name), provider->hosts) ||
           is_in_list(dns_name_without_dot(name), provider->domains);
}

const struct provider *provider_by_name(struct bytes name)
{
    for (size_t i = 0; i < provider_count; i++)
        if (is_named(&providers[i], name))
            return &providers[i];
    return NULL;
}

const struct provider *provider_by_host(struct bytes host)
{
    for (size_t i = 0; i < provider_count; i++)
        if (is_in_list(dns_name_without_dot(host), providers[i].hosts))
            return &providers[i];
    return NULL;
}

const struct provider *provider_by_domain(struct bytes domain)
{
    for (size_t i = 0; i < provider_count; i++)
        if (is_in_list(dns_name_without_dot(domain), providers[i].domains))
            return &providers[i];
    return NULL;
}

/* The most specific wins: AOL's exchangers are below Yahoo's. */
const struct provider *provider_by_mx(struct bytes host)
{
    const struct provider *closest = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < provider_count; i++) {
        size_t length = below_list(dns_name_without_dot(host), providers[i].mx);
        if (length > longest) {
            closest = &providers[i];
            longest = length;
        }
    }
    return closest;
}

struct bytes provider_host(const struct provider *provider)
{
    struct bytes rest = bytes_of_text(provider->hosts);
    struct bytes first = bytes_split(&rest, ',');
    return bytes_find(first, '*') == SIZE_MAX ? first : bytes_none();
}

static bool has_port(const uint16_t *ports, uint16_t port)
{
    for (size_t i = 0; i < PROVIDER_PORTS_MAX && ports[i] != 0; i++)
        if (ports[i] == port)
            return true;
    return false;
}

bool provider_offers(const struct provider *provider, uint16_t port)
{
    return has_port(provider->starttls, port) || has_port(provider->implicit, port);
}

bool provider_lacks(const struct provider *provider, uint16_t port)
{
    return !provider_offers(provider, port) && !has_port(provider->unclear, port);
}

bool provider_has_smtp(const struct provider *provider)
{
    return provider->starttls[0] != 0 || provider->implicit[0] != 0;
}
