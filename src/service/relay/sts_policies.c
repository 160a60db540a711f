/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/relay/sts_policies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/folder.h"
#include "io/log.h"
#include "io/random.h"
#include "io/read.h"
#include "io/write.h"

static const char file_name[] = "mta-sts", fresh_name[] = "mta-sts.new";

/* Cached facts of a domain: its policy as a line, empty if only a failed fetch is remembered. */
struct policy_kept {
    struct buffer line;
    uint64_t checked_ms, failed_ms; /* by the wall clock; 0: never */
    enum sts_policies_fault fault;  /* of the last failure */
};

/* A lookup for a domain, and the questions waiting for it. */
struct inquiry {
    struct sts_policies *policies;
    struct sts_policies_question *questions;
    struct dns_question dns;
    enum inquiry_step { INQUIRY_RECORD, INQUIRY_SIX, INQUIRY_FOUR, INQUIRY_FILE } step;
    char domain[DOMAIN_NAME_MAX + 1], id[STS_ID_MAX + 1];
    struct buffer resolved; /* "mta-sts.example.org:443:192.0.2.1" */
    bool any_address;
};

/* ---- the cache ---- */

static bool read_kept(const struct policy_kept *entry, struct sts_cache_entry *kept)
{
    return entry != NULL && entry->line.length > 0 && sts_cache_read(buffer_bytes(&entry->line), kept);
}

static void forget(struct sts_policies *policies, struct bytes domain)
{
    struct policy_kept *entry = map_remove(&policies->kept, domain);
    policies->live_size -= entry->line.length;
    buffer_free(&entry->line);
    free(entry);
}

/* Removes an expired entry, if one of the first is; otherwise any. */
static void forget_one(struct sts_policies *policies, uint64_t now_ms)
{
    struct bytes domain, victim = bytes_none();
    char buffer[DOMAIN_NAME_MAX];
    size_t position = 0;
    bool alive = true;
    void *value;
    for (int looked_at = 0; alive && looked_at < STS_POLICIES_LOOKED_AT_MAX &&
                            map_next(&policies->kept, &position, &domain, &value);
         looked_at++) {
        struct sts_cache_entry kept;
        alive = read_kept(value, &kept) && sts_is_alive(&kept, now_ms);
        if (victim.length == 0 || !alive)
            victim = bytes_of(memcpy(buffer, domain.at, domain.length), domain.length);
    }
    forget(policies, victim);
}

static void make_room(struct sts_policies *policies, uint64_t now_ms)
{
    while (policies->kept.count >= STS_POLICIES_MAX ||
           (policies->kept.count > 0 && policies->live_size >= STS_POLICIES_OCTETS_MAX))
        forget_one(policies, now_ms);
}

static struct policy_kept *entry_of(struct sts_policies *policies, struct bytes domain)
{
    struct policy_kept *entry = map_get(&policies->kept, domain);
    if (entry != NULL)
        return entry;
    make_room(policies, clock_epoch_ms());
    entry = memory_new(sizeof *entry);
    map_put(&policies->kept, domain, entry);
    return entry;
}

static void set_line(struct sts_policies *policies, struct policy_kept *entry, struct bytes line)
{
    policies->live_size -= entry->line.length;
    buffer_free(&entry->line);
    buffer_add(&entry->line, line);
    policies->live_size += line.length;
}

/* ---- the file ---- */

static void add_all(const struct sts_policies *policies, struct buffer *out)
{
    struct bytes domain;
    size_t position = 0;
    void *value;
    while (map_next(&policies->kept, &position, &domain, &value)) {
        const struct policy_kept *entry = value;
        if (entry->line.length == 0)
            continue;
        buffer_add(out, buffer_bytes(&entry->line));
        buffer_add_octet(out, '\n');
    }
}

/* Appends a line; rewrites the file if it has many old ones. A line truncated by a crash is fetched again. */
static void save(struct sts_policies *policies, struct bytes line)
{
    struct buffer text = {0};
    bool anew = policies->file_size > 2 * policies->live_size + STS_POLICIES_FILE_SLACK;
    if (anew && ftruncate(policies->file, 0) == 0) {
        policies->file_size = 0;
        add_all(policies, &text);
    } else {
        buffer_add(&text, line);
        buffer_add_octet(&text, '\n');
    }
    bool written = write_all(policies->file, buffer_bytes(&text));
    if (!written && !policies->file_failed)
        log_event(LOG_EVENT_WARN, "sts_cache_write_failed", LOG_TEXT("error", strerror(errno)));
    policies->file_size += written ? text.length : 0;
    policies->file_failed = !written;
    buffer_free(&text);
}

