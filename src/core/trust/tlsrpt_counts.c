/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/tlsrpt_counts.h"

#include <stdlib.h>

#include "base/memory.h"
#include "core/dns/host.h"

struct tlsrpt_row {
    uint64_t times, told; /* sessions; those that a line has told */
};

static const char *const policies[TLSRPT_POLICIES] = {
    [TLSRPT_NO_POLICY] = "no-policy-found", [TLSRPT_STS] = "sts", [TLSRPT_TLSA] = "tlsa"};

static const char *const results[TLSRPT_RESULTS] = {
    [TLSRPT_SUCCESS] = "success",
    [TLSRPT_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
    [TLSRPT_CERTIFICATE_HOST_MISMATCH] = "certificate-host-mismatch",
    [TLSRPT_CERTIFICATE_EXPIRED] = "certificate-expired",
    [TLSRPT_CERTIFICATE_NOT_TRUSTED] = "certificate-not-trusted",
    [TLSRPT_VALIDATION_FAILURE] = "validation-failure",
    [TLSRPT_TLSA_INVALID] = "tlsa-invalid",
    [TLSRPT_DNSSEC_INVALID] = "dnssec-invalid",
    [TLSRPT_STS_POLICY_FETCH_ERROR] = "sts-policy-fetch-error",
    [TLSRPT_STS_POLICY_INVALID] = "sts-policy-invalid",
    [TLSRPT_STS_WEBPKI_INVALID] = "sts-webpki-invalid",
    [TLSRPT_DANE_REQUIRED] = "dane-required"};

const char *tlsrpt_policy_name(enum tlsrpt_policy policy)
{
    return policies[policy];
}

const char *tlsrpt_result_name(enum tlsrpt_result result)
{
    return results[result];
}

static bool read_name(struct bytes word, const char *const *names, size_t count, int *number)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_is(word, names[i])) {
            *number = (int)i;
            return true;
        }
    return false;
}

void tlsrpt_counts_add_text(struct buffer *text, struct bytes line)
{
    size_t more = line.length + (text->length > 0 ? 1 : 0);
    if (text->length + more > TLSRPT_POLICY_TEXT_MAX)
        return;
    if (text->length > 0)
        buffer_add_octet(text, '|');
    for (size_t i = 0; i < line.length; i++) {
        unsigned char octet = (unsigned char)line.at[i];
        buffer_add_octet(text, octet < ' ' || octet > '~' || octet == '|' ? '?' : (char)octet);
    }
}

/* ---- a line ---- */

static bool is_address(struct bytes word)
{
    return word.length == 0 || host_is_ipv4(word) || host_is_ipv6(word);
}

static bool is_text(struct bytes text)
{
    bool fine = text.length <= TLSRPT_POLICY_TEXT_MAX;
    for (size_t i = 0; fine && i < text.length; i++)
        fine = text.at[i] >= ' ' && text.at[i] <= '~';
    return fine;
}

/* True if it can be in a line, and in a report. */
static bool is_sound(const struct tlsrpt_session *session)
{
    return session->day <= TLSRPT_DAY_MAX && host_is_name(session->domain, false) &&
           (session->host.length == 0 || host_is_name(session->host, false)) && is_address(session->sender) &&
           is_address(session->receiver) && is_text(session->text);
}

static void add_word(struct buffer *out, struct bytes word)
{
    buffer_add_octet(out, ' ');
    if (word.length == 0)
        buffer_add_octet(out, '-');
    for (size_t i = 0; i < word.length; i++)
        buffer_add_octet(out, ascii_lower(word.at[i]));
}

/* Appends the line without its beginning, which has the count. */
static void add_key(struct buffer *out, const struct tlsrpt_session *session)
{
    buffer_add_format(out, "%u %s %s", (unsigned)session->day, policies[session->policy],
                      results[session->result]);
    add_word(out, session->domain);
    add_word(out, session->host);
    add_word(out, session->sender);
    add_word(out, session->receiver);
    buffer_add_format(out, " %.*s end", BYTES_ARG(session->text.length > 0 ? session->text : BYTES("-")));
}

static struct bytes next_word(struct bytes *rest)
{
    struct bytes word = bytes_split(rest, ' ');
    return bytes_is(word, "-") ? bytes_none() : word;
}

