/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/relay/tls_counts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"
#include "io/random.h"
#include "io/read.h"
#include "io/write.h"
#include "service/relay/relay.h"

static const char fresh_name[] = TLS_COUNTS_FILE ".new";

enum { DAY_MS = 24 * 3600 * 1000 };

static uint32_t today(void)
{
    return (uint32_t)(clock_epoch_ms() / DAY_MS);
}

/* ---- the file ---- */

static void write_text(struct tls_counts *counts, const struct buffer *text)
{
    bool written = write_all(counts->file, buffer_bytes(text));
    if (!written && !counts->file_failed)
        log_event(LOG_EVENT_WARN, "tls_counts_write_failed", LOG_TEXT("error", strerror(errno)));
    counts->file_size += written ? text->length : 0;
    counts->file_failed = !written;
}

static void log_left_out(struct tls_counts *counts)
{
    if (counts->counts.left_out > 0)
        log_event(LOG_EVENT_WARN, "tls_sessions_not_counted", LOG_U64("sessions", counts->counts.left_out),
                  LOG_TEXT("reason", "there are too many different hosts for the reports on TLS"));
    counts->counts.left_out = 0;
}

/* Adds what is new; writes all anew if a day is over, or very many lines were added. */
static void save(void *owner)
{
    struct tls_counts *counts = owner;
    struct buffer text = {0};
    uint32_t day = today();
    bool over = day != counts->day && tlsrpt_counts_forget(&counts->counts, day - TLS_COUNTS_DAYS);
    bool anew = (over || counts->file_size > 2 * counts->counts.octets + TLS_COUNTS_FILE_SLACK) &&
                ftruncate(counts->file, 0) == 0;
    if (day != counts->day)
        log_left_out(counts);
    if (anew)
        counts->file_size = 0;
    counts->day = day;
    counts->saves = false;
    tlsrpt_counts_write(&counts->counts, anew, &text);
    if (text.length > 0)
        write_text(counts, &text);
    buffer_free(&text);
}

static void read_file(struct tls_counts *counts, const struct folder *folder)
{
    struct buffer text = {0};
    int file = folder_file(folder->descriptor, TLS_COUNTS_FILE, O_RDONLY);
    if (file >= 0) {
        read_up_to(file, TLS_COUNTS_FILE_MAX, &text); /* a part is taken, too */
        close(file);
    }
    for (struct bytes rest = buffer_bytes(&text); rest.length > 0;)
        tlsrpt_counts_take(&counts->counts, bytes_split(&rest, '\n'));
    tlsrpt_counts_forget(&counts->counts, today() - TLS_COUNTS_DAYS);
    counts->counts.left_out = 0;
    buffer_free(&text);
}

/* It gets its name once it is complete. */
static bool write_file(struct tls_counts *counts, const struct folder *folder, struct error *error)
{
    struct buffer text = {0};
    tlsrpt_counts_write(&counts->counts, true, &text);
    counts->file = folder_new_file(folder->descriptor, fresh_name, 0600);
    bool written = counts->file >= 0 && fcntl(counts->file, F_SETFL, O_APPEND) == 0 &&
                   write_all(counts->file, buffer_bytes(&text)) &&
                   renameat(folder->descriptor, fresh_name, folder->descriptor, TLS_COUNTS_FILE) == 0;
    counts->file_size = text.length;
    buffer_free(&text);
    return written ||
           error_set_errno(error, EX_CANTCREAT, "cannot write %s/%s", folder->path, TLS_COUNTS_FILE);
}

/* Mail goes on without the file. */
bool tls_counts_open(struct tls_counts *counts, bool counts_sessions, const struct folder *folder,
                     struct error *error)
{
    *counts = (struct tls_counts){.file = -1, .counts_sessions = counts_sessions, .day = today()};
    tlsrpt_counts_start(&counts->counts, random_u64());
    if (!counts_sessions)
        return true;
    read_file(counts, folder);
    return write_file(counts, folder, error);
}

void tls_counts_start(struct tls_counts *counts, struct loop *loop)
{
    timer_start(&counts->saving, loop, save, counts);
}

void tls_counts_end(struct tls_counts *counts)
{
    if (counts->counts_sessions)
        save(counts);
}

/* ---- a session ---- */

/* Only with the domain's own servers; what this server reports is not counted, or reports would have
 * reports. */
static bool may_count(const struct outbound_connection *connection)
{
    const struct delivery *delivery = &connection->delivery;
    return connection->relay->tls_counts.counts_sessions && !delivery->options.smarthost &&
           !delivery->tls.facts.literal && !delivery->tls.facts.requiretls &&
           connection->message.author != AUTHOR_SERVER;
}

