/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/spf.h"

#include <assert.h>

#include "core/dns/dns_name.h"
#include "core/smtp/address.h"
#include "core/trust/client_name.h"
#include "core/trust/spf_macro.h"
#include "core/trust/spf_prefetch.h"
#include "core/trust/spf_record.h"

struct judging {
    const struct spf_question *question;
    struct dns_facts *facts;
    struct spf_macro_values values; /* of the record that is evaluated */
    struct spf_verdict verdict;
    struct spf_link links[SPF_LOOKUPS_MAX + 1]; /* to the record that is evaluated */
    size_t link_count;
    size_t includes;                           /* of the links that are no redirects */
    bool lacking;                              /* the evaluation stopped at an answer that is not known yet */
    bool client_name_counts;                   /* a %{p} has been counted as a look-up */
    struct bytes failed_record, failed_domain; /* for the explanation */
};

/* The outcome of one term, or of one question for it. */
enum spf_step { STEP_NO_MATCH, STEP_MATCH, STEP_LACKING, STEP_TEMPERROR, STEP_PERMERROR };

static void assert_judging(const struct judging *j)
{
    assert(j->link_count >= 1 && j->link_count <= ARRAY_LENGTH(j->links));
    assert(j->includes < j->link_count);
    assert(j->verdict.lookups <= SPF_LOOKUPS_MAX + 1 && j->verdict.voids <= SPF_VOIDS_MAX + 1);
}

/* Writes down where the evaluation is: what decides last stays. */
static void remember(struct judging *j, struct bytes term)
{
    struct arena *arena = j->facts->texts;
    j->verdict.term = arena_copy(arena, term);
    j->verdict.link_count = j->link_count;
    for (size_t i = 0; i < j->link_count; i++)
        j->verdict.links[i] = (struct spf_link){arena_copy(arena, j->links[i].domain),
                                                j->links[i].redirected};
}

static enum spf_step problem(struct judging *j, enum spf_problem problem, struct bytes term)
{
    j->verdict.problem = problem;
    remember(j, term);
    return problem == SPF_DNS_FAILED ? STEP_TEMPERROR : STEP_PERMERROR;
}

static enum spf_step step_of(const struct dns_answer *answer)
{
    if (answer->status == DNS_UNKNOWN)
        return STEP_LACKING;
    return dns_status_is_told(answer->status) ? STEP_NO_MATCH : STEP_TEMPERROR;
}

static enum spf_step ask(struct judging *j, enum dns_type type, struct bytes name,
                         const struct dns_answer **answer)
{
    *answer = dns_facts_look_up(j->facts, type, name);
    return step_of(*answer);
}

static enum spf_step count_lookup(struct judging *j, struct bytes term)
{
    if (j->verdict.lookups <= SPF_LOOKUPS_MAX)
        j->verdict.lookups++;
    return j->verdict.lookups > SPF_LOOKUPS_MAX ? problem(j, SPF_TOO_MANY_LOOKUPS, term) : STEP_NO_MATCH;
}

static enum spf_step count_void(struct judging *j, bool is_void, struct bytes term)
{
    if (is_void && j->verdict.voids <= SPF_VOIDS_MAX)
        j->verdict.voids++;
    return is_void && j->verdict.voids > SPF_VOIDS_MAX ? problem(j, SPF_TOO_MANY_VOIDS, term) : STEP_NO_MATCH;
}

static enum dns_type address_type(const struct judging *j)
{
    return j->values.client->six ? DNS_AAAA : DNS_A;
}

static bool answer_has_client(const struct judging *j, const struct dns_answer *answer,
                              const struct spf_term *term)
{
    for (size_t i = 0; i < answer->count; i++)
        if (spf_record_term_has(term, answer->records[i].address, j->values.client))
            return true;
    return false;
}

/* ---- the mechanisms (RFC 7208 5) ---- */

static enum spf_step match_a(struct judging *j, const struct spf_term *term, struct bytes name)
{
    const struct dns_answer *answer;
    enum spf_step step = ask(j, address_type(j), name, &answer);
    if (step != STEP_NO_MATCH)
        return step;
    if (answer_has_client(j, answer, term))
        return STEP_MATCH;
    return count_void(j, answer->count == 0, term->text);
}

static enum spf_step match_exists(struct judging *j, const struct spf_term *term, struct bytes name)
{
    const struct dns_answer *answer;
    enum spf_step step = ask(j, DNS_A, name, &answer);
    if (step != STEP_NO_MATCH)
        return step;
    return answer->count > 0 ? STEP_MATCH : count_void(j, true, term->text);
}

