/* SPDX-License-Identifier: Apache-2.0 */
/* dkim: the keys that mail is signed with: their states, their records, new ones and the end of old ones. */
#include "cli/dkim/dkim.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/dkim/key_output.h"
#include "cli/options.h"
#include "io/clock.h"
#include "io/log.h"
#include "run/data_dir.h"
#include "service/key_tending.h"
#include "service/services.h"
#include "store/accounts.h"

extern const struct command dkim_command;

struct dkim_options {
    const char *config, *algorithm, *selector;
    bool json;
};

/* One run of a verb. */
struct dkim_run {
    const struct dkim_options *wish;
    struct config config;
    struct signing_keys keys;
    struct key_wait_facts facts;
    struct buffer domain; /* canonical; empty: all */
    const char *selector; /* NULL: all */
    json_t *list;         /* with --json */
    bool records;         /* print the records, too */
    size_t count;
};

/* ---- beginning and end ---- */

static bool take_domain(struct dkim_run *run, const char *domain, struct error *error)
{
    if (domain == NULL)
        return true;
    buffer_clear(&run->domain);
    if (!accounts_domain(&run->domain, bytes_of_text(domain)))
        return error_set(error, EX_DATAERR, "'%.250s' is not a domain", domain);
    return signing_keys_domain_check(buffer_bytes(&run->domain), error);
}

static const char *domain_of(const struct dkim_run *run)
{
    return run->domain.length == 0 ? NULL : buffer_text(&run->domain);
}

/* Loads the configuration and opens the keys as the user who owns them. */
static bool begin(struct dkim_run *run, const struct dkim_options *wish, bool changes, int *exit_code)
{
    struct error error = {0};
    *run = (struct dkim_run){.wish = wish, .keys = {.folder = {.descriptor = -1}}};
    if (!options_config(&dkim_command, wish->config, &run->config, exit_code))
        return false;
    run->facts = key_tending_facts(&run->config);
    run->list = wish->json ? json_array() : NULL;
    if (data_dir_act_in(run->config.data_dir, &error) &&
        (!changes || data_dir_prepare(&run->config, services, &error)) &&
        key_tending_open(&run->keys, &run->config, changes, &error))
        return true;
    *exit_code = command_fail(&dkim_command, &error);
    json_decref(run->list);
    config_free(&run->config);
    return false;
}

