/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/sendmail/local_smtp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/message/address_list.h"
#include "core/smtp/address.h"
#include "core/smtp/reply.h"
#include "core/smtp/status.h"
#include "io/write.h"

enum { RUN_MAX = 32 * 1024, ANSWER_MS = 60 * 1000 };

static int call_server(const struct local_server *server, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(server->socket) >= sizeof address.sun_path) {
        error_set(error, EX_CONFIG, "%s is too long for a socket", server->socket);
        return -1;
    }
    memcpy(address.sun_path, server->socket, strlen(server->socket));
    int line = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (line >= 0 && connect(line, (struct sockaddr *)&address, sizeof address) == 0)
        return line;
    error_set_errno(error, EX_TEMPFAIL,
                    "cannot reach the server on this machine at %s; is `mailboat serve` running?",
                    server->socket);
    if (line >= 0)
        close(line);
    return -1;
}

/* ---- sendmail -bs ---- */

struct client_lines {
    bool known, lf_alone; /* the line end of the client's first line */
    bool after_cr;
};

/* Adds the client's input, with missing CRs. */
static void add_client(struct client_lines *lines, struct bytes said, struct buffer *out)
{
    for (size_t i = 0; i < said.length; i++) {
        char c = said.at[i];
        if (c == '\n' && !lines->known) {
            lines->known = true;
            lines->lf_alone = !lines->after_cr;
        }
        if (c == '\n' && lines->lf_alone && !lines->after_cr)
            buffer_add_octet(out, '\r');
        buffer_add_octet(out, c);
        lines->after_cr = c == '\r';
    }
}

static bool carry_in(int line, struct client_lines *lines)
{
    char run[RUN_MAX];
    struct buffer out = {0};
    ssize_t count = read(STDIN_FILENO, run, sizeof run);
    if (count <= 0) {
        shutdown(line, SHUT_WR);
        return false;
    }
    add_client(lines, bytes_of(run, (size_t)count), &out);
    bool done = write_all(line, buffer_bytes(&out));
    buffer_free(&out);
    return done;
}

static bool carry_out(int line)
{
    char run[RUN_MAX];
    ssize_t count = read(line, run, sizeof run);
    return count > 0 && write_all(STDOUT_FILENO, bytes_of(run, (size_t)count));
}

int local_smtp_smtp(const struct local_server *server, struct error *error)
{
    struct client_lines lines = {0};
    int line = call_server(server, error);
    if (line < 0) {
        write_all(STDOUT_FILENO,
                  BYTES("421 4.3.2 The mail server on this machine is not running; try again later\r\n"));
        return error->exit_code;
    }
    struct pollfd both[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = line, .events = POLLIN}};
    for (bool open = true; open;) {
        if (poll(both, 2, -1) < 0 && errno != EINTR)
            break;
        if (both[1].revents != 0)
            open = carry_out(line);
        if (open && both[0].revents != 0 && !carry_in(line, &lines))
            both[0].fd = -1; /* input has ended; the last replies still follow */
    }
    close(line);
    return EX_OK;
}

/* ---- sendmail -bv ---- */

/* Reads one reply; false if none came. Appends its text to `text`. */
static bool hear(int line, struct buffer *input, unsigned *code, struct buffer *text)
{
    struct smtp_reply reply;
    size_t used;
    enum reply_verdict verdict;
    while ((verdict = reply_parse(buffer_bytes(input), &reply, &used)) == REPLY_INCOMPLETE) {
        struct pollfd readable = {.fd = line, .events = POLLIN};
        ssize_t count = poll(&readable, 1, ANSWER_MS) > 0
                            ? read(line, buffer_reserve(input, RUN_MAX), RUN_MAX)
                            : 0;
        if (count <= 0)
            return false;
        buffer_written(input, (size_t)count);
    }
    if (verdict == REPLY_MALFORMED)
        return false;
    *code = reply.code;
    struct buffer words = {0};
    buffer_clear(text);
    reply_text(&words, &reply);
    status_add_said(text, reply.code, reply_enhanced(&reply), buffer_bytes(&words));
    buffer_free(&words);
    buffer_consume(input, used);
    return true;
}

struct smtp_dialog {
    int line;
    struct buffer input, said, text;
    unsigned code;
};

static bool ask(struct smtp_dialog *dialog, const char *command)
{
    buffer_clear(&dialog->said);
    buffer_add_format(&dialog->said, "%s\r\n", command);
    return write_all(dialog->line, buffer_bytes(&dialog->said)) &&
           hear(dialog->line, &dialog->input, &dialog->code, &dialog->text);
}

static bool greet(struct smtp_dialog *dialog)
{
    return hear(dialog->line, &dialog->input, &dialog->code, &dialog->text) && dialog->code == 220 &&
           ask(dialog, "EHLO localhost") && dialog->code == 250 && ask(dialog, "MAIL FROM:<> SMTPUTF8") &&
           dialog->code == 250;
}

static bool verify_one(struct smtp_dialog *dialog, struct bytes address, int *exit_code)
{
    struct address checked;
    struct buffer command = {0};
    bool fine = address_parse(address, true, &checked);
    buffer_add_format(&command, "RCPT TO:<%.*s>", BYTES_ARG(address));
    bool answered = !fine || ask(dialog, buffer_text(&command));
    buffer_free(&command);
    if (!answered)
        return false;
    bool taken = fine && dialog->code / 100 == 2;
    if (taken)
        printf("%.*s: deliverable\n", BYTES_ARG(address));
    else
        printf("%.*s: undeliverable: %s\n", BYTES_ARG(address),
               fine ? buffer_text(&dialog->text) : "not a mail address");
    if (!taken)
        *exit_code = EX_NOUSER;
    return true;
}

static bool verify_all(struct smtp_dialog *dialog, const char *domain, const char *const *addresses,
                       size_t count, int *exit_code)
{
    struct buffer scratch = {0};
    bool answered = greet(dialog);
    for (size_t i = 0; i < count && answered; i++) {
        struct bytes list = bytes_of_text(addresses[i]);
        struct address_list_entry mailbox;
        while (answered && address_list_next(&list, &scratch, &mailbox)) {
            if (address_list_is_bare(mailbox.address))
                buffer_add_format(&scratch, "@%s", domain);
            answered = verify_one(dialog, buffer_bytes(&scratch), exit_code);
        }
    }
    buffer_free(&scratch);
    return answered;
}

int local_smtp_verify(const struct local_server *server, const char *const *addresses, size_t count,
                      struct error *error)
{
    int exit_code = EX_OK;
    struct smtp_dialog dialog = {.line = call_server(server, error)};
    if (dialog.line < 0)
        return error->exit_code;
    if (!verify_all(&dialog, server->domain, addresses, count, &exit_code)) {
        error_set(error, EX_TEMPFAIL, "the server on this machine does not answer");
        exit_code = EX_TEMPFAIL;
    }
    close(dialog.line);
    buffer_free(&dialog.input);
    buffer_free(&dialog.said);
    buffer_free(&dialog.text);
    return exit_code;
}
