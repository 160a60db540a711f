/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: what waits, and a person's word on it. Lists read the store beside
 * the server; changes are asked of the running queue process, or made here
 * when no server runs.
 */
#include "channel.h"
#include "clock.h"
#include "log.h"
#include "options.h"
#include "queue/id.h"
#include "queue/queue.h"
#include "store.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

extern const struct command queue_command;

enum { ANSWER_TIMEOUT_MS = 60 * 1000 };

/* ---- words for people ---- */

static void age_text(uint64_t from_ms, uint64_t to_ms, char *room, size_t size)
{
    uint64_t seconds = to_ms > from_ms ? (to_ms - from_ms) / 1000 : 0;
    if (seconds < 120)
        snprintf(room, size, "%llus", (unsigned long long)seconds);
    else if (seconds < 2 * 3600)
        snprintf(room, size, "%llum", (unsigned long long)(seconds / 60));
    else if (seconds < 48 * 3600)
        snprintf(room, size, "%lluh", (unsigned long long)(seconds / 3600));
    else
        snprintf(room, size, "%llud", (unsigned long long)(seconds / 86400));
}

static void print_clean(struct bytes text)
{
    for (size_t i = 0; i < text.length; i++)
        putchar((unsigned char)text.at[i] < 32 || text.at[i] == 127 ? '?' : text.at[i]);
}

static json_t *json_bytes(struct bytes text)
{
    json_t *value = json_stringn(text.at == NULL ? "" : text.at, text.length);
    return value != NULL ? value : json_string("(not UTF-8)");
}

static void print_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(value);
}

/* ---- list ---- */

static void list_as_json(const struct store_summary *s, bool first)
{
    char id[QUEUE_ID_TEXT_LENGTH + 1];
    queue_id_text(s->id, id);
    fputs(first ? "" : ",\n ", stdout);
    print_json(json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:i, s:o}", "id", id, "arrived_ms", (json_int_t)s->arrived_ms, "expires_ms",
                         (json_int_t)s->expires_ms, "size", (json_int_t)s->size, "sender", json_bytes(s->sender), "first_recipient", json_bytes(s->first), "waiting",
                         (json_int_t)s->waiting, "held", (json_int_t)s->held, "next_ms", (json_int_t)s->next_ms, "attempts", (int)s->attempts, "reason", json_bytes(s->reason)));
}

static void list_as_text(const struct store_summary *s, uint64_t now_ms)
{
    char id[QUEUE_ID_TEXT_LENGTH + 1], age[32], next[32];
    queue_id_text(s->id, id);
    age_text(s->arrived_ms, now_ms, age, sizeof age);
    age_text(now_ms, s->next_ms, next, sizeof next);
    printf("%s  %5s  %9llu  <", id, age, (unsigned long long)s->size);
    print_clean(s->sender);
    fputs("> -> ", stdout);
    print_clean(s->first);
    uint64_t all = s->waiting + s->held;
    if (all > 1)
        printf(" and %llu more", (unsigned long long)(all - 1));
    if (s->waiting == 0)
        fputs("  (held)", stdout);
    else if (s->attempts > 0)
        printf("  next in %s", next);
    putchar('\n');
    if (s->reason.length > 0) {
        fputs("              ", stdout);
        print_clean(s->reason);
        putchar('\n');
    }
}

static int list(struct store *store, bool json)
{
    struct store_summary *page = memory_new(STORE_READ_MAX * sizeof *page);
    struct arena arena = {0};
    uint64_t after = 0, now_ms = clock_epoch_ms(), total = 0;
    if (json)
        fputs("[", stdout);
    for (size_t count; (count = store_list(store, after, STORE_READ_MAX, &arena, page)) > 0; after = page[count - 1].id) {
        for (size_t i = 0; i < count; i++, total++) {
            if (json)
                list_as_json(&page[i], total == 0);
            else
                list_as_text(&page[i], now_ms);
        }
        arena_clear(&arena);
    }
    if (json)
        fputs("]\n", stdout);
    else if (total == 0)
        puts("Nothing waits.");
    free(page);
    arena_clear(&arena);
    return EX_OK;
}

/* ---- show ---- */

static json_t *recipient_as_json(const struct store_recipient *r)
{
    return json_pack("{s:o, s:o, s:b, s:I, s:i, s:I, s:i, s:o, s:o, s:o}", "address", json_bytes(r->recipient.address), "destination", json_bytes(r->destination), "held",
                     (int)r->held, "next_ms", (json_int_t)r->due_ms, "attempts", (int)r->attempts, "last_ms", (json_int_t)r->last.when_ms, "last_code", (int)r->last.code,
                     "last_status", json_bytes(r->last.enhanced), "last_reply", json_bytes(r->last.text), "last_peer", json_bytes(r->last.peer));
}

