/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/accounts/vacation_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "base/count.h"
#include "cli/accounts/account_client.h"
#include "cli/options.h"
#include "cli/queue/format.h"
#include "core/message/vacation.h"

enum { DAY_MS = 24 * 3600 * 1000 };

int vacation_forward(const struct command *command, const struct vacation_options *wish, const char *address,
                     const char *target)
{
    struct config config;
    struct error error = {0};
    int exit_code = EX_OK;
    bool off = strcmp(target, "off") == 0;
    if (off && wish->no_keep)
        return command_usage(command, "--no-keep requires an address to forward to");
    if (!options_config(command, wish->config, &config, &exit_code))
        return exit_code;
    const struct ipc_account_change asked = {.verb = ACCOUNT_USER_FORWARD,
                                             .name = bytes_of_text(address),
                                             .value = off ? bytes_none() : bytes_of_text(target),
                                             .flag = !wish->no_keep};
    if (!account_client_change(&config, &asked, NULL, &error))
        exit_code = command_fail(command, &error);
    else if (off)
        printf("%s: nothing is forwarded\n", address);
    else
        printf("%s: forwarded to %s, %s\n", address, target,
               wish->no_keep ? "without keeping a copy" : "keeping a copy");
    config_free(&config);
    return exit_code;
}

/* ---- vacation ---- */

/* Parses "2026-12-24", midnight UTC. */
static bool read_date(const char *name, const char *text, uint64_t *epoch_ms, struct error *error)
{
    struct tm calendar = {0};
    const char *end = strlen(text) == strlen("2026-12-24") ? strptime(text, "%Y-%m-%d", &calendar) : NULL;
    struct tm wanted = calendar;
    time_t seconds = end != NULL && *end == '\0' ? timegm(&calendar) : -1;
    if (seconds < 0 || calendar.tm_mday != wanted.tm_mday) /* 31 February is normalized to another day */
        return error_set(error, EX_USAGE, "--%s: '%.40s' is not a date; use YYYY-MM-DD", name, text);
    *epoch_ms = (uint64_t)seconds * 1000;
    return true;
}

static bool read_days(const char *text, uint32_t *days, struct error *error)
{
    uint64_t number;
    if (!bytes_to_u64(bytes_of_text(text), VACATION_DAYS_MAX, &number) || number == 0)
        return error_set(error, EX_USAGE, "--days: '%.40s' is not a number from 1 to %d", text,
                         VACATION_DAYS_MAX);
    *days = (uint32_t)number;
    return true;
}

static bool read_text(const char *file, struct buffer *text, struct error *error)
{
    FILE *from = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    if (from == NULL)
        return error_set_errno(error, EX_NOINPUT, "cannot read %s", file);
    size_t capacity = VACATION_TEXT_MAX + 1;
    buffer_written(text, fread(buffer_reserve(text, capacity), 1, capacity, from));
    bool read = ferror(from) == 0 || error_set_errno(error, EX_NOINPUT, "cannot read %s", file);
    if (from != stdin)
        fclose(from);
    return read;
}

static bool read_wish(const struct vacation_options *wish, struct buffer *text, struct account_away *away,
                      struct error *error)
{
    *away = (struct account_away){.days = VACATION_DAYS,
                                  .subject = bytes_of_text(wish->subject == NULL ? "" : wish->subject)};
    if ((wish->since != NULL && !read_date("since", wish->since, &away->since_ms, error)) ||
        (wish->until != NULL && !read_date("until", wish->until, &away->until_ms, error)) ||
        (wish->days != NULL && !read_days(wish->days, &away->days, error)) ||
        !read_text(wish->message, text, error))
        return false;
    away->until_ms += wish->until == NULL ? 0 : DAY_MS; /* that day is included */
    if (away->until_ms != 0 && away->until_ms <= away->since_ms)
        return error_set(error, EX_USAGE, "--until is before --since");
    away->text = buffer_bytes(text);
    const char *wrong = vacation_check(away->subject, away->text);
    return wrong == NULL || error_set(error, EX_DATAERR, "%s", wrong);
}

