/* SPDX-License-Identifier: Apache-2.0 */
/* Files of PEM blocks: whatever is found is in the text, and has a sentence of one line. */
#include "choices.h"
#include "core/text/pem_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    for (int wanted = PEM_CERTIFICATES; wanted <= PEM_KEY; wanted++) {
        struct pem_finding found = pem_text_check(text, (enum pem_wanted)wanted);
        struct buffer words = {0};
        INSIST(found.fault < PEM_FAULTS && found.line <= size);
        INSIST(found.label.length <= size);
        pem_text_add_words(&words, &found);
        INSIST(words.length > 0 && words.length < 300 && bytes_find(buffer_bytes(&words), '\n') == SIZE_MAX);
        buffer_free(&words);
    }
    return 0;
}
