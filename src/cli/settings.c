/* SPDX-License-Identifier: Apache-2.0 */
/* settings: what a mail program or a web site needs to submit mail through this server, or through a known provider. */
#include "options.h"
#include "port/providers.h"
#include "settings_texts.h"
#include "smtp/address.h"
#include "target.h"

#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>

extern const struct command settings_command;

struct facts {
    const char *host;
    char user[ADDRESS_MAX + 1];
    const char *domain;
    uint16_t port, tls_port, other_port; /* STARTTLS; TLS from the first byte; where 587 is blocked. 0: there is none */
    const struct provider *provider;     /* NULL: it is this server */
};

/* ---- the server ---- */

/* Of our listeners: the usual port of each kind, or whatever there is of it. */
static void take_listeners(struct facts *facts, const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *l = &config->listeners[i];
        if (l->role != ROLE_SUBMISSION)
            continue;
        if (l->tls == TLS_IMPLICIT && (facts->tls_port == 0 || l->port == 465))
            facts->tls_port = l->port;
        else if (l->tls == TLS_STARTTLS && l->port == 2525)
            facts->other_port = l->port;
        else if (l->tls == TLS_STARTTLS && (facts->port == 0 || l->port == 587))
            facts->port = l->port;
    }
    if (facts->port == 0)
        facts->port = facts->other_port;
}

static void take_provider(struct facts *facts)
{
    facts->port = facts->provider->starttls[0];
    facts->tls_port = facts->provider->implicit[0];
    facts->other_port = facts->provider->starttls[1];
    if (facts->provider->fixed_user != NULL)
        snprintf(facts->user, sizeof facts->user, "%s", facts->provider->fixed_user);
}

static bool is_hosted(const struct config *config, struct accounts *accounts, const char *domain)
{
    for (size_t i = 0; i < config->domain_count; i++)
        if (bytes_is_nocase(bytes_of_text(domain), config->domains[i]))
            return true;
    return accounts != NULL && accounts_is_hosted(accounts, bytes_of_text(domain));
}

/* ---- the texts ---- */

static const struct settings_text *find_text(const char *name)
{
    for (size_t i = 0; i < settings_text_count; i++) {
        if (bytes_is_nocase(bytes_of_text(name), settings_texts[i].name))
            return &settings_texts[i];
        for (struct bytes rest = bytes_of_text(settings_texts[i].aliases); rest.length > 0;)
            if (bytes_is_nocase(bytes_split(&rest, ','), name))
                return &settings_texts[i];
    }
    return NULL;
}

static void fill(struct buffer *out, const char *text, const struct facts *facts)
{
    for (struct bytes rest = bytes_of_text(text); rest.length > 0;) {
        size_t used = 1;
        if (bytes_starts_nocase(rest, "{host}")) {
            buffer_add_text(out, facts->host);
            used = strlen("{host}");
        } else if (bytes_starts_nocase(rest, "{user}")) {
            buffer_add_text(out, facts->user);
            used = strlen("{user}");
        } else if (bytes_starts_nocase(rest, "{port}")) {
            buffer_add_format(out, "%u", (unsigned)facts->port);
            used = strlen("{port}");
        } else if (bytes_starts_nocase(rest, "{tls_port}")) {
            buffer_add_format(out, "%u", (unsigned)facts->tls_port);
            used = strlen("{tls_port}");
        } else {
            buffer_add_octet(out, rest.at[0]);
        }
        rest = bytes_from(rest, used);
    }
}

static void print_page(const struct facts *facts)
{
    printf("outgoing server (SMTP)  %s\n", facts->host);
    if (facts->port != 0)
        printf("port                    %u with STARTTLS\n", (unsigned)facts->port);
    if (facts->tls_port != 0)
        printf("  or                    %u with SSL/TLS\n", (unsigned)facts->tls_port);
    if (facts->other_port != 0 && facts->other_port != facts->port)
        printf("  where that is blocked %u with STARTTLS\n", (unsigned)facts->other_port);
    printf("user name               %s\n", facts->user);
    if (facts->provider != NULL)
        printf("password                %s\n", facts->provider->password);
    else
        printf("password                the account's, or one for this program alone: mailboat key add %s --name PROGRAM\n", facts->user);
    printf("never                   port 25: it is for servers among themselves\n");
}

static json_t *as_json(const struct facts *facts, const struct settings_text *text)
{
    struct buffer filled = {0};
    json_t *servers = json_array();
    if (text != NULL)
        fill(&filled, text->text, facts);
    if (facts->port != 0)
        json_array_append_new(servers, json_pack("{s:i, s:s}", "port", (int)facts->port, "tls", "starttls"));
    if (facts->tls_port != 0)
        json_array_append_new(servers, json_pack("{s:i, s:s}", "port", (int)facts->tls_port, "tls", "implicit"));
    if (facts->other_port != 0 && facts->other_port != facts->port)
        json_array_append_new(servers, json_pack("{s:i, s:s}", "port", (int)facts->other_port, "tls", "starttls"));
    json_t *all = json_pack("{s:s, s:s, s:o, s:s*}", "host", facts->host, "user", facts->user, "servers", servers, "text", text == NULL ? NULL : buffer_text(&filled));
    buffer_free(&filled);
    return all;
}

