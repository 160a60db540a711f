/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings: the settings of a mail program to submit through this server, or through a well-known one, in
 * words or as a snippet (settings_templates.c). Passwords are never printed: `mailboat key add` makes an
 * application password.
 */
#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/accounts/account_client.h"
#include "cli/options.h"
#include "cli/ports/discover.h"
#include "cli/ports/history.h"
#include "cli/ports/port_cache.h"
#include "cli/ports/settings_templates.h"
#include "cli/setup/dovecot.h"
#include "core/port/provider.h"
#include "core/smtp/address.h"
#include "store/accounts.h"

extern const struct command settings_command;

enum { ENDPOINTS_MAX = 32, MX_PORT = 25, WEB_PORT = 443 /* for clients that offer ALPN: no mail program */ };

struct settings_endpoint {
    uint16_t port;
    bool implicit;
    bool blocked;  /* on this network, when it was last tried */
    bool selected; /* there, when mail was last sent */
};

struct settings_options {
    const char *host, *port, *program, *config;
    bool json;
};

struct settings {
    struct bytes host, user, from, domain;
    const struct provider *provider;                   /* NULL: Mailboat, or an unknown server */
    bool here;                                         /* this machine's server */
    struct settings_endpoint endpoints[ENDPOINTS_MAX]; /* most preferred first */
    size_t endpoint_count;
    uint16_t imap, imaps, pop3, pop3s; /* for reading mail; 0: not served */
};

/* ---- collecting ---- */

static void add_endpoint(struct settings *settings, uint16_t port, bool implicit)
{
    for (size_t i = 0; i < settings->endpoint_count; i++)
        if (settings->endpoints[i].port == port)
            return;
    if (port != MX_PORT && port != WEB_PORT && settings->endpoint_count < ENDPOINTS_MAX)
        settings->endpoints[settings->endpoint_count++] = (struct settings_endpoint){.port = port,
                                                                                     .implicit = implicit};
}

static bool is_hosted(const struct config *config, struct bytes domain)
{
    struct buffer name = {0}, configured = {0};
    bool found = false;
    bool valid = accounts_domain(&name, domain);
    for (size_t i = 0; valid && !found && i < config->domain_count; i++) {
        buffer_clear(&configured);
        found = accounts_domain(&configured, bytes_of_text(config->domains[i])) &&
                bytes_equal(buffer_bytes(&configured), buffer_bytes(&name));
    }
    found = found || (valid && account_client_is_hosted(config, buffer_bytes(&name)));
    buffer_free(&configured);
    buffer_free(&name);
    return found;
}

static bool gather_here(struct settings *settings, const struct config *config, struct error *error)
{
    settings->here = true;
    settings->host = bytes_of_text(config->hostname);
    if (!is_hosted(config, settings->domain))
        return error_set(error, EX_DATAERR,
                         "%.*s is not hosted here; add it with mailboat domain add %.*s, or name another "
                         "server with --host",
                         BYTES_ARG(settings->domain), BYTES_ARG(settings->domain));
    if (dovecot_is_set_up(config)) {
        settings->imap = config->mailboxes.imap;
        settings->imaps = config->mailboxes.imaps;
        settings->pop3 = config->mailboxes.pop3;
        settings->pop3s = config->mailboxes.pop3s;
    }
    for (size_t i = 0; i < config->listener_count; i++)
        if (config->listeners[i].role == ROLE_SUBMISSION && config->listeners[i].tls != TLS_NONE)
            add_endpoint(settings, config->listeners[i].port, config->listeners[i].tls == TLS_IMPLICIT);
    return settings->endpoint_count > 0 ||
           error_set(
               error, EX_CONFIG,
               "the configuration has no listener for submission; leave listeners out for 587, 465 and 2525");
}

/* Puts the port that won here last first, and ports that were blocked here last. */
static void sort_endpoints(struct settings *settings)
{
    struct settings_endpoint sorted[ENDPOINTS_MAX];
    struct fact_history history;
    struct port_cache_entry known;
    char host[DISCOVERY_TEXT_MAX];
    size_t count = 0;
    snprintf(host, sizeof host, "%.*s", BYTES_ARG(settings->host));
    history_facts(host, NULL, &history);
    bool has_known = port_cache_find(host, &known);
    for (size_t i = 0; i < settings->endpoint_count; i++)
        settings->endpoints[i].blocked = history_is_blocked(&history, settings->endpoints[i].port);
    for (int turn = 0; turn < 3; turn++)
        for (size_t i = 0; i < settings->endpoint_count; i++) {
            struct settings_endpoint *one = &settings->endpoints[i];
            one->selected = has_known && one->port == known.port.port &&
                            one->implicit == (known.port.tls == CLIENT_TLS_IMPLICIT);
            if (turn == (one->selected ? 0 : one->blocked ? 2 : 1))
                sorted[count++] = *one;
        }
    memcpy(settings->endpoints, sorted, count * sizeof sorted[0]);
}

