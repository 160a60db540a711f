/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/diagnosis.h"

#include <assert.h>

#include "core/diagnosis/port_seen.h"
#include "core/diagnosis/words.h"

/* Three views of the same facts. `two`: both families were really tried. */
struct views {
    struct findings both, four, six;
    bool two;
};

/* A family without a route on this machine is not tried by any program: it is no evidence. */
static bool was_tried(const struct diagnosis_facts *facts, bool six)
{
    for (size_t i = 0; i < facts->attempt_count; i++) {
        const struct fact_attempt *attempt = &facts->attempts[i];
        if (attempt->six == six && attempt->reach != REACH_UNKNOWN &&
            !(attempt->reach == REACH_UNREACHABLE && attempt->unreachable == UNREACHABLE_NO_ROUTE))
            return true;
    }
    return false;
}

static void views_make(struct views *views, const struct diagnosis_facts *facts)
{
    findings_make(&views->both, facts, FAMILY_BOTH);
    views->two = was_tried(facts, false) && was_tried(facts, true);
    if (views->two) {
        findings_make(&views->four, facts, FAMILY_4);
        findings_make(&views->six, facts, FAMILY_6);
    }
}

/* ---- causes ---- */

enum weight { SUPPORT_WEIGHT = 3, PROVED_WEIGHT = 5, ONE_FAMILY_LOSS = 45, WORKS_LOSS = 20 };

static void add_evidence(struct diagnosis_cause *found, const enum finding *list, size_t max,
                         const struct findings *findings)
{
    size_t count = 0;
    while (count < DIAGNOSIS_EVIDENCE_MAX && found->evidence[count] != FINDING_NONE)
        count++;
    for (size_t i = 0; i < max && list[i] != FINDING_NONE && count < DIAGNOSIS_EVIDENCE_MAX; i++) {
        bool known = false;
        for (size_t k = 0; k < count; k++)
            known = known || found->evidence[k] == list[i];
        if (!known && findings_say(findings, list[i]))
            found->evidence[count++] = list[i];
    }
}

static struct diagnosis_cause judge_cause(enum cause cause, const struct findings *findings)
{
    const struct cause_row *row = cause_row(cause);
    size_t support = cause_support(cause, findings);
    bool proved = cause_is_proved(cause, findings);
    struct diagnosis_cause found = {
        .cause = cause,
        .family = findings->family,
        .confidence = proved                                                         ? CONFIDENCE_CERTAIN
                      : support > 1 || (support == 1 && row->any[0] == FINDING_NONE) ? CONFIDENCE_LIKELY
                                                                                     : CONFIDENCE_POSSIBLE,
        .weight = row->weight + (int)support * SUPPORT_WEIGHT + (proved ? PROVED_WEIGHT : 0)};
    add_evidence(&found, row->proof, CAUSE_NEEDS_MAX, findings);
    add_evidence(&found, row->needs, CAUSE_NEEDS_MAX, findings);
    add_evidence(&found, row->any, CAUSE_FINDINGS_MAX, findings);
    add_evidence(&found, row->likelier, CAUSE_FINDINGS_MAX, findings);
    return found;
}

/* For both families where both have it, or where only their sum has; else for the one. */
static bool find_cause(enum cause cause, const struct views *views, struct diagnosis_cause *found)
{
    bool both = cause_holds(cause, &views->both), four = views->two && cause_holds(cause, &views->four),
         six = views->two && cause_holds(cause, &views->six);
    if (!both && !four && !six)
        return false;
    const struct findings *one = four && !six ? &views->four : six && !four ? &views->six : NULL;
    if (one == NULL || (both && cause != CAUSE_IPV6_BROKEN && !views->two)) {
        *found = judge_cause(cause, both ? &views->both : &views->four);
        found->family = FAMILY_BOTH;
        return true;
    }
    if (one == &views->six && findings_say(&views->both, FINDING_SIX_DEAD))
        return false; /* said already: IPv6 is dead */
    *found = judge_cause(cause, both ? &views->both : one);
    found->family = one->family;
    found->weight -= both ? 0 : ONE_FAMILY_LOSS;
    return true;
}

static void insert_cause(struct diagnosis *diagnosis, const struct diagnosis_cause *found)
{
    size_t at = diagnosis->cause_count;
    while (at > 0 && diagnosis->causes[at - 1].weight < found->weight)
        at--;
    if (at == DIAGNOSIS_CAUSES_MAX)
        return;
    if (diagnosis->cause_count < DIAGNOSIS_CAUSES_MAX)
        diagnosis->cause_count++;
    memmove(&diagnosis->causes[at + 1], &diagnosis->causes[at],
            (diagnosis->cause_count - 1 - at) * sizeof diagnosis->causes[0]);
    diagnosis->causes[at] = *found;
}

