/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_worker: DNS in a short-lived process without privileges, as what other servers say is read there: the
 * work of subprocess_run() calls dns_worker_start(), then it has relay's user and sandbox, no files but those
 * that are open, a resolver and a loop.
 */
#ifndef MAILBOAT_SERVICE_DNS_WORKER_H
#define MAILBOAT_SERVICE_DNS_WORKER_H

#include "config/config.h"
#include "io/dns.h"
#include "io/loop.h"

struct dns_worker {
    struct loop loop;
    struct dns *dns;
};

/* `name`: of the process, for messages. The process ends with what is open. */
bool dns_worker_start(struct dns_worker *worker, const struct config *config, const char *name,
                      struct error *error);

#endif
