/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text/selection.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/buffer.h"
#include "core/smtp/status.h"
#include "core/text/quantity.h"

/* ---- parsing ---- */

/* Returns "<ada@example.org>" as "ada@example.org". */
static struct bytes without_brackets(const char *text)
{
    struct bytes address = bytes_of_text(text);
    bool bracketed = address.length >= 2 && address.at[0] == '<' && address.at[address.length - 1] == '>';
    return bracketed ? bytes_of(address.at + 1, address.length - 2) : address;
}

static bool read_age(const char *name, const char *text, bool *said, uint64_t *value, struct error *error)
{
    *said = text != NULL;
    if (text == NULL || quantity_duration(bytes_of_text(text), value))
        return true;
    return error_set(error, EX_USAGE, "--%s: '%s' is not a time such as 90s, 30m, 2h or 5d", name, text);
}

static bool check_text(const char *name, const char *text, struct error *error)
{
    return text == NULL || *text != '\0' || error_set(error, EX_USAGE, "--%s is empty", name);
}

/* The words that --state takes: the four states, the reasons of a wait, and Postfix's names of states. */
static const struct {
    const char *typed, *name;
} states[] = {{"in_progress", "in_progress"},
              {"held", "held"},
              {"waiting", "waiting"},
              {"ready", "ready"},
              {"no_server", "no_server"},
              {"all_held", "all_held"},
              {"destination_backoff", "destination_backoff"},
              {"retry", "retry"},
              {"turn", "turn"},
              {"active", "in_progress"},
              {"hold", "held"},
              {"deferred", "waiting"},
              {"incoming", "ready"}};

static bool read_state(const char *text, const char **name, struct error *error)
{
    if (text == NULL)
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(states) && *name == NULL; i++)
        if (bytes_equal_nocase(bytes_of_text(text), bytes_of_text(states[i].typed)))
            *name = states[i].name;
    return *name != NULL ||
           error_set(error, EX_USAGE,
                     "--state: '%s' is not a state; use in_progress, held, waiting, ready, or a reason such "
                     "as destination_backoff or retry",
                     text);
}

bool selection_read(struct selection *selection, const struct selection_texts *texts, struct error *error)
{
    *selection = (struct selection){.all = texts->all,
                                    .by_sender = texts->sender != NULL,
                                    .sender = without_brackets(texts->sender),
                                    .by_recipient = texts->recipient != NULL,
                                    .recipient = without_brackets(texts->recipient),
                                    .by_domain = texts->domain != NULL,
                                    .domain = bytes_of_text(texts->domain),
                                    .by_reason = texts->reason != NULL,
                                    .reason = bytes_of_text(texts->reason)};
    if (selection->domain.length > 0 && selection->domain.at[0] == '@')
        selection->domain = bytes_from(selection->domain, 1);
    return read_state(texts->state, &selection->state, error) &&
           check_text("recipient", texts->recipient, error) && check_text("domain", texts->domain, error) &&
           check_text("reason", texts->reason, error) &&
           read_age("older", texts->older, &selection->by_older, &selection->older_ms, error) &&
           read_age("younger", texts->younger, &selection->by_younger, &selection->younger_ms, error);
}

static bool is_filtered(const struct selection *s)
{
    return s->by_sender || s->by_older || s->by_younger || selection_looks_at_recipients(s);
}

bool selection_is_unsaid(const struct selection *s)
{
    return !s->all && !is_filtered(s);
}

bool selection_is_everything(const struct selection *s)
{
    return s->all && !is_filtered(s);
}

bool selection_looks_at_recipients(const struct selection *s)
{
    return s->by_recipient || s->by_domain || s->by_reason || s->state != NULL;
}

/* ---- matching ---- */

static struct bytes domain_of(struct bytes address)
{
    size_t at = bytes_find_last(address, '@');
    return at == SIZE_MAX ? bytes_none() : bytes_from(address, at + 1);
}

static bool is_address(struct bytes wanted, struct bytes address)
{
    if (wanted.length > 1 && wanted.at[0] == '@')
        return bytes_equal_nocase(bytes_from(wanted, 1), domain_of(address));
    return bytes_equal_nocase(wanted, address);
}

bool selection_takes_message(const struct selection *s, struct bytes sender, uint64_t arrived_ms,
                             uint64_t now_ms)
{
    uint64_t age_ms = now_ms > arrived_ms ? now_ms - arrived_ms : 0;
    return (!s->by_sender || is_address(s->sender, sender)) && (!s->by_older || age_ms >= s->older_ms) &&
           (!s->by_younger || age_ms < s->younger_ms);
}

static bool contains_nocase(struct bytes text, struct bytes wanted)
{
    for (; text.length >= wanted.length && text.length > 0; text = bytes_from(text, 1))
        if (bytes_equal_nocase(bytes_first(text, wanted.length), wanted))
            return true;
    return false;
}

/* Matches the reason as lists print it. */
static bool has_reason(const struct selection *s, const struct attempt_record *last)
{
    struct buffer reason = {0};
    status_add_said(&reason, last->code, last->enhanced, last->text);
    bool has = contains_nocase(buffer_bytes(&reason), s->reason);
    buffer_free(&reason);
    return has;
}

bool selection_takes_recipient(const struct selection *s, const struct recipient *to,
                               const struct attempt_record *last)
{
    if (s->by_recipient && !is_address(s->recipient, to->address) &&
        (to->original.length == 0 || !is_address(s->recipient, to->original)))
        return false;
    if (s->by_domain && !bytes_equal_nocase(s->domain, domain_of(to->address)))
        return false;
    return !s->by_reason || has_reason(s, last);
}

bool selection_takes_state(const struct selection *s, const char *state, const char *why)
{
    return s->state == NULL || strcmp(s->state, state) == 0 || strcmp(s->state, why) == 0;
}
