/* SPDX-License-Identifier: Apache-2.0 */
/* Any header field: its mailboxes come to an end, in order, and lie within it. */
#include "choices.h"
#include "core/message/address_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes list = bytes_of(data, size);
    struct buffer room = {0};
    struct address_list_entry mailbox;
    const char *before = list.at;
    size_t left = list.length;
    while (address_list_next(&list, &room, &mailbox)) {
        INSIST(list.length < left && mailbox.address.length <= 2 * left);
        INSIST(mailbox.end == NULL ? mailbox.address.length == 0
                                   : mailbox.end >= before && mailbox.end <= list.at);
        INSIST(bytes_find(mailbox.address, '\n') == SIZE_MAX &&
               bytes_find(mailbox.address, '\r') == SIZE_MAX);
        left = list.length;
        before = list.at;
    }
    INSIST(list.length == 0);
    buffer_free(&room);
    return 0;
}
