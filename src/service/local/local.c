/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local: the process that delivers into mailboxes. All messages of a turn are written, then synced
 * together, then answered; or passed to another program's LMTP server, if configured. A mailbox accepts no
 * more than its quota (quotas.h), and its user is warned before.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/client/client_session.h"
#include "core/message/quota_warning.h"
#include "core/queue/queue_id.h"
#include "io/clock.h"
#include "io/folder_owners.h"
#include "io/log.h"
#include "io/random.h"
#include "run/child.h"
#include "service/accounts_version.h"
#include "service/local/lmtp.h"
#include "service/local/maildir.h"
#include "service/local/over_quota_list.h"
#include "service/local/quota_batch.h"
#include "service/over_quota_table.h"
#include "service/quotas.h"
#include "service/services.h"
#include "store/accounts.h"

/* A delivery whose answer waits for the sync. If it has more recipients than a batch, some results are
 * known earlier. */
struct arrival {
    struct channel *from; /* NULL: queue is gone, and will request the delivery again */
    uint64_t delivery;
    struct delivery_result *results;
    size_t result_count;
    struct arena texts; /* of results */
    struct arrival *next;
};

/* The result that belongs to an entry of the batch. */
struct local_place {
    struct arrival *arrival;
    size_t result;
    struct quota_batch_page *page;
    uint64_t id, arrived_ms;
};

struct local {
    struct child *child;
    struct lmtp lmtp; /* with mailboxes.deliver: lmtp; otherwise the following */
    bool by_lmtp;
    bool reads_mailboxes; /* the LMTP server is the Dovecot that serves our mailboxes: it finds Junk there */
    struct maildir maildir;
    struct quotas quotas;
    struct quota_batch quota_batch;
    bool quotas_unreadable; /* already logged */
    const struct accounts_version *accounts_version;
    struct over_quota_list over_quota_list;
    struct local_place places[MAILDIR_BATCH_MAX];
    struct arrival *arrivals, **arrivals_end;
    int folder;
};

static struct local here; /* one per process */

/* The reason that the system gave, and whose folder it was. */
static struct bytes error_text(const struct local *local, struct arrival *arrival,
                               const struct maildir_entry *entry)
{
    char *text = arena_take(&arrival->texts, FOLDER_OWNERS_TEXT_SIZE), shown[FOLDER_PATH_MAX];
    snprintf(shown, sizeof shown, "%.3000s/mail", local->child->config->data_dir);
    return bytes_of_text(folder_owners_explain(local->folder, shown, entry->new, entry->error, text));
}

static struct delivery_result result_of(const struct local *local, struct arrival *arrival,
                                        const struct maildir_entry *entry)
{
    if (entry->error == 0)
        return (struct delivery_result){.outcome = OUTCOME_DELIVERED,
                                        .step = STEP_DATA,
                                        .enhanced = BYTES("2.0.0"),
                                        .text = entry->again       ? BYTES("was in the mailbox already")
                                                : entry->in_folder ? BYTES("in the Junk folder")
                                                                   : BYTES("in the mailbox")};
    if (entry->error == EOVERFLOW)
        return (struct delivery_result){.outcome = OUTCOME_FAILED,
                                        .step = STEP_DATA,
                                        .enhanced = BYTES("5.2.2"),
                                        .text = BYTES("mailbox full (over quota)")};
    if (entry->error == ENOSPC || entry->error == EDQUOT || entry->error == EFBIG)
        return (struct delivery_result){.outcome = OUTCOME_DEFERRED,
                                        .step = STEP_DATA,
                                        .enhanced = BYTES("4.3.1"),
                                        .text = BYTES("no space left on the mail disk")};
    if (entry->error == EINVAL)
        return (struct delivery_result){.outcome = OUTCOME_FAILED,
                                        .step = STEP_RCPT,
                                        .enhanced = BYTES("5.1.3"),
                                        .text = BYTES("not a mailbox address")};
    return (struct delivery_result){.outcome = OUTCOME_DEFERRED,
                                    .step = STEP_DATA,
                                    .enhanced = BYTES("4.3.0"),
                                    .text = error_text(local, arrival, entry)};
}

