/* SPDX-License-Identifier: Apache-2.0 */
/* planted: makes one mistake of the kind named by its argument, in code of src/. planted.py sees that the
 * sanitizer reports it. */
#include <stdlib.h>
#include <string.h>

#include "core/smtp/base64.h"

/* Reads one octet past an allocation. */
static void read_past_the_end(void)
{
    struct buffer text = {0};
    char *octets = malloc(12);
    memset(octets, 'a', 12);
    base64_encode(&text, bytes_of(octets, 13));
    buffer_free(&text);
    free(octets);
}

/* Accesses a struct at an odd address. */
static void access_misaligned(void)
{
    static _Alignas(struct buffer) char place[sizeof(struct buffer) + 1];
    base64_encode((struct buffer *)(void *)(place + 1), bytes_of_text("aaa"));
}

/* Forgets the only pointer to what buffer_add() has allocated. Not inlined: no copy of it stays on the stack.
 */
static __attribute__((noinline)) void forget(void)
{
    struct buffer text = {0};
    base64_encode(&text, bytes_of_text("aaa"));
}

int main(int count, char **arguments)
{
    const char *kind = count == 2 ? arguments[1] : "";
    if (strcmp(kind, "address") == 0)
        read_past_the_end();
    else if (strcmp(kind, "undefined") == 0)
        access_misaligned();
    else if (strcmp(kind, "leak") == 0)
        for (int i = 0; i < 100; i++)
            forget();
    return 0;
}
