/* SPDX-License-Identifier: Apache-2.0 */
/* trust: what mail authentication says of a message, and why. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cli/options.h"
#include "cli/trust/check.h"
#include "cli/trust/trust_log.h"
#include "core/dns/host.h"
#include "core/smtp/address.h"
#include "core/trust/judgement_story.h"
#include "io/clock.h"

extern const struct command trust_command;

struct trust_options {
    const char *config, *ip, *from, *helo, *hostname, *zone, *time;
    const char *domain, *disposition, *limit;
    struct option_list arc_trusted;
    bool json, story;
};

/* ---- for people ---- */

static void print_judgement(const struct judgement *j)
{
    struct buffer story = {0};
    judgement_story(j, STORY_LINES, &story);
    fwrite(buffer_text(&story), 1, story.length, stdout);
    buffer_free(&story);
}

/* ---- for programs ---- */

/* Texts are of strangers: what is not UTF-8, or would be a control character, is shown as "?". */
static json_t *text_json(struct bytes text)
{
    struct buffer clean = {0};
    buffer_add_clean(&clean, text, true);
    json_t *value = json_stringn(buffer_text(&clean), clean.length);
    buffer_free(&clean);
    return value;
}

static json_t *spf_json(const struct spf_verdict *spf)
{
    json_t *via = json_array();
    for (size_t i = 0; i < spf->link_count; i++)
        json_array_append_new(via, text_json(spf->links[i].domain));
    return json_pack("{s:s, s:o, s:b, s:o, s:o, s:s, s:i, s:i}", "result", spf_result_name(spf->result),
                     "domain", text_json(spf->domain), "helo", spf->null_sender, "term", text_json(spf->term),
                     "via", via, "problem",
                     spf->problem == SPF_NO_PROBLEM ? "" : spf_problem_sentence(spf->problem), "lookups",
                     (int)spf->lookups, "voids", (int)spf->voids);
}

static json_t *dkim_json(const struct judgement *j)
{
    json_t *list = json_array();
    for (size_t i = 0; i < j->dkim.count; i++) {
        const struct dkim_signature *signature = &j->dkim.signatures[i];
        bool aligned = false;
        for (size_t k = 0; k < j->identifiers.dkim_count; k++)
            aligned = aligned || (j->compared[k] == i && j->dmarc.dkim_aligned[k]);
        json_array_append_new(
            list, json_pack("{s:s, s:o, s:o, s:o, s:s, s:i, s:b, s:b}", "result",
                            dkim_result_word(signature->result), "domain", text_json(signature->field.domain),
                            "selector", text_json(signature->field.selector), "algorithm",
                            text_json(signature->field.algorithm_name), "reason",
                            signature->reason == NULL ? "" : signature->reason, "bits",
                            (int)signature->key_bits, "testing", signature->testing, "aligned", aligned));
    }
    return list;
}

static json_t *arc_json(const struct judgement *j)
{
    json_t *sealers = json_array();
    for (size_t i = 0; i < j->arc.count; i++)
        json_array_append_new(sealers, text_json(j->arc.sets[i].seal.domain));
    return json_pack("{s:s, s:s, s:o, s:i}", "result", arc_result_word(j->arc.result), "reason",
                     j->arc.reason == NULL ? "" : j->arc.reason, "sealers", sealers, "believed",
                     (int)j->arc_believed);
}

static json_t *dmarc_json(const struct dmarc_verdict *dmarc)
{
    return json_pack("{s:s, s:o, s:s, s:o, s:o, s:b, s:b}", "result", dmarc_result_name(dmarc->result),
                     "from", text_json(dmarc->author), "policy", dmarc_policy_name(dmarc->policy),
                     "record_at", text_json(dmarc->record_domain), "organization",
                     text_json(dmarc->organization), "testing", dmarc->testing, "spf_aligned",
                     dmarc->spf_aligned);
}

static json_t *verdict_json(const struct verdict *verdict)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s}", "disposition",
                     verdict_disposition_name(verdict->disposition), "reason",
                     verdict_finding_sentence(verdict->finding), "override",
                     verdict_override_name(verdict->override), "code", (int)verdict->code, "status",
                     verdict->code == 0 ? "" : verdict->enhanced, "reply", verdict->text);
}

