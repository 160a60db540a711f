/* SPDX-License-Identifier: Apache-2.0 */
/* import_output: a plan as text and as JSON. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/queue/format.h"
#include "cli/setup/import.h"

static const char *const password_words[] = {
    [IMPORT_PASSWORD_NONE] = "none", [IMPORT_PASSWORD_HASHED] = "kept", [IMPORT_PASSWORD_PLAIN] = "hashed"};

static bool is_left_out(const struct import_entry *entry)
{
    return !entry->known && entry->verdict != IMPORT_NEW && entry->verdict != IMPORT_EXISTS;
}

/* ---- text ---- */

static void print_place(struct bytes file, size_t line)
{
    format_print(file);
    if (line > 0)
        printf(", line %zu", line);
    fputs(": ", stdout);
}

static void print_password(const struct import_entry *entry)
{
    if (entry->password == IMPORT_PASSWORD_HASHED) {
        fputs("; password kept (", stdout);
    } else if (entry->password == IMPORT_PASSWORD_PLAIN) {
        fputs("; password hashed (", stdout);
    } else if (entry->scheme.length > 0) {
        fputs("; no password, because it cannot be checked here (", stdout);
    } else {
        fputs("; no password yet", stdout);
        return;
    }
    format_print(entry->scheme);
    putchar(')');
}

static void print_new(const struct import_run *run, enum import_kind kind)
{
    static const char *const names[] = {"domains", "users", "aliases"};
    size_t fresh = import_plan_count(&run->plan, kind, IMPORT_NEW);
    size_t exist = import_plan_count(&run->plan, kind, IMPORT_EXISTS);
    if (fresh + exist == 0)
        return;
    printf("%s: %zu new, %zu exist\n", names[kind], fresh, exist);
    for (size_t i = 0; i < run->plan.count; i++) {
        const struct import_entry *entry = &run->plan.entries[i];
        if (entry->kind != kind || entry->verdict != IMPORT_NEW)
            continue;
        fputs("  ", stdout);
        format_print(entry->name);
        if (kind == IMPORT_ALIAS) {
            fputs(entry->target.at[0] == '@' ? " is " : " -> ", stdout);
            format_print(entry->target);
        } else if (kind == IMPORT_USER) {
            print_password(entry);
        }
        putchar('\n');
    }
}

static size_t print_left_out(const struct import_run *run)
{
    size_t count = run->note_count;
    for (size_t i = 0; i < run->plan.count; i++)
        count += is_left_out(&run->plan.entries[i]);
    if (count > 0)
        printf("left out: %zu\n", count);
    for (size_t i = 0; i < run->plan.count; i++) {
        const struct import_entry *entry = &run->plan.entries[i];
        if (!is_left_out(entry))
            continue;
        fputs("  ", stdout);
        print_place(entry->file, entry->line);
        format_print(entry->name);
        fputs(entry->target.length > 0 ? " -> " : "", stdout);
        format_print(entry->target);
        printf(": %s\n", import_plan_reason(entry->verdict));
    }
    for (size_t i = 0; i < run->note_count; i++) {
        const struct import_note *note = &run->notes[i];
        fputs("  ", stdout);
        print_place(note->file, note->line);
        format_print(note->subject);
        fputs(note->subject.length > 0 ? ": " : "", stdout);
        format_print(note->reason);
        putchar('\n');
    }
    return count;
}

static size_t without_password(const struct import_run *run)
{
    size_t count = 0;
    for (size_t i = 0; i < run->plan.count; i++)
        count += run->plan.entries[i].kind == IMPORT_USER && run->plan.entries[i].verdict == IMPORT_NEW &&
                 run->plan.entries[i].password == IMPORT_PASSWORD_NONE;
    return count;
}

static void print_text(const struct import_run *run, bool done)
{
    for (enum import_kind kind = IMPORT_DOMAIN; kind <= IMPORT_ALIAS; kind++)
        print_new(run, kind);
    print_left_out(run);
    if (run->yaml.length > 0) {
        fputs("add to the configuration, which import does not change:\n", stdout);
        fwrite(buffer_bytes(&run->yaml).at, 1, run->yaml.length, stdout);
    }
    if (without_password(run) > 0)
        puts("Users without a password receive mail; for each: mailboat user passwd ADDRESS");
    puts(done ? "Done." : "Nothing was changed (--dry-run).");
}

/* ---- JSON ---- */

static json_t *entry_as_json(const struct import_entry *entry)
{
    json_t *object = json_pack("{s:o, s:s, s:o, s:I}", entry->kind == IMPORT_DOMAIN ? "name" : "address",
                               format_json(entry->name), "action",
                               entry->verdict == IMPORT_NEW      ? "add"
                               : entry->verdict == IMPORT_EXISTS ? "exists"
                                                                 : "left_out",
                               "file", format_json(entry->file), "line", (json_int_t)entry->line);
    if (entry->kind == IMPORT_ALIAS)
        json_object_set_new(object, "target", format_json(entry->target));
    if (entry->kind == IMPORT_USER) {
        json_object_set_new(object, "password", json_string(password_words[entry->password]));
        json_object_set_new(object, "scheme", format_json(entry->scheme));
    }
    if (is_left_out(entry))
        json_object_set_new(object, "reason", json_string(import_plan_reason(entry->verdict)));
    return object;
}

static json_t *entries_as_json(const struct import_run *run, enum import_kind kind)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run->plan.count; i++) {
        const struct import_entry *entry = &run->plan.entries[i];
        if (entry->kind == kind && !entry->known && !is_left_out(entry))
            json_array_append_new(list, entry_as_json(entry));
    }
    return list;
}

static json_t *left_out_as_json(const struct import_run *run)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run->plan.count; i++)
        if (is_left_out(&run->plan.entries[i]))
            json_array_append_new(list, entry_as_json(&run->plan.entries[i]));
    for (size_t i = 0; i < run->note_count; i++)
        json_array_append_new(
            list, json_pack("{s:o, s:s, s:o, s:I, s:o}", "address", format_json(run->notes[i].subject),
                            "action", "left_out", "file", format_json(run->notes[i].file), "line",
                            (json_int_t)run->notes[i].line, "reason", format_json(run->notes[i].reason)));
    return list;
}

void import_print(const struct import_run *run, bool done)
{
    if (!run->json) {
        print_text(run, done);
        return;
    }
    format_print_json(json_pack(
        "{s:b, s:o, s:o, s:o, s:o, s:o}", "done", (int)done, "domains", entries_as_json(run, IMPORT_DOMAIN),
        "users", entries_as_json(run, IMPORT_USER), "aliases", entries_as_json(run, IMPORT_ALIAS), "left_out",
        left_out_as_json(run), "configuration", format_json(buffer_bytes(&run->yaml))));
    putchar('\n');
}
