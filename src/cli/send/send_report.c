/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/send/send_report.h"

#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/count.h"
#include "cli/ports/answer.h"
#include "cli/ports/diagnose.h"
#include "core/smtp/status.h"

void send_report_route(const struct send_report *report)
{
    const struct port_connect *connect = &report->submission->connection->connect;
    struct buffer words = {0};
    if (report->host == NULL || report->quiet)
        return;
    race_explain(&connect->race, &words);
    fprintf(stderr, "%s: %s (%s)\n", report->host, buffer_text(&words), connect->line->tls_text);
    buffer_free(&words);
}

/* ---- why ---- */

static const struct delivery_result *first_rejected(const struct client_submission *s)
{
    for (size_t i = 0; s->results != NULL && i < s->envelope.recipient_count; i++)
        if (s->results[i].outcome != OUTCOME_DELIVERED)
            return &s->results[i];
    return s->results == NULL && s->failure.code != 0 ? &s->failure : NULL;
}

static void take_reply(const struct delivery_result *result, struct fact_reply *reply)
{
    static const enum fact_reply_step steps[] = {[STEP_AUTH] = REPLY_AUTH,
                                                 [STEP_MAIL] = REPLY_MAIL,
                                                 [STEP_RCPT] = REPLY_RCPT,
                                                 [STEP_DATA] = REPLY_CONTENT};
    reply->step = (size_t)result->step < ARRAY_LENGTH(steps) ? steps[result->step] : REPLY_NONE;
    reply->code = (uint16_t)result->code;
    snprintf(reply->enhanced, sizeof reply->enhanced, "%.*s", BYTES_ARG(result->enhanced));
    snprintf(reply->text, sizeof reply->text, "%.*s", BYTES_ARG(result->text));
}

/* False where nothing was seen that could be judged: the server on this machine has its log. */
static bool find_cause(const struct send_report *report, struct diagnosis_facts *facts,
                       struct diagnosis *diagnosis)
{
    const struct server_connection *connection = report->submission->connection;
    const struct delivery_result *rejected = first_rejected(report->submission);
    if (report->host == NULL || !connection->dialled)
        return false;
    diagnose_at_hand(&connection->connect, connection->options.host, report->user, facts);
    if (rejected != NULL)
        take_reply(rejected, &facts->reply);
    facts->reply.signed_in = report->user != NULL && facts->reply.step > REPLY_AUTH;
    diagnosis_make(facts, diagnosis);
    return true;
}

static void print_cause(const struct send_report *report)
{
    static struct diagnosis_facts facts;
    struct diagnosis diagnosis;
    if (!report->quiet && find_cause(report, &facts, &diagnosis))
        answer_print_short(stderr, &facts, &diagnosis);
}

/* ---- for programs ---- */

/* Another party's words, which need not be UTF-8. */
static json_t *words_json(struct bytes said)
{
    struct buffer words = {0};
    buffer_add_clean(&words, said, true);
    json_t *text = json_stringn(buffer_text(&words), words.length);
    buffer_free(&words);
    return text;
}

static json_t *recipient_json(const struct client_submission *s, size_t i)
{
    const struct delivery_result *r = s->results != NULL ? &s->results[i] : &s->failure;
    bool accepted = s->results != NULL && r->outcome == OUTCOME_DELIVERED;
    return json_pack("{s:o, s:b, s:i, s:o, s:o}", "address", words_json(s->envelope.recipients[i].address),
                     "accepted", (int)accepted, "code", (int)r->code, "status", words_json(r->enhanced),
                     "reply", words_json(r->text));
}

/* The port that was used; 0: the socket of the server on this machine; null: none was found. */
static json_t *port_json(const struct send_report *report)
{
    const struct port_connect *connect = &report->submission->connection->connect;
    if (report->host == NULL)
        return json_integer(0);
    return connect->line == NULL ? json_null()
                                 : json_integer(connect->race.attempts[connect->race.winner].port->port);
}

static void print_json(const struct send_report *report, bool failed, const char *error)
{
    static struct diagnosis_facts facts;
    struct diagnosis diagnosis;
    const struct client_submission *s = report->submission;
    const struct port_connect_line *line = s->connection->connect.line;
    json_t *recipients = json_array();
    for (size_t i = 0; i < s->envelope.recipient_count; i++)
        json_array_append_new(recipients, recipient_json(s, i));
    json_t *all = json_pack("{s:s, s:o, s:s, s:o}", "host", report->host == NULL ? "local" : report->host,
                            "port", port_json(report), "tls", line == NULL ? "" : line->tls_text,
                            "recipients", recipients);
    if (error != NULL)
        json_object_set_new(all, "error", words_json(bytes_of_text(error)));
    if (failed && find_cause(report, &facts, &diagnosis))
        json_object_set_new(all, "diagnosis", answer_json(&facts, &diagnosis));
    json_dumpf(all, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(all);
}

/* ---- results ---- */

static void print_rejected(const struct send_report *report, size_t i)
{
    const struct client_submission *s = report->submission;
    const struct delivery_result *r = &s->results[i];
    struct buffer said = {0};
    status_add_said(&said, r->code, r->enhanced, r->text);
    fprintf(stderr, "mailboat %s: %.*s was %s during %s: %s\n", report->command->name,
            BYTES_ARG(s->envelope.recipients[i].address),
            r->outcome == OUTCOME_FAILED ? "rejected" : "deferred", client_step_name(r->step),
            buffer_text(&said));
    buffer_free(&said);
}

int send_report_results(const struct send_report *report)
{
    const struct client_submission *s = report->submission;
    size_t accepted = 0;
    int exit_code = EX_OK;
    for (size_t i = 0; i < s->envelope.recipient_count; i++) {
        if (s->results[i].outcome == OUTCOME_DELIVERED) {
            accepted++;
            continue;
        }
        exit_code = s->results[i].outcome == OUTCOME_FAILED ? EX_UNAVAILABLE
                    : exit_code == EX_OK                    ? EX_TEMPFAIL
                                                            : exit_code;
        print_rejected(report, i);
    }
    if (report->json)
        print_json(report, exit_code != EX_OK, NULL);
    else if (accepted > 0)
        printf("accepted for %s: %.*s\n", COUNT_OF(accepted, "recipient"),
               BYTES_ARG(s->results[0].outcome == OUTCOME_DELIVERED ? s->results[0].text : BYTES("")));
    if (exit_code != EX_OK && !report->json)
        print_cause(report);
    return exit_code;
}

int send_report_failure(const struct send_report *report)
{
    const struct delivery_result *why = &report->submission->failure;
    struct error error;
    struct buffer said = {0};
    status_add_said(&said, why->code, why->enhanced, why->text);
    int exit_code = why->outcome == OUTCOME_FAILED ? EX_UNAVAILABLE : EX_TEMPFAIL;
    if (why->step == STEP_AUTH && why->code >= 500)
        exit_code = EX_NOPERM;
    error_set(&error, exit_code, "%s: %s", client_step_name(why->step), buffer_text(&said));
    buffer_free(&said);
    return send_report_unreached(report, &error);
}

int send_report_unreached(const struct send_report *report, const struct error *error)
{
    int exit_code = command_fail(report->command, error);
    if (report->json)
        print_json(report, true, error->text);
    else
        print_cause(report);
    return exit_code;
}
