/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services: the rows of all processes of the server, each defined in its own
 * folder, and the one list of them. CONTRIBUTING.md says what a new one touches.
 */
#ifndef MAILBOAT_SERVICE_SERVICES_H
#define MAILBOAT_SERVICE_SERVICES_H

#include "run/service.h"

extern const struct service smtpd_service, auth_service, queue_service, relay_service, local_service,
    pickup_service, web_service;

/* In the order of the start; NULL behind the last. */
extern service_list services[];

#endif
