/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "core/domain/row_check.h"
#include "core/trust/spf.h"
#include "core/trust/spf_record.h"
#include "core/trust/tags.h"

/* ---- SPF: evaluated as a receiver does ---- */

/* An address that no record lists (RFC 1112 4): for it all terms are evaluated, and only a record that lets
 * everybody send passes. */
static const struct route_address STRANGER = {.octets = {255, 255, 255, 254}};

struct spf_check {
    struct domain_check *check;
    const struct domain_record *record;
    struct dns_facts *facts;
    const struct dns_answer *answer;
    struct bytes text;     /* the record in DNS */
    struct buffer refused; /* addresses of this server that do not pass */
    struct buffer terms;   /* " ip4:192.0.2.1": they would let them pass */
    struct domain_finding finding;
};

static struct spf_verdict judge(struct spf_check *s, const struct route_address *client)
{
    bool helo = s->record->subject == SUBJECT_HELO_SPF;
    char *sender = arena_format(s->check->arena, "postmaster@%.*s", BYTES_ARG(s->record->name));
    struct spf_question question = {.client = *client,
                                    .helo = s->check->facts.hostname,
                                    .mail_from = helo ? bytes_none() : bytes_of_text(sender),
                                    .receiver = s->check->facts.hostname};
    struct spf_verdict verdict = spf_judge(&question, s->facts);
    struct domain_finding *f = &s->finding;
    f->counted = true;
    f->lookups = verdict.lookups > f->lookups ? verdict.lookups : f->lookups;
    f->voids = verdict.voids > f->voids ? verdict.voids : f->voids;
    return verdict;
}

static enum domain_fault fault_of(enum spf_problem problem)
{
    switch (problem) {
    case SPF_DNS_FAILED: return FAULT_SPF_DNS;
    case SPF_TWO_RECORDS: return FAULT_SPF_TWO;
    case SPF_SYNTAX: return FAULT_SPF_SYNTAX;
    case SPF_TOO_MANY_LOOKUPS: return FAULT_SPF_LOOKUPS;
    case SPF_TOO_MANY_VOIDS: return FAULT_SPF_VOIDS;
    case SPF_TOO_MANY_MX: return FAULT_SPF_MX_NAMES;
    case SPF_NO_DOMAIN:
    case SPF_NO_RECORD: return FAULT_SPF_NOWHERE;
    case SPF_NO_PROBLEM:
    case SPF_PROBLEMS: break;
    }
    return FAULT_NONE;
}

/* Sets a fault, unless there is one that is worse or was found before. */
static void blame(struct spf_check *s, enum domain_fault fault, struct bytes detail)
{
    static const unsigned weights[DOMAIN_VERDICTS] = {
        [RECORD_RIGHT] = 0, [RECORD_UNSURE] = 1, [RECORD_UNKNOWN] = 2, [RECORD_DIFFERENT] = 3};
    struct domain_finding made = domain_finding_of(fault);
    if (weights[made.verdict] <= weights[s->finding.verdict])
        return;
    s->finding.verdict = made.verdict;
    s->finding.fault = fault;
    s->finding.detail = found_text_clean(detail, s->check->arena);
}

/* Names the record, if it is another one, and the term. */
static struct bytes place_of(struct spf_check *s, const struct spf_verdict *verdict)
{
    struct bytes term = verdict->term;
    if (verdict->link_count < 2)
        return term;
    struct bytes domain = verdict->links[verdict->link_count - 1].domain;
    return bytes_of_text(arena_format(s->check->arena, "%.*s%sin the record of %.*s", BYTES_ARG(term),
                                      term.length > 0 ? " " : "", BYTES_ARG(domain)));
}

static void check_own(struct spf_check *s, const struct route_address *address)
{
    struct spf_verdict verdict = judge(s, address);
    if (verdict.problem != SPF_NO_PROBLEM) {
        blame(s, fault_of(verdict.problem), place_of(s, &verdict));
        return;
    }
    if (verdict.result == SPF_PASS)
        return;
    struct bytes text = domain_address_text(address, s->check->arena);
    buffer_add_format(&s->refused, "%s%.*s", s->refused.length > 0 ? ", " : "", BYTES_ARG(text));
    buffer_add_format(&s->terms, " %s:%.*s", address->six ? "ip6" : "ip4", BYTES_ARG(text));
}

