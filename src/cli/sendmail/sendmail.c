/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail: the interface by which programs send mail. It submits the message to the server on this
 * machine through its socket; if the server is not running, or has a temporary failure, the message is
 * stored in the drop directory and sent later.
 */
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/count.h"
#include "cli/options.h"
#include "cli/send/submission.h"
#include "cli/sendmail/drop_writer.h"
#include "cli/sendmail/local_server.h"
#include "cli/sendmail/local_smtp.h"
#include "cli/sendmail/mailq.h"
#include "core/message/address_list.h"
#include "core/message/dsn.h"
#include "core/queue/queue_id.h"
#include "core/smtp/status.h"
#include "core/text/invocation.h"
#include "io/clock.h"
#include "io/random.h"

extern const struct command sendmail_command, queue_command;

/* A permanently rejected recipient, with the reason. */
struct recipient_refusal {
    struct recipient recipient;
    struct delivery_result result;
};

struct sendmail_run {
    const struct invocation *invocation;
    const struct local_server *server;
    struct arena arena;
    const char *sender, *author; /* of the envelope; for a missing From field */
    struct outgoing_message message;
    struct recipient_refusal *refusals;
    size_t refusal_count;
    const char *limited; /* the server's reply to a user over the sending limit; NULL: none */
};

static bool is_quiet(const struct sendmail_run *s)
{
    return s->invocation->errors == ERRORS_QUIET;
}

/* ---- the sender ---- */

static bool is_clean(const char *text)
{
    struct bytes b = bytes_of_text(text);
    return bytes_is_utf8(b) && !bytes_has_control(b) && strpbrk(text, "<>") == NULL;
}

/* Returns the first field of the password file's comment, where '&' stands for the login name. */
static const char *name_in(struct arena *arena, const struct passwd *me)
{
    struct bytes gecos = bytes_of_text(me->pw_gecos);
    struct bytes name = bytes_split(&gecos, ',');
    size_t login = bytes_find(name, '&');
    if (login == SIZE_MAX)
        return arena_text(arena, name);
    return arena_format(arena, "%.*s%s%.*s", BYTES_ARG(bytes_first(name, login)), me->pw_name,
                        BYTES_ARG(bytes_from(name, login + 1)));
}

/* Returns the address of -f, bare; "" for '' and '<>'. */
static const char *sender_said(struct sendmail_run *s, const char *said)
{
    struct bytes list = bytes_of_text(said);
    struct buffer scratch = {0};
    struct address_list_entry mailbox;
    const char *sender = "";
    if (address_list_next(&list, &scratch, &mailbox)) {
        bool bare = address_list_is_bare(mailbox.address);
        sender = arena_format(&s->arena, "%s%s%s", buffer_text(&scratch), bare ? "@" : "",
                              bare ? s->server->domain : "");
    }
    buffer_free(&scratch);
    return sender;
}

static void find_sender(struct sendmail_run *s)
{
    const struct passwd *me = getpwuid(getuid());
    const char *login = me != NULL ? me->pw_name : arena_format(&s->arena, "uid%u", (unsigned)getuid());
    const char *name = s->invocation->full_name, *said = s->invocation->sender;
    if (name == NULL)
        name = getenv("NAME");
    if (name == NULL && me != NULL)
        name = name_in(&s->arena, me);
    s->sender = said != NULL ? sender_said(s, said)
                             : arena_format(&s->arena, "%s@%s", login, s->server->domain);
    const char *address = s->sender[0] != '\0'
                              ? s->sender
                              : arena_format(&s->arena, "mailer-daemon@%s", s->server->domain);
    s->author = name != NULL && name[0] != '\0' && is_clean(name)
                    ? arena_format(&s->arena, "%s <%s>", name, address)
                    : address;
}

/* ---- the message ---- */

static bool read_message(struct sendmail_run *s, struct error *error)
{
    const struct invocation *call = s->invocation;
    const struct local_server *server = s->server;
    struct outgoing_parts parts = {.from = s->author,
                                   .sender = s->sender,
                                   .to = call->recipients,
                                   .to_count = call->recipient_count,
                                   .read_recipients = call->read_recipients,
                                   .domain = server->domain,
                                   .dot_ends = !call->dot_is_text,
                                   .now_ms = clock_epoch_ms(),
                                   .random = random_u64()};
    if (!outgoing_message_compose(&s->message, &parts, error))
        return false;
    struct envelope *envelope = &s->message.envelope;
    envelope->ret = call->ret;
    envelope->envid = bytes_of_text(call->envid);
    for (size_t i = 0; i < envelope->recipient_count; i++)
        envelope->recipients[i].notify = call->notify;
    if (s->message.size <= server->message_size_max)
        return true;
    error_set(error, EX_UNAVAILABLE,
              "the message has %s; the limit of this machine's server is %llu (limits.message_size)",
              COUNT_OF(s->message.size, "byte"), (unsigned long long)server->message_size_max);
    outgoing_message_free(&s->message);
    return false;
}

