/* SPDX-License-Identifier: Apache-2.0 */
/*
 * autoconfig: parses the settings that a domain publishes for mail programs (Mozilla's config-v1.1.xml)
 * with expat. Documents with a DTD are rejected, which rules out entity expansion attacks.
 */
#ifndef MAILBOAT_IO_AUTOCONFIG_H
#define MAILBOAT_IO_AUTOCONFIG_H

#include "core/port/discovery.h"

enum {
    AUTOCONFIG_SIZE_MAX = 64 * 1024,
    AUTOCONFIG_SERVERS_MAX = 8,
    AUTOCONFIG_TEXT_MAX = 255, /* octets of one value; longer ones are skipped */
};

struct autoconfig {
    struct published_server servers[AUTOCONFIG_SERVERS_MAX]; /* outgoing servers, in document order */
    size_t count;
    char texts[AUTOCONFIG_SERVERS_MAX][2][AUTOCONFIG_TEXT_MAX + 1]; /* storage for their hosts and users */
};

/* False if the document is not of this format. */
bool autoconfig_read(struct autoconfig *autoconfig, struct bytes document);

#endif