static void check_stranger(struct spf_check *s)
{
    struct spf_verdict verdict = judge(s, &STRANGER);
    if (verdict.result == SPF_PASS)
        blame(s, FAULT_SPF_ANYONE, verdict.term);
    else if (verdict.problem == SPF_TOO_MANY_VOIDS)
        blame(s, FAULT_SPF_VOIDS_OTHERS, place_of(s, &verdict));
    else if (verdict.problem != SPF_NO_PROBLEM)
        blame(s, fault_of(verdict.problem), place_of(s, &verdict));
}

/* The record with the addresses that are missing. */
static void propose_addresses(struct spf_check *s)
{
    struct bytes rest = s->text, version = bytes_split(&rest, ' ');
    s->finding.should = found_text_clean(
        bytes_of_text(arena_format(s->check->arena, "\"%.*s%s %.*s\"", BYTES_ARG(version),
                                   buffer_text(&s->terms), BYTES_ARG(rest))),
        s->check->arena);
}

/* The record without the terms that let everybody pass. */
static void propose_end(struct spf_check *s)
{
    struct buffer text = {0};
    struct spf_term term;
    struct bytes rest = s->text;
    bool changed = false;
    buffer_add_text(&text, "\"v=spf1");
    while (spf_record_next(&rest, &term)) {
        bool everybody = (term.kind == SPF_IP4 && term.prefix4 == 0) ||
                         (term.kind == SPF_IP6 && term.prefix6 == 0);
        changed = changed || everybody || (term.kind == SPF_ALL && term.qualifier == '+');
        if (!everybody && term.kind != SPF_ALL)
            buffer_add_format(&text, " %.*s", BYTES_ARG(term.text));
    }
    buffer_add_text(&text, " ~all\"");
    if (changed)
        s->finding.should = found_text_clean(buffer_bytes(&text), s->check->arena);
    buffer_free(&text);
}

static void evaluate(struct spf_check *s)
{
    const struct domain_facts *facts = &s->check->facts;
    bool own = facts->smarthost.length == 0;
    for (size_t i = 0; own && i < facts->address_count; i++)
        check_own(s, &facts->addresses[i]);
    if (s->refused.length > 0)
        blame(s, FAULT_SPF_NOT_ALLOWED, buffer_bytes(&s->refused));
    check_stranger(s);
    if (!own)
        blame(s, FAULT_SPF_SMARTHOST, facts->smarthost);
    else if (facts->address_count == 0)
        blame(s, FAULT_SPF_NO_ADDRESS, bytes_none());
    if (s->finding.fault == FAULT_SPF_NOT_ALLOWED)
        propose_addresses(s);
    else if (s->finding.fault == FAULT_SPF_ANYONE)
        propose_end(s);
}

static size_t count_records(const struct dns_answer *answer, struct bytes *first)
{
    size_t count = 0;
    for (size_t i = 0; i < answer->count; i++)
        if (spf_record_is(answer->records[i].data) && ++count == 1)
            *first = answer->records[i].data;
    return count;
}

struct domain_finding sender_check_spf(struct domain_check *check, const struct domain_record *record)
{
    bool has;
    struct spf_check s = {.check = check, .record = record};
    s.facts = &check->dns[record->subject == SUBJECT_SPF ? AREA_SPF : AREA_HELO_SPF];
    s.answer = dns_facts_look_up(s.facts, DNS_TXT, record->name);
    struct domain_finding made = domain_finding_of_answer(s.answer, &has);
    size_t count = has ? count_records(s.answer, &s.text) : 0;
    if (!has)
        return made;
    if (count == 0)
        return domain_finding_of(FAULT_MISSING);
    if (count == 1)
        evaluate(&s);
    else
        blame(&s, FAULT_SPF_TWO, bytes_none());
    if (s.finding.verdict != RECORD_RIGHT)
        s.finding.found = found_text_with(s.answer, "v=spf1", check->arena);
    buffer_free(&s.refused);
    buffer_free(&s.terms);
    return s.finding;
}

