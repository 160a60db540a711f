/* SPDX-License-Identifier: Apache-2.0 */
#include "service/report_evidence.h"

#include "core/trust/dmarc_rows.h"
#include "io/clock.h"
#include "io/log.h"
#include "io/random.h"
#include "queue/judgements_walk.h"
#include "queue/queue_clock.h"
#include "run/data_dir.h"
#include "run/subprocess.h"
#include "store/store_open.h"

enum { DAY_MS = 24 * 3600 * 1000 };

struct report_evidence {
    struct store_place place;
    uint32_t day;
    uint64_t ahead_ms; /* the wall clock, of the queue's time; modulo 2^64 */
    struct dmarc_rows rows;
    bool late;
};

static bool add_one(void *owner, const struct mail_event *event)
{
    struct report_evidence *evidence = owner;
    const struct trust_record record = mail_event_trust(event);
    uint64_t day = (event->at_ms + evidence->ahead_ms) / DAY_MS;
    if (record.evidence.length == 0)
        return true;
    evidence->late = evidence->late || day + 1 == evidence->day;
    dmarc_rows_add(&evidence->rows, day == evidence->day, event->client, record.disposition, record.override,
                   record.evidence);
    return true;
}

/* Reads whom users here sent mail to until then. */
static void read_sent(struct store *store, uint32_t today, struct sent_since *sent)
{
    char name[SENT_DOMAINS_NAME_MAX];
    sent_since_start(sent, today, random_u64());
    for (uint32_t day = 0; day < SENT_DOMAINS_NOTES; day++) {
        struct arena arena = {0};
        sent_domains_note_name(day, name);
        sent_since_take(sent, store_note(store, name, &arena));
        arena_clear(&arena);
    }
}

/* The queue belongs to its owner, who alone opens it. */
static bool work(void *owner, struct buffer *out, struct error *error)
{
    struct report_evidence *evidence = owner;
    struct sent_since sent;
    if (!data_dir_act_in(evidence->place.folder, error))
        return false;
    if (store_open_check(&evidence->place) != 0)
        return true;
    struct store *store = store_open(&evidence->place, STORE_READ, error);
    if (store == NULL)
        return false;
    evidence->ahead_ms = clock_epoch_ms() - queue_clock_read_ms(store);
    dmarc_rows_start(&evidence->rows, random_u64());
    judgements_walk(store, add_one, evidence);
    read_sent(store, evidence->day + 1, &sent);
    store_close(store);
    buffer_add_text(out, evidence->late ? "late\n" : "day\n");
    dmarc_rows_write(&evidence->rows, &sent, out);
    sent_since_free(&sent);
    if (evidence->rows.left_out > 0)
        log_event(LOG_EVENT_WARN, "judgements_not_reported", LOG_U64("messages", evidence->rows.left_out),
                  LOG_TEXT("reason", "there are too many different ones for the reports on DMARC"));
    return true;
}

bool report_evidence_read(const struct config *config, uint32_t day, struct buffer *lines, bool *late,
                          struct error *error)
{
    struct buffer folder = {0}, out = {0};
    buffer_add_format(&folder, "%s/queue", config->data_dir);
    struct report_evidence evidence = {.place = {config->store, buffer_text(&folder)}, .day = day};
    bool done = subprocess_run(work, &evidence, &out, error);
    struct bytes rest = buffer_bytes(&out);
    *late = bytes_is(bytes_split(&rest, '\n'), "late");
    buffer_add(lines, rest);
    buffer_free(&folder);
    buffer_free(&out);
    return done;
}