static void take_line(struct sts_policies *policies, struct bytes line)
{
    struct sts_cache_entry kept;
    if (sts_cache_read(line, &kept) && sts_is_alive(&kept, clock_epoch_ms()))
        set_line(policies, entry_of(policies, kept.domain), line);
}

static void read_file(struct sts_policies *policies, const struct folder *folder)
{
    struct buffer text = {0};
    int file = folder_file(folder->descriptor, file_name, O_RDONLY);
    if (file < 0 && errno != ENOENT)
        log_event(
            LOG_EVENT_WARN, "sts_cache_read_failed", LOG_TEXT("directory", folder->path),
            LOG_TEXT("file", file_name), LOG_TEXT("error", strerror(errno)),
            LOG_TEXT("hint", "the file is not of this server and is replaced; policies are fetched again"));
    if (file >= 0) {
        read_up_to(file, STS_POLICIES_FILE_MAX, &text); /* a part is taken, too */
        close(file);
    }
    for (struct bytes rest = buffer_bytes(&text); rest.length > 0;)
        take_line(policies, bytes_split(&rest, '\n'));
    buffer_free(&text);
}

/* Rewrites the file with valid entries; it gets its name once complete. */
static bool write_file(struct sts_policies *policies, const struct folder *folder, struct error *error)
{
    struct buffer text = {0};
    add_all(policies, &text);
    policies->file = folder_new_file(folder->descriptor, fresh_name, 0600);
    bool written = policies->file >= 0 && fcntl(policies->file, F_SETFL, O_APPEND) == 0 &&
                   write_all(policies->file, buffer_bytes(&text)) &&
                   renameat(folder->descriptor, fresh_name, folder->descriptor, file_name) == 0;
    policies->file_size = text.length;
    buffer_free(&text);
    return written || error_set_errno(error, EX_CANTCREAT, "cannot write %s/%s", folder->path, file_name);
}

bool sts_policies_open_folder(struct folder *folder, const char *data_dir, struct error *error)
{
    struct buffer path = {0};
    buffer_add_format(&path, "%s/relay", data_dir);
    bool opened = folder_open(folder, buffer_text(&path), 0, FOLDER_ANY, error) ||
                  error_prefix(error, "%s/%s", buffer_text(&path), file_name);
    buffer_free(&path);
    return opened;
}

bool sts_policies_open(struct sts_policies *policies, struct folder *folder, struct error *error)
{
    *policies = (struct sts_policies){.file = -1};
    map_start(&policies->kept, random_u64());
    map_start(&policies->inquiries, random_u64());
    read_file(policies, folder);
    bool opened = write_file(policies, folder, error) && https_prepare(error);
    folder_close(folder);
    return opened;
}

void sts_policies_close(struct sts_policies *policies)
{
    while (policies->kept.count > 0)
        forget_one(policies, clock_epoch_ms());
    map_free(&policies->kept);
    map_free(&policies->inquiries);
    if (policies->file >= 0)
        close(policies->file);
    policies->file = -1;
}

bool sts_policies_start(struct sts_policies *policies, struct loop *loop, struct dns *dns,
                        struct bytes authorities, struct error *error)
{
    policies->dns = dns;
    return fetch_pool_start(&policies->fetches, loop, authorities, error);
}

/* ---- answers ---- */

/* Answers the waiting questions; the lookup may continue to update the file. */
static void answer(struct inquiry *inquiry, const struct sts_policy *policy)
{
    for (struct sts_policies_question *question = inquiry->questions, *next; question != NULL;
         question = next) {
        next = question->next;
        inquiry->questions = next;
        question->inquiry = NULL;
        question->on_answer(question->owner, policy);
        next = inquiry->questions; /* others may have been cancelled meanwhile */
    }
}

static void end_inquiry(struct inquiry *inquiry)
{
    map_remove(&inquiry->policies->inquiries, bytes_of_text(inquiry->domain));
    buffer_free(&inquiry->resolved);
    free(inquiry);
}

/* Answers with the cached policy, if still valid. */
static void answer_with_kept(struct inquiry *inquiry)
{
    struct sts_cache_entry kept;
    const struct policy_kept *entry = map_get(&inquiry->policies->kept, bytes_of_text(inquiry->domain));
    bool alive = read_kept(entry, &kept) && sts_is_alive(&kept, clock_epoch_ms());
    answer(inquiry, alive ? &kept.policy : NULL);
}

