/* SPDX-License-Identifier: Apache-2.0 */
/* queue stats: one pass over all recipients, counted by destination and by reason. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/count.h"
#include "cli/queue/format.h"
#include "cli/queue/queue.h"
#include "cli/terminal.h"
#include "core/queue/queue_id.h"
#include "core/queue/schedule.h"
#include "core/text/quantity.h"
#include "core/text/top_counts.h"
#include "core/text/wrap.h"
#include "queue/queue_clock.h"

enum stats_limit {
    STATS_DESTINATIONS_MAX = 8192, /* counted separately */
    STATS_REASONS_MAX = 1024,
    STATS_SHOWN_MAX = 20,  /* destinations in text */
    STATS_JSON_MAX = 1000, /* in JSON */
    STATS_REASONS_SHOWN_MAX = 10,
    STATS_REASON_MAX = 120, /* octets by which reasons are distinguished */
};

enum recipient_state { READY, WAITING, HELD, IN_FLIGHT };
_Static_assert((int)IN_FLIGHT < (int)TOP_COUNTS_KINDS, "a state is a kind");
static const char *const state_names[] = {"ready", "waiting", "held", "in_flight"};

struct queue_counts {
    struct store *store;
    struct in_progress in_progress;
    struct top_counts destinations, reasons;
    uint64_t messages, recipients, states[TOP_COUNTS_KINDS];
    uint64_t oldest_id, oldest_ms;
    uint64_t now_ms;
};

/* ---- counting ---- */

static enum recipient_state state_of(const struct queue_counts *stats, uint64_t id,
                                     const struct store_recipient *r)
{
    if (control_client_in_progress_has(&stats->in_progress, id, r->number))
        return IN_FLIGHT;
    return r->held ? HELD : r->due_ms > stats->now_ms ? WAITING : READY;
}

static void count_reason(struct queue_counts *stats, const struct store_recipient *r)
{
    struct buffer name = {0};
    if (r->last.when_ms == 0)
        return;
    if (r->last.code != 0)
        buffer_add_format(&name, "%u ", (unsigned)r->last.code);
    if (r->last.enhanced.length > 0)
        buffer_add_format(&name, "%.*s ", BYTES_ARG(r->last.enhanced));
    top_counts_likeness(&name, r->last.text, STATS_REASON_MAX);
    top_counts_add(&stats->reasons, buffer_bytes(&name), 0, 0);
    buffer_free(&name);
}

static void count_all(struct queue_counts *stats)
{
    struct store_recipient *page = memory_new(STORE_READ_MAX * sizeof *page);
    struct arena arena = {0};
    uint64_t ids[STORE_READ_MAX], last_id = 0;
    uint32_t last_number = 0;
    for (size_t count;
         (count = store_walk(stats->store, last_id, last_number, STORE_READ_MAX, &arena, ids, page)) > 0;
         arena_clear(&arena)) {
        for (size_t i = 0; i < count; i++) {
            stats->messages += ids[i] != last_id;
            last_id = ids[i];
            last_number = page[i].number;
            enum recipient_state state = state_of(stats, ids[i], &page[i]);
            top_counts_add(&stats->destinations, page[i].destination, state,
                           state == WAITING ? page[i].due_ms : 0);
            count_reason(stats, &page[i]);
        }
    }
    arena_clear(&arena);
    free(page);
}

/* While a destination is unreachable its recipients share the backoff, also those that were due before. */
static void add_backoff(struct queue_counts *stats, struct top_counts_entry *entry)
{
    struct store_destination row;
    if (!store_destination(stats->store, entry->name, &row) || row.failures < SCHEDULE_FAILURES_MAX ||
        row.due_ms <= stats->now_ms)
        return;
    if (entry->counts[READY] > 0 || (entry->counts[WAITING] > 0 && entry->first_ms < row.due_ms))
        entry->first_ms = row.due_ms;
    entry->counts[WAITING] += entry->counts[READY];
    entry->counts[READY] = 0;
}

static void find_oldest(struct queue_counts *stats)
{
    struct arena arena = {0};
    struct store_summary oldest;
    if (store_list(stats->store, 0, 1, &arena, &oldest) == 1) {
        stats->oldest_id = oldest.id;
        stats->oldest_ms = oldest.arrived_ms;
    }
    arena_clear(&arena);
}

static void gather(struct queue_counts *stats)
{
    count_all(stats);
    find_oldest(stats);
    for (size_t i = 0; i < stats->destinations.count; i++)
        add_backoff(stats, stats->destinations.entries[i]);
    top_counts_sort(&stats->destinations);
    top_counts_sort(&stats->reasons);
    for (unsigned state = 0; state < TOP_COUNTS_KINDS; state++) {
        stats->states[state] = stats->destinations.rest.counts[state];
        for (size_t i = 0; i < stats->destinations.count; i++)
            stats->states[state] += stats->destinations.entries[i]->counts[state];
        stats->recipients += stats->states[state];
    }
}