/* ---- submission ---- */

static void refuse(struct sendmail_run *s, const struct recipient *recipient,
                   const struct delivery_result *result)
{
    if (s->refusals == NULL)
        s->refusals = ARENA_ARRAY(&s->arena, struct recipient_refusal,
                                  s->message.envelope.recipient_count + s->message.invalid_count);
    struct recipient_refusal *refusal = &s->refusals[s->refusal_count++];
    *refusal = (struct recipient_refusal){*recipient, *result};
    refusal->result.enhanced = arena_copy(&s->arena, result->enhanced);
    refusal->result.text = arena_copy(&s->arena, result->text);
}

/* Rejects text that is no address at all, with the reply that the server would give. */
static void refuse_invalid(struct sendmail_run *s)
{
    static const struct delivery_result result = {.outcome = OUTCOME_FAILED,
                                                  .code = 501,
                                                  .enhanced = BYTES("5.1.3"),
                                                  .text = BYTES("Bad recipient address syntax; this is not "
                                                                "a mail address (name@domain)")};
    for (size_t i = 0; i < s->message.invalid_count; i++)
        refuse(s, &(struct recipient){.address = s->message.invalid[i], .notify = s->invocation->notify},
               &result);
}

/* Runs one transaction. `left` gets the undecided recipients; true if some were decided. */
static bool submit_some(struct sendmail_run *s, struct outgoing_message *message, struct envelope *left)
{
    struct server_connection *connection = memory_new(sizeof *connection);
    struct client_submission submission = {.connection = connection, .message = message, .envelope = *left};
    struct error unreached;
    size_t kept = 0, before = left->recipient_count;
    rewind(message->file);
    bool results = server_connection_local(connection, s->server->socket, &unreached) &&
                   submission_run(&submission);
    for (size_t i = 0; results && i < before; i++) {
        const struct delivery_result *result = &submission.results[i];
        if (result->outcome == OUTCOME_DEFERRED)
            left->recipients[kept++] = left->recipients[i];
        if (result->outcome == OUTCOME_DEFERRED && bytes_is(result->enhanced, "4.7.1"))
            s->limited = arena_text(&s->arena, result->text);
        else if (result->outcome == OUTCOME_FAILED)
            refuse(s, &left->recipients[i], result);
    }
    if (results)
        left->recipient_count = kept;
    submission_free(&submission);
    server_connection_end(connection);
    free(connection);
    return left->recipient_count < before;
}

/* Submits to the server; stores recipients with a temporary failure in the drop directory. */
static bool hand_over(struct sendmail_run *s, struct outgoing_message *message, struct error *error)
{
    struct envelope left = outgoing_message_envelope(message);
    left.recipients = ARENA_ARRAY(&s->arena, struct recipient, left.recipient_count);
    memcpy(left.recipients, message->envelope.recipients, left.recipient_count * sizeof *left.recipients);
    while (left.recipient_count > 0 && submit_some(s, message, &left)) {
    }
    /* Over the hourly limit: nothing is stored, which would not stop a runaway sender. A started
     * submission is completed. */
    if (s->limited != NULL && left.recipient_count == message->envelope.recipient_count)
        return error_set(error, EX_TEMPFAIL, "the server deferred the message: %s", s->limited);
    return left.recipient_count == 0 || drop_writer_put(s->server, message, &left, error);
}

/* ---- rejected recipients ---- */

static int exit_code_of(const struct delivery_result *result)
{
    if (bytes_is(result->enhanced, "5.1.3"))
        return EX_DATAERR;
    if (bytes_starts_nocase(result->enhanced, "5.1.")) /* of the local server, whose codes are consistent */
        return EX_NOUSER;
    return bytes_starts_nocase(result->enhanced, "5.6.") ? EX_DATAERR : EX_UNAVAILABLE;
}

