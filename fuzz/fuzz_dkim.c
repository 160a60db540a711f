/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any header, with DNS, digests and signatures that say what the choices say, in two orders: the judgement
 * ends, its results are the same in both, no more is looked at than the limits allow, and a signature that
 * passes covers the body and was verified.
 */
#include "choices.h"
#include "core/trust/dkim.h"

static const char KEY[] = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
static const char STRICT[] = "v=DKIM1; k=ed25519; t=y:s; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

struct world {
    struct arena arena;
    struct dns_facts dns;
    struct signature_facts signatures;
    struct dkim_facts facts;
    struct dkim dkim;
    struct choices choices;
};

static void answer_dns(struct world *world, size_t i)
{
    struct dns_fact_key key = world->dns.lacked[i];
    size_t kind = (key.name.length + (unsigned char)key.name.at[0] + world->choices.octets[0]) % 6;
    struct dns_record records[] = {{.data = bytes_of_text(KEY)}, {.data = bytes_of_text(STRICT)}};
    struct dns_answer answer = {.status = DNS_FOUND, .records = records, .count = 1 + kind % 2};
    if (kind >= 3)
        answer = (struct dns_answer){.status = kind == 3   ? DNS_NXDOMAIN
                                               : kind == 4 ? DNS_SERVER_FAILURE
                                                           : DNS_BOGUS};
    dns_facts_add(&world->dns, key, &answer);
}

static void answer_signature(struct world *world, size_t i)
{
    size_t number = world->signatures.lacked[i].number;
    INSIST(world->signatures.lacked[i].input.length > 0);
    signature_facts_add(&world->signatures, number, world->choices.octets[1 + number % 8] % 2);
}

static void end_body(struct world *world)
{
    struct dkim *dkim = &world->dkim;
    for (size_t i = 0; i < dkim->count; i++)
        if (dkim->signatures[i].looked_at && world->choices.octets[9] % 2)
            memcpy(world->facts.bodies[dkim->signatures[i].body].digest,
                   dkim->signatures[i].field.body_digest.at, DKIM_DIGEST);
    for (size_t i = 0; i < dkim->body_count; i++)
        world->facts.bodies[i].length = world->choices.octets[10];
    world->facts.bodies_are_known = true;
}

/* One fact at a time, the last that is lacked first; or all of them. */
static void judge(struct world *world, struct bytes header, bool backwards)
{
    dns_facts_start(&world->dns, &world->arena);
    signature_facts_start(&world->signatures, &world->arena);
    dkim_facts_start(&world->facts, &world->dns, &world->signatures);
    dkim_begin(&world->dkim, header, &world->arena);
    if (!backwards)
        end_body(world);
    while (!dkim_judge(&world->dkim, &world->facts, 1000)) {
        size_t names = world->dns.lacked_count, checks = world->signatures.lacked_count;
        INSIST(names <= DKIM_LOOKED_AT_MAX && checks <= DKIM_LOOKED_AT_MAX);
        if (names + checks == 0) {
            INSIST(!world->facts.bodies_are_known);
            end_body(world);
        }
        for (size_t i = backwards && names > 0 ? names - 1 : 0; i < names; i++)
            answer_dns(world, i);
        for (size_t i = backwards && checks > 0 ? checks - 1 : 0; i < checks; i++)
            answer_signature(world, i);
    }
}

static void check(const struct world *world)
{
    size_t looked_at = 0;
    const struct dkim *dkim = &world->dkim;
    for (size_t i = 0; i < dkim->count; i++) {
        const struct dkim_signature *signature = &dkim->signatures[i];
        looked_at += signature->looked_at;
        INSIST(signature->result != DKIM_PENDING && signature->result < DKIM_RESULTS);
        INSIST((signature->reason == NULL) == (signature->result == DKIM_PASS));
        if (signature->result == DKIM_PASS) {
            INSIST(signature->looked_at && signature->key_bits > 0);
            INSIST(signature->field.limit == CANON_WHOLE || signature->field.limit == signature->body_length);
        }
    }
    INSIST(looked_at <= DKIM_LOOKED_AT_MAX && dkim->body_count <= DKIM_BODIES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world one, other;
    struct bytes header = choices_start(&one.choices, data, size);
    other.choices = one.choices;
    judge(&one, header, false);
    judge(&other, header, true);
    check(&one);
    INSIST(one.dkim.count == other.dkim.count);
    for (size_t i = 0; i < one.dkim.count; i++)
        INSIST(one.dkim.signatures[i].result == other.dkim.signatures[i].result &&
               one.dkim.signatures[i].reason == other.dkim.signatures[i].reason);
    arena_clear(&one.arena);
    arena_clear(&other.arena);
    return 0;
}
