/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue watch: polls the running queue process once a second. On a terminal the display uses the alternate
 * screen, which restores the previous content at the end; otherwise one line, or JSON object, per poll.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/count.h"
#include "cli/queue/format.h"
#include "cli/queue/queue.h"
#include "cli/terminal.h"
#include "core/text/quantity.h"
#include "core/text/wrap.h"
#include "io/clock.h"
#include "store/queue/store_lock.h"

enum watch_limit {
    WATCH_EACH_MS = 1000,
    WATCH_PATIENCE_MS = 3 * 1000, /* time for which a lost server may be missing */
    /* time for a queue process to start listening, while another drains */
    WATCH_SUCCESSOR_MS = 20 * 1000,
    WATCH_AGAIN_MS = 200,
    WATCH_WIDE = 100, /* columns from which the reason is in the line */
};

/* Rates per second, from two polls. */
enum watch_rate { ACCEPTED, DELIVERED, DEFERRED, FAILED, RATES };
static const char *const rate_names[RATES] = {"accepted", "delivered", "deferred", "failed"};

struct watch_look {
    uint64_t at_ms, started_ms, counts[RATES];
};

struct watch_screen {
    const struct queue_call *call;
    bool drawn; /* on a terminal */
    struct terminal terminal;
    struct watch_look before;
    bool rates_known;
    double rates[RATES];
    const struct ipc_status_answer *now;
    uint64_t epoch_ms;
};

static volatile sig_atomic_t stopped_by;

static void stop(int number)
{
    stopped_by = number;
}

/* Waits until then, or until a signal. */
static void rest(uint64_t until_ms)
{
    for (uint64_t now_ms = clock_now_ms(); now_ms < until_ms && stopped_by == 0; now_ms = clock_now_ms()) {
        uint64_t left_ms = until_ms - now_ms;
        nanosleep(&(struct timespec){.tv_sec = (time_t)(left_ms / 1000),
                                     .tv_nsec = (long)(left_ms % 1000) * 1000000},
                  NULL);
    }
}

static void measure(struct watch_screen *view)
{
    const struct ipc_status_answer *now = view->now;
    struct watch_look look = {
        clock_now_ms(), now->started_ms, {now->accepted, now->delivered, now->deferred, now->failed}};
    double seconds = (double)(look.at_ms - view->before.at_ms) / 1000;
    /* a new process counts from zero */
    view->rates_known = view->before.started_ms == look.started_ms && seconds > 0;
    for (size_t i = 0; i < RATES && view->rates_known; i++)
        view->rates[i] = (double)(look.counts[i] - view->before.counts[i]) / seconds;
    view->before = look;
}

static void add_rates(struct buffer *out, const struct watch_screen *view, const char *form)
{
    char number[32] = "-";
    for (size_t i = 0; i < RATES; i++) {
        if (view->rates_known)
            snprintf(number, sizeof number, "%.1f", view->rates[i]);
        buffer_add_format(out, form, rate_names[i], number);
    }
}

static void add_why(struct buffer *out, const struct watch_screen *view, const struct destination_status *d)
{
    char when[QUANTITY_AGE_SIZE];
    if (d->until_ms > view->epoch_ms)
        buffer_add_format(out, "in %s%s", quantity_age(view->epoch_ms, d->until_ms, when),
                          d->reason.length > 0 ? ": " : "");
    format_add_clean(out, d->reason);
}

/* ---- the display ---- */

struct watch_frame {
    struct buffer text;
    size_t rows, width; /* rows that are left */
};

/* Adds a line, wrapped at the width of the screen, as far as rows are left. Clears it. */
static void add_line(struct watch_frame *frame, struct buffer *line, size_t indent)
{
    struct buffer wrapped = {0};
    wrap_add(&wrapped, buffer_bytes(line), indent, frame->width);
    struct bytes left = buffer_bytes(&wrapped);
    while (left.length > 0 && frame->rows > 0) {
        buffer_add(&frame->text, bytes_split(&left, '\n'));
        buffer_add_text(&frame->text, "\x1b[K\r\n");
        frame->rows--;
    }
    buffer_free(&wrapped);
    buffer_clear(line);
}