static void fail(struct inquiry *inquiry, enum sts_policies_fault fault, const char *why)
{
    struct policy_kept *entry = entry_of(inquiry->policies, bytes_of_text(inquiry->domain));
    entry->failed_ms = clock_epoch_ms();
    entry->fault = fault;
    log_event(LOG_EVENT_WARN, "sts_fetch_failed", LOG_TEXT("domain", inquiry->domain),
              LOG_TEXT("reason", why));
    answer_with_kept(inquiry);
    end_inquiry(inquiry);
}

/* ---- fetching a policy ---- */

static void keep(struct inquiry *inquiry, const struct sts_policy *policy)
{
    struct sts_policies *policies = inquiry->policies;
    struct buffer line = {0};
    struct sts_cache_entry kept = {.domain = bytes_of_text(inquiry->domain),
                                   .id = bytes_of_text(inquiry->id),
                                   .fetched_ms = clock_epoch_ms(),
                                   .policy = *policy};
    struct policy_kept *entry = entry_of(policies, kept.domain);
    sts_cache_write(&line, &kept);
    set_line(policies, entry, buffer_bytes(&line));
    entry->checked_ms = kept.fetched_ms;
    entry->failed_ms = 0;
    save(policies, buffer_bytes(&line));
    log_event(LOG_EVENT_INFO, "sts_policy_fetched", LOG_TEXT("domain", inquiry->domain),
              LOG_TEXT("mode", sts_mode_name(policy->mode)), LOG_TEXT("policy_id", inquiry->id),
              LOG_U64("max_age_s", policy->max_age_s));
    buffer_free(&line);
}

static void on_file(void *owner, const struct fetch *fetch)
{
    struct inquiry *inquiry = owner;
    struct sts_policy policy;
    if (!fetch->fine) {
        fail(inquiry, fetch->error.exit_code == EX_PROTOCOL ? STS_FAULT_CERTIFICATE : STS_FAULT_FETCH,
             fetch->error.text);
    } else if (!sts_read_policy(buffer_bytes(&fetch->body), &policy)) {
        fail(inquiry, STS_FAULT_INVALID, "the file is not an MTA-STS policy");
    } else {
        keep(inquiry, &policy);
        answer(inquiry, &policy);
        end_inquiry(inquiry);
    }
}

static void add_addresses(struct inquiry *inquiry, const struct dns_answer *found)
{
    size_t taken = 0;
    size_t count = found->status == DNS_FOUND ? found->count : 0;
    for (size_t i = 0; i < count && taken < STS_POLICIES_ADDRESSES_MAX; i++) {
        struct route_address address = {.six = inquiry->step == INQUIRY_SIX};
        memcpy(address.octets, found->records[i].address, sizeof address.octets);
        if (route_reach(&address, NULL) != REACH_SERVER) /* services on this machine trust local clients */
            continue;
        taken++;
        buffer_add_text(&inquiry->resolved, inquiry->any_address ? "," : "");
        route_address_text(&inquiry->resolved, &address);
        inquiry->any_address = true;
    }
}

static void ask_next(struct inquiry *inquiry, enum inquiry_step step);

static void on_address(void *owner, const struct dns_answer *found)
{
    struct inquiry *inquiry = owner;
    char url[sizeof inquiry->domain + 64];
    add_addresses(inquiry, found);
    if (inquiry->step == INQUIRY_SIX) {
        ask_next(inquiry, INQUIRY_FOUR);
        return;
    }
    if (!inquiry->any_address) {
        fail(inquiry, STS_FAULT_FETCH, "the policy host has no usable address, or its DNS lookup failed");
        return;
    }
    inquiry->step = INQUIRY_FILE;
    snprintf(url, sizeof url, "https://mta-sts.%s/.well-known/mta-sts.txt", inquiry->domain);
    fetch_start(&inquiry->policies->fetches, url, buffer_text(&inquiry->resolved), STS_POLICY_MAX, on_file,
                inquiry);
}

static void fetch_policy(struct inquiry *inquiry)
{
    buffer_add_format(&inquiry->resolved, "mta-sts.%s:443:", inquiry->domain);
    ask_next(inquiry, INQUIRY_SIX);
}

/* ---- the record ---- */

static bool failed_recently(const struct policy_kept *entry, uint64_t now_ms)
{
    return entry != NULL && entry->failed_ms != 0 && now_ms - entry->failed_ms < STS_POLICIES_FAILED_MS;
}