static void tell(const struct facts *facts, const struct settings_text *text, bool json)
{
    if (json) {
        json_t *all = as_json(facts, text);
        json_dumpf(all, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        putchar('\n');
        json_decref(all);
    } else if (text == NULL) {
        print_page(facts);
    } else {
        struct buffer filled = {0};
        fill(&filled, text->text, facts);
        fprintf(stderr, "%s. PASSWORD stands for the account's password, or better for one of its own (mailboat key add %s --name %s).\n", text->title, facts->user, text->name);
        fputs(buffer_text(&filled), stdout);
        buffer_free(&filled);
    }
}

/* ---- the command ---- */

static int unknown_text(const char *name)
{
    struct buffer names = {0};
    for (size_t i = 0; i < settings_text_count; i++)
        buffer_add_format(&names, "%s%s", i == 0 ? "" : ", ", settings_texts[i].name);
    int exit_code = command_usage(&settings_command, "--for '%s' is not known; there are %s", name, buffer_text(&names));
    buffer_free(&names);
    return exit_code;
}

/* From this server's configuration. */
static int tell_ours(struct facts *facts, const char *config_file, const struct settings_text *text, bool json)
{
    struct config config;
    struct error error = {0};
    if (!config_load_as_anybody(&config, config_file, &error))
        return command_fail(&settings_command, &error);
    struct accounts *accounts = accounts_open(config.data_dir, false, NULL); /* domains may stand there; who may not read it asks for the others */
    int exit_code = EX_OK;
    facts->host = config.hostname;
    take_listeners(facts, &config);
    if (!is_hosted(&config, accounts, facts->domain)) {
        error_set(&error, EX_DATAERR, "%s is not one of this server's domains; for another server say --host", facts->domain);
        exit_code = command_fail(&settings_command, &error);
    } else if (facts->port == 0 && facts->tls_port == 0) {
        error_set(&error, EX_CONFIG, "this server has no submission port; see listeners in the configuration");
        exit_code = command_fail(&settings_command, &error);
    } else {
        tell(facts, text, json);
    }
    if (accounts != NULL)
        accounts_close(accounts);
    config_free(&config);
    return exit_code;
}

static int run(int argc, char **argv)
{
    const char *program = NULL, *host = NULL, *config_file = NULL;
    bool json = false;
    struct arguments arguments;
    struct error error = {0};
    struct target target;
    struct address address;
    struct facts facts = {0};
    const struct option_rule rules[] = {{OPTION_TEXT, "for", 'f', &program}, {OPTION_TEXT, "host", 'h', &host}, {OPTION_TEXT, "config", 'c', &config_file}, {OPTION_FLAG, "json", 0, &json},
                                        {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&settings_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (arguments.count != 1)
        return command_usage(&settings_command, "name one mail address");
    const struct settings_text *text = program == NULL ? NULL : find_text(program);
    if (program != NULL && text == NULL)
        return unknown_text(program);
    if (!address_parse(bytes_of_text(arguments.at[0]), true, &address)) {
        error_set(&error, EX_DATAERR, "'%s' is not a mail address", arguments.at[0]);
        return command_fail(&settings_command, &error);
    }
    snprintf(facts.user, sizeof facts.user, "%s", arguments.at[0]);
    facts.domain = address.domain.at;
    if (host == NULL)
        return tell_ours(&facts, config_file, text, json);
    if (!target_read(&target, host, &error))
        return command_fail(&settings_command, &error);
    facts.host = target.host;
    facts.port = 587;
    facts.tls_port = 465;
    facts.other_port = 2525;
    facts.provider = provider_by_host(bytes_of_text(target.host));
    if (facts.provider != NULL)
        take_provider(&facts);
    tell(&facts, text, json);
    return EX_OK;
}

const struct command settings_command = {
    .name = "settings",
    .summary = "what a mail program or a web site needs, ready to paste",
    .help = "usage: mailboat settings ADDRESS [--for PROGRAM] [--host HOST] [--json]\n\n"
            "Prints what a program needs to send mail as ADDRESS through this server: host,\n"
            "port, TLS and user name; with --for as text to paste. The password is never in\n"
            "it: PASSWORD stands for it.\n\n"
            "  -f, --for PROGRAM  apple, outlook, thunderbird, wordpress, phpmailer, nodemailer,\n"
            "                     python, django, rails, spring, msmtp, postfix, curl, swaks\n"
            "  -h, --host HOST    another server, a sending service for example\n"
            "  -c, --config FILE  where this server is described\n"
            "      --json         facts for programs\n\n"
            "exit codes: 0 printed, 64 an unknown program, 65 not an address of this server\n\n"
            "example: mailboat settings ada@example.org --for wordpress\n",
    .run = run,
};