static void find_causes(struct diagnosis *diagnosis, const struct views *views)
{
    struct diagnosis_cause found;
    for (int cause = CAUSE_UNKNOWN + 1; cause < CAUSE_COUNT; cause++)
        if (find_cause((enum cause)cause, views, &found))
            insert_cause(diagnosis, &found);
    if (diagnosis->cause_count == 0 && !diagnosis->works)
        insert_cause(diagnosis, &(struct diagnosis_cause){.cause = CAUSE_UNKNOWN});
}

/* ---- what works ---- */

static bool offers_no_sign_in(const struct fact_attempt *attempt)
{
    return attempt->auth_offered == KNOWN_NO ||
           (attempt->auth_passwords == KNOWN_NO && attempt->auth_tokens == KNOWN_NO);
}

/* A port without sign-in only where no other is ready. */
static void find_port(struct diagnosis *diagnosis, const struct diagnosis_facts *facts)
{
    struct ports_seen seen;
    const struct port_seen *use = NULL;
    ports_seen_make(&seen, facts, FAMILY_BOTH);
    for (size_t i = 0; i < seen.count; i++) {
        const struct port_seen *port = &seen.ports[i];
        if (port->state == PORT_SEEN_READY &&
            (port_seen_counts(facts, port) || facts->purpose == PURPOSE_LEAVE) &&
            (use == NULL || (offers_no_sign_in(use->attempt) && !offers_no_sign_in(port->attempt))))
            use = port;
    }
    if (use != NULL) {
        diagnosis->works = true;
        diagnosis->use_port = use->port;
        diagnosis->use_implicit = use->attempt->implicit_tls;
    }
    if (facts->reply.step != REPLY_NONE && facts->reply.code >= 400)
        diagnosis->works = false; /* the way is open, and the message was not taken */
}

/* ---- steps ---- */

static void add_step(struct diagnosis *diagnosis, enum step_kind step, const struct views *views)
{
    for (size_t i = 0; i < diagnosis->step_count; i++)
        if (diagnosis->steps[i] == step)
            return;
    if (diagnosis->step_count < DIAGNOSIS_STEPS_MAX && step_is_allowed(step, &views->both) &&
        words_are_known(views->both.facts, diagnosis, step_words(step)))
        diagnosis->steps[diagnosis->step_count++] = step;
}

static void find_steps(struct diagnosis *diagnosis, const struct views *views)
{
    if (findings_say(&views->both, FINDING_IDENTITY_IN_DOUBT) && diagnosis->cause_count > 0 &&
        cause_row(diagnosis->causes[0].cause)->steps[0] == STEP_DO_NOT_SIGN_IN)
        add_step(diagnosis, STEP_DO_NOT_SIGN_IN, views);
    if (diagnosis->works)
        add_step(diagnosis, STEP_USE_PORT, views);
    for (size_t i = 0; i < diagnosis->cause_count; i++)
        for (size_t k = 0; k < CAUSE_STEPS_MAX; k++)
            add_step(diagnosis, cause_row(diagnosis->causes[i].cause)->steps[k], views);
    if (diagnosis->step_count == 0)
        add_step(diagnosis, STEP_OTHER_NETWORK, views);
}

/* Asserts the invariants of every diagnosis. */
static void check(const struct diagnosis *diagnosis)
{
    assert(diagnosis->works || diagnosis->cause_count > 0);
    assert(diagnosis->works == (diagnosis->use_port != 0) || !diagnosis->works);
    assert(diagnosis->cause_count <= DIAGNOSIS_CAUSES_MAX && diagnosis->step_count <= DIAGNOSIS_STEPS_MAX);
    for (size_t i = 1; i < diagnosis->cause_count; i++)
        assert(diagnosis->causes[i - 1].weight >= diagnosis->causes[i].weight);
    for (size_t i = 0; i < diagnosis->step_count; i++)
        assert(step_is_allowed(diagnosis->steps[i], &diagnosis->findings)); /* the rules of safety */
}

void diagnosis_make(const struct diagnosis_facts *facts, struct diagnosis *diagnosis)
{
    struct views views;
    assert(facts->attempt_count <= FACTS_ATTEMPTS_MAX && facts->control_count <= FACTS_CONTROLS_MAX);
    *diagnosis = (struct diagnosis){0};
    views_make(&views, facts);
    diagnosis->findings = views.both;
    find_port(diagnosis, facts);
    find_causes(diagnosis, &views);
    find_steps(diagnosis, &views);
    check(diagnosis);
}

/* ---- what is missing ---- */

/* All that was tried can be used, over each family: there is nothing to explain. */
static bool is_fine(const struct diagnosis_facts *facts)
{
    struct ports_seen seen;
    ports_seen_make(&seen, facts, FAMILY_BOTH);
    bool any = false;
    for (size_t i = 0; i < seen.count; i++) {
        if (port_seen_counts(facts, &seen.ports[i]) && seen.ports[i].state != PORT_SEEN_READY)
            return false;
        any = any || seen.ports[i].state == PORT_SEEN_READY;
    }
    for (size_t i = 0; i < facts->attempt_count; i++)
        if (facts->attempts[i].reach == REACH_SILENT && facts->attempts[i].port != 25)
            return false;
    return any && facts->reply.step == REPLY_NONE;
}

