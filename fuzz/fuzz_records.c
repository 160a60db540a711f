/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For any DNS answers a domain's records are checked in few rounds, and the output is safe for a terminal.
 * Each record that this server proposes is right when DNS returns it, and the published MTA-STS policy is
 * accepted by the client side. Lines of the input are the texts, names and the policy that others publish.
 */
#include "choices.h"
#include "core/dns/dns_name.h"
#include "core/domain/bulk_ready.h"
#include "core/route/sts.h"

enum { FOUND_MAX = 4, ROUNDS_MAX = 400 };

static const uint8_t digest[TLSA_KEY_DIGEST] = {1, 2, 3};
static const char key[] = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
static const struct route_address addresses[] = {
    {{192, 0, 2, 1}, false}, {{0x20, 1, 0xd, 0xb8, [15] = 1}, true},
    {{10, 1, 2, 3}, false},  {{100, 64}, false},
    {{0xfe, 0x80}, true},    {{198, 51, 100, 77}, false},
};

/* All that the world says: the proposed records, or lines of the input. */
struct world {
    struct choices choices;
    struct bytes stream;
    const struct domain_facts *facts;
    bool honest; /* it publishes what is proposed */
    struct arena arena;
};

static struct domain_facts choose_facts(struct choices *choices)
{
    struct domain_facts facts = {.domain = BYTES("example.org"),
                                 .hostname = choose(choices, 4) == 0 ? BYTES("example.org")
                                                                     : BYTES("mx.example.org"),
                                 .address_count = choose(choices, 4),
                                 .starttls = {587},
                                 .implicit = {465},
                                 .imaps = 993,
                                 .web = choose(choices, 2) == 0};
    size_t first = choose(choices, ARRAY_LENGTH(addresses));
    for (size_t i = 0; i < facts.address_count; i++)
        facts.addresses[i] = addresses[(first + i) % ARRAY_LENGTH(addresses)];
    facts.starttls[1] = choose(choices, 4) == 0 ? 2525 : 0;
    facts.key_digest = choose(choices, 4) == 0 ? NULL : digest;
    facts.smarthost = choose(choices, 4) == 0 ? BYTES("smtp.example.net") : bytes_none();
    facts.key_count = choose(choices, 3);
    for (size_t i = 0; i < facts.key_count; i++)
        facts.keys[i] = (struct domain_key){
            {facts.domain, i == 0 ? BYTES("s1") : BYTES("s2"), DKIM_ED25519_SHA256, bytes_of_text(key)},
            (enum key_stage)choose(choices, KEY_REMOVED)};
    return facts;
}

/* As the answer of a server that publishes just this. */
static struct dns_record said_back(const struct domain_record *record)
{
    struct dns_record said = {.name = record->text,
                              .data = record->type == DNS_TLSA ? bytes_of(digest, sizeof digest)
                                                               : record->text,
                              .preference = record->priority,
                              .port = record->port,
                              .usage = 3,
                              .selector = 1,
                              .matching = 1};
    memcpy(said.address, record->address.octets, sizeof said.address);
    return said;
}

static size_t say_back(struct world *world, struct dns_fact_key asked, struct dns_record *found)
{
    struct domain_record records[DOMAIN_RECORDS_MAX];
    size_t count = domain_records(world->facts, &world->arena, records), said = 0;
    for (size_t i = 0; i < count && said < FOUND_MAX; i++)
        if (records[i].type == asked.type && dns_name_equal(records[i].name, asked.name))
            found[said++] = said_back(&records[i]);
    return said;
}

