/* SPDX-License-Identifier: Apache-2.0 */
/* Events as octets: any decoded event encodes to the same octets, and can be shown. */
#include "choices.h"
#include "core/event/mail_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes left = bytes_of(data, size), before = left;
    struct mail_event event;
    while (mail_event_decode(&left, &event)) {
        struct event_value values[EVENT_SHOWN_MAX];
        struct buffer again = {0};
        INSIST(mail_event_is_sound(&event) && mail_event_shown(&event, values) <= EVENT_SHOWN_MAX);
        mail_event_encode(&again, &event);
        INSIST(bytes_equal(buffer_bytes(&again), bytes_first(before, before.length - left.length)));
        buffer_free(&again);
        before = left;
    }
    INSIST(left.length == before.length);
    return 0;
}
