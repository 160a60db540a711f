/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as the value of an Authentication-Results field, and any header through the filter: what parses
 * and is written again reads the same; any cut of a header gives the same; what stays is of the header, and
 * has no field that claims to be ours.
 */
#include "choices.h"
#include "core/message/header.h"
#include "core/trust/authres_filter.h"
#include "core/trust/authres_write.h"

static const struct bytes ID = BYTES("mx.example");

static bool is_text(struct bytes b)
{
    return !bytes_has_control_character(b) && bytes_is_utf8(b) && b.length <= AUTHRES_VALUE_MAX;
}

/* Writes the results; false if one has what cannot be written as it is. */
static bool write(struct authres_writer *writer, const struct authres *authres, struct arena *arena)
{
    bool plain = is_text(authres->id);
    authres_write_start(writer, authres->id.length == 0 ? ID : authres->id);
    for (size_t i = 0; i < authres->result_count; i++) {
        const struct authres_result *result = &authres->results[i];
        plain = plain && (result->reason.at == NULL || is_text(result->reason));
        authres_write_result(writer, arena_text(arena, result->method), arena_text(arena, result->result),
                             result->reason.at == NULL ? NULL : arena_text(arena, result->reason));
        for (size_t k = 0; k < result->count; k++) {
            const struct authres_property *property = &authres->properties[result->first + k];
            plain = plain && is_text(property->value);
            authres_write_property(writer, arena_text(arena, property->type),
                                   arena_text(arena, property->name), property->value);
        }
    }
    return plain;
}

static void check_value(struct bytes value)
{
    static struct authres authres, again;
    struct arena arena = {0};
    struct authres_writer writer;
    struct buffer out = {0};
    bool claims = authres_claims(value, ID);
    if (authres_parse(&authres, value, &arena)) {
        INSIST(claims || !bytes_equal_nocase(authres.id, ID));
        bool plain = write(&writer, &authres, &arena);
        authres_write_end(&writer, "", &out);
        INSIST(out.length <= AUTHRES_WRITE_MAX + 10);
        INSIST(authres_parse(&again, buffer_bytes(&out), &arena));
        INSIST(again.result_count <= authres.result_count);
        for (size_t i = 0; plain && i < again.property_count; i++)
            INSIST(bytes_equal(again.properties[i].value, authres.properties[i].value));
        INSIST(!plain || authres.id.length == 0 || bytes_equal(again.id, authres.id));
    }
    buffer_free(&out);
    arena_clear(&arena);
}

static void filter(struct bytes header, struct buffer *out, struct choices *choices)
{
    struct authres_filter state;
    authres_filter_start(&state, ID);
    while (header.length > 0) {
        struct bytes piece = choices == NULL ? header : bytes_first(header, 1 + choose(choices, 30));
        authres_filter_add(&state, piece, out);
        header = bytes_from(header, piece.length);
    }
    authres_filter_finish(&state, out);
}

static void check_header(struct bytes header, struct choices *choices)
{
    struct buffer pieces = {0}, whole = {0};
    size_t lines;
    filter(header, &pieces, choices);
    filter(header, &whole, NULL);
    INSIST(bytes_equal(buffer_bytes(&pieces), buffer_bytes(&whole)) && whole.length <= header.length);
    struct bytes rest = buffer_bytes(&whole);
    while (rest.length > 0 && !bytes_starts_nocase(rest, "\r\n") && !bytes_starts_nocase(rest, "\n")) {
        struct bytes field = header_next_field(&rest, &lines), name = header_field_name(field);
        if (bytes_is_nocase(name, "authentication-results"))
            INSIST(!authres_claims(bytes_from(field, name.length + 1), ID));
    }
    buffer_free(&pieces);
    buffer_free(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices;
    struct bytes text = choices_start(&choices, data, size);
    check_value(text);
    check_header(text, &choices);
    return 0;
}
