/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/relay/signature_digest.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/client/client_session.h"
#include "core/trust/dmarc_from.h"
#include "core/trust/field_index.h"
#include "io/dns.h"

/* Authentication-Results is in what this server puts in front of the content; others' are in the content. */
static void take_results(struct signature_digest *digest)
{
    struct field_index *index = memory_resize(NULL, sizeof *index);
    field_index_start(index, digest->message.front);
    uint16_t at = field_index_lowest(index, BYTES("authentication-results"));
    if (at != FIELD_INDEX_NONE)
        buffer_add(&digest->results, index->fields[at].value);
    free(index);
}

void signature_digest_start(struct signature_digest *digest, const struct signature_message *message,
                            struct content_form form)
{
    static const struct dkim_body relaxed = {CANON_RELAXED, CANON_WHOLE};
    *digest = (struct signature_digest){.message = *message};
    digest->message.front = arena_copy(&digest->arena, message->front);
    digest->message.content = arena_copy(&digest->arena, message->content);
    if (message->file >= 0)
        digest->message.file = fcntl(message->file, F_DUPFD_CLOEXEC, 0);
    if (message->chain != ARC_PENDING)
        take_results(digest);
    content_formed_start(&digest->formed, form);
    signature_hash_start(&digest->hashes, &relaxed, 1);
    /* a descriptor that was not free is a file that cannot be read */
    if (message->file >= 0 && digest->message.file < 0)
        digest->stage = DIGEST_UNREADABLE;
}

void signature_digest_let_go(struct signature_digest *digest)
{
    if (digest->message.file >= 0)
        close(digest->message.file);
    digest->message.file = -1;
    content_formed_free(&digest->formed);
    buffer_free(&digest->out);
    signature_hash_free(&digest->hashes);
    arena_clear(&digest->arena);
}

void signature_digest_free(struct signature_digest *digest)
{
    signature_digest_let_go(digest);
    buffer_free(&digest->header);
    buffer_free(&digest->results);
}

/* ---- reading ---- */

/* Returns the next run of the message; none if the file cannot be read. */
static struct bytes read_run(struct signature_digest *digest, char buffer[CONTENT_RUN_MAX], bool *last)
{
    const struct signature_message *message = &digest->message;
    uint64_t front = message->front.length;
    struct bytes run;
    if (digest->at < front) {
        run = bytes_from(message->front, digest->at);
    } else if (message->file < 0) {
        run = bytes_first(bytes_from(message->content, digest->at - front), CONTENT_RUN_MAX);
    } else {
        ssize_t count = pread(message->file, buffer, CONTENT_RUN_MAX, (off_t)(digest->at - front));
        run = bytes_of(buffer, count < 0 ? 0 : (size_t)count);
    }
    digest->at += run.length;
    *last = message->file < 0 ? digest->at >= front + message->content.length : digest->at >= message->size;
    return run;
}

/* Adds octets to the header until its empty line; returns what follows that. */
static struct bytes add_to_header(struct signature_digest *digest, struct bytes octets)
{
    struct buffer *header = &digest->header;
    size_t before = header->length, look = before < 3 ? 0 : before - 3;
    buffer_add(header, bytes_first(octets, FIELD_INDEX_OCTETS_MAX + 4 - before));
    struct bytes all = buffer_bytes(header);
    bool is_empty = bytes_starts_nocase(all, "\r\n");
    size_t end = is_empty ? 0 : bytes_search(bytes_from(all, look), BYTES("\r\n\r\n"));
    if (end == SIZE_MAX) {
        if (header->length > FIELD_INDEX_OCTETS_MAX)
            digest->stage = DIGEST_TOO_LARGE;
        return bytes_none();
    }
    size_t length = is_empty ? 0 : look + end + 2; /* with the last field's CRLF */
    header->length = length;
    digest->stage = DIGEST_BODY;
    return bytes_from(octets, length + 2 - before);
}

static void take_formed(struct signature_digest *digest)
{
    struct bytes octets = buffer_bytes(&digest->out);
    if (digest->stage == DIGEST_HEADER)
        octets = add_to_header(digest, octets);
    if (digest->stage == DIGEST_BODY)
        signature_hash_add(&digest->hashes, octets);
    buffer_clear(&digest->out);
}

static void finish(struct signature_digest *digest)
{
    struct dkim_body_fact fact;
    signature_hash_finish(&digest->hashes, &fact);
    memcpy(digest->digest, fact.digest, sizeof digest->digest);
    digest->stage = DIGEST_DONE;
}

enum signature_digest_stage signature_digest_run(struct signature_digest *digest, uint64_t octets_max)
{
    char buffer[CONTENT_RUN_MAX];
    uint64_t until = digest->at + octets_max;
    bool last = false, begins_in_header = digest->stage == DIGEST_HEADER;
    while (digest->stage < DIGEST_DONE && digest->at < until) {
        struct bytes run = read_run(digest, buffer, &last);
        if (run.length == 0 && !last)
            return digest->stage = DIGEST_UNREADABLE;
        content_formed_add(&digest->formed, &digest->out, run);
        if (last)
            content_formed_end(&digest->formed, &digest->out);
        take_formed(digest);
        if (last && digest->stage < DIGEST_DONE)
            finish(digest); /* without an empty line there is no body */
        if (begins_in_header && digest->stage == DIGEST_BODY)
            break;
    }
    return digest->stage;
}

/* ---- the author ---- */

static const char *find_domain(const struct field_index *index, struct arena *arena, struct bytes *domain)
{
    struct dmarc_from from;
    uint16_t at = field_index_lowest(index, BYTES("from"));
    if (index->over)
        return "the header has too many fields";
    if (at == FIELD_INDEX_NONE)
        return "the message has no From field";
    if (index->fields[at].above != FIELD_INDEX_NONE)
        return "the message has several From fields";
    dmarc_from_read(index->fields[at].value, arena, &from);
    if (from.malformed || from.count == 0)
        return "the From field is malformed";
    if (from.count > 1)
        return "the From field has addresses of several domains";
    *domain = from.domains[0];
    return domain->at[0] == '[' ? "the domain of the From field is not a name" : NULL; /* an address */
}

bool signature_digest_name(struct bytes name, char domain[DOMAIN_MAX + 1])
{
    struct arena arena = {0};
    bool is_name = name.length <= DOMAIN_MAX &&
                   dns_ascii_name(arena_text(&arena, name), domain, DOMAIN_MAX + 1);
    arena_clear(&arena);
    for (char *at = domain; is_name && *at != '\0'; at++)
        *at = ascii_lower(*at);
    return is_name;
}

bool signature_digest_domain(struct bytes header, char domain[DOMAIN_MAX + 1], const char **why)
{
    struct field_index *index = memory_resize(NULL, sizeof *index);
    struct arena arena = {0};
    struct bytes name;
    field_index_start(index, header);
    *why = find_domain(index, &arena, &name);
    if (*why == NULL && !signature_digest_name(name, domain))
        *why = "the domain of the From field is not a name";
    arena_clear(&arena);
    free(index);
    return *why == NULL;
}
