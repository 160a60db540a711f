/* SPDX-License-Identifier: Apache-2.0 */
/* queue show: one message with its recipients, page by page; with --message its header and text. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/count.h"
#include "cli/queue/format.h"
#include "cli/queue/last_reply.h"
#include "cli/queue/queue.h"
#include "cli/queue/recipient_wait.h"
#include "cli/terminal.h"
#include "cli/trust/judgements.h"
#include "core/text/quantity.h"

enum { SHOW_INDENT = 5, CONTENT_PIECE = 64 * 1024 };

struct queue_showing {
    const struct queue_call *call;
    const char *id;
    struct terminal terminal;
    struct queue_view view;
    struct store_message message;
    bool is_terminal;
};

/* ---- recipients ---- */

static json_t *recipient_as_json(const struct queue_showing *s, const struct store_recipient *r,
                                 const struct recipient_wait *wait, struct bytes why)
{
    return json_pack("{s:o, s:o, s:o, s:b, s:I, s:i, s:I, s:i, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "address",
                     format_json(r->recipient.address), "sent_as", format_json(r->recipient.sent_as),
                     "destination", format_json(r->destination), "held", (int)r->held, "next_ms",
                     (json_int_t)wait->next_ms, "attempts", (int)r->attempts, "last_ms",
                     (json_int_t)r->last.when_ms, "last_code", (int)r->last.code, "last_status",
                     format_json(r->last.enhanced), "last_reply", format_json(r->last.text), "last_peer",
                     format_json(r->last.peer), "last_tls", format_json(r->last.tls), "meaning",
                     last_reply_json(last_reply_meaning(&s->view, &s->message, r)), "state",
                     recipient_wait_name(wait->why), "why", format_json(why));
}

static void last_attempt_as_text(struct queue_showing *s, const struct store_recipient *r,
                                 struct buffer *line)
{
    char last[QUANTITY_AGE_SIZE];
    struct buffer said = {0};
    buffer_add_format(line, "%*s%s ago ", SHOW_INDENT, "",
                      quantity_age(r->last.when_ms, s->view.now_ms, last));
    format_add_clean(line, r->last.peer.length > 0 ? r->last.peer : BYTES("no server reached"));
    /* without a code the text is this server's */
    buffer_add_format(line, "%s%s", r->last.code > 0 ? " replied: " : ": ", terminal_red(&s->terminal));
    format_reply(&said, &r->last);
    format_add_clean(line, buffer_bytes(&said));
    buffer_add_text(line, terminal_plain(&s->terminal));
    terminal_print(&s->terminal, line, SHOW_INDENT);
    buffer_free(&said);
    const struct reply_meaning *meaning = last_reply_meaning(&s->view, &s->message, r);
    if (meaning == NULL)
        return;
    buffer_add_format(line, "%*s", SHOW_INDENT, "");
    last_reply_add(line, meaning);
    terminal_print(&s->terminal, line, SHOW_INDENT);
}

static const char *colour_of(const struct terminal *terminal, enum schedule_wait why)
{
    if (why == WAIT_BACKOFF || why == WAIT_NO_SERVER)
        return terminal_red(terminal);
    return why == WAIT_HELD || why == WAIT_ALL_HELD ? terminal_yellow(terminal) : "";
}

static void recipient_as_text(struct queue_showing *s, const struct store_recipient *r,
                              const struct recipient_wait *wait, struct bytes why)
{
    struct buffer line = {0};
    buffer_add_text(&line, "  to ");
    format_add_clean(&line, r->recipient.address);
    buffer_add_format(&line, " by %.*s, %s", BYTES_ARG(r->destination), COUNT_OF(r->attempts, "attempt"));
    terminal_print(&s->terminal, &line, SHOW_INDENT);
    if (r->recipient.sent_as.length > 0) {
        buffer_add_format(&line, "%*sforwarded as from <", SHOW_INDENT, "");
        format_add_clean(&line, r->recipient.sent_as);
        buffer_add_octet(&line, '>');
        terminal_print(&s->terminal, &line, SHOW_INDENT);
    }
    buffer_add_format(&line, "%*snext: %s", SHOW_INDENT, "", colour_of(&s->terminal, wait->why));
    format_add_clean(&line, why);
    buffer_add_text(&line, *colour_of(&s->terminal, wait->why) != '\0' ? terminal_plain(&s->terminal) : "");
    terminal_print(&s->terminal, &line, SHOW_INDENT);
    if (r->last.when_ms != 0)
        last_attempt_as_text(s, r, &line);
    buffer_free(&line);
}

