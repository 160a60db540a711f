/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network: which networks block which outgoing ports, and the identification of one by its pattern of
 * silent ports.
 */
#ifndef MAILBOAT_CORE_PORT_NETWORK_H
#define MAILBOAT_CORE_PORT_NETWORK_H

#include "base/buffer.h"
#include "core/port/provider.h"

/* Sets of ports, or'ed. */
enum { BLOCKS_25 = 1, BLOCKS_465 = 2, BLOCKS_587 = 4, BLOCKS_2525 = 8 };
enum { NETWORK_PORTS = 4 };
extern const uint16_t network_ports[NETWORK_PORTS]; /* ports of the sets, by number */

struct network {
    const char *name;    /* "DigitalOcean" */
    const char *aliases; /* in lower case, separated by commas */
    /* separated by commas: found in the machine's DMI description, or "" */
    const char *vendors;
    const char *environment; /* variables that its machines have, between commas, or "" */
    unsigned silent;         /* by default; 0: nothing */
    const char *lifted;      /* how to unblock, or "never" */
    const char *remark, *source;
    char confidence; /* as in provider.h */
    bool shared;     /* others have its pattern, too: that alone never names it */
};

extern const struct network networks[];
extern const size_t network_count;

const struct network *network_by_name(struct bytes name);
bool network_is_called(const struct network *network, struct bytes name);
/* Identifies a network from the texts of sys_vendor, product_name, bios_version, chassis_asset_tag etc.,
 * concatenated; NULL if unknown. Azure is identified only by the asset tag: other Hyper-V hosts have the
 * same names. */
const struct network *network_by_vendor(struct bytes text);

/* "RAILWAY_ENVIRONMENT_NAME"; case-sensitive. NULL if unknown. */
const struct network *network_by_environment(struct bytes variable);

/* Results of the four ports: sets of BLOCKS_*. A port may be in neither: not tried, or unclear. */
struct port_pattern {
    unsigned silent, answers; /* a refusal counts as an answer */
};
/*
 * Appends a conclusion from the pattern, as a sentence without its dot; nothing if there is none. A port
 * that the host's provider (NULL: unknown) does not offer is silent everywhere, and counts as not tried.
 */
void network_explain(const struct port_pattern *pattern, const struct provider *provider, struct buffer *out);
unsigned network_bit(uint16_t port); /* BLOCKS_587 of 587; 0 for another port */

#endif