/* Adds the warning for a message that arrived. It ignores the limit: otherwise no user would be warned. */
static void write_warning(struct local *local, const struct quota_batch_page *page, unsigned mark)
{
    struct buffer content = {0}, message_id = {0};
    char id[QUEUE_ID_TEXT_LENGTH + 1];
    queue_id_text(page->last_id, id);
    buffer_add_format(&message_id, "%s.full%u@%s", id, mark, local->child->config->hostname);
    struct quota_warning warning = {.user = bytes_of_text(page->address),
                                    .octets = page->had.octets + page->arrived,
                                    .limit = page->limit,
                                    .message_id = buffer_bytes(&message_id),
                                    .date_ms = clock_epoch_ms()};
    quota_warning_compose(&content, &warning);
    struct maildir_message m = {.id = page->last_id,
                                .arrived_ms = page->last_ms,
                                .address = warning.user,
                                .content = buffer_bytes(&content),
                                .file = -1,
                                .mark = mark};
    maildir_write(&local->maildir, &m);
    buffer_free(&content);
    buffer_free(&message_id);
    log_event(LOG_EVENT_WARN, "quota_warning", LOG_ID(page->last_id), LOG_BYTES("to", warning.user),
              LOG_U64("bytes", warning.octets), LOG_U64("limit", page->limit),
              LOG_U64("percent", quota_warning_percent(warning.octets, page->limit)));
}

/* Delivers one more batch, only with warnings, which are best effort. */
static void warn_users(struct local *local)
{
    struct quota_batch_page *warned[MAILDIR_BATCH_MAX];
    for (size_t i = 0; i < local->quota_batch.count; i++) {
        struct quota_batch_page *page = &local->quota_batch.pages[i];
        unsigned mark = quota_batch_passed(&local->quota_batch, page);
        if (mark == 0)
            continue;
        warned[local->maildir.count] = page;
        write_warning(local, page, mark);
    }
    if (local->maildir.count == 0)
        return;
    maildir_sync(&local->maildir);
    for (size_t i = 0; i < local->maildir.count; i++)
        if (local->maildir.entries[i].error == 0 && !local->maildir.entries[i].again)
            quota_batch_arrived(warned[i], local->maildir.entries[i].octets, warned[i]->last_id,
                                warned[i]->last_ms);
    maildir_clear(&local->maildir);
}

static void sync_batch(struct local *local)
{
    maildir_sync(&local->maildir);
    for (size_t i = 0; i < local->maildir.count; i++) {
        const struct maildir_entry *entry = &local->maildir.entries[i];
        const struct local_place *place = &local->places[i];
        place->arrival->results[place->result] = result_of(local, place->arrival, entry);
        if (entry->error == 0 && !entry->again && place->page != NULL)
            quota_batch_arrived(place->page, entry->octets, place->id, place->arrived_ms);
    }
    maildir_clear(&local->maildir);
    warn_users(local);
    quota_batch_close(&local->quota_batch);
}

/* Checks the quota. Reports to smtpd which mailboxes are full, and which have space again. */
static bool admit(struct local *local, struct quota_batch_page *page, struct maildir_entry *entry)
{
    struct bytes user = bytes_of_text(page->address);
    bool admitted = quota_batch_admits(&local->quota_batch, page, entry->octets);
    if (admitted)
        over_quota_list_remove(&local->over_quota_list, user);
    else if (quota_batch_is_full(page))
        over_quota_list_add(&local->over_quota_list, user);
    return admitted || maildir_has(&local->maildir, entry);
}

/* Adds one recipient to the batch. A file left by an earlier attempt has already passed the quota check. */
static void put(struct local *local, struct arrival *arrival, size_t result, const struct maildir_message *m)
{
    if (maildir_is_full(&local->maildir))
        sync_batch(local);
    size_t at = maildir_write(&local->maildir, m);
    struct maildir_entry *entry = &local->maildir.entries[at];
    struct quota_batch_page *page = entry->error != 0
                                        ? NULL
                                        : quota_batch_page(&local->quota_batch, m->address,
                                                           quotas_of(&local->quotas, m->address));
    if (page != NULL && !admit(local, page, entry))
        maildir_refuse(entry, page->error != 0 ? page->error : EOVERFLOW);
    local->places[at] = (struct local_place){
        .arrival = arrival, .result = result, .page = page, .id = m->id, .arrived_ms = m->arrived_ms};
}