static void print_refusals(const struct sendmail_run *s)
{
    for (size_t i = 0; i < s->refusal_count; i++) {
        const struct delivery_result *r = &s->refusals[i].result;
        struct buffer said = {0};
        status_add_said(&said, r->code, r->enhanced, r->text);
        struct bytes address = s->refusals[i].recipient.address;
        if (address.length == 0)
            address = BYTES("''");
        fprintf(stderr, "mailboat sendmail: %.*s was rejected: %s\n", BYTES_ARG(address), buffer_text(&said));
        buffer_free(&said);
    }
}

/* Writes the report as the queue would. */
static bool write_report(struct sendmail_run *s, struct buffer *out)
{
    struct dsn_recipient *about = ARENA_ARRAY(&s->arena, struct dsn_recipient, s->refusal_count);
    char *content = arena_take(&s->arena, DSN_RETURNED_MAX);
    struct queue_id_maker ids = {0};
    uint64_t now_ms = clock_epoch_ms();
    for (size_t i = 0; i < s->refusal_count; i++) {
        const struct delivery_result *r = &s->refusals[i].result;
        about[i] = (struct dsn_recipient){.recipient = &s->refusals[i].recipient,
                                          .action = DSN_FAILED,
                                          .enhanced = r->enhanced,
                                          .code = r->code,
                                          .text = r->text};
    }
    rewind(s->message.file);
    size_t count = fread(content, 1, DSN_RETURNED_MAX, s->message.file);
    struct dsn dsn = {.hostname = bytes_of_text(s->server->hostname),
                      .id = queue_id_next(&ids, clock_epoch_us()),
                      .now_ms = now_ms,
                      .arrived_ms = now_ms,
                      .envelope = &s->message.envelope,
                      .recipients = about,
                      .recipient_count = s->refusal_count,
                      .content = bytes_of(content, count),
                      .content_is_whole = s->message.size <= DSN_RETURNED_MAX};
    return dsn_add(out, &dsn);
}

/* False if no report can be sent by mail. */
static bool mail_refusals(struct sendmail_run *s)
{
    struct buffer text = {0};
    struct error error;
    struct sendmail_run reporting = {.invocation = s->invocation, .server = s->server};
    bool wanted = write_report(s, &text); /* otherwise the sender is empty, or requested no report */
    bool told = wanted && outgoing_message_of_text(&reporting.message, bytes_none(),
                                                   s->message.envelope.sender, buffer_bytes(&text), &error);
    if (told) {
        told = hand_over(&reporting, &reporting.message, &error) && reporting.refusal_count == 0;
        outgoing_message_free(&reporting.message);
    }
    buffer_free(&text);
    arena_clear(&reporting.arena);
    return told || (!wanted && s->message.envelope.sender.length > 0);
}

static int report_refusals(struct sendmail_run *s)
{
    enum invocation_errors errors = s->invocation->errors;
    if (s->refusal_count == 0)
        return EX_OK;
    bool mailed = (errors == ERRORS_MAILED || errors == ERRORS_MAILED_ALWAYS) && mail_refusals(s);
    if (!mailed && !is_quiet(s))
        print_refusals(s);
    return mailed && errors == ERRORS_MAILED_ALWAYS ? EX_OK : exit_code_of(&s->refusals[0].result);
}

/* ---- the modes ---- */

static int fail(const struct invocation *call, const struct error *error)
{
    return call->errors == ERRORS_QUIET ? error->exit_code : command_fail(&sendmail_command, error);
}

static int deliver(const struct invocation *call, const struct local_server *server)
{
    struct sendmail_run s = {.invocation = call, .server = server};
    struct error error = {0};
    if (call->recipient_count == 0 && !call->read_recipients)
        return command_usage(&sendmail_command,
                             "no recipients; name them, or use -t to read them from To, Cc and Bcc");
    find_sender(&s);
    int exit_code = EX_OK;
    if (!read_message(&s, &error)) {
        exit_code = fail(call, &error);
    } else {
        bool kept = hand_over(&s, &s.message, &error);
        refuse_invalid(&s);
        exit_code = report_refusals(&s);
        if (!kept)
            exit_code = fail(call, &error);
        outgoing_message_free(&s.message);
    }
    arena_clear(&s.arena);
    return exit_code;
}

static int verify(const struct invocation *call, const struct local_server *server)
{
    struct error error = {0};
    if (call->recipient_count == 0)
        return command_usage(&sendmail_command, "-bv requires an address");
    int exit_code = local_smtp_verify(server, call->recipients, call->recipient_count, &error);
    return error.text[0] != '\0' ? fail(call, &error) : exit_code;
}

