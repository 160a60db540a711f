/* SPDX-License-Identifier: Apache-2.0 */
/* signing_keys_json: the file with a key's public half, its state and its times. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "store/signing_keys.h"

enum { FORM = 1 }; /* of the file */

/* ---- writing ---- */

static void set_time(json_t *all, const char *name, uint64_t time_s)
{
    if (time_s != 0)
        json_object_set_new(all, name, json_integer((json_int_t)time_s));
}

void signing_keys_write(const struct stored_key *key, struct buffer *out)
{
    const struct key_state *state = &key->state;
    json_t *all = json_pack("{s:i, s:s, s:s, s:i, s:s, s:s, s:s, s:i}", "form", FORM, "algorithm",
                            key_record_algorithm(key->algorithm), "p", key->public_key, "number",
                            (int)state->number, "state", key_stage_name(state->stage), "resolver",
                            key_seen_name(state->resolver), "servers", key_seen_name(state->servers), "ttl",
                            (int)state->ttl_s);
    for (int i = 0; i < KEY_STAGES; i++)
        set_time(all, key_stage_name((enum key_stage)i), state->since_s[i]);
    set_time(all, "looked", state->looked_s);
    set_time(all, "shown", state->shown_s);
    char *text = json_dumps(all, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
    buffer_add_text(out, text);
    buffer_add_octet(out, '\n');
    free(text);
    json_decref(all);
}

/* ---- parsing ---- */

static struct bytes text_of(const json_t *all, const char *name)
{
    const json_t *value = json_object_get(all, name);
    return json_is_string(value) ? bytes_of(json_string_value(value), json_string_length(value))
                                 : bytes_none();
}

/* False if it is there and not a number from 0 to `max`. */
static bool take_number(const json_t *all, const char *name, uint64_t max, uint64_t *number)
{
    const json_t *value = json_object_get(all, name);
    json_int_t is = json_integer_value(value);
    *number = 0;
    if (value == NULL)
        return true;
    if (!json_is_integer(value) || is < 0 || (uint64_t)is > max)
        return false;
    *number = (uint64_t)is;
    return true;
}

static bool take_times(struct key_state *state, const json_t *all)
{
    const uint64_t max = KEY_TIME_MAX_S;
    bool fine = take_number(all, "looked", max, &state->looked_s) &&
                take_number(all, "shown", max, &state->shown_s);
    for (int i = 0; i < KEY_STAGES && fine; i++)
        fine = take_number(all, key_stage_name((enum key_stage)i), max, &state->since_s[i]);
    return fine && state->since_s[state->stage] != 0;
}

static bool take_state(struct key_state *state, const json_t *all)
{
    uint64_t number, ttl_s;
    bool fine = take_number(all, "number", INT32_MAX, &number) &&
                take_number(all, "ttl", INT32_MAX, &ttl_s) &&
                key_stage_named(text_of(all, "state"), &state->stage) &&
                key_seen_named(text_of(all, "resolver"), &state->resolver) &&
                key_seen_named(text_of(all, "servers"), &state->servers) && take_times(state, all);
    state->number = fine ? (uint32_t)number : 0;
    state->ttl_s = fine ? (uint32_t)ttl_s : 0;
    return fine;
}

/* The public key must be one that a record can have. */
static bool take_public_key(struct stored_key *key, const json_t *all)
{
    struct arena arena = {0};
    struct buffer record = {0};
    struct dkim_key parsed;
    struct bytes text = text_of(all, "p");
    if (text.length == 0 || text.length >= sizeof key->public_key || !bytes_is_ascii(text) ||
        bytes_has_control(text) || bytes_find(text, ';') != SIZE_MAX || bytes_find(text, ' ') != SIZE_MAX)
        return false;
    memcpy(key->public_key, text.at, text.length);
    key->public_key[text.length] = '\0';
    struct key_record of = {.algorithm = key->algorithm, .public_key = bytes_of_text(key->public_key)};
    key_record_value(&of, &record);
    bool fine = dkim_key_parse(&parsed, buffer_bytes(&record), key->algorithm, &arena) == DKIM_KEY_FINE;
    buffer_free(&record);
    arena_clear(&arena);
    return fine;
}

static bool take_all(struct stored_key *key, const json_t *all)
{
    uint64_t form;
    return take_number(all, "form", INT32_MAX, &form) && form == FORM &&
           key_record_algorithm_named(text_of(all, "algorithm"), &key->algorithm) &&
           take_public_key(key, all) && take_state(&key->state, all);
}

bool signing_keys_parse(struct stored_key *key, struct bytes text, struct error *error)
{
    json_t *all = text.length <= SIGNING_KEYS_FILE_MAX
                      ? json_loadb(text.length == 0 ? "" : text.at, text.length, JSON_REJECT_DUPLICATES, NULL)
                      : NULL;
    bool fine = json_is_object(all) && take_all(key, all);
    json_decref(all);
    if (fine)
        return true;
    key->algorithm = DKIM_RSA_SHA256;
    key->public_key[0] = '\0';
    key->state = (struct key_state){0};
    return error_set(error, EX_DATAERR, "it is not the state of a key");
}