/* Only where the domain's own policy is followed. */
static bool is_counted(const struct outbound_connection *connection)
{
    return may_count(connection) && connection->delivery.options.wish == WISH_AUTO;
}

static enum tlsrpt_policy policy_of(enum tls_level level)
{
    switch (level) {
    case TLS_LEVEL_DANE:
    case TLS_LEVEL_DANE_UNUSABLE: return TLSRPT_TLSA;
    case TLS_LEVEL_STS:
    case TLS_LEVEL_STS_TESTING: return TLSRPT_STS;
    case TLS_LEVEL_UNDECIDED:
    case TLS_LEVEL_NONE:
    case TLS_LEVEL_MAY:
    case TLS_LEVEL_ENCRYPT:
    case TLS_LEVEL_VERIFY:
    case TLS_LEVEL_REQUIRETLS: break;
    }
    return TLSRPT_NO_POLICY;
}

/* As its file has it, without what only matters to caches (RFC 8461 3.2). */
static void add_sts(struct buffer *text, const struct sts_policy *policy)
{
    struct buffer line = {0};
    tlsrpt_counts_add_text(text, BYTES("version: STSv1"));
    buffer_add_format(&line, "mode: %s", sts_mode_name(policy->mode));
    tlsrpt_counts_add_text(text, buffer_bytes(&line));
    for (size_t i = 0; i < policy->pattern_count; i++) {
        buffer_clear(&line);
        buffer_add_format(&line, "mx: %.*s", BYTES_ARG(policy->patterns[i]));
        tlsrpt_counts_add_text(text, buffer_bytes(&line));
    }
    buffer_clear(&line);
    buffer_add_format(&line, "max_age: %u", (unsigned)policy->max_age_s);
    tlsrpt_counts_add_text(text, buffer_bytes(&line));
    buffer_free(&line);
}

static void add_tlsa(struct buffer *text, const struct delivery_tls *tls)
{
    const struct dns_answer *answer = &tls->facts.tlsa[tls->policy.base];
    for (size_t i = 0; i < answer->count; i++) {
        const struct dns_record *record = &answer->records[i];
        struct buffer line = {0};
        buffer_add_format(&line, "%u %u %u ", record->usage, record->selector, record->matching);
        for (size_t k = 0; k < record->data.length && k < 64; k++)
            buffer_add_format(&line, "%02x", (unsigned)(uint8_t)record->data.at[k]);
        tlsrpt_counts_add_text(text, buffer_bytes(&line));
        buffer_free(&line);
    }
}

static void add_local_address(struct buffer *out, int descriptor)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    if (descriptor < 0 || getsockname(descriptor, (struct sockaddr *)&address, &length) != 0)
        return;
    if (address.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, text, sizeof text);
    else if (address.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, text, sizeof text);
    buffer_add_text(out, text);
}

/* The domain in A-labels. */
static bool add_domain(struct buffer *out, struct bytes domain)
{
    char name[DOMAIN_NAME_MAX + 1];
    struct buffer text = {0};
    buffer_add(&text, domain);
    bool fine = dns_ascii_name(buffer_text(&text), name, sizeof name);
    buffer_free(&text);
    if (fine)
        buffer_add_text(out, name);
    return fine;
}

static void count(struct outbound_connection *connection, struct tlsrpt_session *session, bool reached)
{
    struct tls_counts *counts = &connection->relay->tls_counts;
    const struct delivery *delivery = &connection->delivery;
    struct buffer domain = {0}, text = {0}, sender = {0}, receiver = {0};
    if (session->policy == TLSRPT_STS && delivery->tls.facts.sts != NULL)
        add_sts(&text, delivery->tls.facts.sts);
    if (session->policy == TLSRPT_TLSA)
        add_tlsa(&text, &delivery->tls);
    if (session->result != TLSRPT_SUCCESS && reached) {
        add_local_address(&sender,
                          connection->peer.conn.loop == NULL ? -1 : connection->peer.conn.descriptor);
        route_address_text(&receiver, &delivery->address);
    }
    if (add_domain(&domain, delivery->options.domain)) {
        session->day = today();
        session->domain = buffer_bytes(&domain);
        session->text = buffer_bytes(&text);
        session->sender = buffer_bytes(&sender);
        session->receiver = buffer_bytes(&receiver);
        tlsrpt_counts_add(&counts->counts, session, 1);
    }
    if (!counts->saves)
        timer_set(&counts->saving, TLS_COUNTS_SAVE_MS);
    counts->saves = true;
    buffer_free(&domain);
    buffer_free(&text);
    buffer_free(&sender);
    buffer_free(&receiver);
}

