/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sendmail/mailq.h"

#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/count.h"
#include "cli/queue/format.h"
#include "cli/terminal.h"
#include "core/queue/queue_id.h"
#include "core/smtp/status.h"
#include "queue/queue_clock.h"
#include "run/data_dir.h"
#include "store/queue/store.h"

enum { REASON_END = 76, KILOBYTE = 1024, MAILQ_INDENT = 4 };

/* Prints untrusted text without terminal control characters. */
static void print_clean(FILE *out, struct bytes text)
{
    struct buffer clean = {0};
    format_add_clean(&clean, text);
    fwrite(buffer_text(&clean), 1, clean.length, out);
    buffer_free(&clean);
}

static void print_reason(FILE *out, size_t width, const struct attempt_record *last)
{
    struct buffer reason = {0};
    if (last->when_ms == 0)
        return;
    if (last->peer.length > 0)
        buffer_add_format(&reason, "host %.*s%s: ", BYTES_ARG(last->peer), last->code > 0 ? " said" : "");
    status_add_said(&reason, last->code, last->enhanced, last->text);
    size_t end = width > 0 && width <= REASON_END ? width - strlen("()") : REASON_END;
    int indent = reason.length < end ? (int)(end - reason.length) : 0;
    fprintf(out, "%*s(", indent, "");
    print_clean(out, buffer_bytes(&reason));
    fputs(")\n", out);
    buffer_free(&reason);
}

/* '*': an attempt is due; '!': held; else it waits for its next attempt. */
static char state_of(const struct store_summary *s, uint64_t now_ms)
{
    return s->waiting == 0 ? '!' : s->next_ms <= now_ms ? '*' : ' ';
}

static void print_message(FILE *out, const struct store_summary *s, uint64_t now_ms)
{
    char id[QUEUE_ID_TEXT_LENGTH + 2], when[32];
    time_t arrived = (time_t)(s->arrived_ms / 1000);
    struct tm local;
    queue_id_text(s->id, id);
    id[QUEUE_ID_TEXT_LENGTH] = state_of(s, now_ms);
    id[QUEUE_ID_TEXT_LENGTH + 1] = '\0';
    strftime(when, sizeof when, "%a %b %e %H:%M:%S", localtime_r(&arrived, &local));
    fprintf(out, "%-17s %8llu %19s  ", id, (unsigned long long)s->size, when);
    print_clean(out, s->sender.length > 0 ? s->sender : BYTES("MAILER-DAEMON"));
    fputc('\n', out);
}

static void print_recipients(FILE *out, size_t width, struct store *store, uint64_t id)
{
    struct store_recipient *page = memory_new(STORE_READ_MAX * sizeof *page);
    struct arena arena = {0};
    uint32_t from = 0;
    for (size_t count; (count = store_recipients(store, id, from, STORE_READ_MAX, &arena, page)) > 0;
         from = page[count - 1].number + 1)
        for (size_t i = 0; i < count; i++) {
            print_reason(out, width, &page[i].last);
            fprintf(out, "%-17s %8s %-19s  ", "", "", "");
            print_clean(out, page[i].recipient.address);
            fputc('\n', out);
        }
    fputc('\n', out);
    arena_clear(&arena);
    free(page);
}

/* Without its end where the store does not answer to the end. */
static bool print_all(FILE *out, size_t width, struct store *store, struct error *error)
{
    struct store_summary *page = memory_new(STORE_READ_MAX * sizeof *page);
    struct arena arena = {0};
    uint64_t after = 0, now_ms = queue_clock_read_ms(store), total = 0, octets = 0;
    for (size_t count; (count = store_list(store, after, STORE_READ_MAX, &arena, page)) > 0;
         after = page[count - 1].id) {
        for (size_t i = 0; i < count; i++) {
            if (total++ == 0)
                fputs("----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n", out);
            octets += page[i].size;
            print_message(out, &page[i], now_ms);
            print_recipients(out, width, store, page[i].id);
        }
        arena_clear(&arena);
    }
    free(page);
    arena_clear(&arena);
    if (store_verdict(store, error) != STORE_DONE)
        return false;
    if (total == 0)
        fputs("Mail queue is empty\n", out);
    else
        fprintf(out, "-- %llu Kbytes in %s.\n", (unsigned long long)(octets / KILOBYTE),
                COUNT_OF(total, "Request"));
    return true;
}

bool mailq_print(const struct store_place *place, struct error *error)
{
    struct terminal terminal;
    struct terminal_wrap wrap;
    if (!data_dir_act_in(place->folder, error))
        return false;
    errno = store_open_check(place);
    if (errno == ENOENT) {
        puts("Mail queue is empty");
        return true;
    }
    if (errno != 0)
        return error_set_errno(error, EX_NOPERM,
                               "cannot read the queue in %s; only root and the server's own user can",
                               place->folder);
    struct store *store = store_open(place, STORE_READ, error);
    if (store == NULL)
        return false;
    terminal_look(&terminal);
    if (isatty(STDOUT_FILENO) == 0)
        terminal.width = 0; /* programs read it line by line, whatever COLUMNS says */
    terminal_wrap_start(&wrap, &terminal, MAILQ_INDENT);
    bool whole = print_all(stdout, terminal.width, store, error);
    terminal_wrap_end(&wrap);
    store_close(store);
    return whole;
}
