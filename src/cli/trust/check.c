/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/trust/check.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/trust/zone.h"
#include "dial/judging.h"
#include "io/signature.h"

enum { READ_SIZE = 64 * 1024 };

/* ---- the message ---- */

static bool read_file(FILE *file, const char *name, struct buffer *out, struct error *error)
{
    size_t count;
    do {
        count = fread(buffer_reserve(out, READ_SIZE), 1, READ_SIZE, file);
        buffer_written(out, count);
    } while (count > 0 && out->length <= CHECK_MESSAGE_MAX);
    if (ferror(file))
        return error_set_errno(error, EX_IOERR, "%s", name);
    return out->length <= CHECK_MESSAGE_MAX ||
           error_set(error, EX_DATAERR, "%s is larger than %d MiB", name, CHECK_MESSAGE_MAX / (1024 * 1024));
}

/* A file of a Unix program ends its lines with LF alone; signatures are made over CRLF. */
static void add_with_crlf(struct buffer *out, struct bytes text)
{
    while (text.length > 0) {
        size_t end = bytes_find(text, '\n');
        struct bytes line = bytes_first(text, end == SIZE_MAX ? text.length : end);
        buffer_add(out, line);
        text = bytes_from(text, line.length);
        if (text.length == 0)
            return;
        bool has_cr = line.length > 0 && line.at[line.length - 1] == '\r';
        buffer_add_text(out, has_cr ? "\n" : "\r\n");
        text = bytes_from(text, 1);
    }
}

static bool read_message(const char *name, struct buffer *message, struct error *error)
{
    struct buffer raw = {0};
    bool standard = strcmp(name, "-") == 0;
    FILE *file = standard ? stdin : fopen(name, "re");
    if (file == NULL)
        return error_set_errno(error, EX_NOINPUT, "%s", name);
    bool done = read_file(file, standard ? "standard input" : name, &raw, error);
    if (done && raw.length == 0)
        done = error_set(error, EX_DATAERR, "%s is empty; a message is expected",
                         standard ? "standard input" : name);
    if (done)
        add_with_crlf(message, buffer_bytes(&raw));
    if (!standard)
        fclose(file);
    buffer_free(&raw);
    return done;
}

/* Splits at the empty line; without one, all of it is header. */
static void split_message(struct bytes message, struct bytes *header, struct bytes *body)
{
    size_t end = bytes_starts_nocase(message, "\r\n") ? 0 : bytes_search(message, BYTES("\r\n\r\n"));
    *header = message;
    *body = bytes_none();
    if (end == SIZE_MAX)
        return;
    end += end == 0 ? 0 : 2;
    *header = bytes_first(message, end);
    *body = bytes_from(message, end + 2);
}

/* ---- DNS ---- */

static void on_done(void *owner)
{
    loop_stop(owner);
}

static bool judge_with_dns(struct judgement *judgement, const struct check_options *options,
                           struct error *error)
{
    struct judging_run judging;
    struct loop loop = {0};
    struct dns *dns = dns_open(options->resolvers, options->resolver_count, error);
    if (dns == NULL || !loop_start(&loop, error) || !dns_start(dns, &loop, error))
        return false;
    judging_start(&judging, judgement, dns, &loop, NULL, options->now_s, on_done, &loop);
    judging_give_up_after(&judging, JUDGING_MS);
    judging_go_on(&judging);
    if (!judging.done)
        loop_run(&loop);
    dns_close(dns);
    loop_free(&loop);
    return true;
}

static bool judge_with_zone(struct judgement *judgement, const char *file, uint64_t now_s,
                            struct error *error)
{
    struct dns_fact_key keys[JUDGEMENT_LACKED_MAX];
    json_error_t fault;
    json_t *all = json_load_file(file, JSON_REJECT_DUPLICATES, &fault);
    if (!json_is_object(all)) {
        json_decref(all);
        return all == NULL && fault.line < 1
                   ? error_set(error, EX_NOINPUT, "%s: %s", file, fault.text)
                   : error_set(error, EX_DATAERR, "%s:%d: not a zone: %s; expected an object of names", file,
                               fault.line, all == NULL ? fault.text : "something else in JSON");
    }
    json_t *inner = json_object_get(all, "zone");
    const struct zone zone = {.names = json_is_object(inner) ? inner : all};
    while (!judgement_run(judgement, now_s)) {
        signature_answer(&judgement->signatures);
        signature_answer(&judgement->arc_signatures);
        size_t count = judgement_lacked(judgement, keys);
        for (size_t i = 0; i < count; i++) {
            struct dns_answer answer = zone_look_up(&zone, keys[i], judgement->arena);
            judgement_answer(judgement, keys[i], &answer);
        }
    }
    json_decref(all);
    return true;
}

/* ---- all of it ---- */

bool check_message(const struct check_options *options, struct judgement *judgement, struct arena *arena,
                   struct buffer *message, struct error *error)
{
    struct bytes header, body;
    struct body_hashes hashes;
    struct dkim_body_fact digests[JUDGEMENT_BODIES_MAX];
    if (!read_message(options->file, message, error))
        return false;
    split_message(buffer_bytes(message), &header, &body);
    judgement_begin(judgement, &options->question, header, arena);
    judging_use_ascii_names(judgement);
    signature_hash_start(&hashes, judgement->bodies, judgement->body_count);
    signature_hash_add(&hashes, body);
    signature_hash_finish(&hashes, digests);
    judgement_give_bodies(judgement, digests);
    return options->zone_file != NULL ? judge_with_zone(judgement, options->zone_file, options->now_s, error)
                                      : judge_with_dns(judgement, options, error);
}
