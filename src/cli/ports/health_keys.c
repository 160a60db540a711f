/* SPDX-License-Identifier: Apache-2.0 */
/* health_keys: the keys that mail is signed with: their states, what they wait for, and whether one of them
 * signs what this server writes itself. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/dkim/key_output.h"
#include "cli/ports/health.h"
#include "core/message/date.h"
#include "run/data_dir.h"
#include "run/subprocess.h"
#include "service/key_tending.h"
#include "store/accounts.h"

struct keys_look {
    const struct config *config;
    struct buffer *out; /* rows: the state's digit, then subject, words and hint, each of them with its NUL */
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

static void begin_row(struct keys_look *look, enum health_state how)
{
    buffer_add_octet(look->out, (char)('0' + (int)how));
}

static void end_text(struct keys_look *look)
{
    buffer_add_octet(look->out, '\0');
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
    begin_row(look, look->how);
    buffer_add_format(look->out, "key of %s", key->domain);
    end_text(look);
    add_words(key, &look->facts, look->out);
    end_text(look);
    if (look->how != HEALTH_FINE)
        buffer_add_format(look->out, "mailboat dkim show %s prints its record", key->domain);
    end_text(look);
    return true;
}

static void add_more(struct keys_look *look)
{
    size_t ill = look->more[HEALTH_ILL] + look->more[HEALTH_WORRY], all = ill + look->more[HEALTH_FINE];
    if (all == 0)
        return;
    begin_row(look, ill > 0 ? HEALTH_WORRY : HEALTH_FINE);
    buffer_add_text(look->out, "signing keys");
    end_text(look);
    buffer_add_format(
        look->out, ill > 0 ? "%zu more; %zu of them wait for you or cannot be used" : "%zu more", all, ill);
    end_text(look);
    buffer_add_text(look->out, ill > 0 ? "mailboat dkim list shows all" : "");
    end_text(look);
}

/* ---- what this server writes itself ---- */

/* Adds a row if messages from an address in that domain, which this server writes, leave unsigned. */
static void add_own(struct keys_look *look, const struct signing_keys *keys, const char *what,
                    struct bytes domain)
{
    struct buffer name = {0};
    bool is_domain = accounts_domain(&name, domain) && signing_keys_domain_check(buffer_bytes(&name), NULL);
    struct key_signer signer = signing_keys_signer(keys, buffer_bytes(&name), true);
    if (is_domain && !signer.signs) {
        begin_row(look, HEALTH_WORRY);
        buffer_add_text(look->out, what);
        end_text(look);
        buffer_add_format(look->out,
                          "leave without a DKIM signature: no key signs for %s or a domain above it",
                          buffer_text(&name));
        end_text(look);
        if (signer.waiting[0] != '\0')
            buffer_add_format(look->out, "publish the record that mailboat dkim show %s prints",
                              signer.waiting);
        else
            buffer_add_format(look->out, "mailboat dkim add %s makes one; publish the record that it prints",
                              buffer_text(&name));
        end_text(look);
    }
    buffer_free(&name);
}

static void add_reports(struct keys_look *look, const struct signing_keys *keys)
{
    const struct config *config = look->config;
    const char *from = config->trust.reports.from;
    bool sends = config_sends_reports(config, "tls") || config_sends_reports(config, "dmarc");
    add_own(look, keys, "delivery reports", bytes_of_text(config->hostname));
    if (sends && from != NULL && strchr(from, '@') != NULL)
        add_own(look, keys, "reports to domains", bytes_of_text(strrchr(from, '@') + 1));
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
    if (done)
        add_reports(look, &keys);
    signing_keys_close(&keys);
    return done;
}

static void note_row(struct health *health, struct bytes *rows)
{
    struct arena *arena = &health->arena;
    enum health_state how = (enum health_state)(rows->at[0] - '0');
    *rows = bytes_from(*rows, 1);
    const char *what = arena_text(arena, bytes_split(rows, '\0'));
    const char *words = arena_text(arena, bytes_split(rows, '\0'));
    const char *hint = arena_text(arena, bytes_split(rows, '\0'));
    health_note(health, how, what, words, hint[0] == '\0' ? NULL : hint);
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
