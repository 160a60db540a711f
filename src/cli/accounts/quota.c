/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/accounts/quota.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/count.h"
#include "cli/accounts/account_client.h"
#include "cli/options.h"
#include "core/message/quota_warning.h"
#include "core/queue/queue_id.h"
#include "core/text/quantity.h"
#include "io/clock.h"
#include "run/data_dir.h"
#include "service/local/quota_batch.h"
#include "service/quotas.h"
#include "service/services.h"

/* A mailbox and its usage. */
struct mailbox_usage {
    struct arena arena;
    struct bytes address; /* canonical; empty: not a user's */
    uint64_t limit;       /* octets; 0: none */
    bool own;             /* set in the account, not by default */
    struct maildirsize size;
};

/* Opens it permanently as the owner of the mailboxes, also if root calls. */
static int open_mail(const struct config *config, struct error *error)
{
    struct process_user owner;
    int folder = data_dir_open_folder(config, &local_service, &owner, error);
    if (folder < 0 || geteuid() != 0 || users_become(owner, error))
        return folder;
    close(folder);
    return -1;
}

static void note_account(void *owner, const char *const *columns, size_t count)
{
    struct mailbox_usage *found = owner;
    found->address = arena_copy(&found->arena, bytes_of_text(columns[0]));
    found->own = columns[1] != NULL && bytes_to_u64(bytes_of_text(columns[1]), UINT64_MAX, &found->limit);
}

/* Counts the messages, for an exact result; only reads. */
static bool look(const struct config *config, const char *address, struct mailbox_usage *found,
                 struct error *error)
{
    char mailbox[MAILDIR_PATH_MAX];
    found->limit = config->mailboxes.quota;
    if (!account_client_each(config, LIST_ACCOUNT, bytes_of_text(address), note_account, found, error))
        return false;
    if (found->address.length == 0)
        return error_set(error, EX_NOUSER, "no user %.100s", address);
    int folder = open_mail(config, error);
    if (folder < 0)
        return false;
    errno = maildir_path(found->address, mailbox, sizeof mailbox)
                ? maildirsize_count(folder, mailbox, found->limit, false, &found->size)
                : EINVAL;
    bool counted = errno == 0 || error_set_errno(error, errno == EACCES ? EX_NOPERM : EX_IOERR,
                                                 "cannot look into the mailbox of %.100s", address);
    close(folder);
    return counted;
}

static void print_words(const struct mailbox_usage *found)
{
    struct buffer text = {0};
    buffer_add_format(&text, "%.*s: holds ", BYTES_ARG(found->address));
    quota_warning_add_size(&text, found->size.octets);
    buffer_add_format(&text, " in %s", COUNT_OF(found->size.messages, "message"));
    if (found->limit == 0) {
        buffer_add_text(&text, ", without a quota");
    } else {
        buffer_add_text(&text, " of ");
        quota_warning_add_size(&text, found->limit);
        buffer_add_format(&text, ": %u %%", quota_warning_percent(found->size.octets, found->limit));
    }
    printf("%s (%s)\n", buffer_text(&text), found->own ? "its own quota" : "mailboxes.quota, as all");
    buffer_free(&text);
}

