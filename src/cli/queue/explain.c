/* SPDX-License-Identifier: Apache-2.0 */
/* explain: the history of one queued message, from its acceptance to its next attempt. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/count.h"
#include "cli/options.h"
#include "cli/queue/format.h"
#include "cli/queue/key_warning.h"
#include "cli/queue/last_reply.h"
#include "cli/queue/queue.h"
#include "cli/queue/recipient_wait.h"
#include "cli/queue/seal_note.h"
#include "cli/terminal.h"
#include "cli/trust/judgements.h"
#include "core/queue/queue_id.h"
#include "core/text/quantity.h"
#include "io/clock.h"

extern const struct command explain_command;

enum { EXPLAIN_INDENT = 2 }; /* columns of continuation lines beyond their line's own */

struct explanation {
    struct queue_view view;
    struct store_message message;
    char id[QUEUE_ID_TEXT_LENGTH + 1];
};

/* ---- text ---- */

static void print_origin(const struct origin *o)
{
    if (o->kind == ORIGIN_REPORT) {
        fputs("a delivery report of this server", stdout);
        return;
    }
    if (o->kind == ORIGIN_TLS_REPORT || o->kind == ORIGIN_DMARC_REPORT) {
        printf("a report of this server to another domain, on %s",
               o->kind == ORIGIN_TLS_REPORT ? "TLS" : "DMARC");
        return;
    }
    if (o->port != 0)
        printf("on port %u ", (unsigned)o->port);
    if (o->kind == ORIGIN_LOCAL || o->kind == ORIGIN_VACATION) {
        fputs("from this machine, through the local socket", stdout);
    } else {
        fputs("from ", stdout);
        format_print(o->client_address);
    }
    if (o->client_helo.length > 0) {
        fputs(", HELO ", stdout);
        format_print(o->client_helo);
    }
    printf(", by %.*s ", BYTES_ARG(o->protocol));
    fputs(o->tls.length > 0 ? "with " : "without TLS", stdout);
    format_print(o->tls);
    if (o->account.length > 0)
        fputs(", authenticated as ", stdout);
    format_print(o->account);
}

/* Ends the line before it. */
static void print_trust(const struct trust_record *record)
{
    struct buffer lines = {0};
    judgement_add_lines(&lines, record);
    printf("\n%s", buffer_text(&lines));
    buffer_free(&lines);
}

static void print_head(const struct explanation *explanation)
{
    const struct store_message *m = &explanation->message;
    char when[FORMAT_TIME_SIZE], age[QUANTITY_AGE_SIZE];
    printf("%s: from <", explanation->id);
    format_print(m->envelope.sender);
    printf(">, %s\n  accepted %s (%s ago) ", COUNT_OF(m->envelope.size, "byte"),
           format_time(m->arrived_ms, when), quantity_age(m->arrived_ms, explanation->view.now_ms, age));
    print_origin(&m->origin);
    print_trust(&m->trust);
    if (m->expires_ms > explanation->view.now_ms)
        printf("  expires %s (in %s)\n", format_time(m->expires_ms, when),
               quantity_age(explanation->view.now_ms, m->expires_ms, age));
    else
        printf("  expired %s (%s ago)\n", format_time(m->expires_ms, when),
               quantity_age(m->expires_ms, explanation->view.now_ms, age));
}

static void print_attempt(const struct attempt_record *reply, uint32_t number)
{
    char when[FORMAT_TIME_SIZE];
    struct buffer said = {0};
    format_reply(&said, reply);
    printf("    %s  attempt %u: ", format_time(reply->when_ms, when), (unsigned)number);
    format_print(reply->peer.length > 0 ? reply->peer : BYTES("no server was reached"));
    fputs(reply->peer.length == 0 ? ": " : reply->code != 0 ? " replied " : ": ", stdout);
    format_print(buffer_bytes(&said));
    if (reply->tls.length > 0 || (reply->peer.length > 0 && reply->code != 0)) {
        fputs(reply->tls.length > 0 ? " (" : " (without TLS", stdout);
        format_print(reply->tls);
        putchar(')');
    }
    putchar('\n');
    buffer_free(&said);
}

