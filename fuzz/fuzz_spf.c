/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPF of any records, from a DNS that answers each name from the lines of the input, in two orders: a
 * judgement ends, keeps its limits, and is the same in both; what it tells is fit for a reply.
 */
#include "choices.h"
#include "core/trust/spf.h"
#include "core/trust/spf_macro.h"
#include "core/trust/spf_record.h"

enum { LINES_MAX = 16, ROUNDS_MAX = 200 };

struct spf_world {
    struct choices choices;
    struct bytes lines[LINES_MAX];
    size_t line_count;
    struct arena arena;
};

static struct bytes line_of(const struct spf_world *world, uint64_t hash)
{
    return world->line_count == 0 ? bytes_none() : world->lines[hash % world->line_count];
}

static void fill_record(const struct spf_world *world, struct dns_record *record, uint64_t hash)
{
    static const char *const NAMES[] = {"a.example", "example.org", "mail.example.org", "b.a.example"};
    *record = (struct dns_record){.data = line_of(world, hash), .name = bytes_of_text(NAMES[hash % 4])};
    record->address[0] = (uint8_t)(hash % 3 == 0 ? 192 : 10);
    record->address[2] = 2;
    record->address[3] = (uint8_t)(hash % 2);
}

/* The same answer to the same question, always. */
static void answer(struct spf_world *world, struct dns_facts *facts, struct dns_fact_key key)
{
    static const enum dns_status OTHERS[] = {DNS_NO_DATA, DNS_NXDOMAIN, DNS_SERVER_FAILURE, DNS_BOGUS};
    struct dns_record records[12];
    uint64_t hash = bytes_hash(key.name, world->choices.octets[0] + (unsigned)key.type * 31U);
    struct dns_answer answer = {.status = DNS_FOUND, .records = records};
    if (hash % 16 < 4 && world->choices.octets[1] % 2 == 1)
        answer.status = OTHERS[hash % 4];
    else
        answer.count = key.type == DNS_TXT ? 1 + (hash % 32 == 31) : 1 + hash % 12;
    for (size_t i = 0; i < answer.count; i++)
        fill_record(world, &records[i], hash / 64 + i);
    dns_facts_add(facts, key, &answer);
}

static struct spf_verdict judge(struct spf_world *world, const struct spf_question *question, bool backwards)
{
    struct dns_facts *facts = ARENA_NEW(&world->arena, struct dns_facts);
    struct dns_fact_key keys[DNS_LACKED_MAX];
    dns_facts_start(facts, &world->arena);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        dns_facts_begin(facts);
        struct spf_verdict verdict = spf_judge(question, facts);
        size_t count = facts->lacked_count;
        if (count == 0)
            return verdict;
        memcpy(keys, facts->lacked, sizeof(keys));
        if (backwards) /* one at a time, the last first */
            answer(world, facts, keys[count - 1]);
        for (size_t i = 0; i < count && !backwards; i++)
            answer(world, facts, keys[i]);
    }
    abort();
}

static void check_verdict(const struct spf_verdict *verdict)
{
    INSIST(verdict->lookups <= SPF_LOOKUPS_MAX + 1 && verdict->voids <= SPF_VOIDS_MAX + 1);
    INSIST(verdict->link_count <= SPF_LOOKUPS_MAX + 1);
    INSIST(verdict->explanation.length <= SPF_EXPLANATION_MAX);
    INSIST(!bytes_has_control(verdict->explanation) && bytes_is_ascii(verdict->explanation));
    INSIST((verdict->result == SPF_TEMPERROR) == (verdict->problem == SPF_DNS_FAILED));
    INSIST((verdict->result == SPF_PERMERROR) == (verdict->problem >= SPF_TWO_RECORDS) ||
           verdict->problem == SPF_NO_RECORD);
    INSIST(verdict->result == SPF_FAIL || verdict->explanation.length == 0);
}

static void check_texts(struct bytes text, const struct route_address *client)
{
    struct spf_macro_values values = {.sender = BYTES("a.b@example.org"),
                                      .local = BYTES("a.b"),
                                      .sender_domain = BYTES("example.org"),
                                      .domain = BYTES("d.example"),
                                      .helo = BYTES("mail.example.org"),
                                      .client = client};
    struct spf_expansion out;
    if (spf_macro_check(text, SPF_PLACE_DOMAIN)) {
        spf_macro_expand_name(text, &values, &out);
        INSIST(out.length <= 4 * 253);
        for (size_t i = 0; i < out.length; i++)
            INSIST((unsigned char)out.at[i] > ' ' && (unsigned char)out.at[i] < 127);
    }
    if (spf_macro_check(text, SPF_PLACE_EXPLANATION)) {
        spf_macro_expand_explanation(text, &values, &out);
        INSIST(out.length <= SPF_EXPLANATION_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spf_world world = {.line_count = 0};
    struct bytes rest = choices_start(&world.choices, data, size);
    struct route_address client = {.octets = {192, 0, 2, 1}, .six = world.choices.octets[2] % 4 == 3};
    check_texts(rest, &client);
    while (rest.length > 0 && world.line_count < LINES_MAX)
        world.lines[world.line_count++] = bytes_split(&rest, '\n');
    struct spf_question question = {.client = client,
                                    .helo = BYTES("mail.example.org"),
                                    .mail_from = world.choices.octets[3] % 4 == 3 ? line_of(&world, 0)
                                                                                  : BYTES("a@example.org"),
                                    .explain = true};
    struct spf_verdict one = judge(&world, &question, false), other = judge(&world, &question, true);
    check_verdict(&one);
    INSIST(one.result == other.result && one.problem == other.problem && one.lookups == other.lookups &&
           one.voids == other.voids);
    INSIST(bytes_equal(one.term, other.term) && bytes_equal(one.explanation, other.explanation));
    arena_clear(&world.arena);
    return 0;
}
