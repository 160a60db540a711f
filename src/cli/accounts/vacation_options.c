/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/accounts/vacation_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

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
    struct accounts *accounts = options_accounts(command, wish->config, &config, &exit_code);
    if (accounts == NULL)
        return exit_code;
    if (!accounts_user_forward(accounts, bytes_of_text(address), off ? bytes_none() : bytes_of_text(target),
                               !wish->no_keep, &error))
        exit_code = command_fail(command, &error);
    else if (off)
        printf("%s: nothing is forwarded\n", address);
    else
        printf("%s: forwarded to %s, %s\n", address, target,
               wish->no_keep ? "without keeping a copy" : "keeping a copy");
    accounts_close(accounts);
    config_free(&config);
    return exit_code;
}

/* ---- vacation ---- */

/* "2026-12-24", midnight of UTC. */
static bool read_date(const char *name, const char *text, uint64_t *epoch_ms, struct error *error)
{
    struct tm calendar = {0};
    const char *end = strlen(text) == strlen("2026-12-24") ? strptime(text, "%Y-%m-%d", &calendar) : NULL;
    struct tm wanted = calendar;
    time_t seconds = end != NULL && *end == '\0' ? timegm(&calendar) : -1;
    if (seconds < 0 || calendar.tm_mday != wanted.tm_mday) /* 31 February becomes another day */
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
    away->until_ms += wish->until == NULL ? 0 : DAY_MS; /* that day is still one */
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

static bool show(struct accounts *accounts, const char *address, struct error *error)
{
    struct arena arena = {0};
    struct account account;
    struct account_away away;
    bool known = accounts_find(accounts, bytes_of_text(address), &arena, &account) ||
                 error_set(error, EX_NOUSER, "no user %.100s", address);
    if (known && accounts_away(accounts, account.address, &arena, &away)) {
        printf("%s: replies to each sender at most once in %u days", address, (unsigned)away.days);
        if (away.since_ms != 0)
            print_day("from", away.since_ms);
        if (away.until_ms != 0)
            print_day("up to", away.until_ms - DAY_MS);
        printf("\nSubject: ");
        format_print(away.subject.length > 0 ? away.subject : BYTES("Auto: (what was asked)"));
        printf("\n\n");
        for (struct bytes rest = away.text; rest.length > 0;) {
            format_print(bytes_split(&rest, '\n'));
            putchar('\n');
        }
    } else if (known) {
        printf("%s: no vacation reply is set\n", address);
    }
    arena_clear(&arena);
    return known;
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
    struct accounts *accounts = options_accounts(command, wish->config, &config, &exit_code);
    if (accounts != NULL) {
        bool done = shows ? show(accounts, address, &error)
                          : accounts_user_away(accounts, bytes_of_text(address), off ? NULL : &away, &error);
        if (!done)
            exit_code = command_fail(command, &error);
        else if (!shows)
            printf("%s: %s\n", address, off ? "vacation reply removed" : "vacation reply set");
        accounts_close(accounts);
        config_free(&config);
    }
    buffer_free(&text);
    return exit_code;
}