/* ---- DKIM ---- */

static enum domain_fault fault_of_key(enum key_seen seen)
{
    switch (seen) {
    case KEY_SEEN_OURS: return FAULT_NONE;
    case KEY_SEEN_MISSING:
    case KEY_SEEN_NO_DOMAIN: return FAULT_MISSING;
    case KEY_SEEN_ALIAS: return FAULT_DKIM_NOWHERE;
    case KEY_SEEN_REVOKED: return FAULT_DKIM_REVOKED;
    case KEY_SEEN_CUT: return FAULT_DKIM_CUT;
    case KEY_SEEN_QUOTED: return FAULT_DKIM_QUOTED;
    case KEY_SEEN_SEVERAL: return FAULT_DKIM_SEVERAL;
    case KEY_SEEN_OTHER: return FAULT_DKIM_OTHER_KEY;
    case KEY_SEEN_BROKEN: return FAULT_DKIM_BROKEN;
    case KEY_SEEN_UNKNOWN:
    case KEY_SEEN_KINDS: break;
    }
    return FAULT_NO_ANSWER;
}

static bool is_testing(const struct key_record *key, const struct dns_answer *answer)
{
    struct arena arena = {0};
    struct dkim_key parsed;
    bool testing = answer->count == 1 &&
                   dkim_key_parse(&parsed, answer->records[0].data, key->algorithm, &arena) ==
                       DKIM_KEY_FINE &&
                   parsed.testing;
    arena_clear(&arena);
    return testing;
}

struct domain_finding sender_check_key(struct domain_check *check, const struct domain_record *record)
{
    struct dns_facts *facts = &check->dns[AREA_KEYS];
    const struct key_record *key = &record->key->record;
    const struct dns_answer *answer = dns_facts_look_up(facts, DNS_TXT, record->name);
    const struct dns_answer *alias = dns_facts_look_up(facts, DNS_CNAME, record->name);
    enum domain_fault fault = fault_of_key(key_record_compare(key, answer));
    if (answer->status == DNS_BOGUS)
        fault = FAULT_BOGUS;
    if (fault == FAULT_MISSING && alias->status == DNS_FOUND)
        fault = FAULT_DKIM_NOWHERE;
    if (fault == FAULT_NONE && is_testing(key, answer))
        fault = FAULT_DKIM_TESTING;
    if (fault == FAULT_DKIM_REVOKED && record->key->stage == KEY_RETIRED)
        fault = FAULT_NONE;
    struct domain_finding made = domain_finding_of(fault);
    if (made.verdict == RECORD_RIGHT || made.verdict == RECORD_MISSING)
        return made;
    made.found = fault == FAULT_DKIM_NOWHERE ? found_text_of(alias, DNS_CNAME, check->arena)
                                             : found_text_of(answer, DNS_TXT, check->arena);
    if (fault == FAULT_DKIM_CUT)
        made.detail = bytes_of_text(arena_format(check->arena, "character %zu of %zu",
                                                 answer->records[0].data.length, record->text.length));
    return made;
}

bool sender_check_no_key(struct domain_check *check, struct domain_row *row)
{
    const struct domain_facts *facts = &check->facts;
    if (facts->key_count > 0)
        return false;
    bool unreadable = facts->keys_unreadable.length > 0;
    char *name = arena_format(check->arena, "_domainkey.%.*s", BYTES_ARG(facts->domain));
    *row = (struct domain_row){
        .record = {.subject = SUBJECT_DKIM, .name = bytes_of_text(name), .type = DNS_TXT, .needed = true},
        .finding = domain_finding_of(unreadable ? FAULT_DKIM_UNREADABLE : FAULT_DKIM_NO_KEY)};
    row->finding.detail = unreadable ? found_text_clean(facts->keys_unreadable, check->arena) : facts->domain;
    return true;
}
