/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/report_ledger.h"

/* A line that was read. */
struct ledger_line {
    enum ledger_word { LINE_NONE, LINE_GIVEN, LINE_DONE, LINE_PAUSED } word;
    int kind;
    uint64_t day; /* PAUSED: until then */
    struct bytes rest;
};

static struct ledger_line read_line(struct bytes text)
{
    struct bytes word = bytes_split(&text, ' ');
    struct ledger_line line = {.kind = REPORT_KINDS};
    bool given = bytes_is(word, "given"), done = bytes_is(word, "done");
    if (given || done) {
        struct bytes kind = bytes_split(&text, ' ');
        for (line.kind = 0; line.kind < REPORT_KINDS; line.kind++)
            if (bytes_is(kind, report_kind_name((enum report_kind)line.kind)))
                break;
    }
    if (!bytes_to_u64(bytes_split(&text, ' '), UINT32_MAX, &line.day))
        return line;
    line.rest = text;
    if (bytes_is(word, "paused"))
        line.word = LINE_PAUSED;
    else if (line.kind < REPORT_KINDS)
        line.word = given ? LINE_GIVEN : LINE_DONE;
    return line;
}

/* 64 bits: that two reports of a day are taken for one is as good as impossible. */
static void add_number(struct buffer *out, struct bytes domain, struct bytes address)
{
    struct buffer lower = {0};
    struct bytes both[] = {domain, BYTES(" "), address};
    for (size_t i = 0; i < ARRAY_LENGTH(both); i++)
        for (size_t k = 0; k < both[i].length; k++)
            buffer_add_octet(&lower, ascii_lower(both[i].at[k]));
    buffer_add_format(out, "%016llx", (unsigned long long)bytes_hash(buffer_bytes(&lower), 0));
    buffer_free(&lower);
}

enum report_ledger_verdict report_ledger_check(struct bytes ledger, enum report_kind kind, uint32_t day,
                                               struct bytes domain, struct bytes address, uint32_t today)
{
    struct buffer number = {0};
    size_t given = 0;
    enum report_ledger_verdict verdict = REPORT_DUE;
    add_number(&number, domain, address);
    while (ledger.length > 0) {
        struct ledger_line line = read_line(bytes_split(&ledger, '\n'));
        bool same_day = line.kind == (int)kind && line.day == day;
        if (line.word == LINE_GIVEN && same_day) {
            given++;
            if (bytes_equal(line.rest, buffer_bytes(&number)))
                verdict = REPORT_GIVEN;
        } else if (line.word == LINE_PAUSED && line.day > today && verdict == REPORT_DUE &&
                   bytes_equal_nocase(line.rest, address)) {
            verdict = REPORT_PAUSED;
        }
    }
    buffer_free(&number);
    return verdict == REPORT_DUE && given >= REPORTS_A_DAY_MAX ? REPORT_TOO_MANY : verdict;
}

bool report_ledger_is_done(struct bytes ledger, enum report_kind kind, uint32_t day)
{
    while (ledger.length > 0) {
        struct ledger_line line = read_line(bytes_split(&ledger, '\n'));
        if (line.word == LINE_DONE && line.kind == (int)kind && line.day == day)
            return true;
    }
    return false;
}

/* ---- changes ---- */

static size_t count_pauses(struct bytes ledger)
{
    size_t count = 0;
    while (ledger.length > 0)
        count += read_line(bytes_split(&ledger, '\n')).word == LINE_PAUSED;
    return count;
}

static bool is_kept(const struct ledger_line *line, uint32_t today)
{
    switch (line->word) {
    case LINE_GIVEN:
    case LINE_DONE: return line->day + REPORT_DAYS_KEPT >= today;
    case LINE_PAUSED: return line->day > today;
    case LINE_NONE: break;
    }
    return false;
}

/* Copies what still counts; `pauses_max` of the newest pauses. */
static void copy(struct buffer *out, struct bytes ledger, uint32_t today, size_t pauses_max)
{
    size_t pauses = count_pauses(ledger);
    while (ledger.length > 0) {
        struct bytes text = bytes_split(&ledger, '\n');
        struct ledger_line line = read_line(text);
        bool is_old = line.word == LINE_PAUSED && pauses-- > pauses_max;
        if (is_old || !is_kept(&line, today))
            continue;
        buffer_add(out, text);
        buffer_add_octet(out, '\n');
    }
}

void report_ledger_give(struct buffer *out, struct bytes ledger, enum report_kind kind, uint32_t day,
                        struct bytes domain, struct bytes address, uint32_t today)
{
    copy(out, ledger, today, REPORT_PAUSES_MAX);
    buffer_add_format(out, "given %s %u ", report_kind_name(kind), (unsigned)day);
    add_number(out, domain, address);
    buffer_add_octet(out, '\n');
}

void report_ledger_finish(struct buffer *out, struct bytes ledger, enum report_kind kind, uint32_t day,
                          uint32_t today)
{
    copy(out, ledger, today, REPORT_PAUSES_MAX);
    if (!report_ledger_is_done(buffer_bytes(out), kind, day))
        buffer_add_format(out, "done %s %u\n", report_kind_name(kind), (unsigned)day);
}

void report_ledger_pause(struct buffer *out, struct bytes ledger, struct bytes address, uint32_t today)
{
    copy(out, ledger, today, REPORT_PAUSES_MAX - 1);
    if (address.length > 0 && address.length <= REPORT_ADDRESS_MAX && bytes_find(address, '\n') == SIZE_MAX)
        buffer_add_format(out, "paused %u %.*s\n", (unsigned)(today + REPORT_PAUSE_DAYS), BYTES_ARG(address));
}
