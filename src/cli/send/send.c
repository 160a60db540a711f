/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send: composes a message and submits it: to the server on this machine, or with --host to another,
 * through a working port.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/ports/history.h"
#include "cli/ports/port_cache.h"
#include "cli/send/secret_command.h"
#include "cli/send/send_report.h"
#include "cli/send/submission.h"
#include "cli/sendmail/local_server.h"
#include "core/port/port_facts.h"
#include "core/port/port_order.h"
#include "core/text/target.h"
#include "io/clock.h"
#include "io/random.h"

extern const struct command send_command;

struct send_options {
    struct option_list to, cc, bcc, attach;
    const char *from, *subject, *body, *html, *host, *port, *ports, *order, *user, *password_file,
        *password_command, *oauth_command, *ca_file, *config, *file, *deadline;
    bool read_recipients, json, quiet, fresh;
    uint32_t deadline_ms;
};

/* ---- the sender ---- */

static bool default_sender(const struct send_options *wish, struct buffer *out)
{
    char host[256] = "localhost";
    if (wish->user != NULL && strchr(wish->user, '@') != NULL) {
        buffer_add_text(out, wish->user);
        return true;
    }
    const struct passwd *me = getpwuid(getuid());
    if (me == NULL)
        return false;
    gethostname(host, sizeof host - 1);
    struct local_server server;
    if (local_server_read(&server, wish->config, NULL)) {
        snprintf(host, sizeof host, "%s", server.domain);
        local_server_free(&server);
    }
    buffer_add_format(out, "%s@%s", me->pw_name, host);
    return true;
}

/* ---- the route ---- */

/* True if no port was chosen by the user: then the last winner comes first. */
static bool is_free_choice(const struct send_options *wish)
{
    return !wish->fresh && wish->ports == NULL && wish->order == NULL &&
           (wish->port == NULL || strcmp(wish->port, "auto") == 0);
}

static void put_first(struct server_connection_options *options, const struct race_port *known)
{
    size_t at = 0;
    while (at < options->port_count && options->ports[at].port != known->port)
        at++;
    if (at == options->port_count)
        return;
    memmove(&options->ports[1], &options->ports[0], at * sizeof options->ports[0]);
    options->ports[0] = *known;
    options->remembered = known->port;
}

/* Returns the port that won, with its actual TLS mode. */
static struct race_port winner_of(const struct port_connect *connected)
{
    const struct race_attempt *winner = &connected->race.attempts[connected->race.winner];
    return (struct race_port){winner->port->port, winner->tls};
}

static bool race_and_remember(struct server_connection *connection, struct server_connection_options *options,
                              const struct send_options *wish, struct error *error)
{
    struct port_cache_entry known = {0};
    bool was_known = is_free_choice(wish) && port_cache_find(options->host, &known);
    options->round_trip_ms = known.round_trip_ms;
    if (was_known && known.is_first)
        put_first(options, &known.port);
    bool won = server_connection_race(connection, options, error);
    const struct race *race = &connection->connect.race;
    if (!connection->connect.loopback && connection->connect.has_race) {
        history_remember_call(options->host);
        history_remember_race(options->host, race);
    }
    if (!is_free_choice(wish) || connection->connect.loopback)
        return won;
    struct race_port winner = won ? winner_of(&connection->connect) : (struct race_port){0};
    bool is_news = !known.is_first || winner.port != known.port.port || winner.tls != known.port.tls;
    if (won && is_news && race_is_proven(race))
        port_cache_remember(options->host, &winner, race->round_trip_ms);
    else if (was_known && (!won || is_news))
        port_cache_forget(options->host);
    return won;
}

/* Takes the ports that the person names, or our order and its last resort. */
static bool choose_ports(struct server_connection_options *options, const struct send_options *wish,
                         const struct target *target, struct error *error)
{
    uint16_t usual[PORT_ORDER_USUAL];
    const char *list = wish->ports != NULL                                     ? wish->ports
                       : wish->port != NULL && strcmp(wish->port, "auto") != 0 ? wish->port
                       : target->ports[0] != '\0'                              ? target->ports
                                                                               : NULL;
    if (list != NULL)
        return server_connection_ports(options, list, error);
    port_order_usual(usual);
    bool implicit_first = wish->order != NULL && strcmp(wish->order, "rfc8314") == 0;
    server_connection_order(options, implicit_first ? port_order_rfc8314 : usual, PORT_ORDER_USUAL);
    server_connection_last_resort(options);
    return true;
}

