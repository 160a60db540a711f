/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what iptables-save and ip6tables-save print (firewall_rules.h). */
#include <assert.h>

#include "core/diagnosis/firewall_rules.h"

/* One line with its place in the text. */
struct iptables_reader {
    struct firewall_rules *rules;
    const char *tool;
    char table[32];
    struct bytes rest; /* of the line */
    struct firewall_rule rule;
    bool negated; /* "!" stood before the option */
};

static void keep_name(char *field, size_t size, struct bytes text)
{
    text = bytes_first(text, size - 1);
    if (text.length > 0)
        memcpy(field, text.at, text.length);
    field[text.length] = '\0';
}

/* The next word; a quoted one with its blanks, without the quotes. */
static struct bytes next_word(struct bytes *line)
{
    *line = bytes_trim(*line);
    if (line->length == 0 || line->at[0] != '"')
        return bytes_split(line, ' ');
    size_t end = 1;
    while (end < line->length && line->at[end] != '"')
        end += line->at[end] == '\\' ? 2 : 1;
    if (end > line->length)
        end = line->length;
    struct bytes word = bytes_of(line->at + 1, end - 1);
    *line = bytes_from(*line, end < line->length ? end + 1 : end);
    return word;
}

static size_t chain_of(struct iptables_reader *r, struct bytes name)
{
    struct buffer full = {0};
    buffer_add_format(&full, "%s %s %.*s", r->tool, r->table, BYTES_ARG(name));
    size_t chain = firewall_rules_chain(r->rules, buffer_text(&full));
    buffer_free(&full);
    return chain;
}

/* "25,465:587" */
static unsigned ports_of(struct bytes list)
{
    unsigned set = 0;
    while (list.length > 0) {
        struct bytes range = bytes_split(&list, ',');
        struct bytes first = bytes_split(&range, ':');
        uint64_t from, to;
        if (!bytes_to_u64(first, UINT16_MAX, &from))
            from = first.length == 0 ? 0 : UINT16_MAX;
        if (!bytes_to_u64(range, UINT16_MAX, &to))
            to = range.at != NULL && first.at + first.length < range.at ? UINT16_MAX : from;
        set |= firewall_rules_range(from, to);
    }
    return set;
}

static void limit_ports(struct iptables_reader *r, unsigned set)
{
    r->rule.names_port = true;
    r->rule.ports &= r->negated ? ~set : set;
}

/* Without a match the rule is not for us; negated, without the opposite. */
static void must(struct iptables_reader *r, bool yes)
{
    if (yes == r->negated)
        r->rule.ports = 0;
}

static void read_verdict(struct iptables_reader *r, struct bytes name, bool is_goto)
{
    static const struct {
        const char *name;
        enum firewall_verdict verdict;
    } known[] = {
        {"ACCEPT", FIREWALL_ACCEPT},     {"RETURN", FIREWALL_RETURN},    {"DROP", FIREWALL_DROP},
        {"REJECT", FIREWALL_REJECT},     {"DNAT", FIREWALL_REDIRECT},    {"REDIRECT", FIREWALL_REDIRECT},
        {"TPROXY", FIREWALL_REDIRECT},   {"LOG", FIREWALL_NOTHING},      {"NFLOG", FIREWALL_NOTHING},
        {"MARK", FIREWALL_NOTHING},      {"CONNMARK", FIREWALL_NOTHING}, {"TCPMSS", FIREWALL_NOTHING},
        {"MASQUERADE", FIREWALL_ACCEPT}, {"SNAT", FIREWALL_ACCEPT},      {"TARPIT", FIREWALL_DROP},
        {"NFQUEUE", FIREWALL_NOTHING},   {"AUDIT", FIREWALL_NOTHING},    {"ULOG", FIREWALL_NOTHING}};
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
        if (bytes_is(name, known[i].name)) {
            r->rule.verdict = known[i].verdict;
            return;
        }
    r->rule.target = chain_of(r, name);
    r->rule.verdict = is_goto ? FIREWALL_GOTO : FIREWALL_JUMP;
}