static void show_recipient(struct queue_showing *s, const struct store_recipient *r, bool first)
{
    struct recipient_wait wait;
    struct buffer why = {0};
    recipient_wait_find(&wait, &s->view, s->message.id, r);
    recipient_wait_add(&why, &wait, &s->view, s->id, s->message.expires_ms, r);
    if (s->call->json) {
        fputs(first ? "" : ",", stdout);
        format_print_json(recipient_as_json(s, r, &wait, buffer_bytes(&why)));
    } else {
        recipient_as_text(s, r, &wait, buffer_bytes(&why));
    }
    buffer_free(&why);
}

static void show_recipients(struct queue_showing *s)
{
    struct store_recipient *page = memory_new(STORE_READ_MAX * sizeof *page);
    struct arena arena = {0};
    uint32_t from = 0;
    bool first = true;
    for (size_t count;
         (count = store_recipients(s->view.store, s->message.id, from, STORE_READ_MAX, &arena, page)) > 0;
         from = page[count - 1].number + 1, arena_clear(&arena))
        for (size_t i = 0; i < count; i++, first = false)
            show_recipient(s, &page[i], first);
    arena_clear(&arena);
    free(page);
}

/* ---- the head ---- */

static void trust_as_text(const struct queue_showing *s)
{
    struct buffer lines = {0}, line = {0};
    judgement_add_lines(&lines, &s->message.trust);
    for (struct bytes left = buffer_bytes(&lines); left.length > 0;) {
        buffer_add(&line, bytes_split(&left, '\n'));
        terminal_print(&s->terminal, &line, SHOW_INDENT);
    }
    buffer_free(&line);
    buffer_free(&lines);
}

static void head_as_text(const struct queue_showing *s)
{
    const struct store_message *m = &s->message;
    char age[QUANTITY_AGE_SIZE], left[QUANTITY_AGE_SIZE];
    struct buffer line = {0};
    buffer_add_format(&line, "%s from <", s->id);
    format_add_clean(&line, m->envelope.sender);
    buffer_add_format(&line, ">, %s, arrived %s ago, expires in %s", COUNT_OF(m->envelope.size, "byte"),
                      quantity_age(m->arrived_ms, s->view.now_ms, age),
                      quantity_age(s->view.now_ms, m->expires_ms, left));
    terminal_print(&s->terminal, &line, SHOW_INDENT);
    buffer_add_text(&line, "  received from ");
    format_add_clean(&line, m->origin.client_address);
    buffer_add_format(&line, " by %.*s", BYTES_ARG(m->origin.protocol));
    if (m->origin.port != 0)
        buffer_add_format(&line, " on port %u", (unsigned)m->origin.port);
    if (m->origin.account.length > 0)
        buffer_add_text(&line, " as ");
    format_add_clean(&line, m->origin.account);
    terminal_print(&s->terminal, &line, SHOW_INDENT);
    trust_as_text(s);
    buffer_free(&line);
}

static void head_as_json(const struct queue_showing *s)
{
    const struct store_message *m = &s->message;
    printf("{\"id\":\"%s\",\"sender\":", s->id);
    format_print_json_text(m->envelope.sender);
    printf(",\"size\":%llu,\"arrived_ms\":%llu,\"expires_ms\":%llu,\"client\":",
           (unsigned long long)m->envelope.size, (unsigned long long)m->arrived_ms,
           (unsigned long long)m->expires_ms);
    format_print_json_text(m->origin.client_address);
    fputs(",\"account\":", stdout);
    format_print_json_text(m->origin.account);
    printf(",\"port\":%u,\"trust\":", (unsigned)m->origin.port);
    format_print_json(judgement_json(&m->trust));
    fputs(",\"recipients\":[", stdout);
}

