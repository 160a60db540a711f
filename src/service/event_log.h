/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_log: an event (core/event/mail_event.h) as a line of the log. Each process
 * that makes events, or takes them of the queue, writes them with it.
 */
#ifndef MAILBOAT_SERVICE_EVENT_LOG_H
#define MAILBOAT_SERVICE_EVENT_LOG_H

#include "core/event/mail_event.h"

void event_log_write(const struct mail_event *event);

#endif