static void recipient_as_text(const struct store_recipient *r, uint64_t now_ms)
{
    char next[32], last[32];
    age_text(now_ms, r->due_ms, next, sizeof next);
    age_text(r->last.when_ms, now_ms, last, sizeof last);
    fputs("  to ", stdout);
    print_clean(r->recipient.address);
    printf(" by %.*s: ", BYTES_ARG(r->destination));
    if (r->held)
        fputs("held", stdout);
    else if (r->due_ms <= now_ms)
        fputs("now", stdout);
    else
        printf("next attempt in %s", next);
    printf(", %u attempts\n", (unsigned)r->attempts);
    if (r->last.when_ms == 0)
        return;
    printf("     %s ago ", last);
    print_clean(r->last.peer.length > 0 ? r->last.peer : BYTES("nobody"));
    printf(" said: %u ", (unsigned)r->last.code);
    print_clean(r->last.enhanced);
    putchar(' ');
    print_clean(r->last.text);
    putchar('\n');
}

static void head_as_text(const struct store_message *m, const char *id, uint64_t now_ms)
{
    char age[32], left[32];
    age_text(m->arrived_ms, now_ms, age, sizeof age);
    age_text(now_ms, m->expires_ms, left, sizeof left);
    printf("%s from <", id);
    print_clean(m->envelope.sender);
    printf(">, %llu octets, arrived %s ago, given up in %s\n  came from ", (unsigned long long)m->envelope.size, age, left);
    print_clean(m->origin.client_address);
    printf(" by %.*s", BYTES_ARG(m->origin.protocol));
    if (m->origin.port != 0)
        printf(" on port %u", (unsigned)m->origin.port);
    if (m->origin.account.length > 0)
        fputs(" as ", stdout);
    print_clean(m->origin.account);
    putchar('\n');
}

static int show(struct store *store, uint64_t id, const char *text, bool json)
{
    struct arena arena = {0};
    struct store_message message;
    struct store_recipient *page = memory_new(STORE_READ_MAX * sizeof *page);
    json_t *recipients = json_array();
    uint64_t now_ms = clock_epoch_ms();
    struct error error;
    if (!store_read(store, id, false, &arena, &message)) {
        json_decref(recipients);
        free(page);
        error_set(&error, EX_DATAERR, "no message %s waits; it was delivered, returned or removed (see the log)", text);
        return command_fail(&queue_command, &error);
    }
    if (!json)
        head_as_text(&message, text, now_ms);
    uint32_t from = 0;
    for (size_t count; (count = store_recipients(store, id, from, STORE_READ_MAX, &arena, page)) > 0; from = page[count - 1].number + 1)
        for (size_t i = 0; i < count; i++) {
            if (json)
                json_array_append_new(recipients, recipient_as_json(&page[i]));
            else
                recipient_as_text(&page[i], now_ms);
        }
    if (json) {
        print_json(json_pack("{s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:i, s:O}", "id", text, "sender", json_bytes(message.envelope.sender), "size", (json_int_t)message.envelope.size,
                             "arrived_ms", (json_int_t)message.arrived_ms, "expires_ms", (json_int_t)message.expires_ms, "client", json_bytes(message.origin.client_address),
                             "account", json_bytes(message.origin.account), "port", (int)message.origin.port, "recipients", recipients));
        putchar('\n');
    }
    json_decref(recipients);
    free(page);
    arena_clear(&arena);
    return EX_OK;
}

/* ---- a person's word ---- */

static int say_done(const char *word, uint64_t count, bool json)
{
    if (json)
        printf("{\"recipients\":%llu}\n", (unsigned long long)count);
    else
        printf("%s: %llu recipient%s\n", word, (unsigned long long)count, count == 1 ? "" : "s");
    return EX_OK;
}

static bool connect_to(const char *folder, struct channel *channel, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s/control.sock", folder) >= (int)sizeof address.sun_path)
        return error_set(error, EX_CONFIG, "data_dir: %s is too long for a socket", folder);
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        error_set_errno(error, errno == EACCES ? EX_NOPERM : EX_UNAVAILABLE, "cannot ask the running server at %s", address.sun_path);
        if (descriptor >= 0)
            close(descriptor);
        return false;
    }
    channel_start(channel, descriptor, PROCESS_CLI, PROCESS_QUEUE, 0);
    return true;
}

static bool ask_server(const char *folder, enum control_verb verb, uint64_t id, uint64_t *count, struct error *error)
{
    struct channel channel;
    struct ipc_control asked = {.request = 1, .verb = verb, .id = id};
    enum ipc_kind kind;
    union ipc_message message;
    int attached;
    if (!connect_to(folder, &channel, error))
        return false;
    bool done = channel_send(&channel, IPC_CONTROL, &asked, -1) || error_set(error, EX_UNAVAILABLE, "the server does not listen");
    enum channel_news news = CHANNEL_EMPTY;
    struct pollfd readable = {.fd = channel.descriptor, .events = POLLIN};
    while (done && (news = channel_receive(&channel, &kind, &message, &attached)) == CHANNEL_EMPTY)
        if (poll(&readable, 1, ANSWER_TIMEOUT_MS) <= 0)
            break;
    if (done && news != CHANNEL_MESSAGE)
        done = error_set(error, EX_TEMPFAIL, "the server gave no answer; look at its log");
    else if (done && !message.control_answer.ok)
        done = error_set(error, EX_TEMPFAIL, "%.*s", BYTES_ARG(message.control_answer.text));
    if (done)
        *count = message.control_answer.count;
    channel_close(&channel);
    return done;
}

