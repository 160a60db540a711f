/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demo: a complete mail system on loopback, in a temporary folder: starts the server, creates a user,
 * sends a message through the detected port, and shows its arrival.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/accounts/account_client.h"
#include "cli/options.h"
#include "cli/setup/dovecot.h"
#include "config/secret_file.h"
#include "core/port/port_facts.h"
#include "core/port/port_order.h"
#include "io/tls.h"
#include "run/subprocess.h"
#include "run/supervisor.h"
#include "service/services.h"

extern const struct command demo_command, send_command;

enum {
    READY_LIMIT_MS = 20 * 1000,
    ARRIVAL_LIMIT_MS = 20 * 1000,
    LOOK_MS = 20,
    FOLDER_SIZE = 200,
    WEB_PORT = 8025
};

static const struct {
    const char *name;
    uint16_t here;
} mailbox_ports[] = {{"imap", 10143}, {"imaps", 10993}, {"pop3", 10110}, {"pop3s", 10995}};
static const char user[] = "ada@example.org";

/* The port of the demo that stands for a usual one: those below 1024 are root's. */
static unsigned port_here(uint16_t usual)
{
    return usual < 1024 ? 10000U + usual : usual;
}

static const char *meaning_of(uint16_t usual)
{
    return usual == PORT_SMTP ? "mx: where other servers deliver mail for example.org"
                              : port_order_of(usual)->meaning;
}

struct demo {
    char folder[FOLDER_SIZE], config[FOLDER_SIZE + 32], data[FOLDER_SIZE + 32], ca[FOLDER_SIZE + 32],
        key[FOLDER_SIZE + 32], log[FOLDER_SIZE + 32], password_file[FOLDER_SIZE + 32],
        maildir[FOLDER_SIZE + 96];
    struct folder open; /* `folder` */
    struct buffer password;
    int ready;             /* a datagram socket for the server's notifications */
    char ready_name[32];   /* its name, in the form of NOTIFY_SOCKET */
    pid_t server, dovecot; /* dovecot: 0 if not installed */
    bool once, json;
    FILE *out; /* for text: stdout, or stderr with --json */
};

static volatile sig_atomic_t told_to_stop;

static void on_signal(int number)
{
    told_to_stop = number;
}

static void wait_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000 * 1000}, NULL);
}

/* ---- the folder ---- */

static bool write_text(const struct demo *demo, const char *name, const char *text, mode_t mode,
                       struct error *error)
{
    return folder_replace(&demo->open, name, bytes_of_text(text), mode, error);
}

static bool make_folder(struct demo *demo, struct error *error)
{
    const char *above = getenv("TMPDIR");
    if (snprintf(demo->folder, sizeof demo->folder, "%s/mailboat-demo-XXXXXX",
                 above == NULL || above[0] == '\0' ? "/tmp" : above) >= (int)sizeof demo->folder)
        return error_set(error, EX_CANTCREAT, "TMPDIR is too long");
    if (mkdtemp(demo->folder) == NULL) {
        error_set_errno(error, EX_CANTCREAT, "cannot make a directory like %s", demo->folder);
        demo->folder[0] = '\0';
        return false;
    }
    if (!folder_open(&demo->open, demo->folder, 0, FOLDER_TRUSTED, error))
        return error_prefix(error, "TMPDIR");
    fchmod(demo->open.descriptor, 0755); /* the server's processes have users of their own */
    snprintf(demo->config, sizeof demo->config, "%s/mailboat.conf", demo->folder);
    snprintf(demo->data, sizeof demo->data, "%s/data", demo->folder);
    snprintf(demo->ca, sizeof demo->ca, "%s/localhost.pem", demo->folder);
    snprintf(demo->key, sizeof demo->key, "%s/localhost.key", demo->folder);
    snprintf(demo->log, sizeof demo->log, "%s/log", demo->folder);
    snprintf(demo->password_file, sizeof demo->password_file, "%s/password", demo->folder);
    snprintf(demo->maildir, sizeof demo->maildir, "%s/mail/example.org/ada/Maildir", demo->data);
    return true;
}

