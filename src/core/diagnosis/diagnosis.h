/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diagnosis: why mail does not leave: facts in, causes out. Pure, and the one
 * engine behind `ports`, `doctor`, `send`, the relay's reasons and `explain`.
 *
 *   facts -> findings (finding.h): what each fact says, for IPv4, IPv6 and both:
 *            yes, no, or not known
 *   findings -> causes (cause.h): a table; a row has the findings that it needs,
 *            those that make it likelier, those that speak against it, its
 *            sentence and its steps
 *   steps (step.h): a table too; a step has a guard: the findings under which
 *            it may be said at all. No rule can say a harmful thing, since it is
 *            the step that refuses, whatever the cause.
 *
 * The rules of safety, each held by a guard and a property test over random
 * facts: nothing that may be an interceptor's is to be trusted, installed or
 * used as a name; TLS and its check are never to be switched off; a password is
 * never to be sent where the other side is in doubt, nor again where it was
 * refused; "your server" is said of this machine alone; a network is named by
 * this machine's own evidence or by its own signature alone.
 *
 * diagnosis_lacks() gives the facts that would tell causes apart and that were
 * not looked for yet, all at once; the shell gets them and asks again. Order and
 * repetition of facts never change the answer.
 */
#ifndef MAILBOAT_CORE_DIAGNOSIS_DIAGNOSIS_H
#define MAILBOAT_CORE_DIAGNOSIS_DIAGNOSIS_H

#include "base/buffer.h"
#include "core/diagnosis/cause.h"
#include "core/diagnosis/facts.h"
#include "core/diagnosis/step.h"

enum diagnosis_limit {
    DIAGNOSIS_CAUSES_MAX = 6,
    DIAGNOSIS_STEPS_MAX = 6,
    DIAGNOSIS_EVIDENCE_MAX = 12, /* findings that are kept for a cause */
    DIAGNOSIS_CLAUSES_MAX = 5,   /* of them that are said */
};

enum diagnosis_confidence { CONFIDENCE_POSSIBLE, CONFIDENCE_LIKELY, CONFIDENCE_CERTAIN };

/* One cause, with what it was told by. */
struct diagnosis_cause {
    enum cause cause;
    enum diagnosis_confidence confidence;
    enum finding_family family;                    /* BOTH, or the one family that it is about */
    int weight;                                    /* larger comes first */
    enum finding evidence[DIAGNOSIS_EVIDENCE_MAX]; /* findings that speak for it; FINDING_NONE ends */
};

struct diagnosis {
    struct findings findings; /* of both families together */
    bool works; /* mail can be submitted (or relayed) as asked: seen, as far as can be without sending */
    uint16_t use_port;                                   /* the port to use; 0: none */
    bool use_implicit;                                   /* with implicit TLS there; else STARTTLS */
    struct diagnosis_cause causes[DIAGNOSIS_CAUSES_MAX]; /* the most telling first */
    size_t cause_count;
    enum step_kind steps[DIAGNOSIS_STEPS_MAX]; /* in the order to take them; all guards hold */
    size_t step_count;
};

/* Judges the facts. Never fails: CAUSE_UNKNOWN, with the next test as its step, is an answer. */
void diagnosis_make(const struct diagnosis_facts *facts, struct diagnosis *diagnosis);
/* The facts that are missing: a set of enum fact_kind; 0: nothing that could be got would change the answer.
 */
unsigned diagnosis_lacks(const struct diagnosis_facts *facts);

/* Words; each appends to `out`, without a line feed at its end. */
/* One sentence: the first cause with its place, or what works. */
void diagnosis_sentence(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                        struct buffer *out);
/* The same and the first step, for an error, a log or a queue's reason: one line. */
void diagnosis_line(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                    struct buffer *out);
void diagnosis_cause_sentence(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                              const struct diagnosis_cause *cause, struct buffer *out);
void diagnosis_step_sentence(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                             enum step_kind step, struct buffer *out);
/* Writes the evidence for the cause: clauses parted by "; ". */
void diagnosis_evidence(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                        const struct diagnosis_cause *cause, struct buffer *out);
/* A text for whoever must act (the network's, the provider's or the server's operator), with the
 * evidence a line a port; empty where nobody else has to act. */
void diagnosis_ticket(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                      struct buffer *out);

#endif