/* Once per turn, before its deliveries. */
static void look_at_quotas(struct local *local)
{
    /* first: a quota changed meanwhile belongs to another version */
    local->over_quota_list.version = accounts_version_read(local->accounts_version);
    bool unreadable = !quotas_look(&local->quotas);
    if (unreadable && !local->quotas_unreadable)
        log_event(LOG_EVENT_ERROR, "quotas_unreadable", LOG_TEXT("file", local->quotas.folder),
                  LOG_TEXT("error", strerror(errno)),
                  LOG_TEXT("hint", "any mailboat user quota command rewrites it"));
    local->quotas_unreadable = unreadable;
}

static struct arrival *remember(struct local *local, struct channel *from, const struct ipc_deliver *deliver)
{
    struct arrival *arrival = memory_new(sizeof *arrival);
    size_t count = deliver->envelope.recipient_count;
    *arrival = (struct arrival){.from = from,
                                .delivery = deliver->delivery,
                                .result_count = count,
                                .results = memory_new((count + 1) * sizeof(struct delivery_result))};
    *local->arrivals_end = arrival;
    local->arrivals_end = &arrival->next;
    return arrival;
}

static bool is_junk(const struct ipc_deliver *deliver)
{
    return deliver->disposition == DISPOSITION_JUNK;
}

static const char *folder_of(const struct local *local, const struct ipc_deliver *deliver)
{
    return is_junk(deliver) ? local->child->config->trust.junk_folder : NULL;
}

/* Delivers by LMTP; mailboxes that the LMTP server cannot address are delivered here. */
static void deliver_by_lmtp(struct local *local, struct channel *from, const struct ipc_deliver *deliver,
                            int attached)
{
    struct arrival odd = {
        .results = memory_new(deliver->envelope.recipient_count * sizeof(struct delivery_result))};
    struct maildir_message m = {.id = deliver->id,
                                .arrived_ms = deliver->arrived_ms,
                                .sender = deliver->envelope.sender,
                                .prefix = deliver->prefix,
                                .content = deliver->content,
                                .folder = folder_of(local, deliver),
                                .file = attached};
    for (size_t i = 0; i < deliver->envelope.recipient_count; i++) {
        m.address = deliver->envelope.recipients[i].address;
        m.original = deliver->envelope.recipients[i].original;
        if (lmtp_can_name(m.address))
            continue;
        put(local, &odd, i, &m);
    }
    sync_batch(local); /* keeps nothing of the batch */
    lmtp_deliver(&local->lmtp, from, deliver, odd.results, attached);
    arena_clear(&odd.texts);
}

static void local_message(struct child *child, struct channel *from, enum ipc_kind kind,
                          union ipc_message *message, int attached)
{
    struct local *local = child->service_data;
    const struct ipc_deliver *deliver = &message->deliver;
    if (kind == IPC_DELIVER && !child_has_content(child, from, deliver, attached))
        return;
    if (kind == IPC_DELIVER && local->maildir.count == 0)
        look_at_quotas(local);
    if (kind == IPC_DELIVER && local->by_lmtp && !(is_junk(deliver) && local->reads_mailboxes)) {
        deliver_by_lmtp(local, from, deliver, attached);
        return;
    }
    if (kind == IPC_DELIVER) {
        struct arrival *arrival = remember(local, from, deliver);
        struct maildir_message m = {.id = deliver->id,
                                    .arrived_ms = deliver->arrived_ms,
                                    .sender = deliver->envelope.sender,
                                    .prefix = deliver->prefix,
                                    .content = deliver->content,
                                    .folder = folder_of(local, deliver),
                                    .file = attached};
        for (size_t i = 0; i < arrival->result_count; i++) {
            m.address = deliver->envelope.recipients[i].address;
            m.original = deliver->envelope.recipients[i].original;
            put(local, arrival, i, &m);
        }
    }
    if (attached >= 0)
        close(attached);
}

