/* SPDX-License-Identifier: Apache-2.0 */
/* queue list: reads page by page, so that a million messages need no more memory than a hundred. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cli/queue/format.h"
#include "cli/queue/queue.h"
#include "cli/queue/recipient_wait.h"
#include "cli/queue/search.h"
#include "cli/terminal.h"
#include "core/queue/queue_id.h"
#include "core/text/quantity.h"

enum { LIST_INDENT = 14 }; /* columns before the second line of a message */

struct queue_listing {
    const struct queue_call *call;
    struct terminal terminal;
    struct queue_view view;
    struct store_recipient *recipients; /* a page */
};

/* A message, with the wait of the recipient that is tried first. */
struct listed_message {
    const struct store_summary *summary;
    char id[QUEUE_ID_TEXT_LENGTH + 1];
    struct recipient_wait wait;
    struct buffer reason, why;
};

/* ---- why a message waits ---- */

static void decide(struct listed_message *m, struct queue_listing *listing, const struct store_recipient *r)
{
    struct recipient_wait wait;
    recipient_wait_find(&wait, &listing->view, m->summary->id, r);
    if (m->why.length > 0 && !recipient_wait_is_before(&wait, &m->wait))
        return;
    m->wait = wait;
    buffer_clear(&m->why);
    buffer_clear(&m->reason);
    recipient_wait_add(&m->why, &wait, &listing->view, m->id, m->summary->expires_ms, r);
    recipient_wait_add_reason(&m->reason, &wait, r->destination, m->summary->reason);
}

static void listed_message_start(struct listed_message *m, struct queue_listing *listing,
                                 const struct store_summary *summary)
{
    struct arena arena = {0};
    uint32_t from = 0;
    *m = (struct listed_message){.summary = summary};
    queue_id_text(summary->id, m->id);
    for (size_t count; (count = store_recipients(listing->view.store, summary->id, from, STORE_READ_MAX,
                                                 &arena, listing->recipients)) > 0;
         from = listing->recipients[count - 1].number + 1, arena_clear(&arena))
        for (size_t i = 0; i < count; i++)
            decide(m, listing, &listing->recipients[i]);
    arena_clear(&arena);
}

static void listed_message_free(struct listed_message *m)
{
    buffer_free(&m->reason);
    buffer_free(&m->why);
}

/* ---- one line per message ---- */

static void list_as_json(const struct listed_message *m, uint64_t now_ms, bool first)
{
    const struct store_summary *s = m->summary;
    fputs(first ? "" : ",\n ", stdout);
    format_print_json(json_pack("{s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:i, s:o, s:s, s:o}",
                                "id", m->id, "state", recipient_wait_state(&m->wait, now_ms), "arrived_ms",
                                (json_int_t)s->arrived_ms, "expires_ms", (json_int_t)s->expires_ms, "size",
                                (json_int_t)s->size, "sender", format_json(s->sender), "first_recipient",
                                format_json(s->first), "waiting", (json_int_t)s->waiting, "held",
                                (json_int_t)s->held, "next_ms", (json_int_t)m->wait.next_ms, "attempts",
                                (int)s->attempts, "reason", format_json(buffer_bytes(&m->reason)), "wait",
                                recipient_wait_name(m->wait.why), "why", format_json(buffer_bytes(&m->why))));
}

static void add_state(struct buffer *line, const struct listed_message *m, const struct queue_listing *l)
{
    char next[QUANTITY_AGE_SIZE];
    const char *yellow = terminal_yellow(&l->terminal), *plain = terminal_plain(&l->terminal);
    if (m->wait.why == WAIT_HELD)
        buffer_add_format(line, "  %s(held)%s", yellow, plain);
    else if (m->summary->held > 0)
        buffer_add_format(line, "  %s(%llu held)%s", yellow, (unsigned long long)m->summary->held, plain);
    switch (m->wait.why) {
    case WAIT_HELD: break;
    case WAIT_IN_PROGRESS: buffer_add_text(line, "  (in progress)"); break;
    case WAIT_NO_SERVER:
        buffer_add_format(line, "  %s(the server is not running)%s", terminal_red(&l->terminal), plain);
        break;
    case WAIT_ALL_HELD: buffer_add_format(line, "  %s(all mail is held)%s", yellow, plain); break;
    case WAIT_BACKOFF:
    case WAIT_RETRY:
        buffer_add_format(line, "  next in %s", quantity_age(l->view.now_ms, m->wait.next_ms, next));
        break;
    case WAIT_TURN: buffer_add_text(line, m->summary->attempts > 0 ? "  due now" : ""); break;
    }
}

