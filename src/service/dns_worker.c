/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dns_worker.h"

#include "run/sandbox.h"
#include "run/users.h"

static struct dns *open_dns(const struct config *config, struct error *error)
{
    const char **servers = config->resolver.servers;
    size_t count = config->resolver.server_count;
    if (config->resolver.dnssec == DNSSEC_OFF)
        return dns_open(servers, count, error);
    return dns_open_validating(servers, count, config->resolver.trust_anchor,
                               config->resolver.dnssec == DNSSEC_REQUIRED, error);
}

/* The process asks DNS as relay does, as its user. */
static bool give_up_privileges(const struct config *config, const char *name, struct error *error)
{
    static struct sandbox_paths paths = {.call_family = 0};
    return sandbox_leave_files(&paths, config->data_dir, error) &&
           users_become(users_of(PROCESS_RELAY, config->user), error) &&
           sandbox_apply(name, SANDBOX_CALLS_OUT | SANDBOX_HAS_THREADS | SANDBOX_MAKES_PAIRS, &paths, error);
}

bool dns_worker_start(struct dns_worker *worker, const struct config *config, const char *name,
                      struct error *error)
{
    worker->dns = open_dns(config, error);
    if (worker->dns == NULL || !give_up_privileges(config, name, error) || !loop_start(&worker->loop, error))
        return false;
    dns_be_patient(worker->dns);
    return dns_start(worker->dns, &worker->loop, error);
}
