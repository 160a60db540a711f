/* SPDX-License-Identifier: Apache-2.0 */
/* health_trust: the messages of the last week that DMARC rejected, or would have rejected, by domain. */
#include "cli/ports/health.h"
#include "cli/trust/judgements.h"
#include "core/text/top_counts.h"
#include "io/clock.h"
#include "run/data_dir.h"
#include "run/subprocess.h"
#include "store/store_open.h"

enum { WEEK_MS = 7 * 24 * 3600 * 1000, DOMAINS_MAX = 1000, DOMAINS_NAMED = 3 };

struct week {
    uint64_t since_ms, rejected, observed;
    struct top_counts domains;
};

static bool add_one(void *owner, const struct mail_event *event)
{
    struct week *week = owner;
    struct trust_record record = mail_event_trust(event);
    if (event->at_ms < week->since_ms || record.proposed != DISPOSITION_REJECT)
        return true;
    week->rejected += record.disposition == DISPOSITION_REJECT;
    week->observed += record.disposition != DISPOSITION_REJECT;
    top_counts_add(&week->domains, record.author.length > 0 ? record.author : BYTES("no domain"), 0,
                   event->at_ms);
    return true;
}

static void add_words(struct week *week, struct buffer *words)
{
    uint64_t count = week->rejected + week->observed;
    buffer_add_format(words, "%llu message%s %s in 7 days: ", (unsigned long long)count,
                      count == 1 ? "" : "s",
                      week->rejected > 0 ? "rejected" : "only observed, not rejected,");
    top_counts_sort(&week->domains);
    for (size_t i = 0; i < week->domains.count && i < DOMAINS_NAMED; i++) {
        const struct top_counts_entry *entry = week->domains.entries[i];
        buffer_add_text(words, i == 0 ? "" : ", ");
        buffer_add_clean(words, entry->name, true);
        buffer_add_format(words, " %llu", (unsigned long long)entry->total);
    }
    buffer_add_text(words, week->domains.count > DOMAINS_NAMED ? ", others" : "");
}

/* The queue belongs to its owner, who alone opens it, even if root calls. */
static bool read_week(void *owner, struct buffer *out, struct error *error)
{
    const struct store_place *place = owner;
    struct week week = {.since_ms = clock_epoch_ms() - WEEK_MS};
    if (!data_dir_act_in(place->folder, error) || store_open_check(place) != 0)
        return false;
    struct store *store = store_open(place, STORE_READ, error);
    if (store == NULL)
        return false;
    top_counts_start(&week.domains, DOMAINS_MAX);
    judgements_walk(store, add_one, &week);
    if (week.rejected + week.observed > 0)
        add_words(&week, out);
    top_counts_free(&week.domains);
    store_close(store);
    return true;
}

void health_trust_examine(struct health *health, const struct config *config)
{
    struct error error = {0};
    struct buffer words = {0};
    struct store_place place = {config->store, arena_format(&health->arena, "%s/queue", config->data_dir)};
    subprocess_run(read_week, &place, &words, &error); /* why it cannot be read, other rows say */
    if (words.length > 0)
        health_note(health, HEALTH_FINE, "DMARC", arena_text(&health->arena, buffer_bytes(&words)),
                    "mailboat trust log --disposition reject lists them; trust.forwarders and "
                    "trust.arc_trusted spare forwarded mail");
    buffer_free(&words);
}