static bool server_connection_host(struct server_connection *connection, const struct send_options *wish,
                                   struct error *error)
{
    static struct target target; /* static: the connection refers to its host */
    struct server_connection_options options = {.host = target.host,
                                                .ca_file = wish->ca_file,
                                                .needs_auth = wish->user != NULL,
                                                .by_token = wish->oauth_command != NULL,
                                                .deadline_ms = wish->deadline_ms};
    if (!server_connection_target(&target, wish->host, error) ||
        !choose_ports(&options, wish, &target, error))
        return false;
    for (size_t i = 0; i < options.port_count; i++)
        if (options.ports[i].port == PORT_SMTP)
            return error_set(error, EX_USAGE, "port 25 is for mail between servers; omit --port, or use 587");
    return race_and_remember(connection, &options, wish, error);
}

static bool server_connection_here(struct server_connection *connection, const struct send_options *wish,
                                   struct error *error)
{
    struct local_server server;
    if (!local_server_read(&server, wish->config, error))
        return false;
    bool reached = server_connection_local(connection, server.socket, error);
    local_server_free(&server);
    return reached;
}

/* A refused password is remembered, so that a diagnosis can tell of it; one that is right ends that. */
static bool run_and_remember(struct client_submission *s, const struct send_options *wish)
{
    bool has_results = submission_run(s);
    const struct server_connection *connection = s->connection;
    if (s->user.length == 0 || connection->connect.loopback)
        return has_results;
    if (has_results)
        history_forget_refused(connection->options.host, wish->user);
    else if (s->failure.step == STEP_AUTH && s->failure.code / 10 == 53) /* RFC 4954 6 */
        history_remember_refused(connection->options.host, wish->user);
    return has_results;
}

static int submit(const struct send_options *wish, struct outgoing_message *message, struct bytes secret)
{
    struct server_connection *connection = memory_new(sizeof *connection);
    struct error error = {0};
    struct client_submission s = {.connection = connection,
                                  .message = message,
                                  .envelope = outgoing_message_envelope(message),
                                  .shows_progress = isatty(STDERR_FILENO) && !wish->quiet};
    const struct send_report report = {.command = &send_command,
                                       .submission = &s,
                                       .host = wish->host,
                                       .user = wish->user,
                                       .json = wish->json,
                                       .quiet = wish->quiet};
    bool connected = wish->host != NULL ? server_connection_host(connection, wish, &error)
                                        : server_connection_here(connection, wish, &error);
    if (wish->host != NULL && wish->user != NULL)
        s.user = bytes_of_text(wish->user);
    *(wish->oauth_command != NULL ? &s.token : &s.password) = secret;
    int exit_code;
    if (!connected) {
        exit_code = send_report_unreached(&report, &error);
    } else {
        send_report_route(&report);
        exit_code = run_and_remember(&s, wish) ? send_report_results(&report) : send_report_failure(&report);
    }
    submission_free(&s);
    server_connection_end(connection);
    free(connection);
    return exit_code;
}

/* ---- the command ---- */

/* Reads the password, or the token. */
static bool find_secret(const struct send_options *wish, struct buffer *secret, int *exit_code)
{
    const char *command = wish->oauth_command != NULL ? wish->oauth_command : wish->password_command;
    struct error error = {0};
    if (wish->user == NULL || wish->host == NULL)
        return true;
    if (command == NULL)
        return options_existing_password(&send_command, wish->password_file, secret, exit_code);
    if (secret_of_command(command, secret, &error))
        return true;
    *exit_code = command_fail(&send_command, &error);
    return false;
}

static const char invitation[] = "Type the text of the message; end it with ^D on a line of its own.",
                  invitation_whole[] =
                      "Type the whole message, its header first; end it with ^D on a line of "
                      "its own.";