static void show(struct queue_showing *s)
{
    queue_view_open(&s->view, s->view.store, s->call->config, s->call->folder);
    terminal_look(&s->terminal);
    if (s->call->json)
        head_as_json(s);
    else
        head_as_text(s);
    show_recipients(s);
    queue_view_close(&s->view);
}

/* ---- the message itself ---- */

/* Writes the lines to a terminal without control characters; a line without its end may be cut. */
static void print_lines(struct bytes octets)
{
    while (octets.length > 0) {
        size_t end = bytes_find(octets, '\n');
        struct bytes line = end == SIZE_MAX ? octets : bytes_first(octets, end);
        bool returns = line.length > 0 && line.at[line.length - 1] == '\r';
        format_print(bytes_first(line, line.length - (returns ? 1 : 0)));
        octets = bytes_from(octets, end == SIZE_MAX ? octets.length : end + 1);
        if (end != SIZE_MAX)
            putchar('\n');
    }
}

/* Another program gets the octets as they are. */
static void print_octets(const struct queue_showing *s, struct bytes octets)
{
    if (s->is_terminal)
        print_lines(octets);
    else
        fwrite(octets.at, 1, octets.length, stdout);
}

static bool print_large(const struct queue_showing *s, struct error *error)
{
    char *piece = memory_new(CONTENT_PIECE);
    int file = store_content(s->view.store, s->message.id);
    ssize_t length = file < 0 ? -1 : 1;
    while (length > 0 && (length = read(file, piece, CONTENT_PIECE)) != 0)
        if (length > 0)
            print_octets(s, bytes_of(piece, (size_t)length));
        else if (errno == EINTR)
            length = 1;
    bool done = length == 0 || error_set_errno(error, EX_IOERR, "cannot read the content of %s", s->id);
    if (file >= 0)
        close(file);
    free(piece);
    return done;
}

static bool show_message(const struct queue_showing *s, struct error *error)
{
    print_octets(s, s->message.prefix);
    if (s->message.large && !print_large(s, error))
        return false;
    if (!s->message.large)
        print_octets(s, s->message.content);
    return (fflush(stdout) == 0 && ferror(stdout) == 0) ||
           error_set_errno(error, EX_IOERR, "cannot write the message");
}

/* ---- show ---- */

static int fail_gone(const char *id)
{
    struct error error = {0};
    error_set(&error, EX_UNAVAILABLE,
              "message %s is not in the queue: it was delivered, bounced or removed (see the log)", id);
    return command_fail(&queue_command, &error);
}

int queue_show(const struct queue_call *call)
{
    uint64_t id;
    int exit_code;
    struct error error = {0};
    struct arena arena = {0};
    struct queue_showing s = {.call = call, .id = call->ids[0], .is_terminal = isatty(STDOUT_FILENO) != 0};
    if (!queue_read_id(&queue_command, s.id, &id))
        return EX_USAGE;
    s.view.store = queue_open(&queue_command, &call->place, &exit_code);
    struct store *store = s.view.store;
    if (exit_code != EX_OK)
        return exit_code;
    bool there = store != NULL && store_read(store, id, call->message, &arena, &s.message);
    bool shown = true;
    if (there && call->message)
        shown = show_message(&s, &error);
    else if (there)
        show(&s);
    bool whole = queue_has_answered(&queue_command, store, &exit_code);
    if (whole && there)
        fputs(call->json ? "]}\n" : "", stdout);
    if (whole && !there)
        exit_code = fail_gone(s.id);
    if (whole && !shown)
        exit_code = command_fail(&queue_command, &error);
    store_close(store);
    arena_clear(&arena);
    return exit_code;
}
