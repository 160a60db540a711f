/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sasl/scram.h"

#include "core/smtp/base64.h"

/* Takes "x=value" up to the next comma; false if the letter is another. */
static bool take(struct bytes *rest, char letter, struct bytes *value)
{
    if (rest->length < 2 || rest->at[0] != letter || rest->at[1] != '=')
        return false;
    *value = bytes_from(bytes_split(rest, ','), 2);
    return true;
}

/* Printable ASCII without a comma (RFC 5802 7). */
static bool is_nonce(struct bytes nonce, size_t length_max)
{
    for (size_t i = 0; i < nonce.length; i++)
        if (nonce.at[i] <= ' ' || nonce.at[i] >= 127 || nonce.at[i] == ',')
            return false;
    return nonce.length > 0 && nonce.length <= length_max;
}

/* Validates trailing extensions, each "x=value"; unknown ones are allowed except "m=", which must be
 * understood. */
static bool are_extensions(struct bytes rest)
{
    while (rest.length > 0) {
        struct bytes one = bytes_split(&rest, ',');
        if (one.length < 2 || !ascii_is_alpha(one.at[0]) || one.at[0] == 'm' || one.at[1] != '=')
            return false;
    }
    return true;
}

static bool is_text(struct bytes text)
{
    return bytes_is_utf8(text) && bytes_find(text, '\0') == SIZE_MAX;
}

/* Reads exactly `size` octets, or with `least` from one up to `size`. */
static bool read_octets(struct bytes text, uint8_t *out, size_t size, size_t *length)
{
    struct buffer octets = {0};
    bool read = text.length <= 2 * size && base64_decode(&octets, text) && octets.length > 0 &&
                octets.length <= size && (length != NULL || octets.length == size);
    if (read)
        memcpy(out, octets.at, octets.length);
    if (read && length != NULL)
        *length = octets.length;
    buffer_free(&octets);
    return read;
}

/* ---- from the client ---- */

static bool read_flag(struct bytes text, struct scram_client_first *first)
{
    if (text.length == 1 && (text.at[0] == 'n' || text.at[0] == 'y')) {
        first->flag = text.at[0];
        return true;
    }
    if (text.length < 3 || text.at[0] != 'p' || text.at[1] != '=')
        return false;
    first->flag = 'p';
    first->binding = bytes_from(text, 2);
    for (size_t i = 0; i < first->binding.length; i++)
        if (!ascii_is_alnum(first->binding.at[i]) && first->binding.at[i] != '-' &&
            first->binding.at[i] != '.')
            return false;
    return true;
}

bool scram_read_client_first(struct bytes message, struct scram_client_first *first)
{
    *first = (struct scram_client_first){0};
    struct bytes rest = message;
    if (!is_text(message) || bytes_find(message, ',') == SIZE_MAX ||
        !read_flag(bytes_split(&rest, ','), first) || bytes_find(rest, ',') == SIZE_MAX)
        return false;
    struct bytes authorize = bytes_split(&rest, ',');
    if (authorize.length > 0 && (authorize.length < 3 || authorize.at[0] != 'a' || authorize.at[1] != '='))
        return false;
    first->authorize = authorize.length > 0 ? bytes_from(authorize, 2) : bytes_none();
    first->header = bytes_first(message, message.length - rest.length);
    first->bare = rest;
    return take(&rest, 'n', &first->user) && first->user.length > 0 && take(&rest, 'r', &first->nonce) &&
           is_nonce(first->nonce, SCRAM_NONCE_MAX) && are_extensions(rest);
}

bool scram_read_client_final(struct bytes message, struct scram_client_final *final)
{
    struct bytes rest = message, proof;
    size_t last = bytes_find_last(message, ',');
    *final = (struct scram_client_final){0};
    if (last == SIZE_MAX || !is_text(message))
        return false;
    proof = bytes_from(message, last + 1);
    rest = final->unproved = bytes_first(message, last);
    return take(&rest, 'c', &final->binding) && take(&rest, 'r', &final->nonce) &&
           is_nonce(final->nonce, 2 * SCRAM_NONCE_MAX) && are_extensions(rest) && proof.length > 2 &&
           proof.at[0] == 'p' && proof.at[1] == '=' &&
           read_octets(bytes_from(proof, 2), final->proof, SCRAM_KEY, NULL);
}

bool scram_binding_is(struct bytes text, struct bytes header, struct bytes octets)
{
    struct buffer wanted = {0}, encoded = {0};
    buffer_add(&wanted, header);
    buffer_add(&wanted, octets);
    base64_encode(&encoded, buffer_bytes(&wanted));
    bool is = bytes_equal(text, buffer_bytes(&encoded));
    buffer_free(&wanted);
    buffer_free(&encoded);
    return is;
}

/* ---- from the server ---- */

bool scram_read_server_first(struct bytes message, struct scram_server_first *first)
{
    struct bytes rest = message, salt, iterations;
    uint64_t number;
    *first = (struct scram_server_first){0};
    if (!is_text(message) || !take(&rest, 'r', &first->nonce) ||
        !is_nonce(first->nonce, 2 * SCRAM_NONCE_MAX) || !take(&rest, 's', &salt) ||
        !read_octets(salt, first->salt, SCRAM_SALT_MAX, &first->salt_length) ||
        !take(&rest, 'i', &iterations) || !are_extensions(rest) ||
        !bytes_to_u64(iterations, SCRAM_ITERATIONS_MAX, &number) || number < SCRAM_ITERATIONS_MIN)
        return false;
    first->iterations = (uint32_t)number;
    return true;
}

void scram_write_server_first(struct buffer *out, struct bytes client_nonce, struct bytes server_nonce,
                              struct bytes salt, uint32_t iterations)
{
    buffer_add_format(out, "r=%.*s", BYTES_ARG(client_nonce));
    base64_encode(out, server_nonce);
    buffer_add_text(out, ",s=");
    base64_encode(out, salt);
    buffer_add_format(out, ",i=%u", (unsigned)iterations);
}

bool scram_read_server_final(struct bytes message, uint8_t signature[SCRAM_KEY])
{
    struct bytes rest = message, text;
    return is_text(message) && take(&rest, 'v', &text) && are_extensions(rest) &&
           read_octets(text, signature, SCRAM_KEY, NULL);
}

/* ---- names ---- */

bool scram_name_read(struct buffer *out, struct bytes text)
{
    for (size_t i = 0; i < text.length; i++) {
        struct bytes escape = bytes_first(bytes_from(text, i), 3);
        if (text.at[i] == ',')
            return false;
        if (text.at[i] != '=') {
            buffer_add_octet(out, text.at[i]);
            continue;
        }
        if (!bytes_is(escape, "=2C") && !bytes_is(escape, "=3D"))
            return false;
        buffer_add_octet(out, escape.at[1] == '2' ? ',' : '=');
        i += 2;
    }
    return text.length > 0 && is_text(text) && buffer_bytes(out).length <= SCRAM_NAME_MAX;
}

void scram_name_write(struct buffer *out, struct bytes name)
{
    for (size_t i = 0; i < name.length; i++) {
        if (name.at[i] == ',' || name.at[i] == '=')
            buffer_add_text(out, name.at[i] == ',' ? "=2C" : "=3D");
        else
            buffer_add_octet(out, name.at[i]);
    }
}
