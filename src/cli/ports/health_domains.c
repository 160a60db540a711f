/* SPDX-License-Identifier: Apache-2.0 */
/* health_domains: the DNS records of the hosted domains, and whether the large receivers accept their mail.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/listing.h"
#include "cli/ports/health.h"
#include "cli/setup/dns_lookup.h"

/* Appends what is not right, each subject once: "SPF wrong, DKIM missing". */
static void add_wrong(const struct dns_lookup *lookup, struct buffer *out)
{
    bool told[DOMAIN_SUBJECTS][DOMAIN_VERDICTS] = {{false}};
    for (size_t i = 0; i < lookup->check.row_count; i++) {
        const struct domain_row *row = &lookup->check.rows[i];
        enum domain_verdict verdict = row->finding.verdict;
        enum domain_subject subject = row->record.subject;
        bool matters = verdict == RECORD_DIFFERENT || verdict == RECORD_UNKNOWN ||
                       (verdict == RECORD_MISSING && row->record.needed);
        if (matters && !told[subject][verdict])
            buffer_add_format(out, "%s%s %s", out->length == 0 ? "" : ", ", domain_subject_name(subject),
                              domain_verdict_status(verdict));
        told[subject][verdict] = told[subject][verdict] || matters;
    }
}

/* Says in short what mailboat dns --check says. */
static void examine_found(struct health *health, const char *domain, struct dns_lookup *lookup)
{
    struct buffer wrong = {0};
    struct arena *arena = &health->arena;
    const char *hint = arena_format(arena, "mailboat dns %s --check shows what exists and what to set",
                                    domain);
    add_wrong(lookup, &wrong);
    bool fine = wrong.length == 0, harmless = dns_lookup_exit_code(lookup) == EX_OK;
    health_note(health,
                fine       ? HEALTH_FINE
                : harmless ? HEALTH_WORRY
                           : HEALTH_ILL,
                arena_format(arena, "DNS of %s", domain),
                fine ? "has all required records" : arena_text(arena, buffer_bytes(&wrong)),
                fine ? NULL : hint);
    health_note(
        health, lookup->ready.yes ? HEALTH_FINE : HEALTH_WORRY, arena_format(arena, "mail of %s", domain),
        arena_text(arena, bulk_ready_sentence(&lookup->ready, arena)), lookup->ready.yes ? NULL : hint);
    buffer_free(&wrong);
}

/* False without DNS: then the other domains cannot be examined either. */
static bool examine_domain(struct health *health, const struct config *config, const char *domain)
{
    struct dns_lookup *lookup = memory_new(sizeof *lookup);
    struct error error = {0};
    bool listed = dns_lookup_start(lookup, config, domain, &error);
    bool asked = listed && dns_lookup_ask(lookup, &error);
    if (asked)
        examine_found(health, domain, lookup);
    else
        health_note(health, HEALTH_ILL, arena_format(&health->arena, "DNS of %s", domain),
                    arena_format(&health->arena, "%s", error.text), "fix DNS on this machine");
    dns_lookup_free(lookup);
    free(lookup);
    return asked || !listed;
}

/* Appends the names, each with its NUL, those of the configuration first; without the right to read the
 * accounts these alone. */
static void list_domains(const struct config *config, struct buffer *names)
{
    struct error error = {0};
    for (size_t i = 0; i < config->domain_count; i++)
        buffer_add(names, bytes_of(config->domains[i], strlen(config->domains[i]) + 1));
    listing_add_other_domains(config, LISTING_LOOKS, names, &error);
}

void health_domains_examine(struct health *health, const struct config *config)
{
    struct buffer names = {0};
    size_t count = 0;
    bool dns_answers = true;
    list_domains(config, &names);
    for (struct bytes left = buffer_bytes(&names); left.length > 0 && dns_answers; count++) {
        const char *domain = bytes_split(&left, '\0').at;
        dns_answers = count >= HEALTH_DOMAINS_MAX || examine_domain(health, config, domain);
    }
    if (count > HEALTH_DOMAINS_MAX)
        health_note(health, HEALTH_FINE, "domains",
                    arena_format(&health->arena, "%zu more: not looked up", count - HEALTH_DOMAINS_MAX),
                    "mailboat dns DOMAIN --check looks one up");
    buffer_free(&names);
}