/* Nobody else has the store: here is its writer for a moment. */
static bool do_it_here(const char *folder, const struct config *config, enum control_verb verb, uint64_t id, uint64_t *count, struct error *error)
{
    struct store *store = store_sqlite_open(folder, STORE_WRITE, error);
    struct queue_options options = {.hostname = bytes_of_text(config->hostname), .smarthost = config->relay.via == RELAY_SMARTHOST, .hold = true};
    struct queue queue;
    uint64_t now_ms = clock_epoch_ms(), after = 0;
    enum store_verdict verdict = STORE_DONE;
    if (store == NULL)
        return false;
    log_start("queue", (enum log_format)config->log.format, LOG_EVENT_WARN); /* the count that is printed says it; a line a message is for the server's log */
    queue_start(&queue, store, &options, now_ms, now_ms);
    if (id != 0)
        *count = queue_control(&queue, verb, id, now_ms);
    do {
        if (id == 0)
            *count += queue_control_some(&queue, verb, &after, now_ms);
        verdict = queue_commit(&queue, now_ms, error);
    } while (verdict == STORE_DONE && after != 0);
    queue_free(&queue);
    store_close(store);
    return verdict == STORE_DONE;
}

static int control(const char *folder, const struct config *config, enum control_verb verb, const char *word, const char *target, bool json)
{
    uint64_t id = 0, count = 0;
    struct error error = {0};
    bool all = strcmp(target, "all") == 0;
    if (!all && !queue_id_parse(bytes_of_text(target), &id))
        return command_usage(&queue_command, "'%s' is not a queue id such as 0q3k9d2m8w00, nor 'all'", target);
    bool done = store_sqlite_owner(folder) != 0 ? ask_server(folder, verb, id, &count, &error) : do_it_here(folder, config, verb, id, &count, &error);
    if (done && count == 0 && !all)
        done = error_set(&error, EX_DATAERR, "no message %s waits", target);
    return done ? say_done(word, count, json) : command_fail(&queue_command, &error);
}

/* ---- the command ---- */

static int look(const char *folder, const char *verb, const char *target, bool json)
{
    uint64_t id = 0;
    struct error error = {0};
    bool one = strcmp(verb, "show") == 0;
    if (one && !queue_id_parse(bytes_of_text(target), &id))
        return command_usage(&queue_command, "'%s' is not a queue id such as 0q3k9d2m8w00", target);
    char path[4096];
    if (snprintf(path, sizeof path, "%s/mailboat.db", folder) < (int)sizeof path && !one && access(path, F_OK) != 0 && errno == ENOENT) {
        puts(json ? "[]" : "Nothing waits.");
        return EX_OK;
    }
    struct store *store = store_sqlite_open(folder, STORE_READ, &error);
    if (store == NULL)
        return command_fail(&queue_command, &error);
    int exit_code = one ? show(store, id, target, json) : list(store, json);
    store_close(store);
    return exit_code;
}

static int run(int argc, char **argv)
{
    static const struct { const char *verb; enum control_verb control; const char *word; } verbs[] = {
        {"retry", CONTROL_RETRY, "tried again now"}, {"hold", CONTROL_HOLD, "held"}, {"release", CONTROL_RELEASE, "released"}, {"remove", CONTROL_REMOVE, "removed"}};
    const char *config_file = NULL;
    bool json = false;
    struct arguments arguments;
    struct config config;
    int exit_code = EX_OK;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &config_file}, {OPTION_FLAG, "json", 0, &json}, {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&queue_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    const char *verb = arguments.count > 0 ? arguments.at[0] : "";
    bool looks = (strcmp(verb, "list") == 0 && arguments.count == 1) || (strcmp(verb, "show") == 0 && arguments.count == 2);
    size_t which = 0;
    while (which < ARRAY_LENGTH(verbs) && !(strcmp(verb, verbs[which].verb) == 0 && arguments.count == 2))
        which++;
    if (!looks && which == ARRAY_LENGTH(verbs))
        return command_usage(&queue_command, "say: list, show ID, or retry, hold, release, remove with an ID or all");
    if (!options_config(&queue_command, config_file, &config, &exit_code))
        return exit_code;
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/queue", config.data_dir);
    exit_code = looks ? look(folder, verb, arguments.count > 1 ? arguments.at[1] : "", json)
                      : control(folder, &config, verbs[which].control, verbs[which].word, arguments.at[1], json);
    config_free(&config);
    return exit_code;
}

const struct command queue_command = {
    .name = "queue",
    .summary = "what waits: list, show, retry, hold, release, remove",
    .help = "usage: mailboat queue list [--json]\n"
            "       mailboat queue show ID [--json]\n"
            "       mailboat queue retry|hold|release|remove ID|all\n\n"
            "Mail that was accepted and is not delivered yet. list prints a line a message,\n"
            "with the latest reason for waiting; show has every recipient. retry tries now,\n"
            "hold keeps it until release, remove deletes it without telling anybody.\n\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --json          for programs\n\n"
            "example: mailboat queue retry all\n",
    .run = run,
};
