/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_facts: what DNS has said so far for one judgement, and what it has still to be asked.
 *
 * SPF, DKIM, ARC, DMARC and iprev look names up here as if everything were known. What is not known yet is
 * noted as lacked; the shell asks all that is lacked at the same time, adds the answers, and calls the
 * judgement again from the top, until nothing is lacked (Facts, not continuations: ARCHITECTURE.md). As
 * nothing but the facts decides, the order in which answers come never changes the verdict.
 *
 *     dns_facts_begin(&facts);
 *     verdict = spf_judge(…, &facts);          (an early verdict if facts.lacked_count > 0)
 *     dns_facts_add(&facts, …) for each of facts.lacked; then again from dns_facts_begin().
 *
 * Each judgement has facts of its own, so that a domain's endless SPF leaves its DKIM keys their questions.
 */
#ifndef MAILBOAT_CORE_TRUST_DNS_FACTS_H
#define MAILBOAT_CORE_TRUST_DNS_FACTS_H

#include "base/arena.h"
#include "core/dns/dns_answer.h"

enum dns_facts_limit {
    DNS_FACTS_MAX = 160, /* answers of one judgement; a question past it is answered "temporary failure" */
    DNS_LACKED_MAX = 16, /* questions that are open at the same time; more are lacked in the next round */
    DNS_FACT_SMALL_OCTETS = 8 * 1024,     /* an answer of so many is always kept: every policy and key */
    DNS_FACTS_LARGE_OCTETS = 1024 * 1024, /* of the larger ones together; past it: "temporary failure" */
};

/* The key of an answer: asked, or to be asked. */
struct dns_fact_key {
    enum dns_type type;
    struct bytes name;  /* in lower case, without a final dot */
    const char *prefix; /* TXT: only records that begin so are wanted (dns_text_begins()); NULL: any */
};

struct dns_fact {
    struct dns_fact_key key;
    struct dns_answer answer;
};

struct dns_facts {
    struct dns_fact *known[DNS_FACTS_MAX]; /* in the arena: most messages have few */
    size_t known_count, large_octets;
    struct dns_fact_key lacked[DNS_LACKED_MAX]; /* names in `texts` */
    size_t lacked_count;
    struct arena *arena; /* the owner's, of what is known */
    struct arena *texts; /* of what a judgement lacks and says: the same, or one that is cleared before each
                          */
};

/* Makes empty facts that copy into `arena`, which must outlive them. */
void dns_facts_start(struct dns_facts *facts, struct arena *arena);
/* Forgets what was lacked, before a judgement is called from the top. */
void dns_facts_begin(struct dns_facts *facts);
/*
 * Returns the answer; its status is DNS_UNKNOWN when it is not known yet and was noted as lacked (once,
 * however often it is asked). A name that DNS cannot have (empty, a label over 63 octets or empty, over 253
 * octets) is DNS_NXDOMAIN and is not asked. With DNS_FACTS_MAX answers, a new question is
 * DNS_SERVER_FAILURE. Valid as long as the facts.
 */
const struct dns_answer *dns_facts_look_up(struct dns_facts *facts, enum dns_type type, struct bytes name);
/* The same for the TXT records that begin with `prefix`, a text that outlives the facts. Others may be in the
 * answer too. */
const struct dns_answer *dns_facts_look_up_text(struct dns_facts *facts, struct bytes name,
                                                const char *prefix);
/* True if the answer to `known` answers `asked`: it is the same question, or about all TXT of that name. */
bool dns_fact_key_answers(struct dns_fact_key known, struct dns_fact_key asked);
/* Copies an answer in. The first answer to a question stands; one that nobody asked is kept as well, while
 * there is room. A status of DNS_UNKNOWN counts as DNS_SERVER_FAILURE, and so does an answer that does not
 * fit DNS_FACTS_LARGE_OCTETS. Small ones always fit: nothing that a sender publishes hides the policy of an
 * author. */
void dns_facts_add(struct dns_facts *facts, struct dns_fact_key key, const struct dns_answer *answer);

#endif