static void head_line(struct buffer *line, const struct watch_screen *view)
{
    const struct ipc_status_answer *now = view->now;
    buffer_add_format(line, "%s in progress%s%s", COUNT_OF(now->deliveries, "delivery"),
                      now->is_held ? "; the configuration holds the queue" : "",
                      now->is_full ? "; the disk is full" : "");
    add_rates(line, view, "  %s %s/s");
}

/* Where the screen is narrow the reason has a line of its own. */
struct watch_columns {
    int name, in_progress, more, failures;
};
static const struct watch_columns wide_columns = {32, 11, 6, 8}, narrow_columns = {27, 9, 4, 8};

static const struct watch_columns *columns_of(const struct watch_frame *frame)
{
    return frame->width < WATCH_WIDE ? &narrow_columns : &wide_columns;
}

static void add_heading(struct watch_frame *frame)
{
    const struct watch_columns *c = columns_of(frame);
    struct buffer line = {0};
    buffer_add_format(&line, "\x1b[1m%-*s  %*s  %*s  %*s%s\x1b[m", c->name, "destination", c->in_progress,
                      c == &wide_columns ? "in progress" : "trying", c->more, "more", c->failures, "failures",
                      c == &wide_columns ? "  reason" : "");
    add_line(frame, &line, 0);
    buffer_free(&line);
}

/* A longer name is wrapped, and so are its numbers. */
static void add_destination(struct watch_frame *frame, const struct watch_screen *view,
                            const struct destination_status *d)
{
    const struct watch_columns *c = columns_of(frame);
    struct buffer line = {0}, why = {0};
    char in_progress[40] = "-";
    if (d->deliveries > 0)
        snprintf(in_progress, sizeof in_progress, "%u of %u", (unsigned)d->deliveries, (unsigned)d->limit);
    format_add_clean(&line, d->name);
    for (size_t columns = wrap_columns(buffer_bytes(&line)); columns < (size_t)c->name; columns++)
        buffer_add_octet(&line, ' ');
    buffer_add_format(&line, "  %*s  %*s  %*u", c->in_progress, in_progress, c->more, d->has_due ? "yes" : "",
                      c->failures, (unsigned)d->failures);
    add_why(&why, view, d);
    if (why.length > 0 && c == &narrow_columns) {
        add_line(frame, &line, 0);
        buffer_add_text(&line, "  ");
    }
    if (why.length > 0)
        buffer_add_format(&line, "  %s%s%s", terminal_red(&view->terminal), buffer_text(&why),
                          terminal_plain(&view->terminal));
    add_line(frame, &line, 4);
    buffer_free(&line);
    buffer_free(&why);
}

static void draw(const struct watch_screen *view)
{
    struct winsize size = {0};
    struct buffer line = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 5 || size.ws_col < TERMINAL_WIDTH_MIN)
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    struct watch_frame frame = {.rows = size.ws_row - 1u, .width = size.ws_col};
    buffer_add_text(&frame.text, "\x1b[H");
    head_line(&line, view);
    add_line(&frame, &line, 0);
    add_heading(&frame);
    for (size_t i = 0; i < view->now->destination_count && frame.rows > 0; i++)
        add_destination(&frame, view, &view->now->destinations[i]);
    buffer_add_text(&frame.text, "\x1b[m\x1b[J^C ends it.");
    fwrite(buffer_text(&frame.text), 1, frame.text.length, stdout);
    buffer_free(&line);
    buffer_free(&frame.text);
}

/* ---- text and JSON ---- */

static json_t *destination_as_json(const struct destination_status *d)
{
    return json_pack("{s:o, s:i, s:i, s:b, s:i, s:I, s:I, s:o}", "destination", format_json(d->name),
                     "deliveries", (int)d->deliveries, "limit", (int)d->limit, "more", (int)d->has_due,
                     "failures", (int)d->failures, "next_ms", (json_int_t)d->until_ms, "deferred_ms",
                     (json_int_t)d->deferred_ms, "reason", format_json(d->reason));
}