static void local_turn(struct child *child)
{
    struct local *local = child->service_data;
    sync_batch(local);
    while (local->arrivals != NULL) {
        struct arrival *arrival = local->arrivals;
        struct ipc_deliver_answer answer = {.delivery = arrival->delivery,
                                            .results = arrival->results,
                                            .result_count = arrival->result_count};
        if (arrival->from != NULL)
            child_send(child, arrival->from, IPC_DELIVER_ANSWER, &answer, -1);
        local->arrivals = arrival->next;
        free(arrival->results);
        arena_clear(&arrival->texts);
        free(arrival);
    }
    local->arrivals_end = &local->arrivals;
}

static void local_peer_lost(struct child *child, struct channel *peer)
{
    struct local *local = child->service_data;
    for (struct arrival *arrival = local->arrivals; arrival != NULL; arrival = arrival->next)
        if (arrival->from == peer)
            arrival->from = NULL;
    if (local->by_lmtp)
        lmtp_peer_lost(&local->lmtp, peer);
}

static bool local_open(struct child *child, struct error *error)
{
    struct local *local = &here;
    *local = (struct local){.child = child};
    local->arrivals_end = &local->arrivals;
    child->service_data = local;
    local->by_lmtp = child->config->mailboxes.deliver == DELIVER_LMTP;
    local->reads_mailboxes = lmtp_is_own(child->config);
    /* DATA/mail can be a link to another disk, and an LMTP socket anywhere */
    child->paths->keeps_root = true;
    local->accounts_version = child_shared(child, &accounts_version_memory);
    return true;
}

static bool local_open_own(struct child *child, struct error *error)
{
    static char path[4096];
    struct local *local = child->service_data;
    if (snprintf(path, sizeof path, "%s/mail", child->config->data_dir) >= (int)sizeof path)
        return error_set(error, EX_CONFIG, "data_dir is too long");
    local->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (local->folder < 0)
        return error_set_errno(error, EX_NOINPUT, "cannot open %s", path);
    sandbox_allow(child->paths, path, true);
    if (local->by_lmtp)
        lmtp_allow(child->config, child->paths);
    if (!quotas_open(&local->quotas, child->config, random_u64(), error))
        return false;
    sandbox_allow(child->paths, local->quotas.folder, false);
    /* the new configuration may give them larger quotas */
    over_quota_table_clear(child_shared(child, &over_quota_memory));
    maildir_start(&local->maildir, local->folder, child->config->hostname);
    quota_batch_start(&local->quota_batch, local->folder);
    return true;
}

static bool local_start(struct child *child, struct error *error)
{
    struct local *local = child->service_data;
    over_quota_list_start(&local->over_quota_list, child->loop, child_shared(child, &over_quota_memory),
                          &local->quotas, local->folder);
    if (local->by_lmtp)
        lmtp_start(&local->lmtp, child, &local->over_quota_list);
    return true;
}

static void local_drain(struct child *child, bool quick)
{
    struct local *local = child->service_data;
    child_deafen(child);
    if (local->by_lmtp) {
        lmtp_drain(&local->lmtp);
        return;
    }
    local_turn(child); /* nothing is left over between turns */
    child_exit(child, EX_OK);
}

const struct service local_service = {
    .role = PROCESS_LOCAL,
    .stop = STOP_DELIVERY,
    .keeps = SANDBOX_READS_FILES | SANDBOX_WRITES_FILES | SANDBOX_CALLS_ONE,
    .folder = "mail",
    .folder_hint = "where Dovecot serves the mailboxes: mailboat mailboxes setup --start",
    .shares = {{&over_quota_memory, false}, {&accounts_version_memory, true}},
    .open = local_open,
    .open_own = local_open_own,
    .start = local_start,
    .on_message = local_message,
    .on_turn = local_turn,
    .on_peer_lost = local_peer_lost,
    .on_drain = local_drain,
};
