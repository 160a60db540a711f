/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/ports/health.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/count.h"
#include "base/memory.h"
#include "cli/accounts/account_client.h"
#include "cli/setup/dovecot.h"
#include "core/message/quota_warning.h"
#include "run/data_dir.h"
#include "service/local/lmtp.h"
#include "service/local/maildir.h"
#include "service/local/maildirsize.h"
#include "service/services.h"
#include "store/accounts.h"

enum { ANSWER_MS = 3000, USER_QUOTA = 6 /* of LIST_USERS' columns */ };

const char *health_state_name(const struct health_item *item)
{
    static const char *const words[] = {[HEALTH_FINE] = "ok", [HEALTH_WORRY] = "warn", [HEALTH_ILL] = "fail"};
    return words[item->how];
}

const char *health_former_name(const struct health_item *item)
{
    static const char *const words[] = {
        [HEALTH_FINE] = "fine", [HEALTH_WORRY] = "look", [HEALTH_ILL] = "mend"};
    return words[item->how];
}

void health_note(struct health *health, enum health_state how, const char *what, const char *words,
                 const char *hint)
{
    if (health->count == health->capacity) {
        health->capacity = health->capacity == 0 ? 32 : 2 * health->capacity;
        health->items = memory_resize(health->items, health->capacity * sizeof *health->items);
    }
    health->items[health->count++] = (struct health_item){how, what, words, hint};
}

/* ---- ports ---- */

/* Returns NULL if a server accepts the connection, else the reason. `connected_socket` NULL: closes it. */
static const char *connect_to(const struct sockaddr_storage *to, socklen_t length, int *connected_socket)
{
    int descriptor = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), problem = 0;
    socklen_t size = sizeof problem;
    if (descriptor < 0)
        return "cannot be asked";
    bool connected = connect(descriptor, (const struct sockaddr *)to, length) == 0;
    if (!connected && errno == EINPROGRESS) {
        struct pollfd ready = {.fd = descriptor, .events = POLLOUT};
        problem = poll(&ready, 1, ANSWER_MS) == 1 ? 0 : ETIMEDOUT;
        if (problem == 0)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &problem, &size);
    } else if (!connected) {
        problem = errno;
    }
    if (problem == 0 && connected_socket != NULL)
        *connected_socket = descriptor;
    else
        close(descriptor);
    return problem == 0                                   ? NULL
           : problem == ECONNREFUSED || problem == ENOENT ? "no server listens"
                                                          : strerror(problem);
}

const char *health_connect(const char *address, uint16_t port, int *descriptor)
{
    struct sockaddr_storage to = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)&to;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&to;
    bool any = address == NULL || strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0 ||
               strcmp(address, "*") == 0;
    socklen_t length = sizeof *four;
    if (inet_pton(AF_INET, any ? "127.0.0.1" : address, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
    } else if (inet_pton(AF_INET6, address, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        length = sizeof *six;
    }
    return connect_to(&to, length, descriptor);
}

static void examine_lmtp(struct health *health, const struct config *config)
{
    struct sockaddr_storage to;
    socklen_t length = lmtp_address(config, &to);
    const char *why = connect_to(&to, length, NULL);
    health_note(
        health, why == NULL ? HEALTH_FINE : HEALTH_ILL, "LMTP server", why == NULL ? "answers" : why,
        why == NULL
            ? NULL
            : arena_format(&health->arena,
                           "mail is deferred until one listens at %s: mailboat mailboxes setup --start",
                           config->mailboxes.lmtp));
}

static void examine_ports(struct health *health, const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *l = &config->listeners[i];
        const char *why = health_connect(l->address, l->port, NULL);
        health_note(health, why == NULL ? HEALTH_FINE : HEALTH_ILL,
                    arena_format(&health->arena, "port %u", (unsigned)l->port), why == NULL ? "answers" : why,
                    why == NULL ? NULL : "start the server: systemctl start mailboat, or mailboat serve");
    }
    if (config->mailboxes.deliver == DELIVER_LMTP)
        examine_lmtp(health, config);
    if (!dovecot_is_set_up(config))
        return;
    const struct {
        const char *name;
        uint16_t port;
    } reading[] = {{"imap", config->mailboxes.imap},
                   {"imaps", config->mailboxes.imaps},
                   {"pop3", config->mailboxes.pop3},
                   {"pop3s", config->mailboxes.pop3s}};
    for (size_t i = 0; i < ARRAY_LENGTH(reading); i++) {
        const char *why = reading[i].port == 0
                              ? NULL
                              : health_connect(config->mailboxes.address, reading[i].port, NULL);
        if (reading[i].port != 0)
            health_note(health, why == NULL ? HEALTH_FINE : HEALTH_ILL,
                        arena_format(&health->arena, "port %u", (unsigned)reading[i].port),
                        why == NULL ? arena_format(&health->arena, "answers (%s)", reading[i].name) : why,
                        why == NULL ? NULL : "start Dovecot: mailboat mailboxes setup --start");
    }
}