/* ---- JSON ---- */

static void add_states(json_t *object, const uint64_t counts[TOP_COUNTS_KINDS])
{
    for (unsigned state = 0; state < TOP_COUNTS_KINDS; state++)
        json_object_set_new(object, state_names[state], json_integer((json_int_t)counts[state]));
}

static json_t *destinations_as_json(const struct top_counts *tally, size_t shown)
{
    json_t *list = json_array();
    for (size_t i = 0; i < shown; i++) {
        const struct top_counts_entry *e = tally->entries[i];
        json_t *one = json_pack("{s:o, s:I}", "destination", format_json(e->name), "recipients",
                                (json_int_t)e->total);
        add_states(one, e->counts);
        json_object_set_new(one, "next_ms", json_integer((json_int_t)e->first_ms));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *reasons_as_json(const struct top_counts *tally, size_t shown)
{
    json_t *list = json_array();
    for (size_t i = 0; i < shown; i++)
        json_array_append_new(list, json_pack("{s:o, s:I}", "reason", format_json(tally->entries[i]->name),
                                              "recipients", (json_int_t)tally->entries[i]->total));
    return list;
}

static size_t at_most(size_t count, size_t max)
{
    return count < max ? count : max;
}

static void print_json(const struct queue_counts *stats)
{
    char id[QUEUE_ID_TEXT_LENGTH + 1] = "";
    const struct top_counts *d = &stats->destinations;
    if (stats->oldest_id != 0)
        queue_id_text(stats->oldest_id, id);
    json_t *all = json_pack("{s:I, s:I}", "messages", (json_int_t)stats->messages, "recipients",
                            (json_int_t)stats->recipients);
    add_states(all, stats->states);
    json_object_set_new(all, "oldest_id", stats->oldest_id == 0 ? json_null() : json_string(id));
    json_object_set_new(all, "oldest_ms", json_integer((json_int_t)stats->oldest_ms));
    json_object_set_new(all, "destinations_total", json_integer((json_int_t)(d->count + d->rest_names)));
    json_object_set_new(all, "destinations", destinations_as_json(d, at_most(d->count, STATS_JSON_MAX)));
    json_object_set_new(
        all, "reasons",
        reasons_as_json(&stats->reasons, at_most(stats->reasons.count, STATS_REASONS_SHOWN_MAX)));
    json_object_set_new(all, "approximate", json_boolean(d->rest_names > 0 || stats->reasons.rest_names > 0));
    format_print_json(all);
    putchar('\n');
}

/* ---- text ---- */

/* The columns of a table for a terminal: where they leave the name too little, it has a line of its own. */
struct stats_table {
    struct terminal terminal;
    size_t name_width;
    int number_width, last_width;
};

enum { NAME_WIDTH_WIDE = 40, NAME_WIDTH_MIN = 12, WIDE_COLUMNS = 105, NARROW_NUMBERS = 48 };

static void table_start(struct stats_table *table)
{
    terminal_look(&table->terminal);
    size_t width = table->terminal.width;
    bool wide = width == 0 || width >= WIDE_COLUMNS;
    table->number_width = wide ? 9 : 7;
    table->last_width = wide ? 11 : 7;
    table->name_width = wide                                      ? NAME_WIDTH_WIDE
                        : width > NARROW_NUMBERS + NAME_WIDTH_MIN ? width - NARROW_NUMBERS
                                                                  : NAME_WIDTH_MIN;
}

static void print_row(const struct stats_table *table, struct bytes name, uint64_t total,
                      const uint64_t counts[TOP_COUNTS_KINDS], uint64_t next_ms, uint64_t now_ms)
{
    char next[QUANTITY_AGE_SIZE];
    struct buffer line = {0};
    format_add_clean(&line, name);
    size_t columns = wrap_columns(buffer_bytes(&line));
    if (columns > table->name_width) {
        terminal_print(&table->terminal, &line, 0);
        columns = 0;
    }
    buffer_add_format(&line, "%*s %*llu", (int)(table->name_width - columns), "", table->number_width,
                      (unsigned long long)total);
    for (unsigned state = 0; state < TOP_COUNTS_KINDS; state++)
        buffer_add_format(&line, " %*llu",
                          state + 1 < TOP_COUNTS_KINDS ? table->number_width : table->last_width,
                          (unsigned long long)counts[state]);
    if (next_ms != 0)
        buffer_add_format(&line, "  in %s", quantity_age(now_ms, next_ms, next));
    terminal_print(&table->terminal, &line, 0);
    buffer_free(&line);
}

static void print_heading(const struct stats_table *table)
{
    bool wide = table->number_width == 9;
    struct buffer line = {0};
    putchar('\n');
    buffer_add_format(&line, "%-*s %*s %*s %*s %*s %*s  %s", (int)table->name_width, "destination",
                      table->number_width, "all", table->number_width, "ready", table->number_width,
                      "waiting", table->number_width, "held", table->last_width,
                      wide ? "in progress" : "trying", "next");
    terminal_print(&table->terminal, &line, 0);
    buffer_free(&line);
}

static void print_destinations(const struct queue_counts *stats, const struct stats_table *table)
{
    const struct top_counts *d = &stats->destinations;
    struct top_counts_entry rest = d->rest;
    size_t shown = at_most(d->count, STATS_SHOWN_MAX);
    char others[COUNT_SIZE + 2];
    print_heading(table);
    for (size_t i = 0; i < shown; i++)
        print_row(table, d->entries[i]->name, d->entries[i]->total, d->entries[i]->counts,
                  d->entries[i]->first_ms, stats->now_ms);
    for (size_t i = shown; i < d->count; i++) {
        rest.total += d->entries[i]->total;
        for (unsigned state = 0; state < TOP_COUNTS_KINDS; state++)
            rest.counts[state] += d->entries[i]->counts[state];
    }
    unsigned long long left_out = d->count - shown + d->rest_names;
    snprintf(others, sizeof others, "(%s)", COUNT_OF(left_out, "other"));
    if (rest.total > 0)
        print_row(table, bytes_of_text(others), rest.total, rest.counts, 0, stats->now_ms);
}

static void print_reasons(const struct top_counts *reasons, const struct terminal *terminal)
{
    enum { REASON_INDENT = 11 };
    struct buffer line = {0};
    if (reasons->count > 0)
        puts("\nreasons (# stands for parts that differ)");
    for (size_t i = 0; i < at_most(reasons->count, STATS_REASONS_SHOWN_MAX); i++) {
        buffer_add_format(&line, "%9llu  %s", (unsigned long long)reasons->entries[i]->total,
                          terminal_red(terminal));
        format_add_clean(&line, reasons->entries[i]->name);
        buffer_add_text(&line, terminal_plain(terminal));
        terminal_print(terminal, &line, REASON_INDENT);
    }
    buffer_free(&line);
}

static void print_text(const struct queue_counts *stats)
{
    char age[QUANTITY_AGE_SIZE], id[QUEUE_ID_TEXT_LENGTH + 1];
    struct stats_table table;
    struct buffer line = {0};
    if (stats->recipients == 0) {
        puts("The queue is empty.");
        return;
    }
    table_start(&table);
    queue_id_text(stats->oldest_id, id);
    buffer_add_format(&line,
                      "%s of %s: %llu ready, %llu waiting, %llu held, %llu in progress; the "
                      "oldest, %s, since %s",
                      COUNT_OF(stats->recipients, "recipient"), COUNT_OF(stats->messages, "message"),
                      (unsigned long long)stats->states[READY], (unsigned long long)stats->states[WAITING],
                      (unsigned long long)stats->states[HELD], (unsigned long long)stats->states[IN_FLIGHT],
                      id, quantity_age(stats->oldest_ms, stats->now_ms, age));
    if (!stats->in_progress.served)
        buffer_add_format(&line, "; %sthe server is not running%s", terminal_red(&table.terminal),
                          terminal_plain(&table.terminal));
    terminal_print(&table.terminal, &line, 0);
    print_destinations(stats, &table);
    print_reasons(&stats->reasons, &table.terminal);
    buffer_free(&line);
}

int queue_stats(const struct queue_call *call)
{
    int exit_code;
    struct queue_counts stats = {.store = queue_open(&queue_command, &call->place, &exit_code)};
    if (exit_code != EX_OK)
        return exit_code;
    top_counts_start(&stats.destinations, STATS_DESTINATIONS_MAX);
    top_counts_start(&stats.reasons, STATS_REASONS_MAX);
    if (stats.store != NULL) {
        stats.now_ms = queue_clock_read_ms(stats.store);
        control_client_in_progress(&stats.in_progress, call->folder);
        gather(&stats);
    }
    bool whole = queue_has_answered(&queue_command, stats.store, &exit_code);
    if (whole && call->json)
        print_json(&stats);
    else if (whole)
        print_text(&stats);
    store_close(stats.store);
    control_client_in_progress_free(&stats.in_progress);
    top_counts_free(&stats.destinations);
    top_counts_free(&stats.reasons);
    return exit_code;
}
