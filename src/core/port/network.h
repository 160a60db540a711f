/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network: which networks block which outgoing ports, and the reading of a
 * pattern of silent ports as the signature of one of them.
 */
#ifndef MAILBOAT_CORE_PORT_NETWORK_H
#define MAILBOAT_CORE_PORT_NETWORK_H

#include "base/buffer.h"
#include "core/port/provider.h"

/* Sets of ports, or'ed. */
enum { BLOCKS_25 = 1, BLOCKS_465 = 2, BLOCKS_587 = 4, BLOCKS_2525 = 8 };

struct network {
    const char *name;    /* "DigitalOcean" */
    const char *aliases; /* in lower case, between commas */
    /* between commas: any of them in the machine's own description of itself (DMI), or "" */
    const char *vendors;
    const char *environment; /* variables that its machines have, between commas, or "" */
    unsigned silent;         /* by default; 0: nothing */
    const char *lifted;      /* how, or "never" */
    const char *remark, *source;
    char confidence; /* as provider.h has it */
    bool shared;     /* others have its pattern, too: that alone never names it */
};

extern const struct network networks[];
extern const size_t network_count;

const struct network *network_by_name(struct bytes name);
bool network_is_called(const struct network *network, struct bytes name);
/* From the texts of sys_vendor, product_name, bios_version, chassis_asset_tag and the like, together;
 * NULL when it is none that is known. Azure is known by the asset tag alone: other Hyper-V has the same
 * names. */
const struct network *network_by_vendor(struct bytes text);

/* "RAILWAY_ENVIRONMENT_NAME"; case counts. NULL: nobody's. */
const struct network *network_by_environment(struct bytes variable);

/* What was seen of the four ports: sets of BLOCKS_*. A port may be in neither: not tried, or in doubt. */
struct port_pattern {
    unsigned silent, answers; /* refusing is an answer too */
};
/*
 * Appends what the pattern tells, in a sentence without its dot; nothing when
 * it tells nothing. A port that the provider of the host (NULL: not known)
 * does not offer is silent everywhere, and counts as not tried.
 */
void network_explain(const struct port_pattern *pattern, const struct provider *provider, struct buffer *out);
unsigned network_bit(uint16_t port); /* BLOCKS_587 of 587; 0 for another port */

#endif