/* A term is void if its MX query finds nothing, or one of its hosts does not exist. Hosts without an address
 * of the client's family do not count: an IPv4-only MX would make void of what an IPv6 client is asked. */
static enum spf_step match_mx(struct judging *j, const struct spf_term *term, struct bytes name)
{
    const struct dns_answer *answer, *host;
    enum spf_step step = ask(j, DNS_MX, name, &answer);
    if (step != STEP_NO_MATCH)
        return step;
    if (answer->count > SPF_MX_MAX)
        return problem(j, SPF_TOO_MANY_MX, term->text);
    bool is_void = answer->count == 0, lacking = false;
    for (size_t i = 0; i < answer->count; i++) {
        if (answer->records[i].name.length == 0)
            continue; /* a null MX (RFC 7505) */
        step = ask(j, address_type(j), answer->records[i].name, &host);
        lacking = lacking || step == STEP_LACKING;
        if (lacking)
            continue; /* all hosts are lacked together */
        if (step == STEP_TEMPERROR)
            return step;
        if (answer_has_client(j, host, term))
            return STEP_MATCH;
        is_void = is_void || host->status == DNS_NXDOMAIN;
    }
    return lacking ? STEP_LACKING : count_void(j, is_void, term->text);
}

static enum spf_step match_ptr(struct judging *j, const struct spf_term *term, struct bytes name)
{
    struct client_names names;
    client_name_find(j->values.client, name, j->facts, &names);
    if (names.lacking)
        return STEP_LACKING;
    if (names.count > 0)
        return STEP_MATCH;
    return count_void(j, dns_status_is_told(names.status) && names.status != DNS_FOUND, term->text);
}

static enum spf_result check_domain(struct judging *j, struct bytes domain, bool redirected);

static enum spf_step match_include(struct judging *j, struct bytes name)
{
    struct bytes domain = j->values.domain;
    size_t link_count = j->link_count;
    j->includes++;
    enum spf_result result = check_domain(j, name, false);
    if (result == SPF_NONE)
        problem(j, SPF_NO_RECORD, bytes_none());
    j->includes--;
    j->link_count = link_count;
    j->values.domain = domain;
    assert_judging(j);
    if (j->lacking)
        return STEP_LACKING;
    switch (result) {
    case SPF_PASS: return STEP_MATCH;
    case SPF_TEMPERROR: return STEP_TEMPERROR;
    case SPF_NONE:
    case SPF_PERMERROR: return STEP_PERMERROR;
    case SPF_NEUTRAL:
    case SPF_FAIL:
    case SPF_SOFTFAIL: break;
    }
    return STEP_NO_MATCH;
}

/* ---- one record ---- */

/* Makes %{p} known if the text has one; it counts once as a look-up (RFC 7208 4.6.4). */
static enum spf_step prepare_client_name(struct judging *j, struct bytes text, bool counts)
{
    if (!spf_macro_names_client(text))
        return STEP_NO_MATCH;
    if (counts && !j->client_name_counts) {
        j->client_name_counts = true;
        if (count_lookup(j, text) != STEP_NO_MATCH)
            return STEP_PERMERROR;
    }
    struct client_names names;
    client_name_find(j->values.client, bytes_none(), j->facts, &names);
    j->values.client_name = names.count == 0 ? BYTES("unknown") : client_name_best(&names, j->values.domain);
    return names.lacking ? STEP_LACKING : STEP_NO_MATCH;
}

/* Expands the domain of a term into *name; without one it is the record's own. */
static enum spf_step term_name(struct judging *j, const struct spf_term *term, struct spf_expansion *name)
{
    enum spf_step step = prepare_client_name(j, term->domain, true);
    if (step != STEP_NO_MATCH)
        return step;
    spf_macro_expand_name(term->domain.length > 0 ? term->domain : BYTES("%{d}"), &j->values, name);
    return STEP_NO_MATCH;
}

static enum spf_step match_name(struct judging *j, const struct spf_term *term)
{
    struct spf_expansion expansion;
    enum spf_step step = count_lookup(j, term->text);
    if (step == STEP_NO_MATCH)
        step = term_name(j, term, &expansion);
    if (step != STEP_NO_MATCH)
        return step;
    struct bytes name = bytes_of(expansion.at, expansion.length);
    switch (term->kind) {
    case SPF_A: return match_a(j, term, name);
    case SPF_MX: return match_mx(j, term, name);
    case SPF_PTR: return match_ptr(j, term, name);
    case SPF_EXISTS: return match_exists(j, term, name);
    case SPF_INCLUDE: return match_include(j, name);
    case SPF_ALL:
    case SPF_IP4:
    case SPF_IP6:
    case SPF_REDIRECT:
    case SPF_EXP:
    case SPF_UNKNOWN_MODIFIER: break;
    }
    return STEP_NO_MATCH;
}