unsigned diagnosis_lacks(const struct diagnosis_facts *facts)
{
    struct findings findings;
    unsigned lacks = FACT_MACHINE | FACT_FIREWALL | FACT_HISTORY; /* on this machine: at no cost */
    if (is_fine(facts))
        return 0;
    findings_make(&findings, facts, FAMILY_BOTH);
    for (int cause = CAUSE_UNKNOWN + 1; cause < CAUSE_COUNT; cause++)
        lacks |= cause_lacks((enum cause)cause, &findings);
    if (findings_say(&findings, FINDING_HOST_OWN))
        lacks &= ~(unsigned)(FACT_CONTROLS | FACT_WEB | FACT_OTHER_RESOLVER);
    if (facts->dns == FACT_DNS_IS_ADDRESS)
        lacks &= ~(unsigned)FACT_OTHER_RESOLVER;
    return lacks & ~facts->gathered;
}

/* ---- words ---- */

static const char *family_words(const struct diagnosis_cause *cause)
{
    return cause->cause == CAUSE_IPV6_BROKEN ? ""
           : cause->family == FAMILY_4       ? " (over IPv4)"
           : cause->family == FAMILY_6       ? " (over IPv6)"
                                             : "";
}

void diagnosis_cause_sentence(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                              const struct diagnosis_cause *cause, struct buffer *out)
{
    words_fill(facts, diagnosis, cause_row(cause->cause)->sentence, out);
    buffer_add_text(out, family_words(cause));
}

void diagnosis_sentence(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                        struct buffer *out)
{
    if (diagnosis->works && (diagnosis->cause_count == 0 || diagnosis->steps[0] == STEP_USE_PORT))
        words_fill(facts, diagnosis, "{host} can be used on {use}", out);
    else if (diagnosis->cause_count > 0)
        diagnosis_cause_sentence(facts, diagnosis, &diagnosis->causes[0], out);
}

void diagnosis_line(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                    struct buffer *out)
{
    diagnosis_sentence(facts, diagnosis, out);
    if (diagnosis->step_count > 0) {
        buffer_add_text(out, "; ");
        diagnosis_step_sentence(facts, diagnosis, diagnosis->steps[0], out);
    }
}

void diagnosis_step_sentence(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                             enum step_kind step, struct buffer *out)
{
    words_fill(facts, diagnosis, step_words(step), out);
}

void diagnosis_evidence(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                        const struct diagnosis_cause *cause, struct buffer *out)
{
    size_t said = 0;
    for (size_t i = 0;
         said < DIAGNOSIS_CLAUSES_MAX && i < DIAGNOSIS_EVIDENCE_MAX && cause->evidence[i] != FINDING_NONE;
         i++) {
        const char *words = finding_words(cause->evidence[i]);
        if (cause->evidence[i] == FINDING_IDENTITY_IN_DOUBT || !words_are_known(facts, diagnosis, words))
            continue;
        buffer_add_text(out, said++ > 0 ? "; " : "");
        words_fill(facts, diagnosis, words, out);
    }
}

/* ---- the ticket ---- */

static bool has_step(const struct diagnosis *diagnosis, enum step_kind step)
{
    for (size_t i = 0; i < diagnosis->step_count; i++)
        if (diagnosis->steps[i] == step)
            return true;
    return false;
}

static const char *addressee(enum step_actor actor)
{
    return actor == ACTOR_SERVER   ? "To the operator of the mail server"
           : actor == ACTOR_DOMAIN ? "To the operator of the domain"
                                   : "To the operator of the network";
}

void diagnosis_ticket(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                      struct buffer *out)
{
    enum step_actor actor = ACTOR_YOU;
    for (size_t i = 0; diagnosis->cause_count > 0 && i < CAUSE_STEPS_MAX && actor == ACTOR_YOU; i++) {
        enum step_kind step = cause_row(diagnosis->causes[0].cause)->steps[i];
        actor = has_step(diagnosis, step) ? step_actor_of(step) : ACTOR_YOU;
    }
    if (actor == ACTOR_YOU)
        return;
    buffer_add_format(out, "%s:\nSending mail through ", addressee(actor));
    words_fill(facts, diagnosis, "{host}", out);
    buffer_add_text(out, " fails from here: ");
    diagnosis_cause_sentence(facts, diagnosis, &diagnosis->causes[0], out);
    buffer_add_text(out, ".\nSeen: ");
    diagnosis_evidence(facts, diagnosis, &diagnosis->causes[0], out);
    buffer_add_text(out, ".\n");
    words_add_ports(facts, out);
    buffer_add_text(out, "Request: ");
    for (size_t i = 0, any = 0; i < diagnosis->step_count; i++)
        if (step_actor_of(diagnosis->steps[i]) == actor) {
            buffer_add_text(out, any++ > 0 ? "; " : "");
            diagnosis_step_sentence(facts, diagnosis, diagnosis->steps[i], out);
        }
    buffer_add_text(out, ".\n");
}
