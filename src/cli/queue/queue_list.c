/* SPDX-License-Identifier: Apache-2.0 */
/* queue list, queue show: read page by page, so that a million messages need no more memory than a
 * hundred. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cli/queue/format.h"
#include "cli/queue/queue.h"
#include "cli/queue/search.h"
#include "core/queue/queue_id.h"
#include "queue/queue_clock.h"

/* ---- one line per message ---- */

static const char *state_of(const struct store_summary *s, const struct in_progress *in_progress,
                            uint64_t now_ms)
{
    if (control_client_in_progress_has_any(in_progress, s->id))
        return "in_progress";
    return s->waiting == 0 ? "held" : s->next_ms <= now_ms ? "ready" : "waiting";
}

static void list_as_json(const struct store_summary *s, const char *state, bool first)
{
    char id[QUEUE_ID_TEXT_LENGTH + 1];
    queue_id_text(s->id, id);
    fputs(first ? "" : ",\n ", stdout);
    format_print_json(json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:i, s:o}", "id", id, "state", state,
        "arrived_ms", (json_int_t)s->arrived_ms, "expires_ms", (json_int_t)s->expires_ms, "size",
        (json_int_t)s->size, "sender", format_json(s->sender), "first_recipient", format_json(s->first),
        "waiting", (json_int_t)s->waiting, "held", (json_int_t)s->held, "next_ms", (json_int_t)s->next_ms,
        "attempts", (int)s->attempts, "reason", format_json(s->reason)));
}

static void list_as_text(const struct store_summary *s, bool in_progress, uint64_t now_ms)
{
    char id[QUEUE_ID_TEXT_LENGTH + 1], age[FORMAT_AGE_SIZE], next[FORMAT_AGE_SIZE];
    queue_id_text(s->id, id);
    printf("%s  %5s  %9llu  <", id, format_age(s->arrived_ms, now_ms, age), (unsigned long long)s->size);
    format_print(s->sender);
    fputs("> -> ", stdout);
    format_print(s->first);
    uint64_t all = s->waiting + s->held;
    if (all > 1)
        printf(" and %llu more", (unsigned long long)(all - 1));
    if (s->waiting == 0)
        fputs("  (held)", stdout);
    else if (s->held > 0)
        printf("  (%llu held)", (unsigned long long)s->held);
    if (in_progress)
        fputs("  (in progress)", stdout);
    else if (s->waiting > 0 && s->attempts > 0)
        printf("  next in %s", format_age(now_ms, s->next_ms, next));
    putchar('\n');
    if (s->reason.length > 0) {
        fputs("              ", stdout);
        format_print(s->reason);
        putchar('\n');
    }
}

/* ---- the format of postqueue -j ---- */

static const char *postfix_queue(const struct store_summary *s, const struct in_progress *in_progress)
{
    if (control_client_in_progress_has_any(in_progress, s->id))
        return "active";
    return s->waiting == 0 ? "hold" : s->attempts > 0 ? "deferred" : "incoming";
}

static void print_json_string(struct bytes text)
{
    json_t *value = format_json(text);
    json_dumpf(value, stdout, JSON_ENCODE_ANY);
    json_decref(value);
}

static void postfix_recipient(const struct store_recipient *r, bool first)
{
    struct buffer reason = {0};
    if (r->last.code != 0 && r->last.peer.length > 0)
        buffer_add_format(&reason, "host %.*s said: ", BYTES_ARG(r->last.peer));
    format_reply(&reason, &r->last);
    fputs(first ? "{\"address\": " : ", {\"address\": ", stdout);
    print_json_string(r->recipient.address);
    if (reason.length > 0) {
        fputs(", \"delay_reason\": ", stdout);
        print_json_string(buffer_bytes(&reason));
    }
    putchar('}');
    buffer_free(&reason);
}