/* The last of the `kept` attempts has the recipient's count. */
static uint32_t first_number(const struct store_recipient *r, size_t kept)
{
    return r->attempts >= kept ? r->attempts - (uint32_t)kept + 1 : 1;
}

/* Prints the meaning of the last reply, and a hint for the operator. */
static void print_meaning(const struct explanation *explanation, const struct store_recipient *r)
{
    const struct reply_meaning *meaning = last_reply_meaning(&explanation->view, &explanation->message, r);
    struct buffer words = {0};
    if (meaning == NULL)
        return;
    last_reply_add(&words, meaning);
    printf("    means: %s\n    hint: %s\n", buffer_text(&words), meaning->operator_hint);
    buffer_free(&words);
}

static void print_key_warning(const struct explanation *explanation, const struct store_recipient *r)
{
    struct buffer words = {0};
    key_warning_add(&words, explanation->view.config, &explanation->message, r);
    if (words.length > 0)
        printf("    warning: %s\n", buffer_text(&words));
    buffer_free(&words);
}

static void print_seal_note(const struct explanation *explanation, const struct store_recipient *r)
{
    struct buffer words = {0};
    seal_note_add(&words, explanation->view.config, &explanation->message, r);
    if (words.length > 0)
        printf("    %s\n", buffer_text(&words));
    buffer_free(&words);
}

static void add_wait(struct buffer *out, struct recipient_wait *wait, struct explanation *explanation,
                     const struct store_recipient *r)
{
    recipient_wait_find(wait, &explanation->view, explanation->message.id, r);
    recipient_wait_add(out, wait, &explanation->view, explanation->id, explanation->message.expires_ms, r);
}

static void print_recipient(struct explanation *explanation, const struct store_recipient *r)
{
    struct attempt_record attempts[STORE_ATTEMPTS_MAX];
    struct arena arena = {0};
    struct recipient_wait wait;
    struct buffer sentence = {0};
    char buffer[STORE_DESTINATION_MAX + 1];
    size_t kept = store_attempts(explanation->view.store, explanation->message.id, r->number, &arena,
                                 attempts);
    uint32_t number = first_number(r, kept);
    fputs("  to <", stdout);
    format_print(r->recipient.address);
    fputs(">, which goes to ", stdout);
    format_print(bytes_of_text(recipient_wait_destination(r->destination, buffer)));
    if (r->recipient.original.length > 0 &&
        !bytes_equal_nocase(r->recipient.original, r->recipient.address)) {
        fputs("; the sender wrote <", stdout);
        format_print(r->recipient.original);
        putchar('>');
    }
    putchar('\n');
    if (r->recipient.sent_as.length > 0) {
        fputs("    forwarded as from <", stdout);
        format_print(r->recipient.sent_as);
        puts(">, so that SPF passes there and a bounce comes back through this server (SRS)");
    }
    print_seal_note(explanation, r);
    if (kept > 0 && number > 1)
        printf(number == 2 ? "    (attempt %u is only in the log)\n"
                           : "    (attempts 1 to %u are only in the log)\n",
               (unsigned)number - 1);
    for (size_t i = 0; i < kept; i++)
        print_attempt(&attempts[i], number + (uint32_t)i);
    print_meaning(explanation, r);
    print_key_warning(explanation, r);
    add_wait(&sentence, &wait, explanation, r);
    fputs("    next: ", stdout);
    format_print(buffer_bytes(&sentence));
    putchar('\n');
    buffer_free(&sentence);
    arena_clear(&arena);
}

/* ---- JSON ---- */

static json_t *attempts_as_json(const struct attempt_record *attempts, size_t kept, uint32_t number)
{
    json_t *list = json_array();
    for (size_t i = 0; i < kept; i++)
        json_array_append_new(
            list, json_pack("{s:I, s:I, s:i, s:o, s:o, s:o, s:o}", "attempt", (json_int_t)(number + i),
                            "at_ms", (json_int_t)attempts[i].when_ms, "code", (int)attempts[i].code, "status",
                            format_json(attempts[i].enhanced), "reply", format_json(attempts[i].text), "peer",
                            format_json(attempts[i].peer), "tls", format_json(attempts[i].tls)));
    return list;
}