static void add_usual(struct settings *settings)
{
    for (size_t i = 0; i < PORT_ORDER_USUAL; i++)
        add_endpoint(settings, port_order[i].port, port_order[i].tls == CLIENT_TLS_IMPLICIT);
}

/* Finds the server through the address's domain or provider: none is configured here. */
static bool gather_by_address(struct settings *settings, const char *address, struct error *error)
{
    static struct discovery found; /* the settings borrow from it */
    if (!discover(&found, address, NULL, error))
        return false;
    settings->provider = found.provider;
    settings->host = bytes_of_text(found.host);
    settings->user = bytes_of_text(found.user);
    for (size_t i = 0; i < found.port_count; i++)
        add_endpoint(settings, found.ports[i].port, found.ports[i].tls == CLIENT_TLS_IMPLICIT);
    if (settings->endpoint_count == 0)
        add_usual(settings);
    sort_endpoints(settings);
    return true;
}

static bool gather_elsewhere(struct settings *settings, struct bytes name, struct error *error)
{
    settings->provider = provider_by_host(name) != NULL ? provider_by_host(name) : provider_by_name(name);
    const struct provider *by = settings->provider != NULL ? settings->provider : &provider_unknown;
    if (settings->provider != NULL && !provider_has_smtp(by))
        return error_set(error, EX_DATAERR, "%s: %s", by->name, by->remark);
    settings->host = settings->provider != NULL && provider_by_host(name) == NULL ? provider_host(by) : name;
    if (settings->host.length == 0)
        return error_set(
            error, EX_DATAERR,
            "%s has a host for each region; use --host with yours, like %s with the region for *", by->name,
            by->hosts);
    const char *fault = host_fault(settings->host, false);
    if (fault != NULL)
        return error_set(error, EX_DATAERR, "'%.*s' is not a host name: %s", BYTES_ARG(name), fault);
    if (by->fixed_user != NULL)
        settings->user = bytes_of_text(by->fixed_user);
    else if (by->user_is_local)
        settings->user = bytes_first(settings->user, bytes_find_last(settings->user, '@'));
    for (size_t i = 0; i < PROVIDER_PORTS_MAX; i++)
        if (by->starttls[i] != 0)
            add_endpoint(settings, by->starttls[i], false);
    for (size_t i = 0; i < PROVIDER_PORTS_MAX; i++)
        if (by->implicit[i] != 0)
            add_endpoint(settings, by->implicit[i], true);
    sort_endpoints(settings);
    return true;
}

/* The port of --port comes first. */
static bool choose_port(struct settings *settings, const char *text, struct error *error)
{
    uint64_t port = 0;
    if (text == NULL)
        return true;
    bytes_to_u64(bytes_of_text(text), UINT16_MAX, &port);
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        struct settings_endpoint first = settings->endpoints[i];
        if (first.port != port)
            continue;
        settings->endpoints[i] = settings->endpoints[0];
        settings->endpoints[0] = first;
        return true;
    }
    return error_set(error, EX_DATAERR, "port %s of %.*s is not for submission; omit --port for the best",
                     text, BYTES_ARG(settings->host));
}

/* ---- output ---- */

static void print_password(const struct settings *settings, FILE *to, const char *before)
{
    if (settings->here)
        fprintf(to, "%smailboat key add %.*s makes one for this program\n", before,
                BYTES_ARG(settings->user));
    else
        fprintf(to, "%s%s\n", before,
                settings->provider != NULL ? settings->provider->password
                                           : "the one from the server's operator");
}

/* Prints the ports for reading mail: "IMAP        993, TLS from the first octet; 143, STARTTLS". */
static void print_reading(const char *name, uint16_t implicit, uint16_t starttls)
{
    if (implicit == 0 && starttls == 0)
        return;
    printf("%-11s ", name);
    if (implicit != 0)
        printf("%u, implicit TLS (\"SSL/TLS\")", (unsigned)implicit);
    if (starttls != 0)
        printf("%s%u, STARTTLS", implicit != 0 ? "; or " : "", (unsigned)starttls);
    printf("\n");
}