static void on_record(void *owner, const struct dns_answer *found)
{
    struct inquiry *inquiry = owner;
    struct policy_kept *entry = map_get(&inquiry->policies->kept, bytes_of_text(inquiry->domain));
    struct bytes id = bytes_none();
    struct sts_cache_entry kept;
    uint64_t now_ms = clock_epoch_ms();
    bool told = found->status == DNS_FOUND && sts_read_records(found->records, found->count, &id);
    memcpy(inquiry->id, told ? id.at : "", told ? id.length : 0);
    enum sts_step step = sts_next(read_kept(entry, &kept) ? &kept : NULL, told ? id : bytes_none(), now_ms);
    if (entry != NULL)
        entry->checked_ms = now_ms;
    if ((step == STS_STEP_FETCH || step == STS_STEP_REFRESH) && failed_recently(entry, now_ms))
        step = STS_STEP_USE;
    if (step == STS_STEP_FETCH) {
        fetch_policy(inquiry);
        return;
    }
    answer_with_kept(inquiry);
    if (step == STS_STEP_REFRESH)
        fetch_policy(inquiry);
    else
        end_inquiry(inquiry);
}

static void ask_next(struct inquiry *inquiry, enum inquiry_step step)
{
    static const enum dns_type types[] = {[INQUIRY_SIX] = DNS_AAAA, [INQUIRY_FOUR] = DNS_A};
    char name[sizeof inquiry->domain + 16];
    inquiry->step = step;
    snprintf(name, sizeof name, "%smta-sts.%s", step == INQUIRY_RECORD ? "_" : "", inquiry->domain);
    if (step == INQUIRY_RECORD) /* other TXT does not count (RFC 8461 3.1) */
        dns_ask_text(inquiry->policies->dns, &inquiry->dns, bytes_of_text(name), "v=STSv1", on_record,
                     inquiry);
    else
        dns_ask(inquiry->policies->dns, &inquiry->dns, bytes_of_text(name), types[step], on_address, inquiry);
}

/* ---- questions ---- */

/* Converts to lower case A-labels; false if it is not a name. */
static bool name_of(struct bytes domain, char name[DOMAIN_NAME_MAX + 1])
{
    struct buffer text = {0};
    buffer_add(&text, domain);
    bool fine = dns_ascii_name(buffer_text(&text), name, DOMAIN_NAME_MAX + 1) &&
                host_is_name(bytes_of_text(name), false);
    for (size_t i = 0; fine && name[i] != '\0'; i++)
        name[i] = ascii_lower(name[i]);
    buffer_free(&text);
    return fine;
}

static bool checked_recently(const struct policy_kept *entry, uint64_t now_ms)
{
    return entry != NULL && entry->checked_ms != 0 && now_ms - entry->checked_ms < STS_POLICIES_CHECK_MS;
}

void sts_policies_ask(struct sts_policies *policies, struct sts_policies_question *question,
                      struct bytes domain, void (*on_answer)(void *owner, const struct sts_policy *policy),
                      void *owner)
{
    char name[DOMAIN_NAME_MAX + 1];
    struct sts_cache_entry kept;
    uint64_t now_ms = clock_epoch_ms();
    *question = (struct sts_policies_question){.on_answer = on_answer, .owner = owner};
    if (!name_of(domain, name)) {
        on_answer(owner, NULL);
        return;
    }
    const struct policy_kept *entry = map_get(&policies->kept, bytes_of_text(name));
    if (checked_recently(entry, now_ms) && read_kept(entry, &kept) && sts_is_alive(&kept, now_ms)) {
        on_answer(owner, &kept.policy);
        return;
    }
    struct inquiry *inquiry = map_get(&policies->inquiries, bytes_of_text(name));
    bool fresh = inquiry == NULL;
    if (fresh) {
        inquiry = memory_new(sizeof *inquiry);
        inquiry->policies = policies;
        memcpy(inquiry->domain, name, strlen(name) + 1);
        map_put(&policies->inquiries, bytes_of_text(name), inquiry);
    }
    question->inquiry = inquiry;
    question->next = inquiry->questions;
    inquiry->questions = question;
    if (fresh)
        ask_next(inquiry, INQUIRY_RECORD);
}

enum sts_policies_fault sts_policies_fault_of(const struct sts_policies *policies, struct bytes domain)
{
    char name[DOMAIN_NAME_MAX + 1];
    const struct policy_kept *entry = name_of(domain, name) ? map_get(&policies->kept, bytes_of_text(name))
                                                            : NULL;
    return failed_recently(entry, clock_epoch_ms()) ? entry->fault : STS_FAULT_NONE;
}

void sts_policies_cancel(struct sts_policies_question *question)
{
    if (question->inquiry == NULL)
        return;
    struct sts_policies_question **at = &question->inquiry->questions;
    while (*at != question)
        at = &(*at)->next;
    *at = question->next;
    question->inquiry = NULL;
}