static bool write_config(const struct demo *demo, struct error *error)
{
    struct buffer text = {0};
    buffer_add_format(&text,
                      "hostname: localhost\ndata_dir: %s\ndomains: [example.org]\ntls:\n  certificate: %s\n  "
                      "key: %s\nlisteners:\n",
                      demo->data, demo->ca, demo->key);
    for (size_t i = 0; i < PORT_LISTENERS; i++) {
        uint16_t usual = port_order_listeners[i];
        buffer_add_format(&text, "  - {address: 127.0.0.1, port: %u, role: %s, tls: %s}\n", port_here(usual),
                          usual == PORT_SMTP ? "mx" : "submission",
                          port_tls(usual) == CLIENT_TLS_IMPLICIT ? "implicit" : "starttls");
    }
    buffer_add_format(&text, "web: {address: 127.0.0.1, port: %u}\n", (unsigned)WEB_PORT);
    buffer_add_text(&text, "mailboxes:\n  address: 127.0.0.1\n");
    for (size_t i = 0; i < ARRAY_LENGTH(mailbox_ports); i++)
        buffer_add_format(&text, "  %s: %u\n", mailbox_ports[i].name, (unsigned)mailbox_ports[i].here);
    buffer_add_format(&text, "  lmtp: \"unix:%s/lmtp\"\n", demo->folder);
    bool done = write_text(demo, "mailboat.conf", buffer_text(&text), 0644, error);
    buffer_free(&text);
    return done;
}

static bool add_user(const struct demo *demo, struct error *error)
{
    struct config config;
    struct buffer password = {0};
    int exit_code = EX_OK;
    if (!options_config(&demo_command, demo->config, &config, &exit_code))
        return error_set(error, exit_code, "the demo's accounts cannot be made");
    accounts_random_password(&password);
    const struct ipc_account_change asked = {
        .verb = ACCOUNT_USER_ADD, .name = bytes_of_text(user), .value = buffer_bytes(&password)};
    bool done = account_client_change(&config, &asked, NULL, error);
    config_free(&config);
    buffer_add_octet(&password, '\n');
    done = done && write_text(demo, "password", buffer_text(&password), 0600, error);
    buffer_wipe(&password);
    return done;
}

/* In a short-lived process: the server is forked from this one, and its processes would inherit the
 * secrets. */
static bool make_secrets(void *owner, struct buffer *out, struct error *error)
{
    struct demo *demo = owner;
    return tls_make_self_signed("localhost", &demo->open, "localhost.pem", "localhost.key", error) &&
           add_user(demo, error);
}

/* By descriptors: the users of the server's processes own folders in it. */
static void remove_folder(const struct demo *demo)
{
    char above[sizeof demo->folder];
    char *slash = strrchr(memcpy(above, demo->folder, sizeof above), '/');
    if (slash == NULL)
        return;
    *slash = '\0';
    int folder = open(slash == above ? "/" : above, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        folder_remove(folder, slash + 1);
        close(folder);
    }
}

/* ---- the server ---- */

