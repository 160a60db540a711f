/* SPDX-License-Identifier: Apache-2.0 */
#include "service/report_sending.h"

#include <sysexits.h>

#include "io/clock.h"
#include "io/log.h"
#include "service/control_client.h"
#include "service/report_evidence.h"
#include "service/report_making.h"

enum { DAY_S = 24 * 3600, MINUTE_S = 60 };

static bool sends(const struct config *config, enum report_kind kind)
{
    return config_sends_reports(config, report_kind_name(kind));
}

/* ---- when ---- */

/* Returns when the reports of a day are due. */
static uint64_t due_s(const struct config *config, uint32_t day)
{
    uint64_t delay_s = bytes_hash(bytes_of_text(config->hostname), 0) % REPORT_DELAY_SPREAD_S;
    return (uint64_t)(day + 1) * DAY_S + REPORT_DELAY_MIN_S + delay_s;
}

static uint32_t minutes_until(uint64_t when_s, uint64_t now_s)
{
    uint64_t minutes = when_s > now_s ? (when_s - now_s) / MINUTE_S + 1 : REPORT_SENDING_MINUTES_MAX;
    return minutes < REPORT_SENDING_MINUTES_MAX ? (uint32_t)minutes : REPORT_SENDING_MINUTES_MAX;
}

/* ---- to the queue ---- */

struct report_sending {
    const struct config *config;
    const struct report_sending_wish *wish;
    struct control_client control;
    enum report_kind kind;
    uint32_t day;
    bool all;  /* nothing has to be tried again, of any kind */
    bool late; /* of the kind, the day before has messages */
};

/* *taken: the queue's yes or no. */
static bool ask(struct report_sending *sending, const struct ipc_report *report, bool *taken,
                struct bytes *why, struct error *error)
{
    union ipc_message answer;
    struct ipc_report asked = *report;
    asked.request = ++sending->control.request;
    asked.kind = sending->kind;
    if (!control_client_ask(&sending->control, IPC_REPORT, &asked, IPC_CONTROL_ANSWER, &answer, error))
        return false;
    if (!answer.control_answer.ok)
        return error_set(error, EX_TEMPFAIL, "%.*s", BYTES_ARG(answer.control_answer.text));
    *taken = answer.control_answer.count > 0;
    *why = answer.control_answer.text;
    return true;
}

static bool step(struct report_sending *sending, enum report_step which, uint32_t day, bool *taken,
                 struct error *error)
{
    struct bytes why;
    return ask(sending, &(struct ipc_report){.step = which, .day = day}, taken, &why, error);
}

static void tell(const struct report_sending *sending, const struct made_report *made, struct bytes why)
{
    struct buffer text = {0};
    buffer_add(&text, why);
    sending->wish->tell(sending->wish->owner, sending->kind, made->domain, made->address,
                        why.length > 0 ? buffer_text(&text) : NULL);
    buffer_free(&text);
}

static bool give(struct report_sending *sending, const struct made_report *made, struct error *error)
{
    struct bytes why;
    bool taken;
    const struct ipc_report report = {.step = REPORT_STEP_GIVE,
                                      .day = sending->day,
                                      .domain = made->domain,
                                      .address = made->address,
                                      .content = made->content};
    if (!ask(sending, &report, &taken, &why, error))
        return false;
    tell(sending, made, taken ? bytes_none() : why);
    return true;
}

/* A day that is over since more than a day, and has reports that were never sent: one line tells it. */
static bool drop_day(struct report_sending *sending, uint32_t day, struct error *error)
{
    bool done;
    if (!step(sending, REPORT_STEP_ASK, day, &done, error))
        return false;
    if (done)
        return true;
    log_event(LOG_EVENT_WARN, "reports_dropped", LOG_TEXT("kind", report_kind_name(sending->kind)),
              LOG_U64("day", day),
              LOG_TEXT("reason", "they could not all be sent within a day after the day's end"));
    return step(sending, REPORT_STEP_FINISH, day, &done, error);
}

static bool take(struct report_sending *sending, const struct made_report *made, struct error *error)
{
    switch (made->kind) {
    case MADE_REPORT: return give(sending, made, error);
    case MADE_LATER:
        sending->all = false;
        tell(sending, made, BYTES("DNS did not tell whether it wants a report"));
        return true;
    case MADE_LATE: sending->late = true; return true;
    case MADE_KINDS: break;
    }
    return true;
}

