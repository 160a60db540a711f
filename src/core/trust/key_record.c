/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/key_record.h"

#include <assert.h>

#include "core/message/date.h"
#include "core/trust/tags.h"

static const char *const algorithm_names[DKIM_ALGORITHMS] = {
    [DKIM_RSA_SHA256] = "rsa", [DKIM_ED25519_SHA256] = "ed25519"};

const char *key_record_algorithm(enum dkim_algorithm algorithm)
{
    assert(algorithm < DKIM_ALGORITHMS);
    return algorithm_names[algorithm];
}

bool key_record_algorithm_named(struct bytes word, enum dkim_algorithm *algorithm)
{
    for (int i = 0; i < DKIM_ALGORITHMS; i++)
        if (bytes_is_nocase(word, algorithm_names[i])) {
            *algorithm = (enum dkim_algorithm)i;
            return true;
        }
    return false;
}

/* ---- writing ---- */

void key_record_name(const struct key_record *record, struct buffer *out)
{
    buffer_add_format(out, "%.*s._domainkey.%.*s", BYTES_ARG(record->selector), BYTES_ARG(record->domain));
}

void key_record_value(const struct key_record *record, struct buffer *out)
{
    buffer_add_format(out, "v=DKIM1; k=%s; p=", key_record_algorithm(record->algorithm));
    buffer_add(out, record->public_key);
}

void key_record_revoked_value(struct buffer *out)
{
    buffer_add_text(out, "v=DKIM1; p=");
}

void key_record_strings(struct bytes value, struct buffer *out)
{
    do {
        struct bytes part = bytes_first(value, KEY_RECORD_STRING_MAX);
        value = bytes_from(value, part.length);
        buffer_add_format(out, "\"%.*s\"%s", BYTES_ARG(part), value.length > 0 ? " " : "");
    } while (value.length > 0);
}

void key_record_selector(struct bytes base, enum dkim_algorithm algorithm, uint64_t now_s, unsigned attempt,
                         struct buffer *out)
{
    if (base.length > 0) {
        buffer_add(out, base);
    } else {
        buffer_add_format(out, "mb-%s-", key_record_algorithm(algorithm));
        date_add_month(out, now_s * 1000);
    }
    if (attempt > 1)
        buffer_add_format(out, "-%u", attempt);
}

/* ---- comparing ---- */

/* The text of p=, without white space, also where the rest of the record is not valid. */
static void add_published(struct bytes text, struct buffer *out)
{
    struct tags tags;
    if (tags_parse(&tags, text, TAGS_SKIP_MALFORMED) == TAGS_FINE)
        tags_add_compact(out, tags_value(&tags, "p"));
}

/* A record that is cut in the middle of its base64 is most often no valid key. */
static bool is_cut(const struct key_record *record, struct bytes text)
{
    struct buffer shown = {0};
    add_published(text, &shown);
    bool cut = shown.length >= KEY_RECORD_CUT_MIN && shown.length < record->public_key.length &&
               bytes_equal(buffer_bytes(&shown), bytes_first(record->public_key, shown.length));
    buffer_free(&shown);
    return cut;
}

static bool is_same_key(const struct key_record *record, const struct dkim_key *shown, struct arena *arena)
{
    struct dkim_key ours;
    struct buffer value = {0};
    key_record_value(record, &value);
    bool same = dkim_key_parse(&ours, buffer_bytes(&value), record->algorithm, arena) == DKIM_KEY_FINE &&
                bytes_equal(ours.octets, shown->octets);
    buffer_free(&value);
    return same;
}

static enum key_seen compare_text(const struct key_record *record, struct bytes text, struct arena *arena)
{
    struct dkim_key shown;
    enum dkim_key_fault fault = dkim_key_parse(&shown, text, record->algorithm, arena);
    if (fault == DKIM_KEY_FINE && is_same_key(record, &shown, arena))
        return KEY_SEEN_OURS;
    if (fault == DKIM_KEY_REVOKED)
        return KEY_SEEN_REVOKED;
    if (bytes_find(text, '"') != SIZE_MAX)
        return KEY_SEEN_QUOTED;
    if (is_cut(record, text))
        return KEY_SEEN_CUT;
    return fault == DKIM_KEY_FINE || fault == DKIM_KEY_ALGORITHM ? KEY_SEEN_OTHER : KEY_SEEN_BROKEN;
}

enum key_seen key_record_compare(const struct key_record *record, const struct dns_answer *answer)
{
    struct arena arena = {0};
    if (!dns_status_is_told(answer->status))
        return KEY_SEEN_UNKNOWN;
    if (answer->status != DNS_FOUND || answer->count == 0)
        return KEY_SEEN_MISSING;
    if (answer->count > 1)
        return KEY_SEEN_SEVERAL;
    enum key_seen seen = compare_text(record, answer->records[0].data, &arena);
    arena_clear(&arena);
    return seen;
}

bool key_seen_is_wrong(enum key_seen seen)
{
    return seen != KEY_SEEN_UNKNOWN && seen != KEY_SEEN_OURS;
}

/* ---- words ---- */

static const struct {
    const char *name, *words;
} seen_table[KEY_SEEN_KINDS] = {
    [KEY_SEEN_UNKNOWN] = {"unknown", "DNS gave no answer; it is asked again"},
    [KEY_SEEN_OURS] = {"ours", "DNS shows the record"},
    [KEY_SEEN_MISSING] = {"missing", "DNS does not have the record; publish it"},
    [KEY_SEEN_ALIAS] = {"alias", "the name of the record is an alias (CNAME) that leads to no TXT record; "
                                 "publish the record at the target of the alias, or in the place of it"},
    [KEY_SEEN_NO_DOMAIN] = {"no_domain", "the domain does not exist in DNS; register the domain, or correct "
                                         "its name servers at the registrar"},
    [KEY_SEEN_REVOKED] = {"revoked", "the record in DNS has an empty p=, which revokes the key; publish the "
                                     "whole record"},
    [KEY_SEEN_CUT] = {"cut", "the record in DNS is cut: it has only the beginning of the key; publish it as "
                             "several strings of at most 255 characters"},
    [KEY_SEEN_QUOTED] = {"quoted", "the record in DNS has quotation marks in its text; publish the value "
                                   "without them"},
    [KEY_SEEN_SEVERAL] = {"several", "there is more than one TXT record at that name, and receivers take any "
                                     "of them; keep only this one"},
    [KEY_SEEN_OTHER] = {"other", "DNS shows another key; replace it with this record"},
    [KEY_SEEN_BROKEN] = {"broken", "the TXT record in DNS is not a key; replace it with this record"},
};

const char *key_seen_name(enum key_seen seen)
{
    assert(seen < KEY_SEEN_KINDS);
    return seen_table[seen].name;
}

bool key_seen_named(struct bytes name, enum key_seen *seen)
{
    for (int i = 0; i < KEY_SEEN_KINDS; i++)
        if (bytes_is(name, seen_table[i].name)) {
            *seen = (enum key_seen)i;
            return true;
        }
    return false;
}

const char *key_seen_words(enum key_seen seen)
{
    assert(seen < KEY_SEEN_KINDS);
    return seen_table[seen].words;
}