static enum spf_step match_term(struct judging *j, const struct spf_term *term)
{
    if (term->kind == SPF_ALL)
        return STEP_MATCH;
    if (term->kind == SPF_IP4 || term->kind == SPF_IP6)
        return spf_record_term_has(term, term->network.octets, j->values.client) ? STEP_MATCH : STEP_NO_MATCH;
    return term->kind < SPF_REDIRECT ? match_name(j, term) : STEP_NO_MATCH;
}

static enum spf_result matched(struct judging *j, const struct spf_term *term, struct bytes record)
{
    if (term->kind != SPF_INCLUDE)
        remember(j, term->text);
    if (term->qualifier == '-' && j->includes == 0) {
        j->failed_record = record;
        j->failed_domain = arena_copy(j->facts->texts, j->values.domain);
    }
    return term->qualifier == '+'   ? SPF_PASS
           : term->qualifier == '-' ? SPF_FAIL
           : term->qualifier == '~' ? SPF_SOFTFAIL
                                    : SPF_NEUTRAL;
}

static enum spf_result stopped(struct judging *j, enum spf_step step, struct bytes term)
{
    if (step == STEP_LACKING)
        j->lacking = true;
    else if (step == STEP_TEMPERROR && j->verdict.problem == SPF_NO_PROBLEM)
        problem(j, SPF_DNS_FAILED, term);
    return step == STEP_PERMERROR ? SPF_PERMERROR : SPF_TEMPERROR;
}

/* Follows redirect= after no mechanism has matched (RFC 7208 6.1). */
static enum spf_result follow_redirect(struct judging *j, const struct spf_term *term)
{
    struct spf_expansion name;
    enum spf_step step = count_lookup(j, term->text);
    if (step == STEP_NO_MATCH)
        step = term_name(j, term, &name);
    if (step != STEP_NO_MATCH)
        return stopped(j, step, term->text);
    enum spf_result result = check_domain(j, bytes_of(name.at, name.length), true);
    if (result != SPF_NONE)
        return result;
    problem(j, SPF_NO_RECORD, bytes_none());
    return SPF_PERMERROR;
}

static enum spf_result evaluate(struct judging *j, struct bytes record)
{
    struct spf_term term, redirect = {.kind = SPF_ALL};
    struct bytes rest = record;
    while (spf_record_next(&rest, &term)) {
        if (term.kind == SPF_REDIRECT)
            redirect = term;
        enum spf_step step = match_term(j, &term);
        if (step == STEP_MATCH)
            return matched(j, &term, record);
        if (step == STEP_LACKING)
            spf_prefetch(&j->values, rest, SPF_LOOKUPS_MAX - j->verdict.lookups, j->facts);
        if (step != STEP_NO_MATCH)
            return stopped(j, step, term.text);
    }
    if (redirect.kind == SPF_REDIRECT)
        return follow_redirect(j, &redirect);
    remember(j, bytes_none());
    return SPF_NEUTRAL;
}

/* Chooses the record of a domain (RFC 7208 4.5) and evaluates it: check_host(). */
static enum spf_result check_domain(struct judging *j, struct bytes domain, bool redirected)
{
    const struct dns_answer *answer = dns_facts_look_up_text(j->facts, domain, SPF_PREFIX);
    struct bytes record = bytes_none();
    size_t count = 0;
    j->values.domain = domain;
    j->links[j->link_count++] = (struct spf_link){domain, redirected};
    assert_judging(j);
    enum spf_step step = step_of(answer);
    if (step != STEP_NO_MATCH)
        return stopped(j, step, bytes_none());
    for (size_t i = 0; i < answer->count; i++)
        if (spf_record_is(answer->records[i].data) && ++count == 1)
            record = answer->records[i].data;
    if (count == 0)
        return SPF_NONE;
    struct bytes fault = spf_record_fault(record);
    if (count > 1)
        step = problem(j, SPF_TWO_RECORDS, bytes_none());
    else if (fault.length > 0)
        step = problem(j, SPF_SYNTAX, bytes_first(fault, SPF_VALUE_MAX));
    return step == STEP_PERMERROR ? SPF_PERMERROR : evaluate(j, record);
}

/* ---- the explanation (RFC 7208 6.2) ---- */

static struct bytes explanation_domain(struct bytes record)
{
    struct spf_term term;
    while (spf_record_next(&record, &term))
        if (term.kind == SPF_EXP)
            return term.domain;
    return bytes_none();
}