static int end(struct dkim_run *run, bool done, const struct error *error)
{
    int exit_code = done ? EX_OK : command_fail(&dkim_command, error);
    if (run->list != NULL && done) {
        json_dumpf(run->list, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
        putchar('\n');
    }
    json_decref(run->list);
    signing_keys_close(&run->keys);
    buffer_free(&run->domain);
    config_free(&run->config);
    return exit_code;
}

/* ---- list and show ---- */

static bool print_key(void *owner, const struct stored_key *key)
{
    struct dkim_run *run = owner;
    if (run->selector != NULL && strcmp(run->selector, key->selector) != 0)
        return true;
    run->count++;
    if (run->list != NULL) {
        json_array_append_new(run->list, key_output_json(key, &run->facts));
        return true;
    }
    if (run->records && run->count > 1)
        putchar('\n');
    key_output_state(key, &run->facts);
    if (run->records && key->public_key[0] != '\0') {
        putchar('\n');
        key_output_record(key);
    }
    return true;
}

static bool fail_none(const struct dkim_run *run, struct error *error)
{
    if (run->selector != NULL)
        return error_set(error, EX_DATAERR, "%s has no key %s; list them: mailboat dkim list", domain_of(run),
                         run->selector);
    return error_set(error, EX_DATAERR, "%s has no key; make one: mailboat dkim add %s", domain_of(run),
                     domain_of(run));
}

static int print_keys(const struct verb_call *call, bool records)
{
    struct dkim_run run;
    struct error error = {0};
    int exit_code = EX_OK;
    if (!begin(&run, call->wish, false, &exit_code))
        return exit_code;
    run.records = records;
    run.selector = call->count > 1 ? call->arguments[1] : NULL;
    bool done = take_domain(&run, call->count > 0 ? call->arguments[0] : NULL, &error) &&
                signing_keys_each(&run.keys, domain_of(&run), print_key, &run, &error);
    if (done && run.count == 0 && run.domain.length > 0)
        done = fail_none(&run, &error);
    else if (done && run.count == 0 && run.list == NULL)
        puts("no keys yet; a domain gets its own with mailboat domain add, or mailboat dkim add DOMAIN");
    return end(&run, done, &error);
}

static int list(const struct verb_call *call)
{
    return print_keys(call, false);
}

static int show(const struct verb_call *call)
{
    return print_keys(call, true);
}

/* ---- add and rotate ---- */

/* The keys of a domain that are not at their end. */
struct current_keys {
    enum dkim_algorithm algorithm;
    const char *selector;
    bool found, taken;     /* a key of the selector */
    struct stored_key key; /* the one that is going to sign, else the active one */
};

static bool note_current(void *owner, const struct stored_key *key)
{
    struct current_keys *current = owner;
    bool going = key->state.stage == KEY_PREPARED || key->state.stage == KEY_PUBLISHED;
    current->taken = current->taken ||
                     (current->selector != NULL && strcmp(key->selector, current->selector) == 0);
    if (key->public_key[0] == '\0' || key->algorithm != current->algorithm)
        return true;
    if (going || (key_state_signs(&key->state) && !current->found)) {
        current->key = *key;
        current->found = true;
    }
    return true;
}

static bool is_going(const struct current_keys *current)
{
    return current->found && !key_state_signs(&current->key.state);
}

/* Makes a key and prints its record. */
static bool make_key(struct dkim_run *run, enum dkim_algorithm algorithm, struct error *error)
{
    struct stored_key made;
    const char *base = run->wish->selector;
    if (base == NULL)
        base = strcmp(run->config.dkim.selector, "auto") == 0 ? "" : run->config.dkim.selector;
    if (!signing_keys_add(&run->keys, domain_of(run), base, algorithm, clock_epoch_ms() / 1000, &made, error))
        return false;
    run->records = true;
    return print_key(run, &made);
}

static bool find_current(struct dkim_run *run, enum dkim_algorithm algorithm, struct current_keys *current,
                         struct error *error)
{
    *current = (struct current_keys){.algorithm = algorithm, .selector = run->wish->selector};
    if (!signing_keys_each(&run->keys, domain_of(run), note_current, current, error))
        return false;
    return !current->taken || error_set(error, EX_DATAERR, "%s has a key %s already; choose another selector",
                                        domain_of(run), current->selector);
}

static bool take_algorithm(const struct dkim_run *run, enum dkim_algorithm *algorithm, struct error *error)
{
    *algorithm = DKIM_RSA_SHA256;
    return run->wish->algorithm == NULL ||
           key_record_algorithm_named(bytes_of_text(run->wish->algorithm), algorithm) ||
           error_set(error, EX_USAGE, "--algorithm is rsa or ed25519, not '%s'", run->wish->algorithm);
}

static bool add_key(struct dkim_run *run, struct error *error)
{
    enum dkim_algorithm algorithm;
    struct current_keys current;
    if (!take_algorithm(run, &algorithm, error) || !find_current(run, algorithm, &current, error))
        return false;
    if (current.found)
        return error_set(
            error, EX_DATAERR,
            "%s has the key %s of this algorithm already (%s); replace it: mailboat dkim rotate %s",
            domain_of(run), current.key.selector, key_stage_name(current.key.state.stage), domain_of(run));
    return make_key(run, algorithm, error);
}

static bool rotate_one(struct dkim_run *run, enum dkim_algorithm algorithm, struct error *error)
{
    struct current_keys current;
    if (!find_current(run, algorithm, &current, error))
        return false;
    if (!is_going(&current))
        return make_key(run, algorithm, error);
    run->records = true;
    if (run->list == NULL)
        printf("%s: the successor %s is prepared already\n", domain_of(run), current.key.selector);
    return print_key(run, &current.key);
}

static bool rotate_keys(struct dkim_run *run, struct error *error)
{
    enum dkim_algorithm algorithm;
    if (run->wish->algorithm != NULL)
        return take_algorithm(run, &algorithm, error) && rotate_one(run, algorithm, error);
    for (int i = 0; i < DKIM_ALGORITHMS; i++)
        if (config_has_algorithm(&run->config, (enum dkim_algorithm)i) &&
            !rotate_one(run, (enum dkim_algorithm)i, error))
            return false;
    return run->count > 0 ||
           error_set(error, EX_DATAERR, "dkim.algorithms in %s is empty; use --algorithm rsa",
                     run->config.file);
}

static int change_keys(const struct verb_call *call,
                       bool (*change)(struct dkim_run *run, struct error *error))
{
    struct dkim_run run;
    struct error error = {0};
    int exit_code = EX_OK;
    if (!begin(&run, call->wish, true, &exit_code))
        return exit_code;
    bool done = take_domain(&run, call->arguments[0], &error) && change(&run, &error);
    return end(&run, done, &error);
}

static int add(const struct verb_call *call)
{
    return change_keys(call, add_key);
}

static int rotate(const struct verb_call *call)
{
    return change_keys(call, rotate_keys);
}

/* ---- retire ---- */

struct retirement {
    const char *selector;
    struct stored_key key; /* afterwards */
    size_t found;          /* keys of that name, in all domains */
    bool done;
};

static bool note_named(void *owner, const struct stored_key *key)
{
    struct retirement *retirement = owner;
    if (strcmp(key->selector, retirement->selector) == 0) {
        retirement->key = *key;
        retirement->found++;
    }
    return true;
}

static void retire_one(void *owner, struct stored_key *of, size_t count)
{
    struct retirement *retirement = owner;
    uint64_t now_s = clock_epoch_ms() / 1000;
    for (size_t i = 0; i < count; i++)
        if (strcmp(of[i].selector, retirement->selector) == 0) {
            retirement->done = key_state_retire(&of[i].state, now_s);
            retirement->key = of[i];
        }
}

static bool retire_key(struct dkim_run *run, struct retirement *retirement, struct error *error)
{
    if (!signing_keys_each(&run->keys, domain_of(run), note_named, retirement, error))
        return false;
    if (retirement->found == 0)
        return error_set(error, EX_DATAERR, "%s%sno key has the selector %s; list them: mailboat dkim list",
                         run->domain.length == 0 ? "" : domain_of(run), run->domain.length == 0 ? "" : ": ",
                         retirement->selector);
    if (retirement->found > 1)
        return error_set(error, EX_DATAERR,
                         "%zu domains have a key %s; name one: mailboat dkim retire %s DOMAIN",
                         retirement->found, retirement->selector, retirement->selector);
    if (!signing_keys_change(&run->keys, retirement->key.domain, retire_one, retirement, error))
        return false;
    return retirement->done || error_set(error, EX_DATAERR, "%s of %s is %s already", retirement->selector,
                                         retirement->key.domain, key_stage_name(retirement->key.state.stage));
}

static int retire(const struct verb_call *call)
{
    struct dkim_run run;
    struct error error = {0};
    struct retirement retirement = {.selector = call->arguments[0]};
    int exit_code = EX_OK;
    if (!begin(&run, call->wish, false, &exit_code))
        return exit_code;
    bool done = take_domain(&run, call->count > 1 ? call->arguments[1] : NULL, &error) &&
                retire_key(&run, &retirement, &error) && print_key(&run, &retirement.key);
    return end(&run, done, &error);
}

/* ---- tend ---- */

static void print_story(void *owner, const struct stored_key *key, enum key_stage before)
{
    struct dkim_run *run = owner;
    if (run->list == NULL && key->forget)
        printf("%s  %s  forgotten: nothing needs it any more\n", key->domain, key->selector);
}

static int tend(const struct verb_call *call)
{
    struct dkim_run run;
    struct error error = {0};
    int exit_code = EX_OK;
    if (!begin(&run, call->wish, false, &exit_code))
        return exit_code;
    bool done = take_domain(&run, call->count > 0 ? call->arguments[0] : NULL, &error);
    const struct key_tending_wish wish = {domain_of(&run), true, print_story, &run};
    signing_keys_close(&run.keys); /* there may be none before */
    done = done && key_tending_run(&run.config, &wish, NULL, &error) &&
           key_tending_open(&run.keys, &run.config, false, &error) &&
           signing_keys_each(&run.keys, domain_of(&run), print_key, &run, &error);
    if (done && run.count == 0 && run.domain.length > 0)
        done = fail_none(&run, &error);
    return end(&run, done, &error);
}

/* ---- for domain add ---- */

static void print_made(void *owner, const struct stored_key *key, enum key_stage before)
{
    printf("\nMail of %s is signed (DKIM, %s) once this record is in DNS:\n\n", key->domain,
           key_record_algorithm(key->algorithm));
    key_output_record(key);
}

void dkim_make_keys(const struct command *command, const struct config *config, const char *domain)
{
    struct signing_keys keys = {.folder = {.descriptor = -1}};
    struct buffer name = {0};
    struct error error = {0};
    if (config->dkim.algorithm_count > 0 && accounts_domain(&name, bytes_of_text(domain)) &&
        (!data_dir_act_in(config->data_dir, &error) || !key_tending_open(&keys, config, true, &error) ||
         !key_tending_make(&keys, config, buffer_text(&name), print_made, NULL, &error)))
        fprintf(stderr, "mailboat %s: %s; without a signing key, mail of the domain is not signed\n",
                command->name, error.text);
    signing_keys_close(&keys);
    buffer_free(&name);
}

struct keys_left {
    struct buffer selectors;
    size_t count;
};

static bool add_key_left(void *owner, const struct stored_key *key)
{
    struct keys_left *left = owner;
    if (key->state.stage == KEY_REMOVED && key->fault[0] == '\0')
        return true;
    buffer_add_format(&left->selectors, "%s%s", left->count++ == 0 ? "" : ", ", key->selector);
    return true;
}

/* The public halves need no rights but to see the folder. */
void dkim_tell_keys_left(const struct config *config, const char *domain)
{
    struct signing_keys keys = {.folder = {.descriptor = -1}};
    struct keys_left left = {.count = 0};
    struct buffer name = {0};
    struct error unreadable = {0};
    if (accounts_domain(&name, bytes_of_text(domain)) &&
        signing_keys_open(&keys, config->data_dir, geteuid(), getegid(), false, &unreadable))
        signing_keys_each(&keys, buffer_text(&name), add_key_left, &left, &unreadable);
    if (left.count > 0)
        printf("%s: its signing %s (%s); mailboat dkim retire SELECTOR %s ends %s\n", domain,
               left.count == 1 ? "key stays" : "keys stay", buffer_text(&left.selectors), buffer_text(&name),
               left.count == 1 ? "it" : "one");
    signing_keys_close(&keys);
    buffer_free(&left.selectors);
    buffer_free(&name);
}

/* ---- the command ---- */

static int run(int argc, char **argv)
{
    static const struct command_verb verbs[] = {{"list", "[DOMAIN]", "json", list},
                                                {"show", "DOMAIN [SELECTOR]", "json", show},
                                                {"add", "DOMAIN", "json algorithm selector", add},
                                                {"rotate", "DOMAIN", "json algorithm selector", rotate},
                                                {"retire", "SELECTOR [DOMAIN]", "json", retire},
                                                {"tend", "[DOMAIN]", "json", tend},
                                                {.name = NULL}};
    struct dkim_options wish = {0};
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &wish.config},
                                        {OPTION_TEXT, "algorithm", 0, &wish.algorithm},
                                        {OPTION_TEXT, "selector", 0, &wish.selector},
                                        {OPTION_FLAG, "json", 0, &wish.json},
                                        {OPTION_END, NULL, 0, NULL}};
    return options_run_verb(&dkim_command, argc, argv, rules, verbs, &wish);
}