static void print_recipient_as_json(struct explanation *explanation, const struct store_recipient *r)
{
    struct attempt_record attempts[STORE_ATTEMPTS_MAX];
    struct arena arena = {0};
    struct recipient_wait wait;
    struct buffer sentence = {0}, warning = {0}, seal = {0};
    size_t kept = store_attempts(explanation->view.store, explanation->message.id, r->number, &arena,
                                 attempts);
    add_wait(&sentence, &wait, explanation, r);
    key_warning_add(&warning, explanation->view.config, &explanation->message, r);
    seal_note_add(&seal, explanation->view.config, &explanation->message, r);
    format_print_json(
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:s, s:I, s:o}", "address",
                  format_json(r->recipient.address), "original", format_json(r->recipient.original),
                  "sent_as", format_json(r->recipient.sent_as), "seal", format_json(buffer_bytes(&seal)),
                  "destination", format_json(r->destination), "attempts", (json_int_t)r->attempts, "history",
                  attempts_as_json(attempts, kept, first_number(r, kept)), "meaning",
                  last_reply_json(last_reply_meaning(&explanation->view, &explanation->message, r)),
                  "warning", format_json(buffer_bytes(&warning)), "state", recipient_wait_name(wait.why),
                  "next_ms", (json_int_t)wait.next_ms, "why", format_json(buffer_bytes(&sentence))));
    buffer_free(&sentence);
    buffer_free(&warning);
    buffer_free(&seal);
    arena_clear(&arena);
}

/* Prints everything but the recipients, and leaves the object open. */
static void print_head_as_json(const struct explanation *explanation)
{
    const struct store_message *m = &explanation->message;
    const struct origin *o = &m->origin;
    json_t *all = json_pack("{s:s, s:o, s:I, s:I, s:I, s:b, s:o, s:{s:o, s:o, s:o, s:i, s:o, s:o}}", "id",
                            explanation->id, "sender", format_json(m->envelope.sender), "size",
                            (json_int_t)m->envelope.size, "accepted_ms", (json_int_t)m->arrived_ms,
                            "expires_ms", (json_int_t)m->expires_ms, "server",
                            (int)explanation->view.in_progress.served, "trust", judgement_json(&m->trust),
                            "origin", "client", format_json(o->client_address), "helo",
                            format_json(o->client_helo), "protocol", format_json(o->protocol), "port",
                            (int)o->port, "tls", format_json(o->tls), "account", format_json(o->account));
    char *head = json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER);
    if (head != NULL)
        printf("%.*s,\"recipients\":[", (int)strlen(head) - 1, head);
    free(head);
    json_decref(all);
}

/* ---- output ---- */

/* Prints the recipients; returns their number. *expected: the number after the last. */
static uint64_t print_all(struct explanation *explanation, bool json, uint32_t *expected)
{
    struct store_recipient *page = memory_new(STORE_READ_MAX * sizeof *page);
    struct arena arena = {0};
    uint64_t told = 0;
    if (json)
        print_head_as_json(explanation);
    else
        print_head(explanation);
    for (size_t count; (count = store_recipients(explanation->view.store, explanation->message.id, *expected,
                                                 STORE_READ_MAX, &arena, page)) > 0;
         arena_clear(&arena))
        for (size_t i = 0; i < count; i++, told++) {
            *expected = page[i].number + 1;
            if (!json) {
                print_recipient(explanation, &page[i]);
                continue;
            }
            fputs(told > 0 ? "," : "", stdout);
            print_recipient_as_json(explanation, &page[i]);
        }
    arena_clear(&arena);
    free(page);
    return told;
}

/* Only if the store returned all of them. */
static void print_end(const struct explanation *explanation, bool json, uint32_t expected, uint64_t told)
{
    if (json)
        puts("]}");
    else if (expected > told)
        printf("  %llu or more other recipients are done; the log says how: grep id=%s\n",
               (unsigned long long)(expected - told), explanation->id);
}

struct gone_search {
    uint64_t id;
    struct buffer lines;
    json_t *judgement; /* NULL: there is none */
};

static bool find_gone(void *owner, const struct mail_event *event)
{
    struct gone_search *search = owner;
    struct trust_record record = mail_event_trust(event);
    if (event->message != search->id)
        return true;
    judgement_add_lines(&search->lines, &record);
    search->judgement = judgement_json(&record);
    return false;
}