/* Whatever is wrong with it, there is just no explanation. */
static void explain(struct judging *j)
{
    const struct dns_answer *answer;
    struct spf_expansion text;
    struct bytes domain = explanation_domain(j->failed_record);
    j->values.domain = j->failed_domain;
    if (domain.length == 0 || prepare_client_name(j, domain, false) != STEP_NO_MATCH)
        return;
    spf_macro_expand_name(domain, &j->values, &text);
    if (ask(j, DNS_TXT, bytes_of(text.at, text.length), &answer) != STEP_NO_MATCH || answer->count != 1)
        return;
    struct bytes data = answer->records[0].data;
    if (!spf_macro_check(data, SPF_PLACE_EXPLANATION) || prepare_client_name(j, data, false) != STEP_NO_MATCH)
        return;
    spf_macro_expand_explanation(data, &j->values, &text);
    struct bytes explanation = bytes_of(text.at, text.length);
    if (!bytes_has_control(explanation) && bytes_is_ascii(explanation))
        j->verdict.explanation = arena_copy(j->facts->texts, explanation);
}

/* ---- the whole ---- */

/* Fills the values that the identity gives (RFC 7208 2.4, 4.1, 4.3). False if it has no domain to check. */
static bool identity(struct judging *j)
{
    const struct spf_question *q = j->question;
    struct bytes local = bytes_none(), domain = q->helo;
    j->verdict.null_sender = q->mail_from.length == 0;
    if (!j->verdict.null_sender && !address_split(q->mail_from, &local, &domain))
        return false;
    if (local.length == 0)
        local = BYTES("postmaster");
    domain = dns_name_without_dot(domain);
    if (local.length + domain.length + 1 > SPF_VALUE_MAX || bytes_find(domain, '.') == SIZE_MAX ||
        host_parse(domain, true) != HOST_NAME)
        return false;
    char *sender = arena_format(j->facts->texts, "%.*s@%.*s", BYTES_ARG(local), BYTES_ARG(domain));
    j->values.sender = bytes_of_text(sender);
    j->values.local = local;
    j->values.sender_domain = domain;
    j->verdict.domain = domain;
    return true;
}

struct spf_verdict spf_judge(const struct spf_question *question, struct dns_facts *facts)
{
    struct route_address client = client_name_address(question->client);
    struct judging j = {.question = question, .facts = facts};
    j.values = (struct spf_macro_values){.helo = bytes_first(question->helo, SPF_VALUE_MAX),
                                         .receiver = bytes_first(question->receiver, SPF_VALUE_MAX),
                                         .client_name = BYTES("unknown"),
                                         .client = &client,
                                         .now_s = question->now_s};
    if (!identity(&j)) {
        j.verdict.problem = SPF_NO_DOMAIN;
        return j.verdict;
    }
    j.verdict.result = check_domain(&j, j.verdict.domain, false);
    if (j.verdict.result == SPF_NONE)
        j.verdict.problem = SPF_NO_RECORD;
    if (j.verdict.result == SPF_FAIL && question->explain)
        explain(&j);
    return j.verdict;
}

static const char *const RESULT_NAMES[] = {
    [SPF_NONE] = "none",           [SPF_NEUTRAL] = "neutral",   [SPF_PASS] = "pass",
    [SPF_FAIL] = "fail",           [SPF_SOFTFAIL] = "softfail", [SPF_TEMPERROR] = "temperror",
    [SPF_PERMERROR] = "permerror",
};

const char *spf_result_name(enum spf_result result)
{
    return RESULT_NAMES[result];
}

static const char *const PROBLEM_SENTENCES[SPF_PROBLEMS] = {
    [SPF_NO_PROBLEM] = "there is no problem",
    [SPF_NO_DOMAIN] = "the sender has no domain name that can have an SPF record",
    [SPF_NO_RECORD] = "the domain has no SPF record",
    [SPF_DNS_FAILED] = "DNS did not answer",
    [SPF_TWO_RECORDS] = "the domain has more than one SPF record",
    [SPF_SYNTAX] = "the record has a syntax error, or is longer than 4 KiB",
    [SPF_TOO_MANY_LOOKUPS] = "the record needs more than 10 DNS lookups",
    [SPF_TOO_MANY_VOIDS] = "more than 2 DNS lookups of the record find nothing",
    [SPF_TOO_MANY_MX] = "an mx term leads to more than 10 servers",
};

const char *spf_problem_sentence(enum spf_problem problem)
{
    assert(problem < SPF_PROBLEMS);
    return PROBLEM_SENTENCES[problem];
}
