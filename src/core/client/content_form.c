/* SPDX-License-Identifier: Apache-2.0 */
#include "core/client/content_form.h"

#include <assert.h>

unsigned content_form_number(struct content_form form)
{
    return (form.raw ? 1u : 0u) | (form.encodes ? 2u : 0u) | (form.binary ? 4u : 0u) |
           (form.short_lines ? 8u : 0u) | (form.eight_passes ? 16u : 0u);
}

void content_form_start_encoding(struct content_form form, struct transfer_encoding *transfer_encoding)
{
    assert(form.encodes && !form.raw);
    transfer_encoding_start(transfer_encoding, form.binary);
    transfer_encoding->short_lines = form.short_lines;
    transfer_encoding->eight_passes = form.eight_passes;
}

void content_formed_start(struct formed_content *formed, struct content_form form)
{
    *formed = (struct formed_content){.form = form, .encoder = {.chunks = true}};
    if (form.encodes)
        content_form_start_encoding(form, &formed->transfer_encoding);
}

/* Passes on what was encoded. */
static void add_encoded(struct formed_content *formed, struct buffer *out)
{
    encoder_add(&formed->encoder, out, buffer_bytes(&formed->encoded));
    buffer_clear(&formed->encoded);
}

void content_formed_add(struct formed_content *formed, struct buffer *out, struct bytes run)
{
    if (formed->form.raw) {
        buffer_add(out, run);
    } else if (!formed->form.encodes) {
        encoder_add(&formed->encoder, out, run);
    } else {
        transfer_encoding_add(&formed->transfer_encoding, &formed->encoded, run);
        add_encoded(formed, out);
    }
}

void content_formed_end(struct formed_content *formed, struct buffer *out)
{
    if (formed->form.encodes) {
        transfer_encoding_end(&formed->transfer_encoding, &formed->encoded);
        add_encoded(formed, out);
    }
    if (!formed->form.raw)
        encoder_end(&formed->encoder, out);
}

void content_formed_free(struct formed_content *formed)
{
    transfer_encoding_free(&formed->transfer_encoding);
    buffer_free(&formed->encoded);
}
