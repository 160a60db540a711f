/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/judgement.h"

#include <assert.h>
#include <stdlib.h>

#include "core/dns/dns_name.h"
#include "core/trust/authres.h"
#include "core/trust/authres_write.h"

static void assert_judgement(const struct judgement *j)
{
    assert(j->arena != NULL);
    assert(j->dkim.body_count <= j->body_count && j->body_count <= JUDGEMENT_BODIES_MAX);
    assert(j->identifiers.dkim_count <= DMARC_DKIM_MAX);
}

/* ---- the header ---- */

static size_t fields_named(const struct field_index *index, struct bytes name)
{
    size_t count = 0;
    for (uint16_t at = field_index_lowest(index, name); at != FIELD_INDEX_NONE; at = index->fields[at].above)
        count++;
    return count;
}

static enum verdict_form form_of(const struct judgement *j)
{
    const struct field_index *index = &j->dkim.index;
    size_t authors = fields_named(index, BYTES("From"));
    if (index->over)
        return FORM_TOO_LARGE;
    if (authors == 0)
        return FORM_NO_FROM;
    if (authors > 1)
        return FORM_SEVERAL_FROM;
    if (j->from.malformed)
        return FORM_BAD_FROM;
    return fields_named(index, BYTES("Date")) > 1      ? FORM_SEVERAL_DATES
           : fields_named(index, BYTES("Subject")) > 1 ? FORM_SEVERAL_SUBJECTS
           : fields_named(index, BYTES("Sender")) > 1  ? FORM_SEVERAL_SENDERS
                                                       : FORM_FINE;
}

/* Returns what stands in the angle brackets of List-Id (RFC 2919 3), or nothing. */
static struct bytes list_of(const struct field_index *index)
{
    uint16_t at = field_index_lowest(index, BYTES("List-Id"));
    if (at == FIELD_INDEX_NONE)
        return bytes_none();
    struct bytes value = index->fields[at].value;
    size_t open = bytes_find_last(value, '<'), close = bytes_find_last(value, '>');
    if (open == SIZE_MAX || close == SIZE_MAX || close < open || close - open - 1 > LIST_ID_MAX)
        return bytes_none();
    return bytes_trim(bytes_of(value.at + open + 1, close - open - 1));
}

/* ARC's form of the body is often one of DKIM's. Returns their number; *arc_body: which of them ARC's is. */
static size_t collect_bodies(const struct dkim *dkim, const struct arc *arc, struct dkim_body *bodies,
                             size_t *arc_body)
{
    size_t count = dkim->body_count;
    memcpy(bodies, dkim->bodies, count * sizeof bodies[0]);
    *arc_body = 0;
    if (!arc->needs_body)
        return count;
    while (*arc_body < count &&
           (bodies[*arc_body].form != arc->body.form || bodies[*arc_body].limit != arc->body.limit))
        ++*arc_body;
    if (*arc_body == count)
        bodies[count++] = arc->body;
    assert(count <= JUDGEMENT_BODIES_MAX && *arc_body < count);
    return count;
}

size_t judgement_bodies(struct bytes header, struct dkim_body bodies[JUDGEMENT_BODIES_MAX])
{
    struct arena arena = {0};
    struct dkim *dkim = memory_resize(NULL, sizeof *dkim); /* not zeroed, see field_index.h */
    struct arc arc;
    size_t arc_body;
    dkim_begin(dkim, header, &arena);
    arc_begin(&arc, &dkim->index, &arena);
    size_t count = collect_bodies(dkim, &arc, bodies, &arc_body);
    arena_clear(&arena);
    free(dkim);
    return count;
}

void judgement_begin(struct judgement *j, const struct judgement_question *question, struct bytes header,
                     struct arena *arena)
{
    memset(j, 0, offsetof(struct judgement, dkim) + offsetof(struct dkim, index));
    j->question = *question;
    j->arena = arena;
    for (size_t i = 0; i < JUDGEMENT_CHECKS; i++) {
        dns_facts_start(&j->dns[i], arena);
        j->dns[i].texts = &j->round;
    }
    signature_facts_start(&j->signatures, &j->round);
    signature_facts_start(&j->arc_signatures, &j->round);
    dkim_begin(&j->dkim, header, arena);
    dkim_facts_start(&j->dkim_facts, &j->dns[CHECK_DKIM], &j->signatures);
    arc_begin(&j->arc, &j->dkim.index, arena);
    arc_facts_start(&j->arc_facts, &j->dns[CHECK_ARC], &j->arc_signatures);
    j->body_count = collect_bodies(&j->dkim, &j->arc, j->bodies, &j->arc_body);
    uint16_t from = field_index_lowest(&j->dkim.index, BYTES("From"));
    if (from != FIELD_INDEX_NONE)
        dmarc_from_read(j->dkim.index.fields[from].value, arena, &j->from);
    j->form = form_of(j);
    j->list = list_of(&j->dkim.index);
    assert_judgement(j);
}

