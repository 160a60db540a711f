/* SPDX-License-Identifier: Apache-2.0 */
#include "service/services.h"

/* A reload replaces the delivering services before the queue that records their results, so that it is
 * available until they are done; relay after sign, whose new keys it then uses; web after relay, which it
 * queries immediately. Overlapping services start last, wherever they are in the list. */
service_list services[] = {&pickup_service, &auth_service,   &sign_service, &relay_service,
                           &local_service,  &report_service, &web_service,  &queue_service,
                           &trust_service,  &smtpd_service,  NULL};