static int list(const struct invocation *call, const struct local_server *server)
{
    struct error error = {0};
    return mailq_print(&server->queue, &error) ? EX_OK : fail(call, &error);
}

static int speak(const struct invocation *call, const struct local_server *server)
{
    struct error error = {0};
    int exit_code = local_smtp_smtp(server, &error);
    return error.text[0] != '\0' ? fail(call, &error) : exit_code;
}

/* Acts like `mailboat queue retry`. */
static int run_queue(const struct invocation *call, const struct local_server *server)
{
    char words[][16] = {"queue", "retry", "--all", "--config"};
    char *argv[] = {words[0],
                    words[1],
                    call->queue_id != NULL ? (char *)(uintptr_t)call->queue_id : words[2],
                    words[3],
                    (char *)(uintptr_t)call->config,
                    NULL};
    return queue_command.run(call->config != NULL ? 5 : 3, argv);
}

/* There is no alias file to compile: `mailboat alias` takes effect immediately. */
static int rebuild_aliases(const struct invocation *call, const struct local_server *server)
{
    return EX_OK;
}

static int run(int argc, char **argv)
{
    static int (*const modes[])(const struct invocation *, const struct local_server *) = {
        [INVOCATION_DELIVER] = deliver, [INVOCATION_SMTP] = speak,
        [INVOCATION_LIST] = list,       [INVOCATION_ALIASES] = rebuild_aliases,
        [INVOCATION_VERIFY] = verify,   [INVOCATION_RUN_QUEUE] = run_queue};
    struct invocation call;
    struct local_server server;
    struct error error = {0};
    signal(SIGPIPE, SIG_IGN); /* a closed reader is detected by a failing write */
    if (!invocation_read(&call, argc, argv, &error))
        return command_fail(&sendmail_command, &error);
    if (!local_server_read(&server, call.config, &error))
        return command_fail(&sendmail_command, &error);
    int exit_code = modes[call.mode](&call, &server);
    local_server_free(&server);
    return exit_code;
}

const struct command sendmail_command = {
    .name = "sendmail",
    .summary = "accept a message like sendmail does: for PHP, cron, git, mutt",
    .own_arguments = true,
    .help = "usage: mailboat sendmail [-t] [-i] [-f SENDER] [-F NAME] [RECIPIENT]... < MESSAGE\n"
            "       mailboat sendmail -bs | -bp | -bi | -bv ADDRESS...\n"
            "\n"
            "Reads a message with its header from standard input and submits it to the server\n"
            "on this machine. If the server is not running, the message is stored in the drop\n"
            "directory and sent when it starts. Links named sendmail, mailq and newaliases do\n"
            "the same without the first word.\n"
            "\n"
            "  -t             read recipients from To, Cc and Bcc, in addition to the arguments\n"
            "  -i, -oi        a line with a single dot does not end the message\n"
            "  -f SENDER      the envelope's sender; '' or '<>': the null sender (-r is the same)\n"
            "  -F NAME        the name in the From field, if that field is missing\n"
            "  -N, -R, -V     reports: -N success,failure,delay or never; -R full or hdrs;\n"
            "                 -V an ID that they quote\n"
            "  -oem, -oee     mail rejections back to the sender; -oep prints them (default),\n"
            "                 -oeq prints nothing\n"
            "  -bs            SMTP on standard input and output\n"
            "  -bp            list the queue (mailq); -q retries it; both require root\n"
            "  -bv ADDRESS    check whether the server accepts ADDRESS\n"
            "  -bi            newaliases: no-op; mailboat alias takes effect immediately\n"
            "  -C FILE        configuration; default /etc/mailboat/mailboat.conf\n"
            "  -A -B -G -L -O -U -X -h -m -n -o* -p -v and others are accepted and ignored\n"
            "\n"
            "exit codes: 0 accepted or stored, 64 usage, 65 invalid address, 67 unknown user,\n"
            "69 rejected (a bad or unknown recipient does not stop the others), 75 could be\n"
            "neither sent nor stored, or the hourly limit of this user is reached\n"
            "(submission.local in the configuration): try again\n"
            "\n"
            "example: printf 'To: ada@example.org\\n"
            "Subject: hello\\n"
            "\\n"
            "hi\\n"
            "' | mailboat sendmail -t -i\n",
    .run = run,
};
