/* SPDX-License-Identifier: Apache-2.0 */
/* A parsed head of a dropped message can be written, and parses back the same. */
#include "choices.h"
#include "core/message/drop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0}, other = {0};
    struct envelope envelope, again;
    struct buffer text = {0};
    const char *wrong;
    size_t used, used_again;
    bool fine = drop_head_parse(bytes_of(data, size), &arena, &envelope, &used, &wrong);
    INSIST(used <= size && fine == (wrong == NULL));
    if (fine) {
        INSIST(envelope.size > 0 && envelope.recipient_count > 0 &&
               envelope.recipient_count <= DROP_RECIPIENTS_MAX);
        INSIST(!bytes_has_control(envelope.sender) && !bytes_has_control(envelope.envid));
        drop_head_add(&text, &envelope);
        INSIST(drop_head_parse(buffer_bytes(&text), &other, &again, &used_again, &wrong) &&
               used_again == text.length);
        INSIST(bytes_equal(envelope.sender, again.sender) && bytes_equal(envelope.envid, again.envid) &&
               envelope.size == again.size);
        INSIST(envelope.body == again.body && envelope.ret == again.ret &&
               envelope.smtputf8 == again.smtputf8 && envelope.recipient_count == again.recipient_count);
        for (size_t i = 0; i < again.recipient_count; i++) {
            INSIST(!bytes_has_control(again.recipients[i].address) &&
                   bytes_equal(envelope.recipients[i].address, again.recipients[i].address));
            INSIST(bytes_equal(envelope.recipients[i].orcpt, again.recipients[i].orcpt) &&
                   envelope.recipients[i].notify == again.recipients[i].notify);
        }
    }
    buffer_free(&text);
    arena_clear(&arena);
    arena_clear(&other);
    return 0;
}
