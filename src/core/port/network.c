/* SPDX-License-Identifier: Apache-2.0 */
#include "core/port/network.h"

enum { ALL = BLOCKS_25 | BLOCKS_465 | BLOCKS_587 | BLOCKS_2525 };

bool network_is_called(const struct network *network, struct bytes name)
{
    if (bytes_is_nocase(name, network->name))
        return true;
    for (struct bytes rest = bytes_of_text(network->aliases); rest.length > 0;)
        if (bytes_equal_nocase(name, bytes_split(&rest, ',')))
            return true;
    return false;
}

const struct network *network_by_name(struct bytes name)
{
    for (size_t i = 0; i < network_count; i++)
        if (network_is_called(&networks[i], name))
            return &networks[i];
    return NULL;
}

static bool contains_nocase(struct bytes text, struct bytes words)
{
    for (size_t i = 0; i + words.length <= text.length; i++)
        if (bytes_equal_nocase(bytes_of(text.at + i, words.length), words))
            return true;
    return false;
}

const struct network *network_by_vendor(struct bytes text)
{
    for (size_t i = 0; i < network_count; i++)
        for (struct bytes rest = bytes_of_text(networks[i].vendors); rest.length > 0;)
            if (contains_nocase(text, bytes_split(&rest, ',')))
                return &networks[i];
    return NULL;
}

const struct network *network_by_environment(struct bytes variable)
{
    for (size_t i = 0; i < network_count; i++)
        for (struct bytes rest = bytes_of_text(networks[i].environment); rest.length > 0;)
            if (bytes_equal(variable, bytes_split(&rest, ',')))
                return &networks[i];
    return NULL;
}

const uint16_t network_ports[NETWORK_PORTS] = {25, 465, 587, 2525};
static const unsigned bits[NETWORK_PORTS] = {BLOCKS_25, BLOCKS_465, BLOCKS_587, BLOCKS_2525};

unsigned network_bit(uint16_t port)
{
    for (size_t i = 0; i < NETWORK_PORTS; i++)
        if (network_ports[i] == port)
            return bits[i];
    return 0;
}

/* ---- the four ports as sets ---- */

static bool is_several(unsigned set)
{
    return (set & (set - 1)) != 0;
}

/* "25, 465 and 587" */
static void add_ports(struct buffer *out, unsigned set)
{
    unsigned left = set;
    for (size_t i = 0; i < NETWORK_PORTS; i++) {
        if ((set & bits[i]) == 0)
            continue;
        left &= ~bits[i];
        buffer_add_format(out, "%u%s", (unsigned)network_ports[i],
                          left == 0           ? ""
                          : !is_several(left) ? " and "
                                              : ", ");
    }
}

/* 25 is in no provider's list, but most of them respond there. */
static unsigned offered_by(const struct provider *provider)
{
    unsigned set = BLOCKS_25;
    if (provider == NULL)
        return ALL;
    for (size_t i = 0; i < PROVIDER_PORTS_MAX; i++)
        set |= network_bit(provider->starttls[i]) | network_bit(provider->implicit[i]);
    return set;
}

/* ---- matching networks ---- */

/* True if the silent ports are blocked there, and the responding ones are not; others are unknown. */
static bool is_like(const struct network *network, unsigned silent, unsigned answers)
{
    return !network->shared && (silent & ~network->silent) == 0 && (answers & network->silent) == 0;
}

static size_t count_like(unsigned silent, unsigned answers)
{
    size_t count = 0;
    for (size_t i = 0; i < network_count; i++)
        count += is_like(&networks[i], silent, answers);
    return count;
}

/* "DigitalOcean, Linode, Scaleway or Render" */
static void add_networks(struct buffer *out, unsigned silent, unsigned answers)
{
    size_t left = count_like(silent, answers);
    for (size_t i = 0; i < network_count; i++)
        if (is_like(&networks[i], silent, answers)) {
            left--;
            buffer_add_format(out, "%s%s", networks[i].name, left == 0 ? "" : left == 1 ? " or " : ", ");
        }
}

/* True if the pattern is significant: one silent port may be the host's own fault, unless another one
 * responds, or a known provider offers no other. */
static bool is_telling(unsigned silent, unsigned answers, const struct provider *provider)
{
    return is_several(silent) || answers != 0 ||
           (provider != NULL && (offered_by(provider) & ~(silent | BLOCKS_25)) == 0);
}

/* ---- alternatives ---- */

static void add_https(struct buffer *out, const struct provider *provider)
{
    if (provider != NULL && provider->https[0] != '\0')
        buffer_add_format(out, "%s accepts mail at https://%s", provider->name, provider->https);
    else
        buffer_add_text(out, "a sending service accepts mail through its HTTPS API");
}

/* Adds ports besides the four, which are rarely blocked. */
static void add_other_ports(struct buffer *out, const struct provider *provider)
{
    uint16_t others[2 * PROVIDER_PORTS_MAX];
    size_t count = 0;
    for (size_t i = 0; provider != NULL && i < 2 * PROVIDER_PORTS_MAX; i++) {
        uint16_t port = i < PROVIDER_PORTS_MAX ? provider->starttls[i]
                                               : provider->implicit[i - PROVIDER_PORTS_MAX];
        if (port != 0 && network_bit(port) == 0)
            others[count++] = port;
    }
    if (count > 0)
        buffer_add_format(out, "; %s also listens on ", provider->name);
    for (size_t i = 0; i < count; i++)
        buffer_add_format(out, "%s%u", i == 0 ? "" : i + 1 < count ? ", " : " and ", (unsigned)others[i]);
}

void network_explain(const struct port_pattern *pattern, const struct provider *provider, struct buffer *out)
{
    unsigned silent = pattern->silent & offered_by(provider), answers = pattern->answers & ~silent;
    if (silent == BLOCKS_25) {
        buffer_add_format(
            out, "%s25 is silent: nearly every cloud and home network blocks it; submission does not need it",
            answers != 0 ? "only " : "");
        return;
    }
    if (silent == 0 || !is_telling(silent, answers, provider) || count_like(silent, answers) == 0)
        return;
    if (silent == ALL)
        buffer_add_text(out, "all four are silent: either there is no mail server, or this network blocks "
                             "outgoing mail, like ");
    else {
        add_ports(out, silent);
        buffer_add_text(out, is_several(silent) ? " are silent" : " is silent");
        if (answers != 0)
            buffer_add_text(out, ", ");
        add_ports(out, answers);
        buffer_add_format(out, "%s: the usual block of ",
                          answers == 0          ? ""
                          : is_several(answers) ? " answer"
                                                : " answers");
    }
    add_networks(out, silent, answers);
    if (answers != 0)
        return;
    if ((silent & BLOCKS_2525) == 0 && (offered_by(provider) & BLOCKS_2525) != 0) {
        buffer_add_text(out, "; most of them let 2525 through");
        return;
    }
    buffer_add_text(out, "; use HTTPS: ");
    add_https(out, provider);
    add_other_ports(out, provider);
}