void judgement_end(struct judgement *j)
{
    arena_clear(&j->round);
}

void judgement_give_bodies(struct judgement *j, const struct dkim_body_fact *bodies)
{
    assert_judgement(j);
    if (j->dkim.body_count > 0)
        memcpy(j->dkim_facts.bodies, bodies, j->dkim.body_count * sizeof *bodies);
    j->dkim_facts.bodies_are_known = true;
    if (j->arc.needs_body)
        j->arc_facts.body = bodies[j->arc_body];
    j->arc_facts.body_is_known = true;
}

/* ---- judging ---- */

static enum dmarc_outcome outcome_of_spf(enum spf_result result)
{
    return result == SPF_PASS        ? DMARC_OUTCOME_PASS
           : result == SPF_TEMPERROR ? DMARC_OUTCOME_TEMPERROR
                                     : DMARC_OUTCOME_OTHER;
}

static enum dmarc_outcome outcome_of_dkim(const struct dkim_signature *signature)
{
    return signature->result == DKIM_PASS        ? DMARC_OUTCOME_PASS
           : signature->result == DKIM_TEMPERROR ? DMARC_OUTCOME_TEMPERROR
                                                 : DMARC_OUTCOME_OTHER;
}

static void collect_identifiers(struct judgement *j)
{
    j->identifiers = (struct dmarc_question){.from = &j->from,
                                             .spf = {outcome_of_spf(j->spf.result), j->spf.domain}};
    j->list_signed = false;
    for (size_t i = 0; i < j->dkim.count; i++) {
        const struct dkim_signature *signature = &j->dkim.signatures[i];
        if (!signature->looked_at || j->identifiers.dkim_count == DMARC_DKIM_MAX)
            continue;
        enum dmarc_outcome outcome = outcome_of_dkim(signature);
        j->compared[j->identifiers.dkim_count] = (uint16_t)i;
        j->identifiers.dkim[j->identifiers.dkim_count++] = (struct dmarc_identifier){outcome,
                                                                                     signature->field.domain};
        if (outcome == DMARC_OUTCOME_PASS && j->list.length > 0 &&
            dkim_domain_is_under(j->list, signature->field.domain))
            j->list_signed = true;
    }
}

static bool is_trusted_sealer(const struct judgement *j, struct bytes domain)
{
    for (size_t i = 0; i < j->question.arc_trusted_count; i++)
        if (dns_name_equal(domain, j->question.arc_trusted[i]))
            return true;
    return false;
}

/* True if the server of that set found that DMARC passes. */
static bool has_dmarc_pass(struct judgement *j, unsigned instance)
{
    struct authres *found = ARENA_NEW(&j->round, struct authres);
    bool passed = false;
    if (!authres_parse(found, arc_results_of(&j->arc, instance), &j->round))
        return false;
    for (size_t i = 0; i < found->result_count; i++)
        passed = passed || (bytes_is_nocase(found->results[i].method, "dmarc") &&
                            bytes_is_nocase(found->results[i].result, "pass"));
    return passed;
}

/* A seal is the word of its domain: it is believed from the newest set on, as far as each sealer is. */
static unsigned believed_set(struct judgement *j)
{
    if (j->arc.result != ARC_PASS)
        return 0;
    for (size_t i = j->arc.count; i > 0 && is_trusted_sealer(j, j->arc.sets[i - 1].seal.domain); i--)
        if (has_dmarc_pass(j, (unsigned)i))
            return (unsigned)i;
    return 0;
}

static void draw_verdict(struct judgement *j)
{
    j->arc_believed = believed_set(j);
    const struct verdict_facts facts = {.mode = j->question.mode,
                                        .authenticated = j->question.authenticated,
                                        .form = j->form,
                                        .spf = &j->spf,
                                        .identifiers = &j->identifiers,
                                        .dmarc = &j->dmarc,
                                        .arc_trusted = j->arc_believed > 0,
                                        .forwarder = j->question.forwarder,
                                        .list = j->list_signed,
                                        .deferred_enough = j->question.deferred_enough};
    verdict_judge(&facts, &j->verdict);
}

/* One pass over the facts; true if nothing is lacked. */
static bool judge_once(struct judgement *j, uint64_t now_s)
{
    const struct spf_question spf = {.client = j->question.client,
                                     .helo = j->question.helo,
                                     .mail_from = j->question.mail_from,
                                     .receiver = j->question.hostname,
                                     .now_s = now_s};
    size_t lacked = 0;
    arena_clear(&j->round);
    for (size_t i = 0; i < JUDGEMENT_CHECKS; i++)
        dns_facts_begin(&j->dns[i]);
    signature_facts_begin(&j->signatures);
    signature_facts_begin(&j->arc_signatures);
    bool known = dkim_judge(&j->dkim, &j->dkim_facts, now_s);
    known = arc_judge(&j->arc, &j->arc_facts, now_s) && known;
    j->spf = spf_judge(&spf, &j->dns[CHECK_SPF]);
    j->iprev = iprev_judge(&j->question.client, &j->dns[CHECK_IPREV]);
    collect_identifiers(j);
    j->dmarc = dmarc_judge(&j->identifiers, &j->dns[CHECK_DMARC]);
    for (size_t i = 0; i < JUDGEMENT_CHECKS; i++)
        lacked += j->dns[i].lacked_count;
    return known && lacked == 0;
}

