/* SPDX-License-Identifier: Apache-2.0 */
/* Any header, and any addresses that forwarded a message: the added fields are found again, one line each,
 * and nothing else is. */
#include <string.h>

#include "choices.h"
#include "core/message/loop_detection.h"

static struct bytes names_of(struct bytes addresses, struct arena *arena)
{
    struct bytes via = bytes_none();
    while (addresses.length > 0) {
        struct bytes name = loop_detection_name(arena, bytes_split(&addresses, '\n'));
        INSIST(bytes_is_ascii(name) && !bytes_has_control(name) && bytes_find(name, ' ') == SIZE_MAX);
        if (name.length > 0)
            via = loop_detection_join(arena, via, name);
        INSIST(via.length <= VIA_MAX);
    }
    return via;
}

static void look_again(struct bytes via, struct bytes content)
{
    struct buffer out = {0};
    struct bytes who, rest = via;
    loop_detection_add(&out, via);
    size_t fields = out.length;
    buffer_add_text(&out, "Received: by us\r\n"); /* with that each message begins */
    buffer_add(&out, content);
    for (size_t at = 0; at < fields; at++)
        INSIST(out.at[out.start + at] != '\r' || (at + 1 < fields && out.at[out.start + at + 1] == '\n'));
    while (rest.length > 0) {
        struct bytes name = bytes_split(&rest, ' ');
        INSIST(loop_detection_returns(buffer_bytes(&out), name, &who) && bytes_equal(who, name));
    }
    buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct bytes content = bytes_of(data, size), who;
    /* in front: addresses, one a line; behind: a message */
    size_t end = bytes_search(content, BYTES("\n\n"));
    struct bytes via = names_of(bytes_first(content, end), &arena);
    content = end == SIZE_MAX ? bytes_none() : bytes_from(content, end + 2);
    if (loop_detection_returns(content, via, &who))
        INSIST(who.length > 0 && bytes_search(content, BYTES(":")) != SIZE_MAX);
    else
        INSIST(who.length == 0);
    look_again(via, content);
    arena_clear(&arena);
    return 0;
}
