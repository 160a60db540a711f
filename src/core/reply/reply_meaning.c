/* SPDX-License-Identifier: Apache-2.0 */
#include "core/reply/reply_meaning.h"

#include <assert.h>

#include "core/reply/reply_pattern.h"
#include "core/reply/reply_rows.h"
#include "core/reply/reply_words.h"

/* ---- conditions ---- */

static bool code_fits(const struct reply_row *row, uint32_t code)
{
    const struct reply_code_range *range = reply_rows_table.codes + row->first_code;
    for (size_t i = 0; i < row->code_count; i++)
        if (range[i].low <= code && code <= range[i].high)
            return true;
    return row->code_count == 0;
}

static bool status_fits(const struct reply_row *row, const struct reply_status *status)
{
    const struct reply_status_range *range = reply_rows_table.statuses + row->first_status;
    for (size_t i = 0; i < row->status_count; i++)
        if (status->class != 0 && (range[i].class == 0 || range[i].class == status->class) &&
            range[i].subject == status->subject && range[i].low <= status->detail &&
            status->detail <= range[i].high)
            return true;
    return row->status_count == 0;
}

/* "mx.example.org" of "mx.example.org[192.0.2.1]:25" */
static struct bytes host_of(struct bytes peer)
{
    size_t end = bytes_find(peer, '[');
    struct bytes host = end == SIZE_MAX ? peer : bytes_first(peer, end);
    while (host.length > 0 && host.at[host.length - 1] == '.')
        host.length--;
    return host;
}

/* A suffix ".google.com" is also that host itself. */
static bool peer_fits(const struct reply_row *row, struct bytes host)
{
    const char *const *suffix = reply_rows_table.peers + row->first_peer;
    for (size_t i = 0; i < row->peer_count; i++)
        if (bytes_ends_nocase(host, suffix[i]) || bytes_is_nocase(host, suffix[i] + 1))
            return true;
    return row->peer_count == 0;
}

const struct reply_meaning *reply_meaning_find(const struct reply_facts *facts)
{
    struct reply_words words;
    struct reply_pattern_rows found;
    struct bytes host = host_of(facts->peer);
    if (facts->code < 400 || facts->code > 599)
        return NULL;
    reply_words_read(&words, facts);
    reply_pattern_search(bytes_of(words.text, words.length), &found);
    for (size_t i = 0; i < reply_rows_table.row_count; i++) {
        const struct reply_row *row = &reply_rows_table.rows[i];
        if ((!row->has_text || reply_pattern_has(&found, i)) && code_fits(row, facts->code) &&
            status_fits(row, &words.status) && peer_fits(row, host))
            return &row->meaning;
    }
    assert(false); /* the last rows hold for each 4xx and 5xx */
    return NULL;
}

/* ---- suppression ---- */

enum reply_suppress reply_meaning_suppress(const struct reply_meaning *meaning,
                                           const struct reply_facts *facts,
                                           const struct reply_circumstances *circumstances)
{
    struct reply_words words;
    bool about_one = circumstances->at_rcpt || (circumstances->at_data && circumstances->recipients == 1);
    if (facts->code < 500 || facts->code > 599 || !about_one || !circumstances->peer_is_mx)
        return REPLY_SUPPRESS_NEVER;
    assert(meaning->suppress == REPLY_SUPPRESS_NEVER || meaning->about != ABOUT_SENDING_IP);
    reply_words_read(&words, facts);
    if (meaning->suppress == REPLY_SUPPRESS_NOW && words.status.subject == 7)
        return REPLY_SUPPRESS_AFTER_REPEAT;
    return meaning->suppress;
}

/* ---- names ---- */

const char *reply_meaning_class_name(enum reply_class class)
{
    static const char *const names[CLASS_COUNT] = {"no_such_user",
                                                   "disabled",
                                                   "inactive",
                                                   "bad_address",
                                                   "bad_domain",
                                                   "mailbox_full",
                                                   "recipient_policy",
                                                   "auth",
                                                   "reputation",
                                                   "rbl",
                                                   "rate",
                                                   "greylist",
                                                   "spam",
                                                   "virus",
                                                   "format",
                                                   "size",
                                                   "tls",
                                                   "dns",
                                                   "relay",
                                                   "login",
                                                   "protocol",
                                                   "system",
                                                   "loop",
                                                   "policy"};
    assert(class < CLASS_COUNT);
    return names[class];
}

const char *reply_meaning_about_name(enum reply_about about)
{
    static const char *const names[] = {"recipient",  "sender_address", "sender_domain", "sender_account",
                                        "sending_ip", "message",        "path",          "receiver"};
    assert(about < ARRAY_LENGTH(names));
    return names[about];
}

const char *reply_meaning_retry_name(enum reply_retry retry)
{
    static const char *const names[] = {"no", "soon", "slowly", "slow-down", "stop", "other-source"};
    assert(retry < ARRAY_LENGTH(names));
    return names[retry];
}

const char *reply_meaning_suppress_name(enum reply_suppress suppress)
{
    static const char *const names[] = {"never", "after_repeat", "now"};
    assert(suppress < ARRAY_LENGTH(names));
    return names[suppress];
}