static int compose_and_submit(struct send_options *wish)
{
    struct outgoing_message message;
    struct error error = {0};
    struct buffer from = {0}, password = {0};
    int exit_code = EX_OK;
    if (wish->from == NULL && !default_sender(wish, &from))
        error_set(&error, EX_USAGE, "cannot determine the sender; use --from ADDRESS");
    struct outgoing_parts parts = {.from = wish->from != NULL ? wish->from : buffer_text(&from),
                                   .subject = wish->subject,
                                   .body = wish->body,
                                   .html = wish->html,
                                   .file = wish->file,
                                   .to = wish->to.at,
                                   .to_count = wish->to.count,
                                   .cc = wish->cc.at,
                                   .cc_count = wish->cc.count,
                                   .bcc = wish->bcc.at,
                                   .bcc_count = wish->bcc.count,
                                   .attach = wish->attach.at,
                                   .attach_count = wish->attach.count,
                                   .read_recipients = wish->read_recipients,
                                   .invitation = wish->read_recipients ? invitation_whole : invitation,
                                   .now_ms = clock_epoch_ms(),
                                   .random = random_u64()};
    if (error.text[0] != '\0' || !outgoing_message_compose(&message, &parts, &error))
        exit_code = command_fail(&send_command, &error);
    else if (find_secret(wish, &password, &exit_code))
        exit_code = submit(wish, &message, buffer_bytes(&password));
    if (error.text[0] == '\0')
        outgoing_message_free(&message);
    if (password.at != NULL)
        explicit_bzero(password.at, password.capacity);
    buffer_free(&password);
    buffer_free(&from);
    return exit_code;
}

