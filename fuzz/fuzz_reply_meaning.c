/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any reply from any server: it means something if its code is a failure's; its words are clean and short; a
 * 4xx suppresses nobody; and an address of the transaction, wherever it stands, changes nothing.
 */
#include "base/buffer.h"
#include "choices.h"
#include "core/reply/reply_words.h"

static void check_words(const struct reply_facts *facts)
{
    struct reply_words words;
    reply_words_read(&words, facts);
    INSIST(words.length <= REPLY_WORDS_MAX);
    INSIST(words.status.class == 0 || words.status.class == 4 || words.status.class == 5);
    for (size_t i = 0; i < words.length; i++) {
        INSIST((unsigned char)words.text[i] >= 32 && words.text[i] != 127);
        INSIST(words.text[i] == ascii_lower(words.text[i]));
        INSIST(words.text[i] != ' ' || i == 0 || words.text[i - 1] != ' ');
    }
}

/* The reply with our address after it, where it was short enough to be read whole. */
static void check_echo(struct reply_facts facts, const struct reply_meaning *meaning)
{
    struct buffer text = {0};
    if (facts.text.length + 64 > REPLY_WORDS_MAX || bytes_find(facts.text, '"') != SIZE_MAX ||
        bytes_find(facts.text, '<') != SIZE_MAX)
        return;
    buffer_add(&text, facts.text);
    buffer_add_text(&text, " <mailbox.full@user-unknown.example>");
    facts.text = buffer_bytes(&text);
    INSIST(reply_meaning_find(&facts) == meaning);
    buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const PEERS[] = {"", "aspmx.l.google.com", "x.mail.protection.outlook.com",
                                        "mx00.gmx.net[192.0.2.1]:25", "mail.example"};
    struct choices choices;
    struct bytes text = choices_start(&choices, data, size);
    struct reply_facts facts = {.code = 400 + choose(&choices, 256),
                                .peer = bytes_of_text(PEERS[choose(&choices, ARRAY_LENGTH(PEERS))]),
                                .own = {BYTES("mailbox.full@user-unknown.example"), BYTES("our.example")}};
    struct reply_circumstances at_rcpt = {.at_rcpt = true, .recipients = 1, .peer_is_mx = true};
    if (choose(&choices, 2) == 1)
        facts.enhanced = bytes_split(&text, ' ');
    facts.text = text;
    const struct reply_meaning *meaning = reply_meaning_find(&facts);
    INSIST((meaning != NULL) == (facts.code <= 599));
    if (meaning == NULL)
        return 0;
    INSIST(facts.code >= 500 || reply_meaning_suppress(meaning, &facts, &at_rcpt) == REPLY_SUPPRESS_NEVER);
    check_words(&facts);
    check_echo(facts, meaning);
    return 0;
}
