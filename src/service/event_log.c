/* SPDX-License-Identifier: Apache-2.0 */
#include "service/event_log.h"

#include "io/log.h"

static struct log_field field_of(const struct event_value *value)
{
    switch (value->type) {
    case EVENT_TYPE_TEXT: return LOG_BYTES(value->name, value->text);
    case EVENT_TYPE_COUNT:
    case EVENT_TYPE_NUMBER: return LOG_U64(value->name, value->number);
    case EVENT_TYPE_FLAG: return LOG_FLAG(value->name, value->number != 0);
    case EVENT_TYPE_TRUST: break; /* mail_event_shown() makes texts of it */
    case EVENT_TYPE_QUEUE_ID: break;
    }
    return (struct log_field){LOG_FIELD_ID, value->name, {0}, value->number};
}

void event_log_write(const struct mail_event *event)
{
    struct event_value values[EVENT_SHOWN_MAX];
    struct log_field fields[EVENT_SHOWN_MAX];
    size_t count = mail_event_shown(event, values);
    for (size_t i = 0; i < count; i++)
        fields[i] = field_of(&values[i]);
    log_fields(mail_event_is_warning(event->kind) ? LOG_EVENT_WARN : LOG_EVENT_INFO,
               mail_event_log_name(event->kind), fields, count);
}