static int run(int argc, char **argv)
{
    static struct send_options wish;
    struct arguments arguments;
    const struct option_rule rules[] = {{OPTION_LIST, "to", 0, &wish.to},
                                        {OPTION_LIST, "cc", 0, &wish.cc},
                                        {OPTION_LIST, "bcc", 0, &wish.bcc},
                                        {OPTION_LIST, "attach", 'a', &wish.attach},
                                        {OPTION_TEXT, "from", 'f', &wish.from},
                                        {OPTION_TEXT, "subject", 's', &wish.subject},
                                        {OPTION_TEXT, "body", 'b', &wish.body},
                                        {OPTION_TEXT, "html", 0, &wish.html},
                                        {OPTION_TEXT, "host", 'h', &wish.host},
                                        {OPTION_TEXT, "port", 'p', &wish.port},
                                        {OPTION_TEXT, "ports", 0, &wish.ports},
                                        {OPTION_TEXT, "order", 0, &wish.order},
                                        {OPTION_TEXT, "user", 'u', &wish.user},
                                        {OPTION_TEXT, "password-file", 0, &wish.password_file},
                                        {OPTION_TEXT, "password-command", 0, &wish.password_command},
                                        {OPTION_TEXT, "oauth-command", 0, &wish.oauth_command},
                                        {OPTION_TEXT, "ca-file", 0, &wish.ca_file},
                                        {OPTION_TEXT, "config", 'c', &wish.config},
                                        {OPTION_FLAG, "recipients", 't', &wish.read_recipients},
                                        {OPTION_FLAG, "json", 0, &wish.json},
                                        {OPTION_FLAG, "fresh", 0, &wish.fresh},
                                        {OPTION_TEXT, "deadline", 0, &wish.deadline},
                                        {OPTION_FLAG, "quiet", 'q', &wish.quiet},
                                        {OPTION_END, NULL, 0, NULL}};
    wish = (struct send_options){0};
    if (!options_read(&send_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (!options_arguments_fit(&send_command, NULL, "[FILE]", arguments.at, arguments.count))
        return EX_USAGE;
    if (arguments.count == 1)
        wish.file = arguments.at[0];
    if (wish.order != NULL && strcmp(wish.order, "rfc8314") != 0 && strcmp(wish.order, "default") != 0)
        return command_usage(&send_command, "--order is default or rfc8314, not '%s'", wish.order);
    if (wish.to.count + wish.cc.count + wish.bcc.count == 0 && !wish.read_recipients)
        return command_usage(&send_command,
                             "no recipients; use --to ADDRESS, or -t to read them from To, Cc and Bcc");
    bool has_command = wish.password_command != NULL || wish.oauth_command != NULL;
    if ((wish.password_file != NULL) + (wish.password_command != NULL) + (wish.oauth_command != NULL) > 1)
        return command_usage(&send_command,
                             "use only one of --password-file, --password-command and --oauth-command");
    if (has_command && (wish.user == NULL || wish.host == NULL))
        return command_usage(&send_command, "%s requires --host and --user",
                             wish.oauth_command != NULL ? "--oauth-command" : "--password-command");
    if (wish.user != NULL && wish.host != NULL && wish.password_file == NULL && !has_command &&
        wish.body == NULL && wish.file == NULL && !isatty(STDIN_FILENO))
        return command_usage(&send_command, "the password and the text cannot both come from standard input; "
                                            "use --password-file FILE or --password-command CMD");
    struct error error = {0};
    if (wish.deadline != NULL && !server_connection_deadline(wish.deadline, &wish.deadline_ms, &error))
        return command_fail(&send_command, &error);
    command_end_on_interrupt();
    return compose_and_submit(&wish);
}

const struct command send_command = {
    .name = "send",
    .summary = "send a message through the port that works",
    .help = "usage: mailboat send --to ADDRESS [--subject TEXT] [--body TEXT] [FILE]\n"
            "       mailboat send --host HOST --user USER --to ADDRESS ... [FILE]\n"
            "       mailboat send -t < MESSAGE\n"
            "\n"
            "Composes a message and submits it: without --host to the server on this\n"
            "machine, with --host to another server, through the first of the ports 587, 2525\n"
            "and 465 that works, always with TLS; the ports are tried in a race, so a blocked\n"
            "port costs a quarter of a second. Prints which port was selected, and why.\n"
            "The text is --body, or FILE, or standard input; on a terminal it ends with ^D.\n"
            "\n"
            "      --to, --cc, --bcc A  recipients; repeatable\n"
            "  -f, --from ADDRESS       the sender, also as \"Name <address>\"\n"
            "  -s, --subject TEXT       the subject, in any script\n"
            "  -b, --body TEXT          the text\n"
            "      --html FILE          the text as HTML; a plain-text version is added, or --body\n"
            "  -a, --attach FILE        attach a file; repeatable\n"
            "  -t, --recipients         FILE or standard input is a whole message with header;\n"
            "                           its To, Cc and Bcc are the recipients, Bcc is removed;\n"
            "                           missing From, Date and Message-ID fields are added\n"
            "  -h, --host HOST          the outgoing server\n"
            "  -p, --port auto|N        default auto\n"
            "      --ports LIST         ports to try, in order of preference; default 587,2525,465;\n"
            "                           N:tls or N:starttls sets the TLS mode of an unusual port\n"
            "      --order rfc8314      try 465 first, then 587 and 2525\n"
            "      --fresh              do not start with the port that worked last time\n"
            "      --deadline S         time limit for finding a port, in seconds; default 10\n"
            "  -u, --user USER          user name; the password is asked for, or\n"
            "      --password-file FILE read from the first line of the file\n"
            "      --password-command C the first line that sh -c C prints: pass show mail\n"
            "      --oauth-command C    instead of a password, an OAuth 2 token: the first\n"
            "                           line that sh -c C prints (OAUTHBEARER, XOAUTH2)\n"
            "      --ca-file FILE       CA certificates to trust instead of the system's\n"
            "  -c, --config FILE        configuration of the server on this machine\n"
            "  -q, --quiet              do not print why the port was selected\n"
            "      --json               print JSON: the port, each recipient, and where something\n"
            "                           failed its cause and what to do (docs/ports.md)\n"
            "\n"
            "exit codes: 0 accepted, 64 usage, 65 invalid address, 69 rejected, 75 temporary\n"
            "failure: try again later, 77 authentication failed\n"
            "\n"
            "example: mailboat send --host smtp.example.net --user ada@example.org \\\n"
            "           --to bob@example.com --subject hello --body \"how are you?\"\n",
    .run = run,
    .h_is_taken = true,
};