static void list_as_text(const struct listed_message *m, const struct queue_listing *l)
{
    char age[QUANTITY_AGE_SIZE];
    const struct store_summary *s = m->summary;
    struct buffer line = {0};
    buffer_add_format(&line, "%s  %5s  %9llu  <", m->id, quantity_age(s->arrived_ms, l->view.now_ms, age),
                      (unsigned long long)s->size);
    format_add_clean(&line, s->sender);
    buffer_add_text(&line, "> -> ");
    format_add_clean(&line, s->first);
    uint64_t all = s->waiting + s->held;
    if (all > 1)
        buffer_add_format(&line, " and %llu more", (unsigned long long)(all - 1));
    add_state(&line, m, l);
    terminal_print(&l->terminal, &line, LIST_INDENT);
    if (m->reason.length > 0) {
        buffer_add_format(&line, "%*s%s", LIST_INDENT, "", terminal_red(&l->terminal));
        format_add_clean(&line, buffer_bytes(&m->reason));
        buffer_add_text(&line, terminal_plain(&l->terminal));
        terminal_print(&l->terminal, &line, LIST_INDENT);
    }
    buffer_free(&line);
}

/* ---- the format of postqueue -j ---- */

static const char *postfix_queue(const struct store_summary *s, const struct in_progress *in_progress)
{
    if (control_client_in_progress_has_any(in_progress, s->id))
        return "active";
    return s->waiting == 0 ? "hold" : s->attempts > 0 ? "deferred" : "incoming";
}

static void postfix_recipient(const struct store_recipient *r, bool first)
{
    struct buffer reason = {0};
    if (r->last.code != 0 && r->last.peer.length > 0)
        buffer_add_format(&reason, "host %.*s said: ", BYTES_ARG(r->last.peer));
    format_reply(&reason, &r->last);
    fputs(first ? "{\"address\": " : ", {\"address\": ", stdout);
    format_print_json_text(r->recipient.address);
    if (reason.length > 0) {
        fputs(", \"delay_reason\": ", stdout);
        format_print_json_text(buffer_bytes(&reason));
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
    format_print_json_text(s->sender.length > 0 ? s->sender : BYTES("MAILER-DAEMON"));
    fputs(", \"recipients\": [", stdout);
    for (size_t count; (count = store_recipients(store, s->id, from, STORE_READ_MAX, &arena, page)) > 0;
         from = page[count - 1].number + 1, arena_clear(&arena))
        for (size_t i = 0; i < count; i++, first = false)
            postfix_recipient(&page[i], first);
    fputs("]}\n", stdout);
    arena_clear(&arena);
}

/* ---- list ---- */

static void list_one(struct queue_listing *l, const struct store_summary *found, bool first)
{
    struct listed_message message;
    listed_message_start(&message, l, found);
    if (l->call->json)
        list_as_json(&message, l->view.now_ms, first);
    else
        list_as_text(&message, l);
    listed_message_free(&message);
}

static bool is_taken(void *owner, uint64_t id, const struct store_recipient *recipient)
{
    struct queue_listing *l = owner;
    return recipient_wait_is_taken(&l->call->selection, &l->view, id, recipient);
}

static uint64_t list_all(const struct queue_call *call, struct store *store)
{
    struct queue_listing l = {.call = call, .recipients = memory_new(STORE_READ_MAX * sizeof *l.recipients)};
    struct search search;
    uint64_t total = 0;
    terminal_look(&l.terminal);
    queue_view_open(&l.view, store, call->config, call->folder);
    search_start(&search, store, &call->selection, l.view.now_ms);
    search.condition = is_taken;
    search.owner = &l;
    for (const struct store_summary *found; (found = search_next(&search)) != NULL; total++)
        if (call->postfix_json)
            list_as_postfix(store, found, &l.view.in_progress, l.recipients);
        else
            list_one(&l, found, total == 0);
    search_free(&search);
    queue_view_close(&l.view);
    free(l.recipients);
    return total;
}

int queue_list(const struct queue_call *call)
{
    int exit_code;
    uint64_t total = 0;
    struct store *store = queue_open(&queue_command, &call->place, &exit_code);
    if (exit_code != EX_OK)
        return exit_code;
    bool array = call->json && !call->postfix_json;
    fputs(array ? "[" : "", stdout);
    if (store != NULL)
        total = list_all(call, store);
    bool whole = queue_has_answered(&queue_command, store, &exit_code);
    store_close(store);
    if (array && whole) /* an incomplete list must not look complete to a program */
        fputs("]\n", stdout);
    else if (whole && total == 0 && !call->postfix_json)
        puts(selection_is_unsaid(&call->selection) || call->selection.all ? "The queue is empty."
                                                                          : "No matching messages.");
    return exit_code;
}
