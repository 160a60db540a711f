/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/srs.h"

#include <assert.h>

#include "core/dns/host.h"
#include "core/smtp/address.h"

enum { DAY_S = 86400, DAYS_MODULUS = 1024 };

static const char BASE32[] = "abcdefghijklmnopqrstuvwxyz234567";

/* ---- time: two characters, ten bits ---- */

static void write_time(char time[2], uint64_t now_s)
{
    unsigned days = (unsigned)(now_s / DAY_S % DAYS_MODULUS);
    time[0] = BASE32[days >> 5];
    time[1] = BASE32[days & 31];
}

/* Returns the days that have passed; DAYS_MODULUS if the text is no time. */
static unsigned days_since(const char time[2], uint64_t now_s)
{
    const char *high = memchr(BASE32, time[0], 32), *low = memchr(BASE32, time[1], 32);
    if (high == NULL || low == NULL)
        return DAYS_MODULUS;
    unsigned then = (unsigned)(high - BASE32) << 5 | (unsigned)(low - BASE32);
    unsigned now = (unsigned)(now_s / DAY_S % DAYS_MODULUS);
    /* A clock beside ours may be in the next day already. */
    return now + 1 == then ? 0 : (now + DAYS_MODULUS - then) % DAYS_MODULUS;
}

/* ---- the hash ---- */

static void write_hash(char hash[SRS_HASH_LENGTH], const uint8_t *mac)
{
    static_assert(SRS_MAC_OCTETS * 8 == SRS_HASH_LENGTH * 5, "no bit is left over");
    for (size_t i = 0; i < SRS_HASH_LENGTH; i++) {
        size_t bit = i * 5, octet = bit / 8;
        unsigned pair = (unsigned)mac[octet] << 8 | (octet + 1 < SRS_MAC_OCTETS ? mac[octet + 1] : 0U);
        hash[i] = BASE32[pair >> (11 - bit % 8) & 31];
    }
}

/* Compares in constant time. */
static bool hash_is(struct bytes hash, const uint8_t *mac)
{
    char right[SRS_HASH_LENGTH];
    unsigned differs = hash.length != SRS_HASH_LENGTH;
    write_hash(right, mac);
    for (size_t i = 0; i < SRS_HASH_LENGTH && i < hash.length; i++)
        differs |= (unsigned char)ascii_lower(hash.at[i]) ^ (unsigned char)right[i];
    return differs == 0;
}

static void sign_add(struct srs_signed *text, struct bytes part, bool lower)
{
    for (size_t i = 0; i < part.length && text->length < SRS_SIGNED_MAX; i++)
        text->at[text->length++] = lower ? ascii_lower(part.at[i]) : part.at[i];
}

/* The text for the HMAC. Letters of all parts count without case: servers on the way may change it. */
static void sign(struct srs_signed *text, enum srs_form form, const char time[2], struct bytes domain,
                 struct bytes local)
{
    text->length = 0;
    sign_add(text, form == SRS_FORM_0 ? BYTES("srs0=") : BYTES("srs1="), false);
    if (form == SRS_FORM_0)
        sign_add(text, bytes_of(time, 2), true);
    sign_add(text, BYTES("="), false);
    sign_add(text, domain, true);
    sign_add(text, BYTES("="), false);
    sign_add(text, local, true);
    assert(text->length < SRS_SIGNED_MAX);
}

/* ---- to ---- */

static bool is_separator(char c)
{
    return c == '=' || c == '-' || c == '+';
}

/* Takes the quotes off a local part; true if it had some. */
static bool take_quotes(struct bytes *local)
{
    if (local->length < 2 || local->at[0] != '"' || local->at[local->length - 1] != '"')
        return false;
    *local = bytes_of(local->at + 1, local->length - 2);
    return true;
}

/* True for "SRS0" or "SRS1" and a separator, as any forwarder may write it. */
static bool is_srs(struct bytes local, const char *tag)
{
    return local.length > 5 && bytes_starts_nocase(local, tag) && is_separator(local.at[4]);
}

/* Of SRS1=HASH=FIRST==REST: the first forwarder, and the part that it made. */
static bool split_first(struct bytes local, struct bytes *first, struct bytes *rest)
{
    *rest = bytes_from(local, 5);
    bytes_split(rest, '=');
    *first = bytes_split(rest, '=');
    return rest->length > 1 && is_separator(rest->at[0]) && host_is_name(*first, false);
}