static void print_page(const struct settings *settings)
{
    printf("Server      %.*s\n", BYTES_ARG(settings->host));
    for (size_t i = 0; i < settings->endpoint_count; i++)
        printf("%-11s %u, %s%s\n", i == 0 ? "Port" : "  or", settings->endpoints[i].port,
               settings->endpoints[i].implicit ? "implicit TLS (\"SSL/TLS\")" : "STARTTLS (required)",
               settings->endpoints[i].selected  ? "; worked on this network when last used"
               : settings->endpoints[i].blocked ? "; blocked on this network when last tried"
                                                : "");
    print_reading("IMAP", settings->imaps, settings->imap);
    print_reading("POP3", settings->pop3s, settings->pop3);
    printf("User name   %.*s\n", BYTES_ARG(settings->user));
    if (settings->provider != NULL)
        printf("            (%s)\n", settings->provider->user);
    print_password(settings, stdout, "Password    ");
    if (settings->provider != NULL && settings->provider->remark[0] != '\0')
        printf("Remark      %s\n", settings->provider->remark);
    printf("\nText to paste: --for ");
    for (size_t i = 0; i < paste_count; i++)
        printf("%s%s", i == 0 ? "" : ", ", templates[i].name);
    printf("\n");
}

static void print_json(const struct settings *settings, const struct settings_template *template,
                       const struct settings_facts *facts)
{
    json_t *ports = json_array();
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        const struct settings_endpoint *endpoint = &settings->endpoints[i];
        json_t *one = json_pack("{s:i, s:s}", "port", (int)endpoint->port, "tls",
                                endpoint->implicit ? "implicit" : "starttls");
        if (endpoint->blocked)
            json_object_set_new(one, "blocked", json_true());
        json_array_append_new(ports, one);
    }
    json_t *all = json_pack("{s:s%, s:s%, s:o}", "host", settings->host.at, settings->host.length, "user",
                            settings->user.at, settings->user.length, "ports", ports);
    const struct {
        const char *name;
        uint16_t port;
    } reading[] = {{"imap", settings->imap},
                   {"imaps", settings->imaps},
                   {"pop3", settings->pop3},
                   {"pop3s", settings->pop3s}};
    for (size_t i = 0; i < ARRAY_LENGTH(reading); i++)
        if (reading[i].port != 0)
            json_object_set_new(all, reading[i].name, json_integer(reading[i].port));
    if (template != NULL) {
        struct buffer text = {0};
        settings_templates_write(template, facts, &text);
        json_object_set_new(all, "for", json_string(template->name));
        json_object_set_new(all, "text", json_string(buffer_text(&text)));
        json_object_set_new(all, "self_signed", json_string(template->self_signed));
        buffer_free(&text);
    }
    json_dumpf(all, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    printf("\n");
    json_decref(all);
}

static void print_settings(const struct settings *settings, const struct settings_template *template,
                           bool json)
{
    struct settings_facts facts = {settings->host,
                                   settings->user,
                                   settings->from,
                                   settings->domain,
                                   settings->endpoints[0].port,
                                   settings->endpoints[0].implicit};
    struct buffer text = {0};
    if (json) {
        print_json(settings, template, &facts);
    } else if (template == NULL) {
        print_page(settings);
    } else {
        settings_templates_write(template, &facts, &text);
        fputs(buffer_text(&text), stdout);
        print_password(settings, stderr, "PASSWORD: ");
        if (settings->provider == NULL)
            fprintf(stderr, "If the certificate of the server is self-signed (FILE is a copy of it): %s\n",
                    template->self_signed);
    }
    buffer_free(&text);
}

/* A slip of the pen in a well-known name, as `ports` and `send` tell it. */
static void warn_of_slip(const struct settings *settings)
{
    struct bytes near = settings->here || settings->provider != NULL ? bytes_none()
                                                                     : provider_near(settings->host);
    if (near.length > 0)
        fprintf(stderr, "mailboat settings: %.*s is probably misspelled: %.*s is meant\n",
                BYTES_ARG(settings->host), BYTES_ARG(near));
}

/* ---- the command ---- */