/* Answers each question that is lacked with a temporary failure; false if there was none. */
static bool fail_lacked(struct judgement *j)
{
    static const struct dns_answer failed = {.status = DNS_SERVER_FAILURE};
    bool any = false;
    for (size_t check = 0; check < JUDGEMENT_CHECKS; check++)
        for (size_t i = 0; i < j->dns[check].lacked_count; i++) {
            dns_facts_add(&j->dns[check], j->dns[check].lacked[i], &failed);
            any = true;
        }
    return any;
}

bool judgement_run(struct judgement *j, uint64_t now_s)
{
    bool final;
    assert_judgement(j);
    do
        final = judge_once(j, now_s);
    while (!final && j->gave_up && fail_lacked(j));
    if (final)
        draw_verdict(j);
    return final;
}

/* ---- facts ---- */

static bool is_among(const struct dns_fact_key *keys, size_t count, struct dns_fact_key key)
{
    for (size_t i = 0; i < count; i++)
        if (dns_fact_key_answers(keys[i], key))
            return true;
    return false;
}

static bool is_lacked(const struct dns_facts *facts, struct dns_fact_key known)
{
    for (size_t i = 0; i < facts->lacked_count; i++)
        if (dns_fact_key_answers(known, facts->lacked[i]))
            return true;
    return false;
}

size_t judgement_lacked(const struct judgement *j, struct dns_fact_key *keys)
{
    size_t count = 0;
    for (size_t check = 0; check < JUDGEMENT_CHECKS; check++)
        for (size_t i = 0; i < j->dns[check].lacked_count; i++)
            if (!is_among(keys, count, j->dns[check].lacked[i]))
                keys[count++] = j->dns[check].lacked[i];
    assert(count <= JUDGEMENT_LACKED_MAX);
    return count;
}

void judgement_answer(struct judgement *j, struct dns_fact_key key, const struct dns_answer *answer)
{
    assert_judgement(j);
    for (size_t check = 0; check < JUDGEMENT_CHECKS; check++)
        if (is_lacked(&j->dns[check], key))
            dns_facts_add(&j->dns[check], key, answer);
}

void judgement_give_up(struct judgement *j)
{
    assert_judgement(j);
    j->gave_up = true;
}

/* ---- Authentication-Results ---- */

static void write_spf(const struct judgement *j, struct authres_writer *writer)
{
    const char *reason = j->spf.problem == SPF_NO_PROBLEM ? NULL : spf_problem_sentence(j->spf.problem);
    authres_write_result(writer, "spf", spf_result_name(j->spf.result), reason);
    if (j->spf.null_sender)
        authres_write_property(writer, "smtp", "helo", j->question.helo);
    else
        authres_write_property(writer, "smtp", "mailfrom", j->question.mail_from);
}

static void write_dmarc(const struct judgement *j, struct authres_writer *writer)
{
    authres_write_result(writer, "dmarc", dmarc_result_name(j->dmarc.result), NULL);
    if (j->dmarc.author.length > 0)
        authres_write_property(writer, "header", "from", j->dmarc.author);
    if (j->dmarc.result != DMARC_NONE && j->dmarc.policy != DMARC_POLICY_UNSET)
        authres_write_property(writer, "policy", "dmarc", bytes_of_text(dmarc_policy_name(j->dmarc.policy)));
}

/* The address is that of the client (RFC 8601 2.7.3). */
static void write_iprev(const struct judgement *j, struct authres_writer *writer)
{
    struct buffer address = {0};
    route_address_text(&address, &j->question.client);
    authres_write_result(writer, "iprev", iprev_result_name(j->iprev.result), NULL);
    authres_write_property(writer, "policy", "iprev", buffer_bytes(&address));
    buffer_free(&address);
}

void judgement_write_results(const struct judgement *j, struct bytes id, struct buffer *out)
{
    struct authres_writer writer;
    authres_write_start(&writer, id);
    if (!j->question.authenticated && j->question.mode != VERDICT_OFF) {
        write_dmarc(j, &writer);
        write_spf(j, &writer);
        authres_write_dkim(&writer, &j->dkim);
        if (j->arc.result != ARC_NONE)
            authres_write_result(&writer, "arc", arc_result_word(j->arc.result), j->arc.reason);
        write_iprev(j, &writer);
    }
    authres_write_end(&writer, "Authentication-Results: ", out);
}
