/* SPDX-License-Identifier: Apache-2.0 */
/* A server as typed by a user, and a quantity: read, or rejected with one clean line. */
#include "base/buffer.h"
#include "choices.h"
#include "core/dns/host.h"
#include "core/text/quantity.h"
#include "core/text/target.h"

static void read_quantity(struct bytes text)
{
    uint64_t ms, octets;
    char age[QUANTITY_AGE_SIZE];
    if (quantity_duration(text, &ms))
        INSIST(strlen(quantity_age(0, ms, age)) < sizeof age);
    quantity_size(text, &octets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer copy = {0};
    struct target target;
    struct error error = {0};
    buffer_add(&copy, bytes_of(data, size));
    if (target_read(&target, buffer_text(&copy), &error)) {
        struct bytes host = bytes_of_text(target.host);
        INSIST(host_parse(host, true) != HOST_INVALID && host_parse(host, true) != HOST_IMPOSSIBLE_ADDRESS);
        INSIST(!bytes_has_control(bytes_of_text(target.ports)));
        INSIST(target.address[0] == '\0' || bytes_find(bytes_of_text(target.address), '@') != SIZE_MAX);
    } else {
        INSIST(error.text[0] != '\0' && !bytes_has_control(bytes_of_text(error.text)));
    }
    read_quantity(buffer_bytes(&copy));
    buffer_free(&copy);
    return 0;
}
