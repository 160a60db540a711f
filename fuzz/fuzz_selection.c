/* SPDX-License-Identifier: Apache-2.0 */
/* Filters as typed by a user: parsed or rejected with one clean line; parsed ones can be matched against
 * anything. */
#include "base/buffer.h"
#include "choices.h"
#include "core/text/selection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer copy = {0};
    const char *typed[7] = {NULL};
    buffer_add(&copy, bytes_of(data, size));
    buffer_add_octet(&copy, '\0');
    struct bytes rest = buffer_bytes(&copy);
    /* NUL between them; "-" was not typed */
    for (size_t i = 0; i < ARRAY_LENGTH(typed) && rest.length > 0; i++) {
        struct bytes word = bytes_split(&rest, '\0');
        typed[i] = bytes_is(word, "-") ? NULL : word.at;
    }
    struct selection_texts texts = {.sender = typed[0],
                                    .recipient = typed[1],
                                    .domain = typed[2],
                                    .older = typed[3],
                                    .younger = typed[4],
                                    .reason = typed[5],
                                    .state = typed[6]};
    struct selection selection;
    struct error error = {0};
    if (selection_read(&selection, &texts, &error)) {
        struct recipient recipient = {.address = BYTES("bob@example.net")};
        struct attempt_record last = {.text = BYTES("550 no"), .code = 550};
        selection_takes_message(&selection, BYTES("ada@example.org"), 1000, 1795435200000u);
        selection_takes_message(&selection, bytes_none(), UINT64_MAX, 0);
        selection_takes_recipient(&selection, &recipient, &last);
        selection_takes_state(&selection, "waiting", "retry");
    } else {
        INSIST(error.text[0] != '\0' && !bytes_has_control(bytes_of_text(error.text)));
    }
    buffer_free(&copy);
    return 0;
}