/* ---- exceptions ---- */

/* Exceptions are named, so that they are not forgotten. */
static void examine_exceptions(struct health *health, const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *l = &config->listeners[i];
        for (size_t k = 0; k < l->old_tls_count; k++)
            health_note(
                health, HEALTH_FINE, arena_format(&health->arena, "old TLS, port %u", (unsigned)l->port),
                arena_format(&health->arena, "%s may use TLS 1.0 and 1.1 there", l->old_tls[k]), NULL);
    }
    for (size_t i = 0; i < config->relay.domain_count; i++) {
        const struct config_relay_domain *relayed = &config->relay.domains[i];
        bool nobody = relayed->accepted_count == 0;
        health_note(health, nobody ? HEALTH_WORRY : HEALTH_FINE,
                    arena_format(&health->arena, "relay %s", relayed->domain),
                    arena_format(&health->arena, "mail for %s is passed on to its server",
                                 COUNT_OF(relayed->accepted_count, "address")),
                    nobody ? arena_format(&health->arena, "list its addresses in %s",
                                          relayed->recipients_file != NULL ? relayed->recipients_file
                                                                           : "relay.domains")
                           : NULL);
    }
}

/* ---- the machine ---- */

static void examine_clock(struct health *health)
{
    struct timex clock = {0};
    int state = adjtimex(&clock);
    if (state == TIME_ERROR || (clock.status & STA_UNSYNC) != 0)
        health_note(health, HEALTH_WORRY, "clock", "not synchronized",
                    "enable systemd-timesyncd or chrony: a wrong clock breaks TLS and message dates");
    else if (state >= 0)
        health_note(health, HEALTH_FINE, "clock", "is synchronized", NULL);
}

/* Names who may send on port 25 without signing in. */
static void examine_trusted(struct health *health, const struct config *config)
{
    struct buffer list = {0};
    for (size_t i = 0; i < config->submission.trusted_count; i++)
        buffer_add_format(&list, "%s%s", i == 0 ? "" : ", ", config->submission.trusted[i]);
    if (config->submission.trusted_count == 0)
        health_note(health, HEALTH_FINE, "trusted programs",
                    "none: programs must sign in, or call sendmail (submission.trusted)", NULL);
    else
        health_note(
            health, HEALTH_FINE, "trusted programs",
            arena_format(&health->arena, "send on port 25 without signing in from %s", buffer_text(&list)),
            "no proxy, tunnel or container bridge may have such an address: its clients could relay");
    buffer_free(&list);
}

/* Checks the owner of the data directory, and the users of the server's processes. */
static void examine_owners(struct health *health, const struct config *config)
{
    struct error error = {0};
    struct buffer warning = {0};
    bool fine = users_settle(config->user, &warning, &error) && data_dir_check(config, services, &error);
    if (!fine)
        health_note(health, HEALTH_ILL, "owners", arena_format(&health->arena, "%s", error.text), NULL);
    if (warning.length > 0)
        health_note(health, HEALTH_WORRY, "users", arena_text(&health->arena, buffer_bytes(&warning)),
                    USERS_HINT);
    buffer_free(&warning);
}