/* Makes them; the judgements are the queue's, so another process reads these. */
static bool make(struct report_sending *sending, struct buffer *out, struct error *error)
{
    struct buffer lines = {0};
    bool fine = sending->kind == REPORT_KIND_TLS ||
                report_evidence_read(sending->config, sending->day, &lines, &sending->late, error);
    const struct report_making_wish wish = {sending->kind, sending->day, buffer_bytes(&lines)};
    fine = fine && report_making_run(sending->config, &wish, out, error);
    buffer_free(&lines);
    return fine;
}

static bool send_kind(struct report_sending *sending, struct error *error)
{
    struct buffer out = {0};
    struct made_report made;
    bool all_before = sending->all, now = sending->wish->now, done = false;
    if (!now && (!step(sending, REPORT_STEP_ASK, sending->day, &done, error) || done))
        return done;
    sending->all = true;
    sending->late = false;
    bool fine = make(sending, &out, error);
    struct bytes rest = buffer_bytes(&out);
    while (fine && rest.length > 0 && report_making_next(&rest, &made))
        fine = take(sending, &made, error);
    fine = fine && (now || !sending->late || drop_day(sending, sending->day - 1, error));
    if (fine && sending->all && !now)
        fine = step(sending, REPORT_STEP_FINISH, sending->day, &done, error);
    sending->all = sending->all && all_before;
    buffer_free(&out);
    return fine;
}

static bool send_day(struct report_sending *sending, struct error *error)
{
    bool fine = true;
    sending->all = true;
    for (int kind = 0; kind < REPORT_KINDS && fine; kind++) {
        sending->kind = (enum report_kind)kind;
        fine = !sends(sending->config, sending->kind) || send_kind(sending, error);
    }
    return fine;
}

bool report_sending_run(const struct config *config, const struct report_sending_wish *wish,
                        uint32_t *minutes, struct error *error)
{
    uint64_t now_s = clock_epoch_ms() / 1000;
    uint32_t today = (uint32_t)(now_s / DAY_S), ignored;
    struct report_sending sending = {
        .config = config, .wish = wish, .day = wish->now ? wish->day : today - 1};
    struct buffer folder = {0};
    uint32_t *next = minutes != NULL ? minutes : &ignored;
    *next = REPORT_SENDING_MINUTES_MAX;
    if (!sends(config, REPORT_KIND_TLS) && !sends(config, REPORT_KIND_DMARC))
        return !wish->now ||
               error_set(error, EX_CONFIG,
                         "trust.reports.send: no reports are sent; set it to [tls, dmarc], and restart");
    if (!wish->now && now_s < due_s(config, sending.day)) {
        *next = minutes_until(due_s(config, sending.day), now_s);
        return true;
    }
    buffer_add_format(&folder, "%s/queue", config->data_dir);
    bool done = control_client_open(&sending.control, buffer_text(&folder), error);
    if (done) {
        done = send_day(&sending, error);
        control_client_close(&sending.control);
    }
    if (done && sending.all)
        *next = minutes_until(due_s(config, today), now_s);
    buffer_free(&folder);
    return done;
}

/* ---- the chore of the server ---- */

static void log_story(void *owner, enum report_kind which, struct bytes domain, struct bytes address,
                      const char *why)
{
    const char *kind = report_kind_name(which);
    if (why == NULL)
        log_event(LOG_EVENT_INFO, "report_queued", LOG_TEXT("kind", kind), LOG_BYTES("domain", domain),
                  LOG_BYTES("to", address));
    else
        log_event(LOG_EVENT_DEBUG, "report_skipped", LOG_TEXT("kind", kind), LOG_BYTES("domain", domain),
                  LOG_BYTES("to", address), LOG_TEXT("reason", why));
}

uint32_t report_sending_chore(const struct config *config)
{
    struct error error = {0};
    uint32_t minutes;
    const struct report_sending_wish wish = {.tell = log_story};
    if (!report_sending_run(config, &wish, &minutes, &error))
        log_event(LOG_EVENT_WARN, "reports_not_sent", LOG_TEXT("error", error.text));
    return minutes;
}
