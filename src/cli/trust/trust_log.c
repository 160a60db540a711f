/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/trust/trust_log.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/options.h"
#include "cli/queue/format.h"
#include "cli/queue/queue.h"
#include "cli/terminal.h"
#include "cli/trust/judgements.h"
#include "core/dns/dns_name.h"
#include "core/queue/queue_id.h"

extern const struct command trust_command;

enum { LOG_INDENT = 4, DISPOSITIONS = DISPOSITION_REJECT + 1 };

struct log_walk {
    struct bytes domain; /* empty: all */
    int disposition;     /* -1: all */
    bool json, with_story;
    struct terminal terminal;
    uint64_t found, skipped, skip; /* messages that fit; of these the oldest are not printed */
    uint64_t shown, of_disposition[DISPOSITIONS], only_proposed;
};

/* ---- which ---- */

static bool is_of_domain(struct bytes author, struct bytes domain)
{
    if (author.length <= domain.length)
        return dns_name_equal(author, domain);
    return author.at[author.length - domain.length - 1] == '.' &&
           dns_name_equal(bytes_from(author, author.length - domain.length), domain);
}

static bool fits(const struct log_walk *walk, const struct trust_record *record)
{
    bool disposition = walk->disposition < 0 || (int)record->disposition == walk->disposition ||
                       (int)record->proposed == walk->disposition;
    return disposition && (walk->domain.length == 0 || is_of_domain(record->author, walk->domain));
}

static bool count_one(void *owner, const struct mail_event *event)
{
    struct log_walk *walk = owner;
    struct trust_record record = mail_event_trust(event);
    if (!fits(walk, &record))
        return true;
    walk->found++;
    walk->of_disposition[record.disposition]++;
    walk->only_proposed += record.proposed != record.disposition;
    return true;
}

/* ---- how ---- */

static void print_text(struct log_walk *walk, const struct mail_event *event,
                       const struct trust_record *record)
{
    char when[FORMAT_TIME_SIZE], id[QUEUE_ID_TEXT_LENGTH + 1];
    struct buffer line = {0};
    buffer_add_format(&line, "%.19s  ", format_time(event->at_ms, when));
    judgement_add_outcome(&line, record);
    buffer_add_text(&line, "  ");
    format_add_clean(&line, record->author.length > 0 ? record->author : BYTES("(no domain)"));
    if (event->message != 0)
        buffer_add_format(&line, "  id %s", (queue_id_text(event->message, id), id));
    terminal_print(&walk->terminal, &line, LOG_INDENT);
    buffer_add_format(&line, "%*s%s; from ", LOG_INDENT, "", verdict_finding_sentence(record->finding));
    format_add_clean(&line, event->client);
    buffer_add_text(&line, " with <");
    format_add_clean(&line, event->sender);
    buffer_add_octet(&line, '>');
    terminal_print(&walk->terminal, &line, LOG_INDENT);
    if (walk->with_story && record->story.length > 0) {
        buffer_add_format(&line, "%*s", LOG_INDENT, "");
        format_add_clean(&line, record->story);
        terminal_print(&walk->terminal, &line, LOG_INDENT);
    }
    buffer_free(&line);
}

static void print_json(const struct log_walk *walk, const struct mail_event *event,
                       const struct trust_record *record)
{
    char id[QUEUE_ID_TEXT_LENGTH + 1] = "";
    if (event->message != 0)
        queue_id_text(event->message, id);
    json_t *row = json_pack("{s:I, s:s, s:o, s:o, s:o, s:i, s:o, s:o}", "at_ms", (json_int_t)event->at_ms,
                            "id", id, "client", format_json(event->client), "helo", format_json(event->helo),
                            "sender", format_json(event->sender), "code", (int)event->code, "status",
                            format_json(event->enhanced), "reply", format_json(event->text));
    json_t *found = judgement_json(record);
    json_object_update(row, found);
    json_decref(found);
    fputs(walk->shown == 1 ? "" : ",\n", stdout);
    format_print_json(row);
}

static bool print_one(void *owner, const struct mail_event *event)
{
    struct log_walk *walk = owner;
    struct trust_record record = mail_event_trust(event);
    if (!fits(walk, &record) || walk->skipped++ < walk->skip)
        return true;
    walk->shown++;
    if (walk->json)
        print_json(walk, event, &record);
    else
        print_text(walk, event, &record);
    return true;
}

static void print_end(const struct log_walk *walk)
{
    if (walk->json) {
        puts("]");
        return;
    }
    if (walk->found == 0) {
        puts("no message: mail on port 25 is judged unless the configuration has trust: {mode: off}");
        return;
    }
    printf("%llu shown of %llu:", (unsigned long long)walk->shown, (unsigned long long)walk->found);
    for (int i = 0; i < DISPOSITIONS; i++)
        printf("%s %llu %s", i == 0 ? "" : ",", (unsigned long long)walk->of_disposition[i],
               verdict_disposition_name((enum disposition)i));
    if (walk->only_proposed > 0)
        printf("; %llu were only observed", (unsigned long long)walk->only_proposed);
    putchar('\n');
}

/* ---- the verb ---- */

static bool read_disposition(const char *text, int *disposition)
{
    *disposition = -1;
    for (int i = 0; text != NULL && i < DISPOSITIONS; i++)
        if (strcmp(text, verdict_disposition_name((enum disposition)i)) == 0)
            *disposition = i;
    return text == NULL || *disposition >= 0;
}

static bool read_options(const struct trust_log_options *options, struct log_walk *walk, uint64_t *limit,
                         struct error *error)
{
    *walk = (struct log_walk){.domain = bytes_of_text(options->domain == NULL ? "" : options->domain),
                              .json = options->json,
                              .with_story = options->with_story};
    *limit = TRUST_LOG_SHOWN;
    if (!read_disposition(options->disposition, &walk->disposition))
        return error_set(error, EX_USAGE, "--disposition: '%.40s' is not deliver, junk, defer or reject",
                         options->disposition);
    if (options->limit != NULL && !bytes_to_u64(bytes_of_text(options->limit), STORE_EVENTS_MAX, limit))
        return error_set(error, EX_USAGE, "--limit: '%.40s' is not a number up to %d", options->limit,
                         STORE_EVENTS_MAX);
    return true;
}

int trust_log(const struct trust_log_options *options)
{
    char folder[4096];
    struct log_walk walk;
    struct config config;
    struct error error = {0};
    uint64_t limit;
    int exit_code = EX_OK;
    if (!read_options(options, &walk, &limit, &error))
        return command_fail(&trust_command, &error);
    if (!options_config(&trust_command, options->config_file, &config, &exit_code))
        return exit_code;
    snprintf(folder, sizeof folder, "%s/queue", config.data_dir);
    struct store_place place = {config.store, folder};
    struct store *store = queue_open(&trust_command, &place, &exit_code);
    if (exit_code == EX_OK) {
        terminal_look(&walk.terminal);
        if (store != NULL)
            judgements_walk(store, count_one, &walk);
        walk.skip = walk.found > limit ? walk.found - limit : 0;
        fputs(walk.json ? "[" : "", stdout);
        if (store != NULL)
            judgements_walk(store, print_one, &walk);
        print_end(&walk);
        queue_has_answered(&trust_command, store, &exit_code);
    }
    store_close(store);
    config_free(&config);
    return exit_code;
}
