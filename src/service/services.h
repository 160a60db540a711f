/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services: the rows of all services, each defined in its own folder, and their list. CONTRIBUTING.md
 * explains how to add one.
 */
#ifndef MAILBOAT_SERVICE_SERVICES_H
#define MAILBOAT_SERVICE_SERVICES_H

#include "run/service.h"

extern const struct service smtpd_service, auth_service, queue_service, relay_service, local_service,
    pickup_service, web_service, trust_service, sign_service, report_service;

/* In the order of the start; NULL after the last. */
extern service_list services[];

#endif
