/* SPDX-License-Identifier: Apache-2.0 */
#include "service/smtpd/metrics.h"

#include <assert.h>
#include <sysexits.h>
#include <unistd.h>

#include "run/children.h"

static bool metrics_start(void *at, struct error *error)
{
    struct shared_metrics *metrics = at;
    handshake_budget_start(&metrics->handshakes);
    return getentropy(metrics->ticket_secret, sizeof metrics->ticket_secret) == 0 ||
           error_set_errno(error, EX_OSERR, "cannot make a secret for TLS sessions");
}

static void metrics_forget(void *at, uint32_t number)
{
    struct shared_metrics *metrics = at;
    metrics->counted[number] = 0;
    metrics->accepting[number] = 0;
    memset(metrics->clients[number], 0, sizeof metrics->clients[number]);
    memset(metrics->ports[number], 0, sizeof metrics->ports[number]);
}

static_assert((int)CHILD_NUMBERS <= (int)METRICS_SLOTS, "each process has a row");
const struct shared_memory smtpd_metrics = {.name = "the smtpd processes",
                                            .octets = sizeof(struct shared_metrics),
                                            .start = metrics_start,
                                            .forget = metrics_forget};