static _Noreturn void be_server(const struct demo *demo)
{
    struct error error = {0};
    int said = dup(STDERR_FILENO), log = open(demo->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setenv("NOTIFY_SOCKET", demo->ready_name, 1);
    signal(SIGINT, SIG_IGN); /* ^C is for the demo, which sends SIGTERM */
    if (log >= 0)
        dup2(log, STDERR_FILENO);
    int code = supervisor_run(services, demo->config, &error);
    if (error.text[0] != '\0')
        dprintf(said, "mailboat demo: %s\n", error.text);
    _exit(code);
}

static bool answers(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char greeting[4] = "";
    bool there = descriptor >= 0 && connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
                 (port == 10465 ||
                  (recv(descriptor, greeting, 3, MSG_WAITALL) == 3 && strcmp(greeting, "220") == 0));
    if (descriptor >= 0)
        close(descriptor);
    return there;
}

/* Opens the socket on which the server reports that it is ready, as to a service manager (sd_notify's
 * protocol): connecting to the ports earlier could reach another server. The kernel chooses the name,
 * which goes away with the descriptor. */
static bool open_ready(struct demo *demo, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = offsetof(struct sockaddr_un, sun_path);
    demo->ready = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (demo->ready < 0 || bind(demo->ready, (struct sockaddr *)&address, length) != 0)
        return error_set_errno(error, EX_OSERR, "cannot make a socket for the server");
    length = sizeof address;
    getsockname(demo->ready, (struct sockaddr *)&address, &length);
    snprintf(demo->ready_name, sizeof demo->ready_name, "@%.*s",
             (int)(length - offsetof(struct sockaddr_un, sun_path) - 1), address.sun_path + 1);
    return true;
}

static bool is_ready(const struct demo *demo)
{
    static const char ready[] = "READY=1";
    char said[sizeof ready];
    ssize_t length = recv(demo->ready, said, sizeof said, 0);
    return bytes_is(bytes_of(said, length > 0 ? (size_t)length : 0), ready);
}

static bool start_server(struct demo *demo, int *exit_code, struct error *error)
{
    bool ready = false;
    if (!open_ready(demo, error))
        return false;
    demo->server = fork();
    if (demo->server == 0)
        be_server(demo);
    if (demo->server < 0)
        return error_set_errno(error, EX_OSERR, "cannot start the server");
    for (int waited = 0; waited < READY_LIMIT_MS && told_to_stop == 0; waited += LOOK_MS) {
        int status;
        if (waitpid(demo->server, &status, WNOHANG) == demo->server) {
            demo->server = 0;
            *exit_code = WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EX_SOFTWARE;
            return false; /* it has printed the reason */
        }
        ready = ready || is_ready(demo);
        if (ready && answers((uint16_t)port_here(port_order[0].port)))
            return true;
        wait_a_moment();
    }
    return error_set(error, EX_TEMPFAIL, "the server does not get ready");
}

static void stop_server(struct demo *demo)
{
    if (demo->server <= 0)
        return;
    kill(demo->server, SIGTERM);
    while (waitpid(demo->server, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* ---- IMAP and POP3 ---- */

/* Dovecot reports only in its log that it is ready. */
static bool log_says(const char *path, const char *words)
{
    char line[4096];
    bool found = false;
    FILE *log = fopen(path, "re");
    while (log != NULL && !found && fgets(line, sizeof line, log) != NULL)
        found = strstr(line, words) != NULL;
    if (log != NULL)
        fclose(log);
    return found;
}

static _Noreturn void be_dovecot(const struct demo *demo, const struct dovecot *dovecot)
{
    int log = open(demo->log, O_WRONLY | O_APPEND | O_CLOEXEC);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execl(dovecot_program(), "dovecot", "-F", "-c", dovecot->config, (char *)NULL);
    _exit(127);
}

/* Dovecot logs when it has its ports; if they are in use it ends, and prints that to our log. */
static bool run_dovecot(struct demo *demo, const struct dovecot *dovecot, struct error *error)
{
    char log[sizeof dovecot->folder + 8];
    snprintf(log, sizeof log, "%s/log", dovecot->folder);
    demo->dovecot = fork();
    if (demo->dovecot == 0)
        be_dovecot(demo, dovecot);
    if (demo->dovecot < 0)
        return error_set_errno(error, EX_OSERR, "cannot start it");
    setpgid(demo->dovecot, demo->dovecot);
    for (int waited = 0; waited < READY_LIMIT_MS && told_to_stop == 0; waited += LOOK_MS) {
        if (log_says(log, " starting up "))
            return true;
        if (waitpid(demo->dovecot, NULL, WNOHANG) == demo->dovecot) {
            demo->dovecot = 0;
            return error_set(error, EX_UNAVAILABLE, "it says why in %s", demo->log);
        }
        wait_a_moment();
    }
    return true;
}

/* Mail can be sent without it: a failure is only reported. */
static void start_dovecot(struct demo *demo)
{
    struct dovecot dovecot;
    struct config config;
    struct error error = {0};
    int exit_code = EX_OK;
    if (dovecot_program() == NULL || !options_config(&demo_command, demo->config, &config, &exit_code))
        return;
    if (!dovecot_find(&dovecot, &config, &error) || !dovecot_write(&dovecot, &config, &error) ||
        !run_dovecot(demo, &dovecot, &error))
        fprintf(demo->out, "Dovecot is not started: %s\n", error.text);
    config_free(&config);
}

/* Stopping it politely takes time; the demo keeps no data. */
static void stop_dovecot(struct demo *demo)
{
    if (demo->dovecot <= 0)
        return;
    kill(-demo->dovecot, SIGKILL);
    while (waitpid(demo->dovecot, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* ---- output ---- */

static void print_json(const struct demo *demo)
{
    json_t *numbers = json_object();
    char usual[8];
    for (size_t i = 0; i < PORT_LISTENERS; i++) {
        snprintf(usual, sizeof usual, "%u", (unsigned)port_order_listeners[i]);
        json_object_set_new(numbers, usual, json_integer(port_here(port_order_listeners[i])));
    }
    json_t *facts = json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "ports", numbers, "user", user,
                              "password", buffer_text(&demo->password), "maildir", demo->maildir, "data_dir",
                              demo->data, "ca", demo->ca, "config", demo->config, "log", demo->log);
    json_object_set_new(facts, "web", json_integer(WEB_PORT));
    for (size_t i = 0; demo->dovecot > 0 && i < ARRAY_LENGTH(mailbox_ports); i++)
        json_object_set_new(facts, mailbox_ports[i].name, json_integer(mailbox_ports[i].here));
    json_dumpf(facts, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    fflush(stdout);
    json_decref(facts);
}

static void print_ports(const struct demo *demo)
{
    fprintf(demo->out, "A mail system runs on this machine, in %s\n\n", demo->folder);
    for (size_t i = 0; i < PORT_LISTENERS; i++) {
        uint16_t usual = port_order_listeners[i];
        fprintf(demo->out, "  %-5u for port %-4u  %s\n", port_here(usual), (unsigned)usual,
                meaning_of(usual));
    }
    if (demo->dovecot > 0)
        fprintf(demo->out, "  %u for port 993   IMAP, to read mail (POP3: %u); by Dovecot\n",
                (unsigned)mailbox_ports[1].here, (unsigned)mailbox_ports[3].here);
    else
        fprintf(demo->out, "  (no IMAP and POP3: Dovecot %s)\n",
                dovecot_program() == NULL ? "is not installed" : "does not run");
    fprintf(
        demo->out,
        "  %u  for port 443   the settings that mail programs fetch: http://127.0.0.1:%u/?emailaddress=%s\n",
        (unsigned)WEB_PORT, (unsigned)WEB_PORT, user);
    fprintf(demo->out, "\n  user      %s\n  password  %s\n  CA        %s\n  mailbox   %s\n  log       %s\n\n",
            user, buffer_text(&demo->password), demo->ca, demo->maildir, demo->log);
    fflush(demo->out);
}

/* "10587,2525,10465" */
static void add_ports(struct buffer *out)
{
    for (size_t i = 0; i < PORT_ORDER_USUAL; i++)
        buffer_add_format(out, "%s%u", i == 0 ? "" : ",", port_here(port_order[i].port));
}

static int send_message(const struct demo *demo)
{
    struct buffer ports = {0};
    add_ports(&ports);
    char *arguments[] = {"send",
                         "--host",
                         "localhost",
                         "--ports",
                         (char *)(uintptr_t)buffer_text(&ports),
                         "--user",
                         (char *)(uintptr_t)user,
                         "--password-file",
                         (char *)(uintptr_t)demo->password_file,
                         "--ca-file",
                         (char *)(uintptr_t)demo->ca,
                         "--from",
                         "Ada <ada@example.org>",
                         "--to",
                         (char *)(uintptr_t)user,
                         "--subject",
                         "Grüße from Mailboat",
                         "--body",
                         "This message was sent through the port that Mailboat chose,\n"
                         "passed through the queue, and was delivered here.\n",
                         NULL};
    fprintf(demo->out, "Sending a message from Ada to Ada; which port works? (10587 stands for 587)\n");
    fflush(demo->out);
    int before = dup(STDOUT_FILENO);
    fflush(stdout);
    if (demo->json)
        dup2(STDERR_FILENO, STDOUT_FILENO);
    int code = send_command.run((int)ARRAY_LENGTH(arguments) - 1, arguments);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    close(before);
    buffer_free(&ports);
    return code;
}

/* Writes the path of the first message in the mailbox into `buffer`. */
static bool arrived(const struct demo *demo, char *buffer, size_t size)
{
    char folder[sizeof demo->maildir + 8];
    bool found = false;
    snprintf(folder, sizeof folder, "%s/new", demo->maildir);
    DIR *mailbox = opendir(folder);
    if (mailbox == NULL)
        return false;
    for (const struct dirent *entry; !found && (entry = readdir(mailbox)) != NULL;)
        found = entry->d_name[0] != '.' && snprintf(buffer, size, "%s/%s", folder, entry->d_name) < (int)size;
    closedir(mailbox);
    return found;
}

static void show_message(const struct demo *demo, const char *path)
{
    char line[1200];
    FILE *file = fopen(path, "re");
    fprintf(demo->out, "\nIt arrived: %s\n\n", path);
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        fprintf(demo->out, "    %s", line);
    if (file != NULL)
        fclose(file);
    fflush(demo->out);
}

static bool wait_for_message(const struct demo *demo, struct error *error)
{
    char path[1024];
    for (int waited = 0; waited < ARRIVAL_LIMIT_MS && told_to_stop == 0; waited += LOOK_MS) {
        if (arrived(demo, path, sizeof path)) {
            show_message(demo, path);
            return true;
        }
        wait_a_moment();
    }
    return told_to_stop != 0 ||
           error_set(error, EX_TEMPFAIL, "the message did not arrive; see %s", demo->log);
}

static void invite(const struct demo *demo)
{
    fprintf(demo->out,
            "\nNow send one with a program of your own, for example:\n\n"
            "  swaks --server localhost:10587 --tls --auth PLAIN --auth-user %s --auth-password %s --from %s "
            "--to %s\n\n"
            "^C ends it and removes %s\n",
            user, buffer_text(&demo->password), user, user, demo->folder);
    fflush(demo->out);
}

/* ---- the command ---- */

static int show(struct demo *demo, struct error *error)
{
    int exit_code = EX_OK;
    if (!make_folder(demo, error) || !write_config(demo, error) ||
        !subprocess_run(make_secrets, demo, NULL, error) || !start_server(demo, &exit_code, error) ||
        !secret_file_read("demo", demo->password_file, &demo->password, error))
        return exit_code;
    start_dovecot(demo);
    if (demo->json)
        print_json(demo);
    print_ports(demo);
    exit_code = send_message(demo);
    if (exit_code != EX_OK || !wait_for_message(demo, error))
        return exit_code;
    if (demo->once)
        return EX_OK;
    invite(demo);
    while (told_to_stop == 0 && waitpid(demo->server, NULL, WNOHANG) == 0)
        wait_a_moment();
    return EX_OK;
}

static int run(int argc, char **argv)
{
    static struct demo demo;
    struct arguments arguments;
    struct error error = {0};
    demo = (struct demo){.out = stdout, .open.descriptor = -1};
    const struct option_rule rules[] = {{OPTION_FLAG, "once", 0, &demo.once},
                                        {OPTION_FLAG, "json", 0, &demo.json},
                                        {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&demo_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (!options_arguments_fit(&demo_command, NULL, "", arguments.at, arguments.count))
        return EX_USAGE;
    demo.out = demo.json ? stderr : stdout;
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal}, NULL);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    int exit_code = show(&demo, &error);
    if (error.text[0] != '\0')
        exit_code = command_fail(&demo_command, &error);
    stop_dovecot(&demo);
    stop_server(&demo);
    remove_folder(&demo);
    buffer_wipe(&demo.password);
    return exit_code;
}

const struct command demo_command = {
    .name = "demo",
    .summary = "run a complete mail system on this machine, in a temporary directory",
    .help = "usage: mailboat demo [--once] [--json]\n"
            "\n"
            "Starts a server on loopback with a temporary data directory (10025 for port 25,\n"
            "10587 for 587, 10465 for 465, and 2525), makes a user, sends a message through\n"
            "the port that it selects, and shows it arriving. Stays up until ^C, then\n"
            "removes all it made.\n"
            "\n"
            "      --once   exits with 0 when the message is in the mailbox\n"
            "      --json   the first line of standard output has all that a program needs\n"
            "\n"
            "example: mailboat demo --once\n",
    .run = run,
};