static int usage_of_program(const char *program)
{
    struct buffer names = {0};
    for (size_t i = 0; i < paste_count; i++)
        buffer_add_format(&names, "%s%s", i == 0 ? "" : ", ", templates[i].name);
    int exit_code = command_usage(&settings_command, "unknown program '%.40s'; use one of: %s", program,
                                  buffer_text(&names));
    buffer_free(&names);
    return exit_code;
}

/* Programs differ in how they quote an address that needs it. */
static bool read_address(struct settings *settings, const char *text, struct error *error)
{
    struct address address;
    if (!address_parse(bytes_of_text(text), true, &address) || address.literal || address.quoted)
        return error_set(error, EX_DATAERR, "'%.200s' is not a mail address such as ada@example.org", text);
    settings->user = settings->from = bytes_of_text(text);
    settings->domain = address.domain;
    return true;
}

static int print(const struct settings_options *wish, const char *address,
                 const struct settings_template *template)
{
    struct settings settings = {0};
    struct config config;
    struct error error = {0};
    bool configured = false;
    bool done = read_address(&settings, address, &error);
    const struct provider *provider = done ? provider_by_domain(settings.domain) : NULL;
    bool here = wish->host == NULL && (wish->config != NULL || access(CONFIG_DEFAULT_FILE, F_OK) == 0);
    if (done && here)
        done = configured = config_load_as_anybody(&config, wish->config, &error);
    if (done && here && provider != NULL && !is_hosted(&config, settings.domain))
        here = false; /* a mailbox elsewhere */
    if (done)
        done = here                 ? gather_here(&settings, &config, &error)
               : wish->host != NULL ? gather_elsewhere(&settings, bytes_of_text(wish->host), &error)
               : provider != NULL && (!provider_has_smtp(provider) || provider_host(provider).length > 0)
                   ? gather_elsewhere(&settings, bytes_of_text(provider->name), &error)
                   : gather_by_address(&settings, address, &error);
    if (done && choose_port(&settings, wish->port, &error)) {
        print_settings(&settings, template, wish->json);
        warn_of_slip(&settings);
    }
    if (configured)
        config_free(&config);
    return error.text[0] == '\0' ? EX_OK : command_fail(&settings_command, &error);
}

static int run(int argc, char **argv)
{
    struct settings_options wish = {0};
    struct arguments arguments;
    const struct option_rule rules[] = {
        {OPTION_TEXT, "for", 0, &wish.program}, {OPTION_TEXT, "host", 0, &wish.host},
        {OPTION_TEXT, "port", 'p', &wish.port}, {OPTION_TEXT, "config", 'c', &wish.config},
        {OPTION_FLAG, "json", 0, &wish.json},   {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&settings_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (!options_arguments_fit(&settings_command, NULL, "ADDRESS", arguments.at, arguments.count))
        return EX_USAGE;
    const struct settings_template *template = wish.program == NULL
                                                   ? NULL
                                                   : settings_templates_find(bytes_of_text(wish.program));
    if (wish.program != NULL && template == NULL)
        return usage_of_program(wish.program);
    return print(&wish, arguments.at[0], template);
}

const struct command settings_command = {
    .name = "settings",
    .summary = "show what a program needs to send through this server, ready to paste",
    .help = "usage: mailboat settings ADDRESS [--for PROGRAM] [--host HOST] [--port N] [--json]\n"
            "\n"
            "Prints what a program needs to send mail as ADDRESS through this server: the\n"
            "facts, or with --for the text to paste. The password is never printed: make one\n"
            "for each program with mailboat key add ADDRESS.\n"
            "Without a configuration here, or for an address of a well-known provider, the\n"
            "server of ADDRESS is looked for, as mailboat ports does; the port that worked last\n"
            "on this network comes first, and one that was blocked there last.\n"
            "\n"
            "      --for PROGRAM   apple, outlook, thunderbird, wordpress, phpmailer, nodemailer,\n"
            "                      django, python, rails, spring, msmtp, postfix\n"
            "      --host HOST     another server: a host, or a well-known provider's name\n"
            "  -p, --port N        this port instead of the first one\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --json          print JSON\n"
            "\n"
            "exit codes: 0 printed, 64 usage, 65 invalid address, or its domain is not hosted\n"
            "here, 69 its server is not found, 78 configuration error\n"
            "\n"
            "example: mailboat settings ada@example.org --for wordpress\n",
    .run = run,
};
