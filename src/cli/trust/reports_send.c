/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/trust/reports_send.h"

#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>

#include "core/message/date.h"
#include "io/clock.h"
#include "service/report_sending.h"

enum { DAY_MS = 24 * 3600 * 1000 };

struct reports_sent {
    json_t *list; /* NULL: as text */
    size_t queued;
};

static void tell(void *owner, enum report_kind kind, struct bytes domain, struct bytes address,
                 const char *why)
{
    const char *name = report_kind_name(kind);
    struct reports_sent *sent = owner;
    sent->queued += why == NULL;
    if (sent->list != NULL)
        json_array_append_new(sent->list,
                              json_pack("{s:s, s:s#, s:s#, s:b, s:s*}", "type", name, "domain", domain.at,
                                        (int)domain.length, "to", address.length > 0 ? address.at : "",
                                        (int)address.length, "queued", why == NULL, "reason", why));
    else
        printf("%-5s  %.*s  %.*s  %s%s\n", name, BYTES_ARG(domain),
               BYTES_ARG(address.length > 0 ? address : BYTES("-")),
               why == NULL ? "queued" : "not sent: ", why == NULL ? "" : why);
}

static bool find_day(const char *text, uint32_t *day, struct error *error)
{
    uint32_t today = (uint32_t)(clock_epoch_ms() / DAY_MS);
    *day = today - 1;
    return text == NULL || (date_read_iso_day(bytes_of_text(text), day) && *day <= today) ||
           error_set(error, EX_USAGE, "--day: '%.80s' is not a day that has begun; use 2026-11-30", text);
}

static void print_end(const struct reports_sent *sent)
{
    if (sent->list == NULL) {
        printf("-> %zu reports were queued\n", sent->queued);
        return;
    }
    json_dumpf(sent->list, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
    putchar('\n');
}

int reports_send(const struct command *command, const char *config_file, const char *day, bool json)
{
    struct error error = {0};
    struct config config;
    int exit_code = EX_OK;
    struct reports_sent sent = {.list = json ? json_array() : NULL};
    struct report_sending_wish wish = {.now = true, .tell = tell, .owner = &sent};
    if (!find_day(day, &wish.day, &error))
        return command_fail(command, &error);
    if (!options_config(command, config_file, &config, &exit_code))
        return exit_code;
    if (report_sending_run(&config, &wish, NULL, &error))
        print_end(&sent);
    else
        exit_code = command_fail(command, &error);
    json_decref(sent.list);
    config_free(&config);
    return exit_code;
}
