/* SPDX-License-Identifier: Apache-2.0 */
#include "dial/key_lookup.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/dns/dns_name.h"
#include "core/route/route.h"

typedef void answer_handler(void *owner, const struct dns_answer *answer);

/* ---- questions ---- */

static void ask(struct key_lookup *lookup, struct dns *dns, size_t at, struct bytes name, enum dns_type type,
                answer_handler *on_answer)
{
    assert(lookup->question_count < KEY_LOOKUP_NAMES_MAX);
    struct key_lookup_question *question = &lookup->questions[lookup->question_count++];
    question->of = lookup;
    question->at = at;
    lookup->waiting++;
    dns_ask(dns, &question->question, name, type, on_answer, question);
}

static void answered(struct key_lookup *lookup)
{
    assert(lookup->waiting > 0);
    if (--lookup->waiting == 0)
        timer_set(&lookup->turn, 0); /* outside of the resolver's callback */
}

static void cancel_all(struct key_lookup *lookup)
{
    for (size_t i = 0; i < lookup->question_count; i++)
        dns_cancel(&lookup->questions[i].question);
    lookup->question_count = lookup->waiting = 0;
}

static void finish(void *owner)
{
    struct key_lookup *lookup = owner;
    if (lookup->stage == LOOKUP_DONE)
        return;
    cancel_all(lookup);
    timer_cancel(&lookup->limit);
    timer_cancel(&lookup->turn);
    lookup->stage = LOOKUP_DONE;
    lookup->on_done(lookup->owner);
}

/* ---- this machine's resolver ---- */

static void set_text(char text[DOMAIN_NAME_MAX + 1], struct bytes name)
{
    if (name.length <= DOMAIN_NAME_MAX)
        snprintf(text, DOMAIN_NAME_MAX + 1, "%.*s", BYTES_ARG(name));
}

static void on_record(void *owner, const struct dns_answer *answer)
{
    struct key_lookup *lookup = ((struct key_lookup_question *)owner)->of;
    lookup->look.resolver = key_record_compare(&lookup->record, answer);
    lookup->look.ttl_s = answer->status == DNS_FOUND ? answer->ttl_s : 0;
    if (answer->canonical.length > 0 && !dns_name_equal(answer->canonical, bytes_of_text(lookup->name)))
        set_text(lookup->target, answer->canonical);
    answered(lookup);
}

static void on_zone(void *owner, const struct dns_answer *answer)
{
    struct key_lookup_question *question = owner;
    struct key_lookup *lookup = question->of;
    bool of_domain = dns_name_equal(bytes_of_text(question->question.name), lookup->record.domain);
    lookup->no_domain = lookup->no_domain || (of_domain && answer->status == DNS_NXDOMAIN);
    if (answer->status == DNS_FOUND && question->at < lookup->zone) {
        lookup->zone = question->at;
        lookup->server_count = 0;
        for (size_t i = 0; i < answer->count && lookup->server_count < KEY_LOOKUP_SERVERS_MAX; i++)
            if (host_is_name(answer->records[i].name, false))
                set_text(lookup->servers[lookup->server_count++], answer->records[i].name);
    }
    answered(lookup);
}

/* The zone of a name is one of the names above it, or itself. */
static void ask_zones(struct key_lookup *lookup, struct bytes name)
{
    lookup->zone = KEY_LOOKUP_ZONES_MAX;
    lookup->server_count = 0;
    for (size_t i = 0; i < KEY_LOOKUP_ZONES_MAX && bytes_find(name, '.') != SIZE_MAX; i++) {
        ask(lookup, lookup->dns, i, name, DNS_NS, on_zone);
        name = bytes_from(name, bytes_find(name, '.') + 1);
    }
}

/* ---- aliases ---- */

static void on_alias(void *owner, const struct dns_answer *answer)
{
    struct key_lookup *lookup = ((struct key_lookup_question *)owner)->of;
    lookup->aliased = answer->status == DNS_FOUND;
    answered(lookup);
}

static void look_at_aliases(struct key_lookup *lookup)
{
    if (lookup->look.resolver == KEY_SEEN_MISSING && !lookup->no_domain)
        ask(lookup, lookup->dns, 0, bytes_of_text(lookup->name), DNS_CNAME, on_alias);
    if (lookup->target[0] != '\0')
        ask_zones(lookup, bytes_of_text(lookup->target));
}

/* ---- the domain's servers ---- */

static void on_address(void *owner, const struct dns_answer *answer)
{
    struct key_lookup *lookup = ((struct key_lookup_question *)owner)->of;
    for (size_t i = 0; i < answer->count && lookup->address_count < KEY_LOOKUP_SERVERS_MAX; i++) {
        struct route_address address = {0};
        struct buffer text = {0};
        memcpy(address.octets, answer->records[i].address, 4);
        route_address_text(&text, &address);
        snprintf(lookup->addresses[lookup->address_count++], sizeof lookup->addresses[0], "%s:%u",
                 buffer_text(&text),
                 lookup->options.authority_port == 0 ? 53U : lookup->options.authority_port);
        buffer_free(&text);
    }
    answered(lookup);
}

