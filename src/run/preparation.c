/* SPDX-License-Identifier: Apache-2.0 */
#include "run/preparation.h"

#include <sys/resource.h>
#include <sysexits.h>

#include "io/certificate.h"
#include "io/log.h"
#include "run/child.h"
#include "run/data_dir.h"
#include "run/subprocess.h"
#include "run/users.h"

/* Raises the limit to the configured connections, for each smtpd process and relay. */
static bool raise_descriptor_limit(const struct config *config, struct error *error)
{
    struct rlimit limit;
    uint32_t most = config->limits.connections > config->limits.deliveries ? config->limits.connections
                                                                           : config->limits.deliveries;
    rlim_t wanted = (rlim_t)most + DESCRIPTORS_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return true;
    if (limit.rlim_max < DESCRIPTORS_MIN)
        return error_set(error, EX_OSERR,
                         "the limit of open files is %llu, less than %d: raise it (LimitNOFILE, ulimit -n)",
                         (unsigned long long)limit.rlim_max, DESCRIPTORS_MIN);
    struct rlimit higher = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &higher) == 0)
        return true;
    higher = (struct rlimit){limit.rlim_max < wanted ? limit.rlim_max : wanted, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &higher);
    log_event(LOG_EVENT_WARN, "connection_limit_lowered",
              LOG_TEXT("reason", "the limit of open files is too low for limits.connections"),
              LOG_U64("limit", higher.rlim_cur > 2 * DESCRIPTORS_BESIDE ? higher.rlim_cur - DESCRIPTORS_BESIDE
                                                                        : higher.rlim_cur / 2),
              LOG_TEXT("hint", "raise the limit of open files (LimitNOFILE, ulimit -n)"));
    return true;
}

/* Makes the certificate and its key if none are configured; one octet of output means that it did. */
static bool make_certificate(void *owner, struct buffer *out, struct error *error)
{
    struct config copy = *(const struct config *)owner;
    bool made = false;
    if (!data_dir_certificate(&copy, &made, error))
        return false;
    if (made)
        buffer_add_octet(out, 1);
    return true;
}

/* A service's preparation, in a separate process. */
struct preparation {
    const struct service *service;
    const struct config *config;
};

static bool prepare_service(void *owner, struct buffer *out, struct error *error)
{
    const struct preparation *preparation = owner;
    return preparation->service->prepare(preparation->config, error);
}

static bool prepare_services(const struct config *config, service_list *services, struct error *error)
{
    for (service_list *at = services; *at != NULL; at++)
        if ((*at)->prepare != NULL &&
            !subprocess_run(prepare_service, &(struct preparation){*at, config}, NULL, error))
            return false;
    return true;
}

/* Hashes and keys are handled in separate processes: all other processes would inherit anything that was
 * ever in this memory. */
static bool prepare_secrets(struct config *config, service_list *services, bool *certificate_made,
                            struct error *error)
{
    struct buffer out = {0};
    bool ignored, done = subprocess_run(make_certificate, config, &out, error) &&
                         prepare_services(config, services, error);
    *certificate_made = out.length > 0;
    buffer_free(&out);
    return done && data_dir_certificate(config, &ignored, error); /* it exists: sets its path */
}

/* The server's processes would open these files only after their start, and end one after the other. */
static bool check_certificate(void *owner, struct buffer *out, struct error *error)
{
    const struct config *config = owner;
    return certificate_check_files(config->tls.certificate, config->tls.key, config->hostname,
                                   config->relay.ca_file, out, error);
}

/* Logs what clients will see. A certificate that the server made was announced when it was made. */
static bool examine_certificate(struct config *config, bool is_own, struct error *error)
{
    struct buffer warnings = {0};
    bool usable = subprocess_run(check_certificate, config, &warnings, error);
    struct bytes rest = buffer_bytes(&warnings);
    while (usable && !is_own && rest.length > 0)
        log_event(LOG_EVENT_WARN, "certificate_warning", LOG_BYTES("reason", bytes_split(&rest, '\n')));
    buffer_free(&warnings);
    return usable;
}

bool preparation_run(struct config *config, service_list *services, struct error *error)
{
    bool certificate_made = false, is_own = config->tls.certificate == NULL;
    if (!data_dir_prepare(config, services, error) || !data_dir_has_owner(config, services, error) ||
        !data_dir_is_passable(config, error) ||
        !prepare_secrets(config, services, &certificate_made, error) ||
        !examine_certificate(config, is_own, error))
        return false;
    if (certificate_made)
        log_event(
            LOG_EVENT_WARN, "certificate_generated", LOG_TEXT("file", config->tls.certificate),
            LOG_TEXT("hint",
                     "mail programs warn of this self-signed certificate; set tls.certificate and tls.key"));
    return raise_descriptor_limit(config, error);
}

static bool services_are_free(const struct folder *data, service_list *services, struct error *error)
{
    for (service_list *at = services; *at != NULL; at++)
        if ((*at)->check_free != NULL && !(*at)->check_free(data, error))
            return false;
    return true;
}

bool preparation_settle(const struct config *config, service_list *services, struct folder *data,
                        struct buffer *users_warning, struct error *error)
{
    return users_settle(config->user, users_warning, error) && data_dir_prepare(config, services, error) &&
           data_dir_open(data, config, error) && services_are_free(data, services, error) &&
           data_dir_change_owner(config, services, error);
}
