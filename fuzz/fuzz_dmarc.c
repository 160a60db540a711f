/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DMARC of any From field and any records, from a DNS that answers each name from the lines of the input, in
 * two orders: it ends, with the same verdict in both; a pass has an aligned identifier; no domain but those
 * in the field is judged.
 */
#include "choices.h"
#include "core/trust/dmarc.h"

enum { LINES_MAX = 16, ROUNDS_MAX = 200 };

struct dmarc_world {
    struct choices choices;
    struct bytes lines[LINES_MAX];
    size_t line_count;
    struct arena arena;
};

static struct bytes line_of(const struct dmarc_world *world, uint64_t hash)
{
    return world->line_count == 0 ? bytes_none() : world->lines[hash % world->line_count];
}

static void answer(struct dmarc_world *world, struct dns_facts *facts, struct dns_fact_key key)
{
    static const enum dns_status OTHERS[] = {DNS_NO_DATA, DNS_NXDOMAIN, DNS_SERVER_FAILURE, DNS_BOGUS};
    struct dns_record records[2];
    uint64_t hash = bytes_hash(key.name, world->choices.octets[0] + (unsigned)key.type * 31U);
    struct dns_answer answer = {.status = DNS_FOUND, .records = records};
    if (hash % 16 < 6)
        answer.status = OTHERS[hash / 16 % (world->choices.octets[1] % 2 == 1 ? 4 : 2)];
    else
        answer.count = 1 + (hash % 32 == 31);
    for (size_t i = 0; i < answer.count; i++)
        records[i] = (struct dns_record){.data = line_of(world, hash / 64 + i)};
    dns_facts_add(facts, key, &answer);
}

static struct dmarc_verdict judge(struct dmarc_world *world, const struct dmarc_question *question,
                                  bool backwards)
{
    struct dns_facts *facts = ARENA_NEW(&world->arena, struct dns_facts);
    struct dns_fact_key keys[DNS_LACKED_MAX];
    dns_facts_start(facts, &world->arena);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        dns_facts_begin(facts);
        struct dmarc_verdict verdict = dmarc_judge(question, facts);
        size_t count = facts->lacked_count;
        if (count == 0)
            return verdict;
        memcpy(keys, facts->lacked, sizeof(keys));
        if (backwards)
            answer(world, facts, keys[count - 1]);
        for (size_t i = 0; i < count && !backwards; i++)
            answer(world, facts, keys[i]);
    }
    abort();
}

static void read_question(struct dmarc_world *world, struct dmarc_question *question)
{
    static const char *const DOMAINS[] = {
        "example.org", "news.example.org", "example.net", "a.b.c.example.org", "org", ""};
    question->spf = (struct dmarc_identifier){(enum dmarc_outcome)choose(&world->choices, 3),
                                              bytes_of_text(DOMAINS[choose(&world->choices, 6)])};
    question->dkim_count = choose(&world->choices, DMARC_DKIM_MAX + 1);
    for (size_t i = 0; i < question->dkim_count; i++)
        question->dkim[i] = (struct dmarc_identifier){(enum dmarc_outcome)choose(&world->choices, 3),
                                                      bytes_of_text(DOMAINS[choose(&world->choices, 6)])};
}

static void check(const struct dmarc_question *question, const struct dmarc_verdict *verdict)
{
    bool aligned = verdict->spf_aligned;
    for (size_t i = 0; i < question->dkim_count; i++)
        aligned = aligned || verdict->dkim_aligned[i];
    INSIST((verdict->result == DMARC_PASS) == aligned);
    INSIST(verdict->walked_count <= DMARC_WALK_MAX);
    INSIST(verdict->record_domain.length == 0 ||
           dmarc_walk_is_below(verdict->author, verdict->record_domain));
    INSIST(verdict->organization.length == 0 || dmarc_walk_is_below(verdict->author, verdict->organization));
    if (verdict->result == DMARC_PASS || verdict->result == DMARC_FAIL)
        INSIST(verdict->policy != DMARC_POLICY_UNSET && verdict->record.usable);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dmarc_world world = {.line_count = 0};
    struct dmarc_from from;
    struct dmarc_question question = {.from = &from};
    struct bytes rest = choices_start(&world.choices, data, size), field = bytes_split(&rest, '\n');
    while (rest.length > 0 && world.line_count < LINES_MAX)
        world.lines[world.line_count++] = bytes_split(&rest, '\n');
    dmarc_from_read(field, &world.arena, &from);
    INSIST(from.count <= DMARC_FROM_DOMAINS_MAX);
    read_question(&world, &question);
    struct dmarc_verdict one = judge(&world, &question, false), other = judge(&world, &question, true);
    check(&question, &one);
    INSIST(one.result == other.result && one.policy == other.policy &&
           bytes_equal(one.record_domain, other.record_domain) &&
           bytes_equal(one.organization, other.organization));
    arena_clear(&world.arena);
    return 0;
}