static bool read_key(struct bytes key, struct tlsrpt_session *session)
{
    uint64_t day;
    int policy, result;
    size_t last = bytes_find_last(key, ' ');
    if (last == SIZE_MAX || !bytes_is(bytes_from(key, last + 1), "end"))
        return false;
    key = bytes_first(key, last);
    if (!bytes_to_u64(bytes_split(&key, ' '), TLSRPT_DAY_MAX, &day) ||
        !read_name(bytes_split(&key, ' '), policies, TLSRPT_POLICIES, &policy) ||
        !read_name(bytes_split(&key, ' '), results, TLSRPT_RESULTS, &result))
        return false;
    *session = (struct tlsrpt_session){
        .day = (uint32_t)day, .policy = (enum tlsrpt_policy)policy, .result = (enum tlsrpt_result)result};
    session->domain = next_word(&key);
    session->host = next_word(&key);
    session->sender = next_word(&key);
    session->receiver = next_word(&key);
    session->text = bytes_is(key, "-") ? bytes_none() : key;
    return is_sound(session);
}

static bool read_count(struct bytes *line, uint64_t *times)
{
    return bytes_is(bytes_split(line, ' '), "tls") &&
           bytes_to_u64(bytes_split(line, ' '), UINT32_MAX, times) && *times > 0;
}

bool tlsrpt_counts_read(struct bytes line, struct tlsrpt_session *session, uint64_t *times)
{
    return read_count(&line, times) && read_key(line, session);
}

/* ---- the rows ---- */

void tlsrpt_counts_start(struct tlsrpt_counts *counts, uint64_t seed)
{
    *counts = (struct tlsrpt_counts){.octets = 0};
    map_start(&counts->rows, seed);
}

void tlsrpt_counts_free(struct tlsrpt_counts *counts)
{
    tlsrpt_counts_forget(counts, UINT32_MAX);
    map_free(&counts->rows);
}

static struct tlsrpt_row *row_of(struct tlsrpt_counts *counts, struct bytes key, uint64_t times)
{
    struct tlsrpt_row *row = map_get(&counts->rows, key);
    if (row != NULL)
        return row;
    if (counts->rows.count >= TLSRPT_COUNTS_MAX || counts->octets + key.length > TLSRPT_COUNTS_OCTETS_MAX) {
        counts->left_out += times;
        return NULL;
    }
    row = memory_new(sizeof *row);
    map_put(&counts->rows, key, row);
    counts->octets += key.length;
    return row;
}

bool tlsrpt_counts_add(struct tlsrpt_counts *counts, const struct tlsrpt_session *session, uint64_t times)
{
    struct buffer key = {0};
    struct tlsrpt_row *row = NULL;
    if (is_sound(session)) {
        add_key(&key, session);
        row = row_of(counts, buffer_bytes(&key), times);
    }
    if (row != NULL)
        row->times += times;
    buffer_free(&key);
    return row != NULL;
}

bool tlsrpt_counts_take(struct tlsrpt_counts *counts, struct bytes line)
{
    struct tlsrpt_session session;
    uint64_t times;
    struct tlsrpt_row *row = NULL;
    if (read_count(&line, &times) && read_key(line, &session))
        row = row_of(counts, line, times);
    if (row == NULL)
        return false;
    row->times += times;
    row->told += times;
    return true;
}

void tlsrpt_counts_write(struct tlsrpt_counts *counts, bool all, struct buffer *out)
{
    struct bytes key;
    void *value;
    for (size_t position = 0; map_next(&counts->rows, &position, &key, &value);) {
        struct tlsrpt_row *row = value;
        uint64_t times = all ? row->times : row->times - row->told;
        row->told = row->times;
        if (times > 0)
            buffer_add_format(out, "tls %llu %.*s\n", (unsigned long long)times, BYTES_ARG(key));
    }
}

bool tlsrpt_counts_forget(struct tlsrpt_counts *counts, uint32_t day)
{
    struct tlsrpt_session session;
    struct bytes key;
    void *value;
    bool any = false;
    for (size_t position = 0; map_next(&counts->rows, &position, &key, &value);) {
        if (read_key(key, &session) && session.day >= day)
            continue;
        counts->octets -= key.length;
        map_remove(&counts->rows, key);
        free(value);
        any = true;
    }
    return any;
}

bool tlsrpt_counts_next(const struct tlsrpt_counts *counts, size_t *position, struct tlsrpt_session *session,
                        uint64_t *times)
{
    struct bytes key;
    void *value;
    if (!map_next(&counts->rows, position, &key, &value) || !read_key(key, session))
        return false;
    *times = ((const struct tlsrpt_row *)value)->times;
    return true;
}
