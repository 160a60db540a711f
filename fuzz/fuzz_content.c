/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content off the wire: the same whatever pieces it arrives in; what is
 * stored has no bare CR or LF; and what our own client encodes comes back.
 */
#include "choices.h"
#include "core/client/encoder.h"
#include "core/server/content.h"

enum { SIZE_MAX_HERE = 5000 };

struct content_case {
    struct buffer stored;
    struct content content;
    size_t used;
    bool ended;
};

/* Reads to the end of data, in pieces where `choices` is not NULL. */
static struct content_case read_data(struct bytes input, bool fix, struct choices *choices)
{
    struct content_case reading = {.used = 0};
    struct buffer changed = {0};
    size_t there = choices == NULL ? input.length : 0;
    content_start(&reading.content, SIZE_MAX_HERE, false, fix);
    while (!reading.ended) {
        struct content_run run;
        size_t used = content_feed_data(
            &reading.content, bytes_of(input.at + reading.used, there - reading.used), &changed, &run);
        INSIST(used <= there - reading.used);
        INSIST(run.octets.length <= (fix ? 2 * used : used));
        buffer_add(&reading.stored, run.octets);
        reading.used += used;
        reading.ended = run.ended;
        if (used > 0)
            continue;
        if (there == input.length)
            break;
        there += arrival(choices, bytes_from(input, there)).length;
    }
    buffer_free(&changed);
    INSIST(reading.ended || there - reading.used <= 3); /* it waits for little */
    return reading;
}

static void check_newlines(struct bytes stored)
{
    for (size_t i = 0; i < stored.length; i++) {
        INSIST(stored.at[i] != '\0');
        INSIST(stored.at[i] != '\n' || (i > 0 && stored.at[i - 1] == '\r'));
        INSIST(stored.at[i] != '\r' || i + 1 == stored.length || stored.at[i + 1] == '\n');
    }
}

static void check_round(struct bytes input)
{
    struct buffer wire = {0};
    struct encoder encoder = {0};
    encoder_add(&encoder, &wire, bytes_first(input, input.length / 3));
    encoder_add(&encoder, &wire, bytes_from(input, input.length / 3));
    encoder_end(&encoder, &wire);
    struct content_case reading = read_data(buffer_bytes(&wire), false, NULL);
    INSIST(reading.ended && reading.used == wire.length);
    INSIST(reading.content.fault == CONTENT_FINE || reading.content.fault == CONTENT_TOO_LARGE ||
           reading.content.fault == CONTENT_NUL || reading.content.fault == CONTENT_LOOPS);
    buffer_free(&reading.stored);
    buffer_free(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices;
    struct bytes input = choices_start(&choices, data, size);
    for (int fix = 0; fix <= 1; fix++) {
        struct content_case whole = read_data(input, fix, NULL), pieces = read_data(input, fix, &choices);
        bool fine = whole.content.fault == CONTENT_FINE;
        INSIST(whole.used == pieces.used && whole.ended == pieces.ended);
        INSIST(fine == (pieces.content.fault == CONTENT_FINE));
        INSIST(!fine || bytes_equal(buffer_bytes(&whole.stored), buffer_bytes(&pieces.stored)));
        INSIST(!fine || whole.content.size == whole.stored.length);
        if (fine)
            check_newlines(buffer_bytes(&whole.stored));
        buffer_free(&whole.stored);
        buffer_free(&pieces.stored);
    }
    check_round(input);
    return 0;
}
