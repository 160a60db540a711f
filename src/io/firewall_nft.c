/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what nft prints as JSON (libnftables-json(5)) into core/diagnosis/firewall_rules.h. */
#include <jansson.h>
#include <stdio.h>

#include "io/firewall.h"

enum { SET_MAX = 4096 /* elements of a set that are looked at */ };

struct nft_reader {
    struct firewall_rules *rules;
    json_t *objects;            /* of the ruleset */
    const char *family, *table; /* of the rule that is read */
    struct firewall_rule rule;
    long long handle;
};

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static size_t chain_of(struct nft_reader *r, const char *family, const char *table, const char *name)
{
    char full[FIREWALL_NAME_MAX];
    snprintf(full, sizeof full, "nft %s %s %s", family, table, name);
    return firewall_rules_chain(r->rules, full);
}

/* ---- ports ---- */

static unsigned set_of(struct nft_reader *r, json_t *value, bool *known);

static unsigned elements_of(struct nft_reader *r, json_t *list, bool *known)
{
    unsigned set = 0;
    size_t at;
    json_t *one;
    json_array_foreach(list, at, one)
    {
        if (at == SET_MAX)
            break;
        set |= set_of(r, one, known);
    }
    return set;
}

/* The set of the rule's table that has this name. */
static unsigned named_set(struct nft_reader *r, const char *name, bool *known)
{
    size_t at;
    json_t *object;
    json_array_foreach(r->objects, at, object)
    {
        json_t *set = json_object_get(object, "set");
        if (set == NULL)
            set = json_object_get(object, "map");
        if (set == NULL || strcmp(text_of(set, "name"), name) != 0 ||
            strcmp(text_of(set, "table"), r->table) != 0 || strcmp(text_of(set, "family"), r->family) != 0)
            continue;
        return elements_of(r, json_object_get(set, "elem"), known);
    }
    *known = false;
    return 0;
}

/* 25, "@mail", {"range": [465, 587]}, {"set": [...]}, {"elem": {"val": 25}} */
static unsigned set_of(struct nft_reader *r, json_t *value, bool *known)
{
    json_t *range = json_object_get(value, "range"), *set = json_object_get(value, "set"),
           *element = json_object_get(value, "elem");
    const char *name = json_string_value(value);
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        return firewall_rules_range((uint64_t)json_integer_value(value), (uint64_t)json_integer_value(value));
    if (json_array_size(range) == 2 && json_integer_value(json_array_get(range, 0)) >= 0 &&
        json_integer_value(json_array_get(range, 1)) >= 0)
        return firewall_rules_range((uint64_t)json_integer_value(json_array_get(range, 0)),
                                    (uint64_t)json_integer_value(json_array_get(range, 1)));
    if (json_is_array(set))
        return elements_of(r, set, known);
    if (element != NULL && json_object_get(element, "val") != NULL &&
        !json_is_object(json_object_get(element, "val")))
        return set_of(r, json_object_get(element, "val"), known);
    if (name != NULL && name[0] == '@')
        return named_set(r, name + 1, known);
    *known = false;
    return 0;
}

/* ---- matches ---- */

static bool is_port(json_t *left)
{
    json_t *payload = json_object_get(left, "payload");
    const char *protocol = text_of(payload, "protocol");
    return strcmp(text_of(payload, "field"), "dport") == 0 &&
           (strcmp(protocol, "tcp") == 0 || strcmp(protocol, "th") == 0);
}

static bool is_other_protocol(json_t *left)
{
    static const char *const others[] = {"udp", "udplite", "sctp", "dccp", "icmp", "icmpv6"};
    const char *protocol = text_of(json_object_get(left, "payload"), "protocol");
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        if (strcmp(protocol, others[i]) == 0)
            return true;
    return false;
}

/* Is the word the value, or one of a list or set of values? */
static bool has_word(json_t *right, const char *word)
{
    json_t *list = json_is_object(right) ? json_object_get(right, "set") : right, *one;
    size_t at;
    if (json_is_string(list))
        return strcmp(json_string_value(list), word) == 0;
    json_array_foreach(list, at,
                       one) if (json_is_string(one) && strcmp(json_string_value(one), word) == 0) return true;
    return false;
}

static void must(struct nft_reader *r, bool yes, bool negated)
{
    if (yes == negated)
        r->rule.ports = 0;
}

static void read_ports(struct nft_reader *r, json_t *right, bool negated)
{
    bool known = true;
    unsigned set = set_of(r, right, &known);
    r->rule.names_port = true;
    if (known)
        r->rule.ports &= negated ? ~set : set;
    else
        r->rule.ports = 0;
}

static void read_match(struct nft_reader *r, json_t *match)
{
    json_t *left = json_object_get(match, "left"), *right = json_object_get(match, "right");
    bool negated = strcmp(text_of(match, "op"), "!=") == 0;
    const char *meta = text_of(json_object_get(left, "meta"), "key");
    const char *field = text_of(json_object_get(left, "payload"), "field");
    if (is_port(left))
        read_ports(r, right, negated);
    else if (is_other_protocol(left))
        r->rule.ports = 0;
    else if (strcmp(meta, "l4proto") == 0 || strcmp(field, "protocol") == 0 || strcmp(field, "nexthdr") == 0)
        must(r, has_word(right, "tcp") || (json_is_integer(right) && json_integer_value(right) == 6),
             negated);
    else if (strcmp(text_of(json_object_get(left, "ct"), "key"), "state") == 0)
        must(r, has_word(right, "new"), negated);
    else if ((strcmp(meta, "oifname") == 0 || strcmp(meta, "oif") == 0) && has_word(right, "lo"))
        must(r, false, negated);
    else if (strcmp(field, "daddr") == 0 && !negated)
        r->rule.ports = 0; /* for certain destinations */
    else if (strcmp(meta, "nfproto") != 0)
        r->rule.conditional = true;
}