/* Does a list of states have NEW? */
static bool has_new(struct bytes states)
{
    while (states.length > 0)
        if (bytes_is_nocase(bytes_split(&states, ','), "NEW"))
            return true;
    return false;
}

static void read_option(struct iptables_reader *r, struct bytes option)
{
    assert(option.length > 0 && option.at[0] == '-');
    static const char *const of_target[] = {"--reject-with", "--to-ports",    "--to-destination",
                                            "--log-prefix",  "--log-level",   "--comment",
                                            "--set-xmark",   "--nflog-prefix"};
    r->rest = bytes_trim(r->rest);
    bool has_word = r->rest.length > 0 && r->rest.at[0] != '-' && r->rest.at[0] != '!';
    struct bytes word = has_word ? next_word(&r->rest) : bytes_none();
    for (size_t i = 0; i < ARRAY_LENGTH(of_target); i++)
        if (bytes_is(option, of_target[i]))
            return;
    if (bytes_is(option, "-m") || bytes_is(option, "--syn"))
        return;
    if (bytes_is(option, "-p"))
        must(r, bytes_is(word, "tcp") || bytes_is(word, "6") || bytes_is(word, "all"));
    else if (bytes_is(option, "-o") && bytes_is(word, "lo"))
        must(r, false);
    else if (bytes_is(option, "--dport") || bytes_is(option, "--dports") || bytes_is(option, "--ports"))
        limit_ports(r, ports_of(word));
    else if (bytes_is(option, "--ctstate") || bytes_is(option, "--state"))
        must(r, has_new(word));
    else if (bytes_is(option, "-d") && !r->negated)
        r->rule.ports = 0; /* for certain destinations */
    else if (bytes_is(option, "-j") || bytes_is(option, "-g"))
        read_verdict(r, word, bytes_is(option, "-g"));
    else
        r->rule.conditional = true;
}

/* "-A OUTPUT -p tcp -m multiport --dports 25,465,587 -m owner ! --uid-owner 0 -j REJECT" */
static void read_rule(struct iptables_reader *r, struct bytes line)
{
    struct buffer text = {0};
    r->rest = line;
    next_word(&r->rest); /* -A */
    r->rule = (struct firewall_rule){.chain = chain_of(r, next_word(&r->rest)),
                                     .ports = firewall_rules_all_ports()};
    r->negated = false;
    while (r->rest.length > 0) {
        struct bytes word = next_word(&r->rest);
        if (bytes_is(word, "!")) {
            r->negated = true;
            continue;
        }
        if (word.length > 0 && word.at[0] == '-')
            read_option(r, word);
        r->negated = false;
    }
    buffer_add_format(&text, "%s -t %s %.*s", r->tool, r->table, BYTES_ARG(line));
    keep_name(r->rule.text, sizeof r->rule.text, buffer_bytes(&text));
    buffer_free(&text);
    firewall_rules_add(r->rules, &r->rule);
}

/* ":OUTPUT DROP [0:0]" */
static void read_chain(struct iptables_reader *r, struct bytes line)
{
    assert(line.length > 0 && line.at[0] == ':');
    struct bytes name = bytes_from(bytes_split(&line, ' '), 1), policy = next_word(&line);
    size_t chain = chain_of(r, name);
    if (chain == SIZE_MAX)
        return;
    r->rules->chains[chain].outgoing = bytes_is(name, "OUTPUT");
    r->rules->chains[chain].policy = bytes_is(policy, "DROP") ? FIREWALL_DROP : FIREWALL_ACCEPT;
}

void firewall_iptables_read(struct firewall_rules *rules, struct bytes text, const char *tool)
{
    struct iptables_reader r = {.rules = rules, .tool = tool};
    while (text.length > 0) {
        struct bytes line = bytes_trim(bytes_split(&text, '\n'));
        if (line.length < 2)
            continue;
        if (line.at[0] == '*')
            keep_name(r.table, sizeof r.table, bytes_from(line, 1));
        else if (line.at[0] == ':')
            read_chain(&r, line);
        else if (bytes_starts_nocase(line, "-A "))
            read_rule(&r, line);
    }
}