static void list_as_postfix(struct store *store, const struct store_summary *s,
                            const struct in_progress *in_progress, struct store_recipient *page)
{
    char id[QUEUE_ID_TEXT_LENGTH + 1];
    struct arena arena = {0};
    bool first = true;
    uint32_t from = 0;
    queue_id_text(s->id, id);
    printf("{\"queue_name\": \"%s\", \"queue_id\": \"%s\", \"arrival_time\": %llu, \"message_size\": %llu, "
           "\"forced_expire\": false, \"sender\": ",
           postfix_queue(s, in_progress), id, (unsigned long long)(s->arrived_ms / 1000),
           (unsigned long long)s->size);
    print_json_string(s->sender.length > 0 ? s->sender : BYTES("MAILER-DAEMON"));
    fputs(", \"recipients\": [", stdout);
    for (size_t count; (count = store_recipients(store, s->id, from, STORE_READ_MAX, &arena, page)) > 0;
         from = page[count - 1].number + 1, arena_clear(&arena))
        for (size_t i = 0; i < count; i++, first = false)
            postfix_recipient(&page[i], first);
    fputs("]}\n", stdout);
    arena_clear(&arena);
}

/* ---- list ---- */

static uint64_t list_all(const struct queue_call *call, struct store *store,
                         const struct in_progress *in_progress)
{
    struct store_recipient *recipients = memory_new(STORE_READ_MAX * sizeof *recipients);
    struct search search;
    uint64_t now_ms = queue_clock_read_ms(store), total = 0;
    search_start(&search, store, &call->selection, now_ms);
    for (const struct store_summary *found; (found = search_next(&search)) != NULL; total++)
        if (call->postfix_json)
            list_as_postfix(store, found, in_progress, recipients);
        else if (call->json)
            list_as_json(found, state_of(found, in_progress, now_ms), total == 0);
        else
            list_as_text(found, control_client_in_progress_has_any(in_progress, found->id), now_ms);
    search_free(&search);
    free(recipients);
    return total;
}

int queue_list(const struct queue_call *call)
{
    int exit_code;
    uint64_t total = 0;
    struct in_progress in_progress = {0};
    struct store *store = queue_open(&queue_command, &call->place, &exit_code);
    if (exit_code != EX_OK)
        return exit_code;
    bool array = call->json && !call->postfix_json;
    fputs(array ? "[" : "", stdout);
    if (store != NULL) {
        control_client_in_progress(&in_progress, call->folder);
        total = list_all(call, store, &in_progress);
        control_client_in_progress_free(&in_progress);
    }
    bool whole = queue_has_answered(&queue_command, store, &exit_code);
    store_close(store);
    if (array && whole) /* an incomplete list must not look complete to a program */
        fputs("]\n", stdout);
    else if (whole && total == 0 && !call->postfix_json)
        puts(selection_is_unsaid(&call->selection) || call->selection.all ? "The queue is empty."
                                                                          : "No matching messages.");
    return exit_code;
}

/* ---- show ---- */

static json_t *recipient_as_json(const struct store_recipient *r)
{
    return json_pack("{s:o, s:o, s:b, s:I, s:i, s:I, s:i, s:o, s:o, s:o, s:o}", "address",
                     format_json(r->recipient.address), "destination", format_json(r->destination), "held",
                     (int)r->held, "next_ms", (json_int_t)r->due_ms, "attempts", (int)r->attempts, "last_ms",
                     (json_int_t)r->last.when_ms, "last_code", (int)r->last.code, "last_status",
                     format_json(r->last.enhanced), "last_reply", format_json(r->last.text), "last_peer",
                     format_json(r->last.peer), "last_tls", format_json(r->last.tls));
}

static void recipient_as_text(const struct store_recipient *r, uint64_t now_ms)
{
    char next[FORMAT_AGE_SIZE], last[FORMAT_AGE_SIZE];
    fputs("  to ", stdout);
    format_print(r->recipient.address);
    printf(" by %.*s: ", BYTES_ARG(r->destination));
    if (r->held)
        fputs("held", stdout);
    else if (r->due_ms <= now_ms)
        fputs("now", stdout);
    else
        printf("next attempt in %s", format_age(now_ms, r->due_ms, next));
    printf(", %u attempts\n", (unsigned)r->attempts);
    if (r->last.when_ms == 0)
        return;
    printf("     %s ago ", format_age(r->last.when_ms, now_ms, last));
    struct buffer said = {0};
    format_print(r->last.peer.length > 0 ? r->last.peer : BYTES("no server reached"));
    fputs(r->last.code > 0 ? " replied: " : ": ", stdout); /* without a code the text is this server's */
    format_reply(&said, &r->last);
    format_print(buffer_bytes(&said));
    putchar('\n');
    buffer_free(&said);
}