/* ---- verdicts ---- */

static bool read_verdict(struct nft_reader *r, json_t *expression)
{
    static const struct {
        const char *name;
        enum firewall_verdict verdict;
    } known[] = {
        {"accept", FIREWALL_ACCEPT},     {"return", FIREWALL_RETURN}, {"drop", FIREWALL_DROP},
        {"reject", FIREWALL_REJECT},     {"dnat", FIREWALL_REDIRECT}, {"redirect", FIREWALL_REDIRECT},
        {"tproxy", FIREWALL_REDIRECT},   {"snat", FIREWALL_ACCEPT},   {"jump", FIREWALL_JUMP},
        {"masquerade", FIREWALL_ACCEPT}, {"goto", FIREWALL_GOTO}};
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        json_t *verdict = json_object_get(expression, known[i].name);
        if (verdict == NULL)
            continue;
        r->rule.verdict = known[i].verdict;
        if (known[i].verdict == FIREWALL_JUMP || known[i].verdict == FIREWALL_GOTO)
            r->rule.target = chain_of(r, r->family, r->table, text_of(verdict, "target"));
        return true;
    }
    return false;
}

static void add_rule(struct nft_reader *r)
{
    static const char *const does[] = {"does nothing", "accepts", "returns", "jumps",
                                       "goes",         "drops",   "rejects", "redirects"};
    char ports[32] = "";
    for (size_t i = 0; i < NETWORK_PORTS; i++)
        if ((r->rule.ports & network_bit(network_ports[i])) != 0)
            snprintf(ports + strlen(ports), sizeof ports - strlen(ports), "%s%u",
                     ports[0] == '\0' ? "" : ", ", (unsigned)network_ports[i]);
    snprintf(r->rule.text, sizeof r->rule.text, "%s, handle %lld: %s %s%s",
             r->rule.chain < r->rules->chain_count ? r->rules->chains[r->rule.chain].name : "", r->handle,
             does[r->rule.verdict], ports, r->rule.conditional ? ", under a condition" : "");
    firewall_rules_add(r->rules, &r->rule);
}

/* {"key": ..., "data": {"set": [[25, {"drop": null}], ...]}}: each pair is a rule. */
static void read_map(struct nft_reader *r, json_t *map)
{
    json_t *pair, *data = json_object_get(map, "data");
    struct firewall_rule before = r->rule;
    size_t at;
    if (!is_port(json_object_get(map, "key")))
        return;
    json_array_foreach(json_object_get(data, "set"), at, pair)
    {
        r->rule = before;
        if (at == SET_MAX || !read_verdict(r, json_array_get(pair, 1)))
            continue;
        read_ports(r, json_array_get(pair, 0), false);
        if (r->rule.ports != 0)
            add_rule(r);
    }
    r->rule = before;
}

static void read_rule(struct nft_reader *r, json_t *rule)
{
    json_t *expression;
    size_t at;
    r->family = text_of(rule, "family");
    r->table = text_of(rule, "table");
    r->handle = json_integer_value(json_object_get(rule, "handle"));
    r->rule = (struct firewall_rule){.chain = chain_of(r, r->family, r->table, text_of(rule, "chain")),
                                     .ports = firewall_rules_all_ports()};
    json_array_foreach(json_object_get(rule, "expr"), at, expression)
    {
        if (json_object_get(expression, "match") != NULL)
            read_match(r, json_object_get(expression, "match"));
        else if (json_object_get(expression, "xt") != NULL)
            r->rule.ports = 0; /* of iptables, which tells it better itself */
        else if (json_object_get(expression, "vmap") != NULL)
            read_map(r, json_object_get(expression, "vmap"));
        else if (json_object_get(expression, "limit") != NULL)
            r->rule.conditional = true;
        else if (read_verdict(r, expression))
            break;
    }
    if (r->rule.verdict != FIREWALL_NOTHING && r->rule.ports != 0)
        add_rule(r);
}

static void read_chain(struct nft_reader *r, json_t *chain)
{
    size_t at = chain_of(r, text_of(chain, "family"), text_of(chain, "table"), text_of(chain, "name"));
    if (at == SIZE_MAX)
        return;
    r->rules->chains[at].outgoing = strcmp(text_of(chain, "hook"), "output") == 0 &&
                                    strcmp(text_of(chain, "family"), "arp") != 0;
    r->rules->chains[at].policy = strcmp(text_of(chain, "policy"), "drop") == 0 ? FIREWALL_DROP
                                                                                : FIREWALL_ACCEPT;
}

bool firewall_nft_read(struct firewall_rules *rules, struct bytes json)
{
    json_t *all = json_loadb(json.at == NULL ? "" : json.at, json.length, 0, NULL), *object;
    struct nft_reader r = {.rules = rules, .objects = json_object_get(all, "nftables")};
    size_t at;
    bool is_ruleset = json_is_array(r.objects);
    json_array_foreach(r.objects, at, object)
    {
        if (json_object_get(object, "chain") != NULL)
            read_chain(&r, json_object_get(object, "chain"));
        else if (json_object_get(object, "rule") != NULL)
            read_rule(&r, json_object_get(object, "rule"));
    }
    json_decref(all);
    return is_ruleset;
}