static void print_json(const struct watch_screen *view)
{
    const struct ipc_status_answer *now = view->now;
    json_t *all = json_pack("{s:I, s:i, s:b, s:b}", "at_ms", (json_int_t)view->epoch_ms, "deliveries",
                            (int)now->deliveries, "held", (int)now->is_held, "disk_full", (int)now->is_full);
    json_t *rates = json_object(), *totals = json_object(), *destinations = json_array();
    for (size_t i = 0; i < RATES; i++) {
        json_object_set_new(rates, rate_names[i],
                            view->rates_known ? json_real(view->rates[i]) : json_null());
        json_object_set_new(totals, rate_names[i], json_integer((json_int_t)view->before.counts[i]));
    }
    for (size_t i = 0; i < now->destination_count; i++)
        json_array_append_new(destinations, destination_as_json(&now->destinations[i]));
    json_object_set_new(all, "per_second", rates);
    json_object_set_new(all, "since_start", totals);
    json_object_set_new(all, "destinations", destinations);
    format_print_json(all);
    putchar('\n');
}

static void print_line(const struct watch_screen *view)
{
    struct buffer line = {0};
    char when[FORMAT_TIME_SIZE];
    const struct destination_status *latest = NULL;
    for (size_t i = 0; i < view->now->destination_count; i++) {
        const struct destination_status *d = &view->now->destinations[i];
        if (d->reason.length > 0 && (latest == NULL || d->deferred_ms > latest->deferred_ms))
            latest = d;
    }
    buffer_add_format(&line, "%s  in progress %u", format_time(view->epoch_ms, when),
                      (unsigned)view->now->deliveries);
    add_rates(&line, view, "  %s %s/s");
    if (latest != NULL) {
        buffer_add_text(&line, "  ");
        format_add_clean(&line, latest->name);
        buffer_add_text(&line, ": ");
        add_why(&line, view, latest);
    }
    puts(buffer_text(&line));
    buffer_free(&line);
}

/* ---- polling ---- */

/* Each poll has its own connection: watchers do not occupy places of other subcommands, and reloads are
 * transparent. */
static bool look(struct watch_screen *view, struct error *error)
{
    struct control_client control;
    struct ipc_status_answer answer;
    if (!control_client_open(&control, view->call->folder, error))
        return false;
    bool told = control_client_status(&control, false, &answer, error);
    if (told) {
        view->now = &answer;
        view->epoch_ms = clock_epoch_ms();
        measure(view);
        if (view->call->json)
            print_json(view);
        else if (view->drawn)
            draw(view);
        else
            print_line(view);
        fflush(stdout);
        view->now = NULL;
    }
    control_client_close(&control);
    return told;
}

/* A server that has just disappeared may be restarting. */
static bool look_patiently(struct watch_screen *view, struct error *error)
{
    uint64_t begun_ms = clock_now_ms();
    while (!look(view, error)) {
        uint64_t patience_ms = store_lock_owner(view->call->folder) != 0 ? WATCH_SUCCESSOR_MS
                                                                         : WATCH_PATIENCE_MS;
        if (stopped_by != 0 || error->exit_code == EX_NOPERM || clock_now_ms() - begun_ms > patience_ms)
            return false;
        rest(clock_now_ms() + WATCH_AGAIN_MS);
    }
    return true;
}

static bool is_terminal(void)
{
    const char *kind = getenv("TERM");
    return isatty(STDOUT_FILENO) && kind != NULL && strcmp(kind, "dumb") != 0;
}

static void say_screen(const char *what)
{
    fputs(what, stdout);
    fflush(stdout);
}

int queue_watch(const struct queue_call *call)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct watch_screen view = {.call = call, .drawn = !call->json && is_terminal()};
    struct sigaction catch = {.sa_handler = stop};
    struct error error = {0};
    terminal_look(&view.terminal);
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
        sigaction(signals[i], &catch, NULL);
    if (view.drawn)
        say_screen("\x1b[?1049h\x1b[?25l\x1b[2J");
    bool told = look(&view, &error);
    for (uint64_t next_ms = clock_now_ms() + WATCH_EACH_MS; told && stopped_by == 0;
         next_ms += WATCH_EACH_MS) {
        rest(next_ms);
        told = stopped_by != 0 || look_patiently(&view, &error);
        if (clock_now_ms() > next_ms + WATCH_EACH_MS)
            next_ms = clock_now_ms(); /* delayed: skips the missed polls */
    }
    if (view.drawn)
        say_screen("\x1b[?25h\x1b[?1049l");
    if (stopped_by != 0)
        return 128 + stopped_by;
    return command_fail(&queue_command, &error);
}
