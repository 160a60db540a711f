/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/spf_prefetch.h"

#include "core/trust/client_name.h"
#include "core/trust/spf.h"
#include "core/trust/spf_record.h"

struct prefetch {
    struct spf_macro_values values;
    struct dns_facts *facts;
    unsigned budget; /* names that may still be looked at: bounds loops of includes as well */
};

static void walk(struct prefetch *p, struct bytes terms);

/* Looks into the record of an include or redirect if it is known. */
static void ask_record(struct prefetch *p, struct bytes domain)
{
    const struct dns_answer *answer = dns_facts_look_up_text(p->facts, domain, SPF_PREFIX);
    struct bytes outer = p->values.domain;
    for (size_t i = 0; i < answer->count; i++) {
        struct bytes record = answer->records[i].data;
        if (!spf_record_is(record) || spf_record_fault(record).length > 0)
            continue;
        p->values.domain = domain;
        walk(p, record);
        p->values.domain = outer;
        return;
    }
}

static void ask_servers(struct prefetch *p, struct bytes domain)
{
    const struct dns_answer *answer = dns_facts_look_up(p->facts, DNS_MX, domain);
    for (size_t i = 0; i < answer->count && i < SPF_MX_MAX; i++)
        dns_facts_look_up(p->facts, p->values.client->six ? DNS_AAAA : DNS_A, answer->records[i].name);
}

static void ask_term(struct prefetch *p, const struct spf_term *term)
{
    struct spf_expansion expansion;
    struct client_names names;
    spf_macro_expand_name(term->domain.length > 0 ? term->domain : BYTES("%{d}"), &p->values, &expansion);
    struct bytes name = bytes_of(expansion.at, expansion.length);
    switch (term->kind) {
    case SPF_A: dns_facts_look_up(p->facts, p->values.client->six ? DNS_AAAA : DNS_A, name); break;
    case SPF_EXISTS: dns_facts_look_up(p->facts, DNS_A, name); break;
    case SPF_MX: ask_servers(p, name); break;
    case SPF_PTR: client_name_find(p->values.client, name, p->facts, &names); break;
    case SPF_INCLUDE:
    case SPF_REDIRECT: ask_record(p, name); break;
    case SPF_ALL:
    case SPF_IP4:
    case SPF_IP6:
    case SPF_EXP:
    case SPF_UNKNOWN_MODIFIER: break;
    }
}

/* True if the evaluation ends at this term. */
static bool ends_record(const struct prefetch *p, const struct spf_term *term)
{
    return term->kind == SPF_ALL || ((term->kind == SPF_IP4 || term->kind == SPF_IP6) &&
                                     spf_record_term_has(term, term->network.octets, p->values.client));
}

static void walk(struct prefetch *p, struct bytes terms)
{
    struct spf_term term;
    while (spf_record_next(&terms, &term) && !ends_record(p, &term)) {
        if (p->budget == 0 || p->facts->known_count + p->facts->lacked_count >= SPF_PREFETCHED_MAX)
            return;
        if (!spf_record_term_asks(term.kind) || spf_macro_names_client(term.domain))
            continue;
        p->budget--;
        ask_term(p, &term);
    }
}

void spf_prefetch(const struct spf_macro_values *values, struct bytes terms, unsigned budget,
                  struct dns_facts *facts)
{
    struct prefetch prefetch = {.values = *values, .facts = facts, .budget = budget};
    walk(&prefetch, terms);
}
