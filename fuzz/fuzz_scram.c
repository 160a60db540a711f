/* SPDX-License-Identifier: Apache-2.0 */
/* Any octets as each of SCRAM's messages: what is read lies within the message and its limits. */
#include "choices.h"
#include "core/sasl/scram.h"

static void check_within(struct bytes whole, struct bytes part)
{
    INSIST(part.length == 0 || (part.at >= whole.at && part.at + part.length <= whole.at + whole.length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes message = bytes_of(data, size);
    struct scram_client_first first;
    struct scram_client_final final;
    struct scram_server_first challenge;
    struct buffer name = {0}, written = {0};
    uint8_t signature[SCRAM_KEY];
    if (scram_read_client_first(message, &first)) {
        check_within(message, first.user);
        check_within(message, first.nonce);
        INSIST(first.header.length + first.bare.length == size && first.nonce.length <= SCRAM_NONCE_MAX &&
               first.user.length > 0);
    }
    if (scram_read_client_final(message, &final)) {
        check_within(message, final.unproved);
        INSIST(final.unproved.length < size && final.nonce.length > 0);
    }
    if (scram_read_server_first(message, &challenge))
        INSIST(challenge.iterations >= SCRAM_ITERATIONS_MIN && challenge.iterations <= SCRAM_ITERATIONS_MAX &&
               challenge.salt_length <= SCRAM_SALT_MAX);
    scram_read_server_final(message, signature);
    if (scram_name_read(&name, message)) {
        scram_name_write(&written, buffer_bytes(&name));
        INSIST(bytes_equal(buffer_bytes(&written), message));
    }
    buffer_free(&name);
    buffer_free(&written);
    return 0;
}