static void examine_disk(struct health *health, const struct config *config)
{
    struct statvfs facts;
    if (statvfs(config->data_dir, &facts) != 0) {
        health_note(health, HEALTH_ILL, "data directory",
                    arena_format(&health->arena, "%s: %s", config->data_dir, strerror(errno)),
                    "start the server once: it creates the directory");
        return;
    }
    unsigned long long free_mib = (unsigned long long)facts.f_bavail * facts.f_frsize >> 20;
    unsigned long long percent = facts.f_blocks == 0
                                     ? 100
                                     : (unsigned long long)facts.f_bavail * 100 / facts.f_blocks;
    unsigned long long files = facts.f_files == 0 ? 100
                                                  : (unsigned long long)facts.f_favail * 100 / facts.f_files;
    const char *words = arena_format(&health->arena, "%llu MiB free in %s (%llu%%), %llu%% of its inodes",
                                     free_mib, config->data_dir, percent, files);
    if (free_mib < DISK_WARN_MIB || files == 0)
        health_note(health, HEALTH_ILL, "disk", words,
                    "free disk space: no mail is accepted while the disk is full");
    else if (percent < DISK_WARN_PERCENT || files < DISK_WARN_PERCENT)
        health_note(health, HEALTH_WORRY, "disk", words, "free disk space soon");
    else
        health_note(health, HEALTH_FINE, "disk", words, NULL);
}

/* ---- mailboxes ---- */

struct mailboxes_look {
    struct health *health;
    const struct config *config;
    int folder;
    struct process_user owner;
    size_t full;
};

/* Reads the usage file only: counts nothing, and skips mailboxes without one. */
static void examine_mailbox(void *owner, const char *const *columns, size_t count)
{
    struct mailboxes_look *look = owner;
    struct maildirsize size;
    char mailbox[MAILDIR_PATH_MAX];
    uint64_t limit = look->config->mailboxes.quota;
    if (columns[USER_QUOTA] != NULL && !bytes_to_u64(bytes_of_text(columns[USER_QUOTA]), UINT64_MAX, &limit))
        return;
    if (limit == 0 || !maildir_path(bytes_of_text(columns[0]), mailbox, sizeof mailbox) ||
        !users_borrow(look->owner)) /* root does not own the mailboxes */
        return;
    bool known = maildirsize_peek(look->folder, mailbox, limit, &size);
    users_return();
    if (!known)
        return;
    unsigned percent = quota_warning_percent(size.octets, limit);
    if (percent < QUOTA_WARNING_LAST || look->full++ >= FULL_MAILBOXES_NAMED)
        return;
    struct arena *arena = &look->health->arena;
    health_note(
        look->health, HEALTH_WORRY, arena_format(arena, "mailbox of %s", columns[0]),
        arena_format(arena, "is %u%% full", percent),
        arena_format(
            arena,
            "a full mailbox accepts no mail: have its user delete some, or: mailboat user quota %s SIZE",
            columns[0]));
}

static void examine_mailboxes(struct health *health, const struct config *config)
{
    struct error error;
    struct mailboxes_look look = {.health = health, .config = config};
    look.folder = data_dir_open_folder(config, &local_service, &look.owner, &error);
    if (look.folder >= 0)
        account_client_look(config, LIST_USERS, examine_mailbox, &look, &error);
    if (look.full > FULL_MAILBOXES_NAMED)
        health_note(
            health, HEALTH_WORRY, "mailboxes",
            arena_format(&health->arena, "%zu more are nearly full", look.full - FULL_MAILBOXES_NAMED),
            "mailboat user quota ADDRESS shows each");
    if (look.folder >= 0)
        close(look.folder);
}

void health_examine(struct health *health, const struct config *config)
{
    examine_ports(health, config);
    examine_exceptions(health, config);
    health_certificate_examine(health, config);
    examine_clock(health);
    examine_trusted(health, config);
    examine_owners(health, config);
    examine_disk(health, config);
    examine_mailboxes(health, config);
    health_trust_examine(health, config);
    health_keys_examine(health, config);
    health_domains_examine(health, config);
}

void health_free(struct health *health)
{
    arena_clear(&health->arena);
    free(health->items);
    *health = (struct health){.items = NULL};
}
