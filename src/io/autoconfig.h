/* SPDX-License-Identifier: Apache-2.0 */
/*
 * autoconfig: reads the file of settings that a domain publishes for mail
 * programs (Mozilla's config-v1.1.xml), by expat. Documents with a DTD are
 * refused, so there are no entities to blow up.
 */
#ifndef MAILBOAT_IO_AUTOCONFIG_H
#define MAILBOAT_IO_AUTOCONFIG_H

#include "core/port/discovery.h"

enum {
    AUTOCONFIG_SIZE_MAX = 64 * 1024,
    AUTOCONFIG_SERVERS_MAX = 8,
    AUTOCONFIG_TEXT_MAX = 255, /* octets of one value; longer ones are passed over */
};

struct autoconfig {
    struct published_server servers[AUTOCONFIG_SERVERS_MAX]; /* outgoing ones, in their order */
    size_t count;
    char texts[AUTOCONFIG_SERVERS_MAX][2][AUTOCONFIG_TEXT_MAX + 1]; /* their hosts and users */
};

/* False when it is not such a document. */
bool autoconfig_read(struct autoconfig *autoconfig, struct bytes document);

#endif
