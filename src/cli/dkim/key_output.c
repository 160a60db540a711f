/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dkim/key_output.h"

#include <stdio.h>

#include "core/message/date.h"

/* ---- texts ---- */

/* The record that DNS is to have now. */
static void add_value(const struct stored_key *key, struct buffer *out)
{
    const struct key_record record = signing_keys_record(key);
    if (key->state.stage == KEY_REMOVED)
        key_record_revoked_value(out);
    else
        key_record_value(&record, out);
}

void key_output_words(const struct stored_key *key, const struct key_wait_facts *facts, struct buffer *out)
{
    const struct key_record record = signing_keys_record(key);
    if (key->fault[0] != '\0')
        buffer_add_text(out, key->fault);
    else
        key_state_words(&record, &key->state, facts, out);
}

static bool is_readable(const struct stored_key *key)
{
    return key->public_key[0] != '\0';
}

/* ---- for people ---- */

void key_output_state(const struct stored_key *key, const struct key_wait_facts *facts)
{
    struct buffer line = {0};
    buffer_add_text(&line, key->domain);
    if (key->selector[0] != '\0')
        buffer_add_format(&line, "  %s", key->selector);
    if (is_readable(key)) {
        buffer_add_format(&line, "  %s  %s since ", key_record_algorithm(key->algorithm),
                          key_stage_name(key->state.stage));
        date_add_day(&line, key->state.since_s[key->state.stage] * 1000);
    }
    buffer_add_text(&line, "\n    ");
    key_output_words(key, facts, &line);
    puts(buffer_text(&line));
    buffer_free(&line);
}

void key_output_record(const struct stored_key *key)
{
    const struct key_record record = signing_keys_record(key);
    struct buffer name = {0}, value = {0}, strings = {0};
    key_record_name(&record, &name);
    add_value(key, &value);
    key_record_strings(buffer_bytes(&value), &strings);
    printf("As one line:\n\n%s TXT %s\n", buffer_text(&name), buffer_text(&value));
    printf("\nFor a zone file, in strings of at most %d characters:\n\n%s. IN TXT ( %s )\n",
           (int)KEY_RECORD_STRING_MAX, buffer_text(&name), buffer_text(&strings));
    printf("\nFor a provider's web form, in the zone %s:\n\nname:  %s._domainkey\ntype:  TXT\nvalue: %s\n",
           key->domain, key->selector, buffer_text(&value));
    buffer_free(&name);
    buffer_free(&value);
    buffer_free(&strings);
}

/* ---- JSON ---- */

static json_t *text_of(const struct buffer *buffer)
{
    return json_stringn(buffer_text(buffer), buffer->length);
}

static json_t *strings_of(struct bytes value)
{
    json_t *all = json_array();
    while (value.length > 0) {
        struct bytes part = bytes_first(value, KEY_RECORD_STRING_MAX);
        json_array_append_new(all, json_stringn(part.at, part.length));
        value = bytes_from(value, part.length);
    }
    return all;
}

static json_t *times_of(const struct key_state *state)
{
    json_t *all = json_object();
    for (int i = 0; i < KEY_STAGES; i++)
        if (state->since_s[i] != 0)
            json_object_set_new(all, key_stage_name((enum key_stage)i),
                                json_integer((json_int_t)state->since_s[i]));
    return all;
}

static void add_record(json_t *all, const struct stored_key *key)
{
    const struct key_record record = signing_keys_record(key);
    struct buffer name = {0}, value = {0};
    key_record_name(&record, &name);
    add_value(key, &value);
    json_t *published = json_pack("{s:o, s:s, s:o, s:o}", "name", text_of(&name), "type", "TXT", "value",
                                  text_of(&value), "strings", strings_of(buffer_bytes(&value)));
    json_object_set_new(all, "record", published);
    buffer_free(&name);
    buffer_free(&value);
}

static void add_state(json_t *all, const struct stored_key *key, const struct key_wait_facts *facts)
{
    uint64_t until_s;
    const struct key_state *state = &key->state;
    enum key_wait wait = key_state_wait(state, facts, &until_s);
    json_object_set_new(all, "algorithm", json_string(key_record_algorithm(key->algorithm)));
    json_object_set_new(all, "state", json_string(key_stage_name(state->stage)));
    json_object_set_new(all, "signs", json_boolean(key_state_signs(state) && key->fault[0] == '\0'));
    json_object_set_new(all, "since", times_of(state));
    json_object_set_new(all, "waits_for", json_string(key_wait_name(wait)));
    json_object_set_new(all, "until", until_s == 0 ? json_null() : json_integer((json_int_t)until_s));
    json_object_set_new(all, "needs_person", json_boolean(key_wait_is_for_person(wait)));
    json_object_set_new(all, "resolver", json_string(key_seen_name(state->resolver)));
    json_object_set_new(all, "servers", json_string(key_seen_name(state->servers)));
    json_object_set_new(all, "looked",
                        state->looked_s == 0 ? json_null() : json_integer((json_int_t)state->looked_s));
    add_record(all, key);
}

json_t *key_output_json(const struct stored_key *key, const struct key_wait_facts *facts)
{
    struct buffer words = {0};
    json_t *all = json_pack("{s:s}", "domain", key->domain);
    if (key->selector[0] != '\0')
        json_object_set_new(all, "selector", json_string(key->selector));
    if (is_readable(key))
        add_state(all, key, facts);
    key_output_words(key, facts, &words);
    json_object_set_new(all, "text", text_of(&words));
    if (key->fault[0] != '\0')
        json_object_set_new(all, "fault", json_string(key->fault));
    buffer_free(&words);
    return all;
}