bool srs_plan(struct srs_plan *plan, struct bytes sender, uint64_t now_s)
{
    struct bytes local, domain, first, made;
    *plan = (struct srs_plan){.form = SRS_FORM_0};
    if (!address_split(sender, &local, &domain))
        return false;
    plan->quoted = take_quotes(&local);
    plan->local = local;
    plan->domain = domain;
    write_time(plan->time, now_s);
    if (is_srs(local, "SRS0")) { /* another forwarder's: what it made follows its domain, with its separator
                                  */
        plan->form = SRS_FORM_1;
        plan->local = bytes_from(local, 4);
    } else if (is_srs(local, "SRS1") && split_first(local, &first, &made)) {
        plan->form = SRS_FORM_1; /* bounces go to the first forwarder, past all others */
        plan->domain = first;
        plan->local = made;
    }
    size_t length = 2 + 5 + SRS_HASH_LENGTH + 1 + 3 + plan->domain.length + 1 + plan->local.length;
    if (plan->local.length == 0 || length > SRS_LOCAL_MAX || !host_is_name(plan->domain, true))
        return false;
    sign(&plan->signed_text, plan->form, plan->time, plan->domain, plan->local);
    return true;
}

void srs_write(const struct srs_plan *plan, const uint8_t *mac, struct bytes domain, struct buffer *out)
{
    const char *quote = plan->quoted ? "\"" : "";
    char hash[SRS_HASH_LENGTH];
    write_hash(hash, mac);
    buffer_add_text(out, quote);
    buffer_add_text(out, plan->form == SRS_FORM_0 ? "SRS0=" : "SRS1=");
    buffer_add(out, bytes_of(hash, sizeof(hash)));
    buffer_add_octet(out, '=');
    if (plan->form == SRS_FORM_0) {
        buffer_add(out, bytes_of(plan->time, sizeof(plan->time)));
        buffer_add_octet(out, '=');
    }
    buffer_add(out, plan->domain);
    buffer_add_octet(out, '=');
    buffer_add(out, plan->local);
    buffer_add_text(out, quote);
    buffer_add_octet(out, '@');
    buffer_add(out, domain);
}

/* ---- back ---- */

bool srs_read(struct srs_reading *reading, struct bytes local)
{
    *reading = (struct srs_reading){.form = SRS_FORM_0};
    if (local.length > SRS_LOCAL_MAX)
        return false;
    reading->quoted = take_quotes(&local);
    if ((!is_srs(local, "SRS0") && !is_srs(local, "SRS1")) || local.at[4] != '=')
        return false;
    reading->form = local.at[3] == '0' ? SRS_FORM_0 : SRS_FORM_1;
    struct bytes rest = bytes_from(local, 5);
    reading->hash = bytes_split(&rest, '=');
    struct bytes time = reading->form == SRS_FORM_0 ? bytes_split(&rest, '=') : BYTES("aa");
    reading->domain = bytes_split(&rest, '=');
    reading->local = rest;
    if (reading->hash.length != SRS_HASH_LENGTH || time.length != 2 || reading->domain.length == 0 ||
        rest.length == 0)
        return false;
    for (size_t i = 0; i < 2; i++)
        reading->time[i] = ascii_lower(time.at[i]);
    sign(&reading->signed_text, reading->form, reading->time, reading->domain, reading->local);
    return true;
}

enum srs_result srs_open(const struct srs_reading *reading, const uint8_t *mac, uint64_t now_s,
                         struct buffer *out)
{
    if (!hash_is(reading->hash, mac))
        return SRS_FORGED;
    if (reading->form == SRS_FORM_0 && days_since(reading->time, now_s) > SRS_DAYS_MAX)
        return SRS_EXPIRED;
    buffer_add_text(out, reading->quoted ? "\"" : "");
    buffer_add_text(out, reading->form == SRS_FORM_1 ? "SRS0" : "");
    buffer_add(out, reading->local);
    buffer_add_text(out, reading->quoted ? "\"" : "");
    buffer_add_octet(out, '@');
    buffer_add(out, reading->domain);
    return SRS_OPENED;
}