static void head_as_text(const struct store_message *m, const char *id, uint64_t now_ms)
{
    char age[FORMAT_AGE_SIZE], left[FORMAT_AGE_SIZE];
    printf("%s from <", id);
    format_print(m->envelope.sender);
    printf(">, %llu bytes, arrived %s ago, expires in %s\n  received from ",
           (unsigned long long)m->envelope.size, format_age(m->arrived_ms, now_ms, age),
           format_age(now_ms, m->expires_ms, left));
    format_print(m->origin.client_address);
    printf(" by %.*s", BYTES_ARG(m->origin.protocol));
    if (m->origin.port != 0)
        printf(" on port %u", (unsigned)m->origin.port);
    if (m->origin.account.length > 0)
        fputs(" as ", stdout);
    format_print(m->origin.account);
    putchar('\n');
}

static void head_as_json(const struct store_message *m, const char *id)
{
    printf("{\"id\":\"%s\",\"sender\":", id);
    print_json_string(m->envelope.sender);
    printf(",\"size\":%llu,\"arrived_ms\":%llu,\"expires_ms\":%llu,\"client\":",
           (unsigned long long)m->envelope.size, (unsigned long long)m->arrived_ms,
           (unsigned long long)m->expires_ms);
    print_json_string(m->origin.client_address);
    fputs(",\"account\":", stdout);
    print_json_string(m->origin.account);
    printf(",\"port\":%u,\"recipients\":[", (unsigned)m->origin.port);
}

static void show_recipients(struct store *store, uint64_t id, bool json, uint64_t now_ms)
{
    struct store_recipient *page = memory_new(STORE_READ_MAX * sizeof *page);
    struct arena arena = {0};
    uint32_t from = 0;
    bool first = true;
    for (size_t count; (count = store_recipients(store, id, from, STORE_READ_MAX, &arena, page)) > 0;
         from = page[count - 1].number + 1, arena_clear(&arena))
        for (size_t i = 0; i < count; i++, first = false) {
            if (!json) {
                recipient_as_text(&page[i], now_ms);
                continue;
            }
            fputs(first ? "" : ",", stdout);
            format_print_json(recipient_as_json(&page[i]));
        }
    arena_clear(&arena);
    free(page);
}

static void show(const struct queue_call *call, struct store *store, const struct store_message *message)
{
    uint64_t now_ms = queue_clock_read_ms(store);
    if (call->json)
        head_as_json(message, call->ids[0]);
    else
        head_as_text(message, call->ids[0], now_ms);
    show_recipients(store, message->id, call->json, now_ms);
}

int queue_show(const struct queue_call *call)
{
    uint64_t id;
    int exit_code;
    struct error error;
    struct arena arena = {0};
    struct store_message message;
    if (!queue_read_id(&queue_command, call->ids[0], &id))
        return EX_USAGE;
    struct store *store = queue_open(&queue_command, &call->place, &exit_code);
    if (exit_code != EX_OK)
        return exit_code;
    bool there = store != NULL && store_read(store, id, false, &arena, &message);
    if (there)
        show(call, store, &message);
    bool whole = queue_has_answered(&queue_command, store, &exit_code);
    if (whole && there)
        fputs(call->json ? "]}\n" : "", stdout);
    if (whole && !there) {
        error_set(&error, EX_DATAERR,
                  "message %s is not in the queue: it was delivered, bounced or removed (see the log)",
                  call->ids[0]);
        exit_code = command_fail(&queue_command, &error);
    }
    store_close(store);
    arena_clear(&arena);
    return exit_code;
}