static void print_day(const char *word, uint64_t epoch_ms)
{
    char text[32];
    time_t seconds = (time_t)(epoch_ms / 1000);
    struct tm calendar;
    gmtime_r(&seconds, &calendar);
    strftime(text, sizeof text, "%Y-%m-%d", &calendar);
    printf(", %s %s", word, text);
}

static uint64_t number_of(const char *text)
{
    uint64_t number = 0;
    return text != NULL && bytes_to_u64(bytes_of_text(text), UINT64_MAX, &number) ? number : 0;
}

enum { COLUMN_ADDRESS, COLUMN_QUOTA, COLUMN_SINCE, COLUMN_UNTIL, COLUMN_DAYS, COLUMN_SUBJECT, COLUMN_TEXT };

/* A user and the reply, for the command given. */
struct vacation_shown {
    const char *address;
    bool known;
};

static void show_row(void *owner, const char *const *columns, size_t count)
{
    struct vacation_shown *shown = owner;
    shown->known = true;
    if (count <= COLUMN_TEXT || columns[COLUMN_TEXT] == NULL) {
        printf("%s: no vacation reply is set\n", shown->address);
        return;
    }
    uint64_t since_ms = number_of(columns[COLUMN_SINCE]), until_ms = number_of(columns[COLUMN_UNTIL]);
    struct bytes subject = bytes_of_text(columns[COLUMN_SUBJECT]);
    printf("%s: replies to each sender at most once in %s", shown->address,
           COUNT_OF(number_of(columns[COLUMN_DAYS]), "day"));
    if (since_ms != 0)
        print_day("from", since_ms);
    if (until_ms != 0)
        print_day("up to", until_ms - DAY_MS);
    printf("\nSubject: ");
    format_print(subject.length > 0 ? subject : BYTES("Auto: (what was asked)"));
    printf("\n\n");
    for (struct bytes rest = bytes_of_text(columns[COLUMN_TEXT]); rest.length > 0;) {
        format_print(bytes_split(&rest, '\n'));
        putchar('\n');
    }
}

static bool show(const struct config *config, const char *address, struct error *error)
{
    struct vacation_shown shown = {.address = address};
    return account_client_each(config, LIST_ACCOUNT, bytes_of_text(address), show_row, &shown, error) &&
           (shown.known || error_set(error, EX_NOUSER, "no user %.100s", address));
}

static bool change(const struct config *config, const char *address, const struct account_away *away,
                   struct error *error)
{
    struct ipc_account_change asked = {.verb = ACCOUNT_USER_VACATION, .name = bytes_of_text(address)};
    if (away != NULL) {
        asked.flag = 1;
        asked.since_ms = away->since_ms;
        asked.until_ms = away->until_ms;
        asked.days = away->days;
        asked.subject = away->subject;
        asked.text = away->text;
    }
    return account_client_change(config, &asked, NULL, error);
}

int vacation_reply(const struct command *command, const struct vacation_options *wish, const char *address,
                   bool off)
{
    struct config config;
    struct error error = {0};
    struct buffer text = {0};
    struct account_away away;
    int exit_code = EX_OK;
    bool shows = wish->message == NULL && !off;
    if (wish->message == NULL &&
        (wish->subject != NULL || wish->since != NULL || wish->until != NULL || wish->days != NULL))
        return command_usage(command,
                             "the reply's text is required: --message FILE, or - for standard input");
    if (off && wish->message != NULL)
        return command_usage(command, "--message and off exclude each other");
    if (wish->message != NULL && !read_wish(wish, &text, &away, &error)) {
        buffer_free(&text);
        return command_fail(command, &error);
    }
    if (options_config(command, wish->config, &config, &exit_code)) {
        bool done = shows ? show(&config, address, &error)
                          : change(&config, address, off ? NULL : &away, &error);
        if (!done)
            exit_code = command_fail(command, &error);
        else if (!shows)
            printf("%s: %s\n", address, off ? "vacation reply removed" : "vacation reply set");
        config_free(&config);
    }
    buffer_free(&text);
    return exit_code;
}