static void print_json(const struct mailbox_usage *found)
{
    struct json_t *facts = json_pack(
        "{s:s%, s:I, s:I, s:o, s:o, s:b}", "address", found->address.at, found->address.length, "octets",
        (json_int_t)found->size.octets, "messages", (json_int_t)found->size.messages, "quota",
        found->limit == 0 ? json_null() : json_integer((json_int_t)found->limit), "percent",
        found->limit == 0 ? json_null()
                          : json_integer(quota_warning_percent(found->size.octets, found->limit)),
        "own", found->own);
    json_dumpf(facts, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(facts);
}

/* *octets: NULL for the configured default. */
static bool read_wish(const char *size, uint64_t *capacity, const uint64_t **octets, struct error *error)
{
    *octets = NULL;
    if (strcmp(size, "default") == 0)
        return true;
    *octets = capacity;
    *capacity = 0;
    if (strcmp(size, "off") == 0 || strcmp(size, "none") == 0)
        return true;
    return (quantity_size(bytes_of_text(size), capacity) && *capacity > 0 &&
            *capacity <= ACCOUNT_QUOTA_MAX) ||
           error_set(error, EX_USAGE,
                     "'%.40s' is not a quota; use a size such as 500MiB or 1GiB, off, or default", size);
}

int quota_command(const struct command *command, const char *config_file, const char *address,
                  const char *size, bool json)
{
    struct config config;
    struct error error = {0};
    struct mailbox_usage found = {0};
    int exit_code = EX_OK;
    uint64_t capacity = 0;
    const uint64_t *octets = NULL;
    if (size != NULL && !read_wish(size, &capacity, &octets, &error))
        return command_fail(command, &error);
    if (!options_config(command, config_file, &config, &exit_code))
        return exit_code;
    const struct ipc_account_change asked = {.verb = ACCOUNT_USER_QUOTA,
                                             .name = bytes_of_text(address),
                                             .octets = capacity,
                                             .flag = octets != NULL};
    bool done = (size == NULL || account_client_change(&config, &asked, NULL, &error)) &&
                look(&config, address, &found, &error);
    if (!done)
        exit_code = command_fail(command, &error);
    else if (json)
        print_json(&found);
    else
        print_words(&found);
    arena_clear(&found.arena);
    config_free(&config);
    return exit_code;
}

/* ---- warnings ---- */

static bool put_warning(int folder, const struct config *config, const char *address, unsigned mark,
                        const struct mailbox_usage *found)
{
    struct maildir maildir;
    struct buffer content = {0}, message_id = {0};
    char id[QUEUE_ID_TEXT_LENGTH + 1], mailbox[MAILDIR_PATH_MAX];
    uint64_t now_ms = clock_epoch_ms(), number = clock_epoch_us();
    queue_id_text(number, id);
    buffer_add_format(&message_id, "%s.full%u@%s", id, mark, config->hostname);
    struct quota_warning warning = {.user = bytes_of_text(address),
                                    .octets = found->size.octets,
                                    .limit = found->limit,
                                    .message_id = buffer_bytes(&message_id),
                                    .date_ms = now_ms};
    quota_warning_compose(&content, &warning);
    maildir_start(&maildir, folder, config->hostname);
    struct maildir_message m = {.id = number,
                                .arrived_ms = now_ms,
                                .address = warning.user,
                                .content = buffer_bytes(&content),
                                .file = -1,
                                .mark = mark};
    size_t at = maildir_write(&maildir, &m);
    maildir_sync(&maildir);
    bool done = maildir.entries[at].error == 0;
    errno = maildir.entries[at].error;
    if (done && maildir_path(warning.user, mailbox, sizeof mailbox))
        maildirsize_add(folder, mailbox, maildir.entries[at].octets, 1);
    maildir_free(&maildir);
    buffer_free(&content);
    buffer_free(&message_id);
    return done;
}

/* As the owner of the mailboxes, who may read the quotas, not the accounts. */
static bool warn(const struct config *config, const char *address, unsigned mark, struct error *error)
{
    struct quotas quotas = {0};
    struct mailbox_usage found = {0};
    char mailbox[MAILDIR_PATH_MAX];
    if (!users_become(data_dir_user(config, &local_service), error) ||
        !quotas_open(&quotas, config, 0, error))
        return false;
    int folder = open_mail(config, error);
    bool known = folder >= 0 && quotas_look(&quotas) &&
                 maildir_path(bytes_of_text(address), mailbox, sizeof mailbox) &&
                 faccessat(folder, mailbox, F_OK, 0) == 0;
    found.limit = quotas_of(&quotas, bytes_of_text(address));
    bool done = true;
    if (known && found.limit > 0 && maildirsize_read(folder, mailbox, found.limit, &found.size) == 0 &&
        quota_warning_percent(found.size.octets, found.limit) >= mark)
        done = put_warning(folder, config, address, mark, &found) ||
               error_set_errno(error, EX_TEMPFAIL, "cannot warn %.100s", address);
    if (folder >= 0)
        close(folder);
    quotas_close(&quotas);
    return done && folder >= 0;
}

int quota_warn(const struct command *command, const char *config_file, const char *percent,
               const char *address)
{
    struct config config;
    struct error error = {0};
    int exit_code = EX_OK;
    uint64_t mark;
    if (!bytes_to_u64(bytes_of_text(percent), 100, &mark) || mark == 0)
        return command_usage(command, "'%.20s' is not a percentage", percent);
    if (!options_config(command, config_file, &config, &exit_code))
        return exit_code;
    if (!warn(&config, address, (unsigned)mark, &error))
        exit_code = command_fail(command, &error);
    config_free(&config);
    return exit_code;
}
