/* SPDX-License-Identifier: Apache-2.0 */
#include "letters.h"

/* "reject" is refused for good where it lives; here.test is ours. */
static const char *const people[] = {"u0@here.test", "u1@here.test",      "ada@there.test", "bob@there.test",
                                     "eve@far.test", "reject@there.test", "reject@far.test"};

static void add_recipient(struct letter *letter, struct bytes address)
{
    for (size_t i = 0; i < letter->recipient_count; i++)
        if (bytes_equal(letter->recipients[i].address, address))
            return;
    letter->recipients[letter->recipient_count++] = (struct letter_recipient){
        .address = address, .refused_for_good = bytes_starts_nocase(address, "reject@")};
}

static void write_letter(struct letters *letters, struct letter *letter, unsigned number)
{
    struct world *world = letters->world;
    struct buffer content = {0};
    *letter = (struct letter){.number = number, .sender = BYTES("u0@here.test")};
    for (size_t i = 1 + world_random(world, LETTER_RECIPIENTS_MAX); i > 0; i--)
        add_recipient(letter, bytes_of_text(people[world_random(world, ARRAY_LENGTH(people))]));
    letter->by_list = world_random(world, 3) == 0;
    buffer_add_format(&content, "X-Letter: %05u\r\nSubject: hello\r\n\r\n", number);
    for (size_t lines = world_random(world, 30); lines > 0; lines--)
        buffer_add_text(&content, world_random(world, 8) == 0   ? ".\r\n"
                                  : world_random(world, 8) == 0 ? "..\r\n"
                                                                : "words of a letter\r\n");
    letter->content = arena_copy(&world->memory, buffer_bytes(&content));
    buffer_free(&content);
}

void letters_write(struct letters *letters, struct world *world, size_t count)
{
    letters->world = world;
    letters->count = count;
    for (unsigned i = 0; i < count; i++)
        write_letter(letters, &letters->all[i], i);
}

struct letter *letters_find(struct letters *letters, struct bytes content)
{
    uint64_t number;
    size_t at = bytes_search(content, BYTES("X-Letter: "));
    if (at == SIZE_MAX || !bytes_to_u64(bytes_first(bytes_from(content, at + 10), 5), LETTERS_MAX, &number) ||
        number >= letters->count)
        return NULL;
    return &letters->all[number];
}

static bool is_report(struct bytes content)
{
    return bytes_search(content, BYTES("multipart/report")) != SIZE_MAX;
}

/* True if a mailbox holds what was written, after the fields that servers add. */
static bool is_whole(const struct letter *letter, struct bytes content)
{
    if (content.length < letter->content.length)
        return false;
    struct bytes before = bytes_first(content, content.length - letter->content.length);
    return bytes_equal(bytes_from(content, before.length), letter->content) &&
           bytes_ends_nocase(before, LETTERS_PREFIX) &&
           bytes_search(before, BYTES(LETTERS_PREFIX)) == before.length - strlen(LETTERS_PREFIX);
}

struct bytes letters_sent(const struct letters *letters, const struct ipc_deliver *deliver)
{
    return bytes_of_text(arena_format(&letters->world->memory, "%.*s%.*s", BYTES_ARG(deliver->prefix),
                                      BYTES_ARG(deliver->content)));
}

static void report_arrived(struct letter *letter, struct bytes content)
{
    struct buffer field = {0};
    for (size_t i = 0; i < letter->recipient_count; i++) {
        buffer_clear(&field);
        buffer_add_format(&field, "Final-Recipient: rfc822; %.*s\r\n",
                          BYTES_ARG(letter->recipients[i].address));
        if (bytes_search(content, buffer_bytes(&field)) != SIZE_MAX)
            letter->recipients[i].reports++;
    }
    buffer_free(&field);
}

void letters_arrived(struct letters *letters, struct bytes address, struct bytes content)
{
    struct letter *letter = letters_find(letters, content);
    if (letter == NULL)
        return;
    world_say(letters->world, "%s %u arrives at %.*s", is_report(content) ? "report on letter" : "letter",
              letter->number, BYTES_ARG(address));
    if (is_report(content)) {
        report_arrived(letter, content);
        return;
    }
    for (size_t i = 0; i < letter->recipient_count; i++)
        if (bytes_equal(letter->recipients[i].address, address))
            /* a mangled one fails the check */
            letter->recipients[i].copies += is_whole(letter, content) ? 1 : 1000;
}

void letters_uncertain(struct letters *letters, struct bytes content, const char *why)
{
    struct letter *letter = letters_find(letters, content);
    if (letter == NULL)
        return;
    letter->uncertain++;
    world_say(letters->world, "letter %u: %s", letter->number, why);
}

void letters_failed(struct letters *letters, struct bytes content, struct bytes address, bool founded)
{
    struct letter *letter = letters_find(letters, content);
    letters->unfounded += !founded;
    if (letter == NULL || is_report(content))
        return;
    world_say(letters->world, "letter %u is given up for %.*s", letter->number, BYTES_ARG(address));
    for (size_t i = 0; i < letter->recipient_count; i++)
        letter->recipients[i].failed += bytes_equal(letter->recipients[i].address, address);
}

void letters_confused(struct letters *letters, struct bytes content)
{
    struct letter *letter = letters_find(letters, content);
    if (letter == NULL)
        return;
    letter->confused++;
    letters_uncertain(letters, content, "a peer that talks too much took it");
}

bool letters_are_done(const struct letters *letters)
{
    for (size_t i = 0; i < letters->count; i++)
        for (size_t k = 0; k < letters->all[i].recipient_count; k++) {
            const struct letter_recipient *r = &letters->all[i].recipients[k];
            if (!r->promised || (r->reports == 0 && (r->refused_for_good || r->copies == 0)))
                return false;
        }
    return true;
}

bool letters_check(const struct letters *letters, struct buffer *problem)
{
    if (letters->in_clear > 0)
        buffer_add_format(problem, "%u times mail went in clear where it must not; ", letters->in_clear);
    if (letters->unfounded > 0)
        buffer_add_format(problem, "%u recipients were given up, and nobody had said so; ",
                          letters->unfounded);
    for (size_t i = 0; i < letters->count; i++) {
        const struct letter *letter = &letters->all[i];
        for (size_t k = 0; k < letter->recipient_count; k++) {
            const struct letter_recipient *r = &letter->recipients[k];
            const char *wrong = !r->promised                             ? "was never accepted"
                                : r->refused_for_good && r->reports == 0 ? "was refused and nobody was told"
                                : r->refused_for_good && r->copies > 0   ? "was refused and yet arrived"
                                : r->copies == 0 && r->reports == 0      ? "is lost"
                                : r->reports > 0 && r->failed == 0       ? "was reported as failed and is not"
                                : r->reports > 1 + letter->uncertain     ? "was reported too often"
                                : r->reports > 0 && r->copies > letter->uncertain
                                    ? "arrived, and was reported as failed"
                                : r->copies >= 1000                 ? "was mangled"
                                : r->copies > 1 + letter->uncertain ? "came too often"
                                                                    : NULL;
            if (wrong != NULL)
                buffer_add_format(problem, "letter %u to %.*s %s (%u copies, %u reports, %u uncertain); ",
                                  letter->number, BYTES_ARG(r->address), wrong, r->copies, r->reports,
                                  letter->uncertain);
        }
    }
    return problem->length == 0;
}
