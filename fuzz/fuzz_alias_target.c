/* SPDX-License-Identifier: Apache-2.0 */
/* The right-hand side of an alias: each target is taken once, none is empty, the end is reached. */
#include "choices.h"
#include "core/import/alias_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    struct buffer room = {0};
    struct alias_target target;
    for (size_t left = size + 1; alias_target_next(&rest, &room, &target); left = rest.length) {
        INSIST(rest.length < left);
        INSIST(target.kind != ALIAS_TO_ADDRESS || bytes_find(target.text, '@') != SIZE_MAX);
        INSIST(target.kind != ALIAS_TO_NAME || bytes_find(target.text, '@') == SIZE_MAX);
        INSIST(target.kind != ALIAS_TO_DOMAIN || target.text.at[0] == '@');
        INSIST(target.text.length <= size);
    }
    INSIST(rest.length == 0);
    buffer_free(&room);
    return 0;
}
