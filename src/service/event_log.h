/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_log: logs an event (core/event/mail_event.h). Used by all processes that create events, or receive
 * them from the queue.
 */
#ifndef MAILBOAT_SERVICE_EVENT_LOG_H
#define MAILBOAT_SERVICE_EVENT_LOG_H

#include "core/event/mail_event.h"

void event_log_write(const struct mail_event *event);

#endif