static void ask_addresses(struct key_lookup *lookup)
{
    for (size_t i = 0; i < lookup->server_count; i++)
        ask(lookup, lookup->dns, i, bytes_of_text(lookup->servers[i]), DNS_A, on_address);
}

static void on_authority(void *owner, const struct dns_answer *answer)
{
    struct key_lookup *lookup = ((struct key_lookup_question *)owner)->of;
    lookup->look.servers = key_record_compare(&lookup->record, answer);
    if (answer->status == DNS_FOUND) /* the resolver's cache has less of it left */
        lookup->look.ttl_s = answer->ttl_s;
    answered(lookup);
}

static void ask_authority(struct key_lookup *lookup)
{
    const char *servers[KEY_LOOKUP_SERVERS_MAX];
    const char *name = lookup->target[0] == '\0' ? lookup->name : lookup->target;
    for (size_t i = 0; i < lookup->address_count; i++)
        servers[i] = lookup->addresses[i];
    lookup->authority = lookup->address_count == 0
                            ? NULL
                            : dns_open_without_hosts(servers, lookup->address_count, NULL);
    if (lookup->authority != NULL && dns_start(lookup->authority, lookup->loop, NULL))
        ask(lookup, lookup->authority, 0, bytes_of_text(name), DNS_TXT, on_authority);
}

/* ---- one stage after the other ---- */

/* Answers that only other questions explain. */
static void explain_missing(struct key_lookup *lookup)
{
    enum key_seen *seen[] = {&lookup->look.resolver, &lookup->look.servers};
    for (size_t i = 0; i < ARRAY_LENGTH(seen); i++)
        if (*seen[i] == KEY_SEEN_MISSING)
            *seen[i] = lookup->no_domain ? KEY_SEEN_NO_DOMAIN
                       : lookup->aliased ? KEY_SEEN_ALIAS
                                         : KEY_SEEN_MISSING;
}

static void next_stage(void *owner)
{
    struct key_lookup *lookup = owner;
    cancel_all(lookup);
    switch (lookup->stage) {
    case LOOKUP_RESOLVER:
        lookup->stage = LOOKUP_ALIAS;
        look_at_aliases(lookup);
        break;
    case LOOKUP_ALIAS:
        lookup->stage = LOOKUP_SERVERS;
        ask_addresses(lookup);
        break;
    case LOOKUP_SERVERS:
        lookup->stage = LOOKUP_AUTHORITY;
        ask_authority(lookup);
        break;
    case LOOKUP_AUTHORITY:
        explain_missing(lookup);
        finish(lookup);
        return;
    case LOOKUP_DONE: return;
    }
    if (lookup->waiting == 0) /* nothing to wait for */
        timer_set(&lookup->turn, 0);
}

static void limit_passed(void *owner)
{
    explain_missing(owner);
    finish(owner);
}

void key_lookup_start(struct key_lookup *lookup, struct loop *loop, struct dns *dns,
                      const struct key_record *record, const struct key_lookup_options *options,
                      void (*on_done)(void *owner), void *owner)
{
    struct buffer name = {0};
    memset(lookup, 0, sizeof *lookup);
    lookup->record = *record;
    lookup->options = options == NULL ? (struct key_lookup_options){0} : *options;
    lookup->loop = loop;
    lookup->dns = dns;
    lookup->on_done = on_done;
    lookup->owner = owner;
    timer_start(&lookup->limit, loop, limit_passed, lookup);
    timer_start(&lookup->turn, loop, next_stage, lookup);
    timer_set(&lookup->limit, KEY_LOOKUP_MS);
    key_record_name(record, &name);
    set_text(lookup->name, buffer_bytes(&name));
    if (lookup->name[0] != '\0') {
        ask(lookup, dns, 0, bytes_of_text(lookup->name), DNS_TXT, on_record);
        ask_zones(lookup, bytes_of_text(lookup->name));
    } else { /* longer than a name can be: nobody can publish it */
        lookup->look.resolver = lookup->look.servers = KEY_SEEN_MISSING;
        timer_set(&lookup->limit, 0);
    }
    buffer_free(&name);
}

void key_lookup_end(struct key_lookup *lookup)
{
    if (lookup->loop == NULL)
        return;
    cancel_all(lookup);
    timer_cancel(&lookup->limit);
    timer_cancel(&lookup->turn);
    if (lookup->authority != NULL)
        dns_close(lookup->authority);
    memset(lookup, 0, sizeof *lookup);
}