static void count_once(struct outbound_connection *connection, enum tlsrpt_result result)
{
    static const enum tlsrpt_result of_fault[] = {
        [STS_FAULT_FETCH] = TLSRPT_STS_POLICY_FETCH_ERROR,
        [STS_FAULT_CERTIFICATE] = TLSRPT_STS_WEBPKI_INVALID,
        [STS_FAULT_INVALID] = TLSRPT_STS_POLICY_INVALID,
    };
    const struct delivery *delivery = &connection->delivery;
    enum tls_level level = delivery->tls.policy.level;
    if (connection->peer.counted || !is_counted(connection))
        return;
    connection->peer.counted = true;
    struct tlsrpt_session session = {.policy = policy_of(level), .result = result, .host = delivery->host};
    count(connection, &session, true);
    /* A policy that is announced and cannot be had: the session was held to none (RFC 8460 4.3.2.2). */
    enum sts_policies_fault fault = session.policy != TLSRPT_NO_POLICY
                                        ? STS_FAULT_NONE
                                        : sts_policies_fault_of(&connection->relay->policies,
                                                                delivery->options.domain);
    if (fault == STS_FAULT_NONE)
        return;
    session.policy = TLSRPT_STS;
    session.result = of_fault[fault];
    count(connection, &session, false);
}

static enum tlsrpt_result result_of(enum tls_certificate certificate)
{
    switch (certificate) {
    case TLS_CERTIFICATE_VALID: return TLSRPT_SUCCESS;
    case TLS_CERTIFICATE_EXPIRED: return TLSRPT_CERTIFICATE_EXPIRED;
    case TLS_CERTIFICATE_OTHER_NAME: return TLSRPT_CERTIFICATE_HOST_MISMATCH;
    case TLS_CERTIFICATE_NOT_YET_VALID:
    case TLS_CERTIFICATE_SELF_SIGNED:
    case TLS_CERTIFICATE_UNKNOWN_ISSUER: return TLSRPT_CERTIFICATE_NOT_TRUSTED;
    case TLS_CERTIFICATE_NONE:
    case TLS_CERTIFICATE_INVALID:
    case TLS_CERTIFICATE_NO_TLSA: break;
    }
    return TLSRPT_VALIDATION_FAILURE;
}

void tls_counts_secured(struct outbound_connection *connection)
{
    const struct delivery_tls *tls = &connection->delivery.tls;
    enum tlsrpt_result result = TLSRPT_SUCCESS;
    if (tls->policy.level == TLS_LEVEL_DANE_UNUSABLE)
        result = TLSRPT_TLSA_INVALID;
    else if (tls->policy.level == TLS_LEVEL_STS_TESTING) /* as if it were enforced */
        result = tls->facts.sts != NULL && !sts_lists(tls->facts.sts, connection->delivery.host)
                     ? TLSRPT_VALIDATION_FAILURE
                     : result_of(connection->peer.tls.certificate);
    count_once(connection, result);
}

void tls_counts_failed(struct outbound_connection *connection)
{
    enum tlsrpt_result result = result_of(connection->peer.conn.loop == NULL
                                              ? TLS_CERTIFICATE_NONE
                                              : conn_tls_certificate(&connection->peer.conn));
    count_once(connection, result == TLSRPT_SUCCESS ? TLSRPT_VALIDATION_FAILURE : result);
}

void tls_counts_clear(struct outbound_connection *connection)
{
    const struct delivery *delivery = &connection->delivery;
    if (connection->peer.reach == REACH_CONNECTED && connection->peer.tls.protocol == TLS_PROTOCOL_NONE &&
        !delivery->in_clear)
        count_once(connection, TLSRPT_STARTTLS_NOT_SUPPORTED);
}

void tls_counts_closing(struct outbound_connection *connection)
{
    if (connection->delivery.last.step == STEP_TLS)
        tls_counts_clear(connection);
}

void tls_counts_refused(struct outbound_connection *connection)
{
    const struct delivery *delivery = &connection->delivery;
    for (size_t i = 0; i < delivery->refused_count; i++) {
        const struct delivery_refused *refused = &delivery->refused[i];
        struct tlsrpt_session session = {.policy = policy_of(refused->level),
                                         .result = refused->lacks_dane ? TLSRPT_DANE_REQUIRED
                                                   : refused->level == TLS_LEVEL_DANE
                                                       ? TLSRPT_DNSSEC_INVALID
                                                       : TLSRPT_VALIDATION_FAILURE,
                                         .host = refused->host};
        /* That DANE is required is this server's own policy, and reported all the same (RFC 8460 4.3.2.1). */
        if (refused->lacks_dane ? may_count(connection) : is_counted(connection))
            count(connection, &session, false);
    }
}