static void print_json(const struct judgement *j)
{
    struct buffer field = {0};
    judgement_write_results(j, j->question.hostname, &field);
    json_t *results = json_stringn(buffer_text(&field), field.length); /* NULL: it quotes what is not UTF-8 */
    json_t *facts = json_pack(
        "{s:o, s:o, s:o, s:o, s:{s:s, s:o}, s:o, s:o}", "spf", spf_json(&j->spf), "dkim", dkim_json(j), "arc",
        arc_json(j), "dmarc", dmarc_json(&j->dmarc), "iprev", "result", iprev_result_name(j->iprev.result),
        "name", text_json(j->iprev.name), "verdict", verdict_json(&j->verdict), "authentication_results",
        results != NULL ? results : text_json(buffer_bytes(&field)));
    json_dumpf(facts, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(facts);
    buffer_free(&field);
}

/* ---- the command ---- */

static bool read_question(const struct trust_options *wish, struct check_options *options,
                          struct error *error)
{
    struct bytes ip = bytes_of_text(wish->ip), from = bytes_of_text(wish->from);
    struct address parsed;
    if (wish->ip == NULL)
        return error_set(error, EX_USAGE, "--ip is missing: the address of the client that sent the message");
    if (!host_is_ipv4(ip) && !host_is_ipv6(ip))
        return error_set(error, EX_USAGE, "--ip: '%.100s' is not an IP address", wish->ip);
    if (wish->from == NULL)
        return error_set(error, EX_USAGE,
                         "--from is missing: the address of MAIL FROM; '' for the null sender");
    if (bytes_is(from, "<>"))
        from = bytes_none();
    if (from.length > 0 && !address_parse(from, true, &parsed))
        return error_set(error, EX_USAGE, "--from: '%.100s' is not a mail address", wish->from);
    options->now_s = (uint64_t)clock_now_ms() / 1000;
    if (wish->time != NULL && !bytes_to_u64(bytes_of_text(wish->time), UINT32_MAX, &options->now_s))
        return error_set(error, EX_USAGE, "--time: '%.100s' is not seconds since 1970", wish->time);
    options->zone_file = wish->zone;
    options->question = (struct judgement_question){
        .client = route_literal(ip),
        .helo = bytes_of_text(wish->helo),
        .mail_from = from,
        .hostname = bytes_of_text(wish->hostname == NULL ? "localhost" : wish->hostname)};
    return true;
}

static int check(const struct verb_call *call)
{
    const struct trust_options *wish = call->wish;
    struct check_options options = {.file = call->arguments[0]};
    struct error error = {0};
    struct arena arena = {0};
    struct buffer message = {0};
    struct bytes sealers[OPTION_LIST_MAX];
    int exit_code = EX_OK;
    struct config config = {0};
    if (wish->config != NULL && !options_config(&trust_command, wish->config, &config, &exit_code))
        return exit_code;
    struct judgement *judgement = memory_new(sizeof *judgement);
    bool read = read_question(wish, &options, &error);
    options.resolvers = config.resolver.servers;
    options.resolver_count = config.resolver.server_count;
    options.question.arc_trusted = sealers;
    options.question.arc_trusted_count = wish->arc_trusted.count;
    for (size_t i = 0; i < wish->arc_trusted.count; i++)
        sealers[i] = bytes_of_text(wish->arc_trusted.at[i]);
    if (!read || !check_message(&options, judgement, &arena, &message, &error))
        exit_code = command_fail(&trust_command, &error);
    else if (wish->json)
        print_json(judgement);
    else
        print_judgement(judgement);
    judgement_end(judgement);
    free(judgement);
    if (wish->config != NULL)
        config_free(&config);
    arena_clear(&arena);
    buffer_free(&message);
    return exit_code;
}

static int show_log(const struct verb_call *call)
{
    const struct trust_options *wish = call->wish;
    return trust_log(&(struct trust_log_options){.config_file = wish->config,
                                                 .domain = wish->domain,
                                                 .disposition = wish->disposition,
                                                 .limit = wish->limit,
                                                 .json = wish->json,
                                                 .with_story = wish->story});
}

static int run(int argc, char **argv)
{
    static const struct command_verb verbs[] = {
        {"check", "FILE", "ip from helo hostname arc-trusted zone time json", check},
        {"log", "", "domain disposition limit story json", show_log},
        {.name = NULL}};
    struct trust_options wish = {0};
    const struct option_rule rules[] = {
        {OPTION_TEXT, "config", 'c', &wish.config},   {OPTION_TEXT, "ip", 0, &wish.ip},
        {OPTION_TEXT, "from", 0, &wish.from},         {OPTION_TEXT, "helo", 0, &wish.helo},
        {OPTION_TEXT, "hostname", 0, &wish.hostname}, {OPTION_TEXT, "zone", 0, &wish.zone},
        {OPTION_TEXT, "time", 0, &wish.time},         {OPTION_LIST, "arc-trusted", 0, &wish.arc_trusted},
        {OPTION_TEXT, "domain", 0, &wish.domain},     {OPTION_TEXT, "disposition", 0, &wish.disposition},
        {OPTION_TEXT, "limit", 0, &wish.limit},       {OPTION_FLAG, "story", 0, &wish.story},
        {OPTION_FLAG, "json", 0, &wish.json},         {OPTION_END, NULL, 0, NULL}};
    return options_run_verb(&trust_command, argc, argv, rules, verbs, &wish);
}

const struct command trust_command = {
    .name = "trust",
    .summary = "judge a message by SPF, DKIM, ARC and DMARC, and say why",
    .help = "usage: mailboat trust check FILE --ip ADDRESS --from ADDRESS [--helo NAME]\n"
            "                            [--hostname NAME] [--arc-trusted DOMAIN]... [--zone FILE]\n"
            "                            [--time SECONDS] [--json]\n"
            "       mailboat trust log [--domain DOMAIN] [--disposition WORD] [--limit N] [--story]\n"
            "                          [--json]\n"
            "\n"
            "Judges a message as a receiving server does: may this client send for the domain\n"
            "of MAIL FROM (SPF, RFC 7208), do the signatures verify (DKIM and ARC), is it of\n"
            "the domain in From (DMARC, RFC 9989), and does the reverse name of the client lead\n"
            "back to it. Then what becomes of it, and the reply where it is refused. FILE is\n"
            "the message as it came, '-' standard input. DNS has 10 seconds; what it has not\n"
            "said by then is a temporary failure.\n"
            "\n"
            "      --ip ADDRESS      of the client that sent the message\n"
            "      --from ADDRESS    of MAIL FROM; '' for the null sender\n"
            "      --helo NAME       of EHLO; it counts for the null sender\n"
            "      --hostname NAME   of the receiving server, in Authentication-Results\n"
            "      --arc-trusted D   a domain whose ARC seals are believed; may be said again\n"
            "  -c, --config FILE     ask the resolvers of this configuration\n"
            "      --zone FILE       JSON in the place of DNS: {\"example.org\": {\"TXT\": [\"...\"],\n"
            "                        \"A\": [\"192.0.2.1\"], \"MX\": [[10, \"mx.example.org\"]]}}\n"
            "      --time SECONDS    when it came, since 1970; default now\n"
            "      --json            print JSON\n"
            "\n"
            "trust log lists the messages on port 25 that were judged in the last 30 days, at\n"
            "most 100,000, rejected ones too. With trust: {mode: observe} it says what enforce\n"
            "would have done.\n"
            "\n"
            "      --domain DOMAIN   only From this domain and its subdomains\n"
            "      --disposition W   only deliver, junk, defer or reject, also if only proposed\n"
            "      --limit N         the last N messages; default 50\n"
            "      --story           the reasoning of each: SPF, DKIM, DMARC, policy\n"
            "\n"
            "exit codes: 0 judged, whatever the result, 64 usage, 65 not a message, 66 no file\n"
            "\n"
            "example: mailboat trust check message.eml --ip 192.0.2.1 --from ada@example.org\n",
    .run = run,
};
