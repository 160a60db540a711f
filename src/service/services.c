/* SPDX-License-Identifier: Apache-2.0 */
#include "service/services.h"

/* A reload replaces the deliverers before the queue that records their results, so that it is there until
 * they are done; web after relay, which it asks at once. Those that overlap start last of all, wherever they
 * stand. */
service_list services[] = {&pickup_service, &auth_service,  &relay_service, &local_service,
                           &web_service,    &queue_service, &smtpd_service, NULL};
