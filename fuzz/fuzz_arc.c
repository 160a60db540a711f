/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any header as one with ARC sets, with DNS and signatures that say what the choices say, in two orders: the
 * judgement ends, is the same in both, and passes only chains that are whole. What passes, and what has no
 * chain, can be sealed; and the set that is added is found.
 */
#include "choices.h"
#include "core/trust/arc_seal.h"

static const char KEY[] = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

struct world {
    struct arena arena;
    struct dns_facts dns;
    struct signature_facts signatures;
    struct arc_facts facts;
    struct field_index index;
    struct arc arc;
    struct choices choices;
};

static void answer_dns(struct world *world, size_t i)
{
    struct dns_fact_key key = world->dns.lacked[i];
    size_t kind = (key.name.length + (unsigned char)key.name.at[0] + world->choices.octets[0]) % 8;
    struct dns_answer answer = {
        .status = DNS_FOUND, .records = &(struct dns_record){.data = bytes_of_text(KEY)}, .count = 1};
    if (kind < 2)
        answer = (struct dns_answer){.status = kind == 0 ? DNS_NXDOMAIN : DNS_SERVER_FAILURE};
    dns_facts_add(&world->dns, key, &answer);
}

static void answer_signature(struct world *world, size_t i)
{
    size_t number = world->signatures.lacked[i].number;
    INSIST(world->signatures.lacked[i].input.length > 0);
    signature_facts_add(&world->signatures, number, world->choices.octets[1 + number % 8] % 4 != 0);
}

static void end_body(struct world *world)
{
    if (world->arc.needs_body && world->choices.octets[9] % 4 != 0)
        memcpy(world->facts.body.digest, world->arc.sets[world->arc.count - 1].signature.body_digest.at,
               DKIM_DIGEST);
    world->facts.body_is_known = true;
}

static void judge(struct world *world, struct bytes header, bool backwards)
{
    dns_facts_start(&world->dns, &world->arena);
    signature_facts_start(&world->signatures, &world->arena);
    arc_facts_start(&world->facts, &world->dns, &world->signatures);
    field_index_start(&world->index, header);
    arc_begin(&world->arc, &world->index, &world->arena);
    if (!backwards)
        end_body(world);
    while (!arc_judge(&world->arc, &world->facts, 1000)) {
        size_t names = world->dns.lacked_count, checks = world->signatures.lacked_count;
        if (names + checks == 0) {
            INSIST(!world->facts.body_is_known);
            end_body(world);
        }
        for (size_t i = backwards && names > 0 ? names - 1 : 0; i < names; i++)
            answer_dns(world, i);
        for (size_t i = backwards && checks > 0 ? checks - 1 : 0; i < checks; i++)
            answer_signature(world, i);
    }
}

static void seal(struct world *world, struct bytes header)
{
    static struct field_index index;
    static struct arc again;
    struct arc_seal made;
    struct buffer out = {0};
    uint8_t digest[DKIM_DIGEST] = {0};
    struct arc_seal_request request = {.algorithm = DKIM_ED25519_SHA256,
                                       .domain = BYTES("a.example"),
                                       .selector = BYTES("s"),
                                       .names = BYTES("from:from"),
                                       .results = BYTES("mx.example; none"),
                                       .body_digest = bytes_of(digest, sizeof(digest)),
                                       .folds_values = true};
    if (arc_seal_start(&made, &world->arc, &request)) {
        bool intact = world->arc.result == ARC_NONE || world->arc.result == ARC_PASS;
        INSIST(intact || world->arc.result == ARC_FAIL);
        arc_seal_message_input(&made, &out);
        arc_seal_message(&made, BYTES("signature"));
        arc_seal_chain_input(&made, &out);
        buffer_clear(&out);
        arc_seal_finish(&made, BYTES("signature"), &out);
        buffer_add(&out, header);
        field_index_start(&index, buffer_bytes(&out));
        arc_begin(&again, &index, &world->arena);
        INSIST(index.over || again.count == world->arc.count + 1);
        INSIST(index.over || again.result == (intact ? ARC_PENDING : ARC_FAIL));
        if (!intact && !index.over) /* no further set follows it */
            INSIST(arc_seal_obstacle(&again) != NULL);
    }
    arc_seal_free(&made);
    buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world one, other;
    struct bytes header = choices_start(&one.choices, data, size);
    other.choices = one.choices;
    judge(&one, header, false);
    judge(&other, header, true);
    INSIST(one.arc.result == other.arc.result && one.arc.reason == other.arc.reason);
    INSIST(one.arc.failed_instance == other.arc.failed_instance);
    INSIST((one.arc.reason == NULL) == (one.arc.result == ARC_PASS || one.arc.result == ARC_NONE));
    if (one.arc.result == ARC_PASS)
        for (size_t i = 0; i < one.arc.count; i++)
            INSIST(one.arc.sets[i].has_results && one.arc.sets[i].has_signature && one.arc.sets[i].has_seal);
    seal(&one, header);
    arena_clear(&one.arena);
    arena_clear(&other.arena);
    return 0;
}
