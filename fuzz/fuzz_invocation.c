/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of sendmail: read or refused with one clean line; recipients
 * are among what was given. */
#include "choices.h"
#include "core/text/invocation.h"

enum { ARGUMENTS_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char name[] = "sendmail";
    char *argv[ARGUMENTS_MAX + 1] = {name};
    int argc = 1;
    char *copy = malloc(size + 1);
    INSIST(copy != NULL);
    memcpy(copy, data, size);
    copy[size] = '\0';
    for (size_t at = 0; at < size && argc < ARGUMENTS_MAX; at += strlen(copy + at) + 1)
        argv[argc++] = copy + at;
    struct invocation invocation;
    struct error error = {0};
    if (invocation_read(&invocation, argc, argv, &error)) {
        INSIST(invocation.recipient_count < (size_t)argc);
        for (size_t i = 0; i < invocation.recipient_count; i++)
            INSIST(invocation.recipients[i] != NULL);
    } else {
        INSIST(error.text[0] != '\0' && !bytes_has_control(bytes_of_text(error.text)));
    }
    free(copy);
    return 0;
}