const struct command dkim_command = {
    .name = "dkim",
    .summary = "manage the keys that mail is signed with (DKIM)",
    .help = "usage: mailboat dkim list [DOMAIN] [--json]\n"
            "       mailboat dkim show DOMAIN [SELECTOR] [--json]\n"
            "       mailboat dkim add DOMAIN [--algorithm rsa|ed25519] [--selector NAME] [--json]\n"
            "       mailboat dkim rotate DOMAIN [--algorithm rsa|ed25519] [--selector NAME] [--json]\n"
            "       mailboat dkim retire SELECTOR [DOMAIN] [--json]\n"
            "       mailboat dkim tend [DOMAIN] [--json]\n"
            "\n"
            "A key is prepared, published once DNS shows its record, active once the record's TTL is\n"
            "over, retired for 14 days when a successor is active, and removed. Only an active key\n"
            "signs. The server looks in DNS at least once an hour and moves the states by itself; a\n"
            "person only publishes records. list says what each key waits for, show prints its record.\n"
            "\n"
            "add makes a first key of a domain, rotate a successor; retire ends the use of a key, and\n"
            "tend looks in DNS now.\n"
            "\n"
            "      --algorithm A    rsa (2048 bits) or ed25519; add: default rsa; rotate: default all\n"
            "                       of dkim.algorithms\n"
            "      --selector NAME  selector of the new key; default dkim.selector\n"
            "  -c, --config FILE    configuration; default /etc/mailboat/mailboat.conf\n"
            "      --json           print JSON\n"
            "\n"
            "exit codes: 0 done; 65 no such key, or it cannot be; 69 too many keys; 75 another\n"
            "mailboat changes keys; 77 not permitted\n"
            "\n"
            "example: mailboat dkim show example.org\n",
    .run = run,
};