/* Mail authentication's findings outlast the message. */
static void print_gone_trust(struct store *store, uint64_t id, const char *text, bool json)
{
    struct gone_search search = {.id = id};
    if (store != NULL)
        judgements_walk(store, find_gone, &search);
    if (search.judgement != NULL && json) {
        format_print_json(json_pack("{s:s, s:O}", "id", text, "trust", search.judgement));
        putchar('\n');
    } else if (search.lines.length > 0) {
        printf("%s:\n%s", text, buffer_text(&search.lines));
    }
    json_decref(search.judgement);
    buffer_free(&search.lines);
}

/* The id contains the time of acceptance: earlier log lines need not be searched. */
static int say_gone(uint64_t id, const char *text)
{
    enum { EARLIEST_S = 1700000000 };
    struct error error = {0};
    char since[FORMAT_TIME_SIZE] = "";
    uint64_t made_s = id / QUEUE_ID_SLOTS / 1000000;
    if (made_s > EARLIEST_S && made_s * 1000 <= clock_epoch_ms() + 1000)
        format_time(made_s * 1000, since);
    error_set(&error, EX_UNAVAILABLE,
              "message %s is not in the queue: it was delivered, bounced or removed. The log says which: "
              "journalctl -u mailboat%s%.19s%s | grep id=%s",
              text, *since != '\0' ? " --since '" : "", since, *since != '\0' ? "'" : "", text);
    return command_fail(&explain_command, &error);
}

static int explain(const struct config *config, uint64_t id, bool json)
{
    char folder[4096];
    struct arena arena = {0};
    struct explanation explanation = {0};
    struct terminal terminal = {0};
    struct terminal_wrap wrap;
    int exit_code;
    if (!json)
        terminal_look(&terminal);
    snprintf(folder, sizeof folder, "%s/queue", config->data_dir);
    queue_id_text(id, explanation.id);
    struct store_place place = {config->store, folder};
    struct store *store = queue_open(&explain_command, &place, &exit_code);
    if (exit_code != EX_OK)
        return exit_code;
    bool there = store != NULL && store_read(store, id, false, &arena, &explanation.message);
    uint32_t expected = 0;
    uint64_t told = 0;
    terminal_wrap_start(&wrap, &terminal, EXPLAIN_INDENT);
    if (there) {
        queue_view_open(&explanation.view, store, config, folder);
        told = print_all(&explanation, json, &expected);
        queue_view_close(&explanation.view);
    }
    bool whole = queue_has_answered(&explain_command, store, &exit_code);
    if (whole && there)
        print_end(&explanation, json, expected, told);
    else if (whole)
        print_gone_trust(store, id, explanation.id, json);
    terminal_wrap_end(&wrap);
    if (whole && !there)
        exit_code = say_gone(id, explanation.id);
    store_close(store);
    arena_clear(&arena);
    return exit_code;
}

static int run(int argc, char **argv)
{
    const char *config_file = NULL;
    bool json = false;
    struct arguments arguments;
    struct config config;
    uint64_t id;
    int exit_code = EX_OK;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &config_file},
                                        {OPTION_FLAG, "json", 0, &json},
                                        {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&explain_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (!options_arguments_fit(&explain_command, NULL, "ID", arguments.at, arguments.count))
        return EX_USAGE;
    if (!queue_read_id(&explain_command, arguments.at[0], &id))
        return EX_USAGE;
    if (!options_config(&explain_command, config_file, &config, &exit_code))
        return exit_code;
    exit_code = explain(&config, id, json);
    config_free(&config);
    return exit_code;
}

const struct command explain_command = {
    .name = "explain",
    .summary = "explain a queued message and its next attempt",
    .help = "usage: mailboat explain ID [--json]\n"
            "\n"
            "Shows the sender, port, TLS and account of a queued message, and for each\n"
            "recipient the last attempts, the replies of the other servers, what the last of\n"
            "them means, and the time of the next attempt, and why it is then. A delivered, bounced or "
            "removed message has\n"
            "left the queue: the command then says how to find it in the log, and exits with 69.\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --json          print JSON\n"
            "\n"
            "example: mailboat explain 0q3k9d2m8w00\n",
    .run = run,
};
