/* SPDX-License-Identifier: Apache-2.0 */
/* health_keys: the keys that mail is signed with: their states, and what they wait for. */
#include <string.h>
#include <unistd.h>

#include "cli/dkim/key_output.h"
#include "cli/ports/health.h"
#include "core/message/date.h"
#include "run/data_dir.h"
#include "run/subprocess.h"
#include "service/key_tending.h"

struct keys_look {
    const struct config *config;
    struct buffer *out; /* rows: the state's digit, the domain and the words, each of the two with its NUL */
    struct key_wait_facts facts;
    enum health_state how; /* of the keys that are added now */
    size_t named, more[HEALTH_ILL + 1];
};

static enum health_state state_of(const struct stored_key *key, const struct key_wait_facts *facts)
{
    if (key->fault[0] != '\0')
        return HEALTH_ILL;
    return key_wait_is_for_person(key_state_wait(&key->state, facts, NULL)) ? HEALTH_WORRY : HEALTH_FINE;
}

static void add_words(const struct stored_key *key, const struct key_wait_facts *facts, struct buffer *out)
{
    struct buffer words = {0};
    if (key->public_key[0] != '\0') {
        buffer_add_format(&words, "%s (%s) is %s since ", key->selector, key_record_algorithm(key->algorithm),
                          key_stage_name(key->state.stage));
        date_add_day(&words, key->state.since_s[key->state.stage] * 1000);
        buffer_add_text(&words, ": ");
    }
    key_output_words(key, facts, &words);
    buffer_add_clean(out, buffer_bytes(&words), true);
    buffer_free(&words);
}

static bool add_key(void *owner, const struct stored_key *key)
{
    struct keys_look *look = owner;
    if (state_of(key, &look->facts) != look->how)
        return true;
    if (look->named++ >= HEALTH_KEYS_MAX) {
        look->more[look->how]++;
        return true;
    }
    buffer_add_octet(look->out, (char)('0' + (int)look->how));
    buffer_add(look->out, bytes_of(key->domain, strlen(key->domain) + 1));
    add_words(key, &look->facts, look->out);
    buffer_add_octet(look->out, '\0');
    return true;
}

static void add_more(struct keys_look *look)
{
    size_t ill = look->more[HEALTH_ILL] + look->more[HEALTH_WORRY], all = ill + look->more[HEALTH_FINE];
    if (all == 0)
        return;
    buffer_add_octet(look->out, (char)('0' + (int)(ill > 0 ? HEALTH_WORRY : HEALTH_FINE)));
    buffer_add_octet(look->out, '\0'); /* of no domain */
    buffer_add_format(
        look->out, ill > 0 ? "%zu more; %zu of them wait for you or cannot be used" : "%zu more", all, ill);
    buffer_add_octet(look->out, '\0');
}

/* Reads them as `mailboat dkim list` does, whose process becomes the owner of the folder for good. */
static bool read_keys(void *owner, struct buffer *out, struct error *error)
{
    struct keys_look *look = owner;
    struct signing_keys keys;
    bool done = data_dir_act_in(look->config->data_dir, error);
    look->out = out;
    if (!done || !key_tending_open(&keys, look->config, false, error))
        return false;
    for (int how = HEALTH_ILL; done && how >= HEALTH_FINE; how--) {
        look->how = (enum health_state)how;
        done = signing_keys_each(&keys, NULL, add_key, look, error);
    }
    add_more(look);
    signing_keys_close(&keys);
    return done;
}

static void note_row(struct health *health, struct bytes *rows)
{
    struct arena *arena = &health->arena;
    enum health_state how = (enum health_state)(rows->at[0] - '0');
    *rows = bytes_from(*rows, 1);
    const char *domain = arena_text(arena, bytes_split(rows, '\0'));
    const char *words = arena_text(arena, bytes_split(rows, '\0'));
    bool named = domain[0] != '\0';
    health_note(health, how, named ? arena_format(arena, "key of %s", domain) : "signing keys", words,
                how == HEALTH_FINE ? NULL
                : named            ? arena_format(arena, "mailboat dkim show %s prints its record", domain)
                                   : "mailboat dkim list shows all");
}

void health_keys_examine(struct health *health, const struct config *config)
{
    struct error error = {0};
    struct buffer rows = {0};
    struct keys_look look = {.config = config, .facts = key_tending_facts(config)};
    if (!subprocess_run(read_keys, &look, &rows, &error) && geteuid() == 0) /* others may not list them */
        health_note(health, HEALTH_WORRY, "signing keys", arena_format(&health->arena, "%s", error.text),
                    NULL);
    for (struct bytes left = buffer_bytes(&rows); left.length > 0;)
        note_row(health, &left);
    buffer_free(&rows);
}