static struct dns_answer say(struct world *world, struct dns_fact_key asked)
{
    static const enum dns_status statuses[] = {DNS_FOUND,          DNS_FOUND,   DNS_FOUND,
                                               DNS_FOUND,          DNS_NO_DATA, DNS_NXDOMAIN,
                                               DNS_SERVER_FAILURE, DNS_BOGUS,   DNS_UNKNOWN};
    struct dns_record *found = ARENA_ARRAY(&world->arena, struct dns_record, FOUND_MAX);
    struct choices *choices = &world->choices;
    struct dns_answer answer = {.records = found, .secure = choose(choices, 2) == 0};
    if (world->honest || choose(choices, 3) == 0) {
        answer.count = say_back(world, asked, found);
        answer.status = answer.count > 0 ? DNS_FOUND : DNS_NXDOMAIN;
        return answer;
    }
    answer.status = statuses[choose(choices, ARRAY_LENGTH(statuses))];
    answer.count = answer.status == DNS_FOUND ? 1 + choose(choices, FOUND_MAX) : 0;
    for (size_t i = 0; i < answer.count; i++) {
        struct bytes line = bytes_split(&world->stream, '\n');
        found[i] = (struct dns_record){.name = bytes_first(line, 253), .data = line};
        memcpy(found[i].address, addresses[choose(choices, ARRAY_LENGTH(addresses))].octets, 16);
    }
    return answer;
}

static void answer_others(struct world *world, struct domain_check *check)
{
    for (size_t i = 0; i < check->mailbox_count; i++)
        if (check->mailboxes[i].state == MAILBOX_UNASKED)
            check->mailboxes[i].state = world->honest
                                            ? MAILBOX_HERE
                                            : (enum domain_mailbox_state)(1 + choose(&world->choices, 4));
    if (check->policy_wanted)
        domain_check_give_policy(check, choose(&world->choices, 2) == 0, world->stream);
}

static void check_rows(struct world *world, const struct domain_check *check)
{
    struct bulk_ready ready;
    INSIST(check->row_count > 0 && check->row_count <= DOMAIN_ROWS_MAX);
    for (size_t i = 0; i < check->row_count; i++) {
        const struct domain_row *row = &check->rows[i];
        const struct domain_finding *f = &row->finding;
        struct bytes hint = domain_finding_hint(f, &world->arena), should = domain_row_should(row);
        INSIST(f->verdict < DOMAIN_VERDICTS && (f->verdict != RECORD_RIGHT || f->found.length == 0));
        INSIST(!bytes_has_control_character(f->found) && bytes_is_utf8(f->found));
        INSIST(!bytes_has_control_character(hint) && bytes_is_utf8(hint));
        INSIST(!bytes_has_control_character(should) && bytes_is_utf8(should));
        INSIST(f->verdict == RECORD_RIGHT || f->verdict == RECORD_MISSING || hint.length > 0);
        INSIST(f->lookups <= 11 && f->voids <= 3);
        if (world->honest && row->record.value.length > 0)
            INSIST(f->verdict == RECORD_RIGHT || f->fault == FAULT_SPF_NO_ADDRESS ||
                   f->fault == FAULT_SPF_SMARTHOST || row->record.subject == SUBJECT_STS_HOST);
    }
    bulk_ready_judge(check->rows, check->row_count, &ready);
    INSIST(ready.yes == (ready.reason_count == 0));
    INSIST(bulk_ready_sentence(&ready, &world->arena).length > 0);
}

static void check_world(struct world *world)
{
    struct dns_fact_key keys[DOMAIN_LACKED_MAX];
    struct domain_check *check = memory_new(sizeof *check);
    unsigned rounds = 0;
    domain_check_start(check, world->facts, &world->arena);
    for (; !domain_check_run(check); rounds++) {
        INSIST(rounds < ROUNDS_MAX);
        size_t count = domain_check_lacked(check, keys);
        for (size_t i = 0; i < count; i++) {
            struct dns_answer answer = say(world, keys[i]);
            domain_check_answer(check, keys[i], &answer);
        }
        answer_others(world, check);
    }
    check_rows(world, check);
    free(check);
}

static void check_policy(const struct domain_facts *facts, struct arena *arena)
{
    struct sts_policy policy;
    struct bytes text = sts_settings_policy(&facts->sts, facts->hostname, arena);
    INSIST(sts_read_policy(text, &policy) && sts_lists(&policy, facts->hostname));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = {.facts = NULL};
    world.stream = choices_start(&world.choices, data, size);
    struct domain_facts facts = choose_facts(&world.choices);
    facts.sts.max_age_s = 1 + choose(&world.choices, 256);
    world.facts = &facts;
    world.honest = choose(&world.choices, 8) == 0;
    check_world(&world);
    check_policy(&facts, &world.arena);
    arena_clear(&world.arena);
    return 0;
}
