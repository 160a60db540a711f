/* SPDX-License-Identifier: Apache-2.0 */
#include "port/networks.h"

enum { MOST = BLOCKS_25 | BLOCKS_465 | BLOCKS_587, ALL = MOST | BLOCKS_2525 };

const struct network networks[] = {
    {"Google Cloud", "gcp,google compute engine", "Google Compute Engine", BLOCKS_25, "never", "", 'B'},
    {"AWS", "amazon web services,ec2,lambda", "Amazon EC2", BLOCKS_25, "by a form", "25 is throttled rather than shut", 'A'},
    {"Azure", "microsoft azure", "Microsoft Corporation Virtual Machine", BLOCKS_25, "by kind of subscription (enterprise agreements)", "since 2017", 'A'},
    {"DigitalOcean", "digital ocean", "DigitalOcean", MOST, "by a ticket", "older accounts: 25 alone", 'B'},
    {"Linode", "akamai,akamai cloud", "Linode", MOST, "by a ticket", "", 'A'},
    {"Scaleway", "", "Scaleway", MOST, "after identification", "", 'A'},
    {"Hetzner Cloud", "hetzner", "Hetzner", BLOCKS_25 | BLOCKS_465, "after the first month, by a request", "", 'B'},
    {"Oracle Cloud", "oci", "OracleCloud", BLOCKS_25, "by a ticket of a paid account", "", 'B'},
    {"Vultr", "", "Vultr", BLOCKS_25, "by a ticket, often refused", "", 'B'},
    {"Render", "render free plan", "", MOST, "on a paid plan", "the free plan", 'B'},
    {"Railway", "", "", ALL, "on a larger plan", "small plans", 'B'},
    {"Cloudzy", "", "", ALL, "by a ticket", "", 'B'},
    {"home networks", "home,isp,at&t,verizon,comcast,cox", "", BLOCKS_25, "by some providers, when asked", "AT&T, Verizon, Comcast, Cox and many more", 'B'},
};
const size_t network_count = ARRAY_LENGTH(networks);

const struct network *network_by_name(struct bytes name)
{
    for (size_t i = 0; i < network_count; i++) {
        if (bytes_is_nocase(name, networks[i].name))
            return &networks[i];
        for (struct bytes rest = bytes_of_text(networks[i].aliases); rest.length > 0;)
            if (bytes_equal_nocase(name, bytes_split(&rest, ',')))
                return &networks[i];
    }
    return NULL;
}

const struct network *network_by_vendor(struct bytes text)
{
    for (size_t i = 0; i < network_count; i++)
        if (networks[i].vendor[0] != '\0' && bytes_search(text, bytes_of_text(networks[i].vendor)) != SIZE_MAX)
            return &networks[i];
    return NULL;
}

unsigned networks_bit(uint16_t port)
{
    return port == 25 ? BLOCKS_25 : port == 465 ? BLOCKS_465 : port == 587 ? BLOCKS_587 : port == 2525 ? BLOCKS_2525 : 0;
}

static void add_ports(struct buffer *out, unsigned set)
{
    static const struct { unsigned bit; const char *text; } all[] = {{BLOCKS_25, "25"}, {BLOCKS_465, "465"}, {BLOCKS_587, "587"}, {BLOCKS_2525, "2525"}};
    unsigned left = set;
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        if ((set & all[i].bit) == 0)
            continue;
        left &= ~all[i].bit;
        buffer_add_format(out, "%s%s", all[i].text, left == 0 ? "" : (left & (left - 1)) == 0 ? " and " : ", ");
    }
}

/* "DigitalOcean, Linode, Scaleway or Render" */
static void add_networks(struct buffer *out, unsigned silent)
{
    size_t left = 0;
    for (size_t i = 0; i < network_count; i++)
        left += networks[i].silent == silent;
    for (size_t i = 0; i < network_count; i++)
        if (networks[i].silent == silent) {
            left--;
            buffer_add_format(out, "%s%s", networks[i].name, left == 0 ? "" : left == 1 ? " or " : ", ");
        }
}

static bool is_known(unsigned silent)
{
    for (size_t i = 0; i < network_count; i++)
        if (networks[i].silent == silent)
            return true;
    return false;
}

void networks_explain(const struct port_pattern *pattern, struct buffer *out)
{
    unsigned silent = pattern->silent;
    if (silent == ALL) {
        buffer_add_text(out, "all four are silent: this network lets no mail out (as ");
        add_networks(out, ALL);
        buffer_add_text(out, "), or there is no mail server; the way out is HTTPS");
    } else if (silent == BLOCKS_25) {
        buffer_add_text(out, "only 25 is silent: nearly every cloud and home network blocks it, and nobody needs it to submit mail");
    } else if (silent != 0 && pattern->answers != 0 && is_known(silent)) {
        add_ports(out, silent);
        buffer_add_format(out, " %s silent, ", (silent & (silent - 1)) == 0 ? "is" : "are");
        add_ports(out, pattern->answers);
        buffer_add_format(out, " %s: the usual block of ", (pattern->answers & (pattern->answers - 1)) == 0 ? "answers" : "answer");
        add_networks(out, silent);
    }
}
