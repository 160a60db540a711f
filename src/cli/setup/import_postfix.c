/* SPDX-License-Identifier: Apache-2.0 */
/* import_postfix: main.cf, and the tables that it names. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/setup/import.h"
#include "core/dns/host.h"
#include "core/import/main_cf.h"
#include "core/import/table_text.h"
#include "store/accounts.h"

struct postfix {
    struct import_run *run;
    struct main_cf main_cf;
    struct bytes file; /* main.cf */
    struct error *error;
};

typedef bool table_reader(struct postfix *postfix, const char *parameter, const char *path);

/* ---- tables ---- */

/* Calls the reader for each table of the parameter that is a text file. A default that does not exist is not
 * missed. */
static bool each_table(struct postfix *p, const char *parameter, table_reader *reader)
{
    struct bytes list = main_cf_value(&p->main_cf, parameter);
    struct main_cf_entry entry;
    while (main_cf_next(&list, &entry)) {
        const char *path = arena_text(&p->run->arena, entry.name);
        if (!main_cf_is_text(&entry)) {
            import_note_add(p->run, p->file, 0, bytes_of_text(parameter),
                            "%.*s%s%.*s is not a text file: add its entries by hand, or as a hash: table",
                            BYTES_ARG(entry.type), entry.type.length > 0 ? ":" : "", BYTES_ARG(entry.name));
            continue;
        }
        if (reader(p, parameter, path))
            continue;
        if (p->error->exit_code != EX_NOINPUT || main_cf_has(&p->main_cf, parameter))
            return error_prefix(p->error, "%s: ", parameter);
        *p->error = (struct error){0};
    }
    return true;
}

typedef void line_reader(struct postfix *p, const char *parameter, struct bytes key, struct bytes value,
                         struct bytes file, size_t line);

static bool read_lines(struct postfix *p, const char *parameter, const char *path, line_reader *reader)
{
    struct table_text table;
    struct bytes text, line, key, value;
    size_t number;
    if (!import_file_read(p->run, path, &text, p->error))
        return false;
    table_text_start(&table, text);
    while (table_text_next(&table, &line, &number))
        if (table_text_split(line, &key, &value) || key.length > 0)
            reader(p, parameter, key, value, bytes_of_text(path), number);
    table_text_free(&table);
    return true;
}

/* ---- domains ---- */

/* True for a name that other servers can send to. */
static bool is_public(struct bytes domain)
{
    return bytes_find(domain, '.') != SIZE_MAX && !bytes_starts_nocase(domain, "localhost.") &&
           domain.at[0] != '[';
}

/* In Postfix the domains of mydestination have the same users: all but the first are that one. */
static void add_domain(struct postfix *p, const char *parameter, struct bytes key, struct bytes value,
                       struct bytes file, size_t line)
{
    struct buffer domain = {0};
    if (!is_public(key) || !accounts_domain(&domain, key)) {
        buffer_free(&domain);
        return;
    }
    struct bytes name = buffer_bytes(&domain);
    import_plan_add(&p->run->plan,
                    &(struct import_entry){.kind = IMPORT_DOMAIN, .name = name, .file = file, .line = line});
    if (strcmp(parameter, "mydestination") == 0 && p->run->domain.length > 0 &&
        !bytes_equal(name, p->run->domain)) {
        char *from = arena_format(&p->run->arena, "@%.*s", BYTES_ARG(name));
        char *to = arena_format(&p->run->arena, "@%.*s", BYTES_ARG(p->run->domain));
        import_plan_add(&p->run->plan, &(struct import_entry){.kind = IMPORT_ALIAS,
                                                              .name = bytes_of_text(from),
                                                              .target = bytes_of_text(to),
                                                              .file = file,
                                                              .line = line});
    }
    buffer_free(&domain);
}

/* A list of names, of files of names, and of tables whose keys are names. */
static bool add_domains(struct postfix *p, const char *parameter)
{
    struct bytes list = main_cf_value(&p->main_cf, parameter);
    struct main_cf_entry entry;
    while (main_cf_next(&list, &entry)) {
        const char *path = arena_text(&p->run->arena, entry.name);
        bool is_list = entry.type.length == 0 && entry.name.at[0] == '/';
        if (entry.type.length == 0 && !is_list)
            add_domain(p, parameter, entry.name, bytes_none(), p->file, 0);
        else if (!is_list && !main_cf_is_text(&entry))
            import_note_add(
                p->run, p->file, 0, bytes_of_text(parameter),
                "%.*s:%.*s is not a text file: mailboat domain add DOMAIN for each of its domains",
                BYTES_ARG(entry.type), BYTES_ARG(entry.name));
        else if (!read_lines(p, parameter, path, add_domain))
            return error_prefix(p->error, "%s: ", parameter);
    }
    return true;
}

/* myorigin can be the name of a file, as /etc/mailname in Debian. */
static bool choose_domain(struct postfix *p)
{
    struct buffer domain = {0};
    struct bytes origin = main_cf_value(&p->main_cf, "myorigin"), text;
    if (p->run->domain.length > 0)
        return true;
    if (origin.length > 0 && origin.at[0] == '/') {
        if (!import_file_read(p->run, arena_text(&p->run->arena, origin), &text, p->error))
            return error_prefix(p->error, "myorigin: ");
        origin = bytes_trim(bytes_split(&text, '\n'));
    }
    if (is_public(origin) && accounts_domain(&domain, origin))
        p->run->domain = arena_copy(&p->run->arena, buffer_bytes(&domain));
    else if (p->run->config->domain_count > 0)
        p->run->domain = bytes_of_text(p->run->config->domains[0]);
    buffer_free(&domain);
    return true;
}

/* ---- users and aliases ---- */

static void add_mailbox(struct postfix *p, const char *parameter, struct bytes key, struct bytes value,
                        struct bytes file, size_t line)
{
    if (bytes_find(key, '@') == SIZE_MAX && bytes_find(key, '.') != SIZE_MAX)
        return; /* a domain, for virtual_mailbox_domains */
    struct bytes address = import_address(p->run, key);
    if (address.length == 0 || address.at[0] == '@') {
        import_note_add(p->run, file, line, bytes_first(key, 100),
                        address.length == 0
                            ? "is not a mail address"
                            : "a mailbox for all addresses is an alias here: mailboat alias add "
                              "@DOMAIN ADDRESS");
        return;
    }
    import_plan_add(&p->run->plan,
                    &(struct import_entry){.kind = IMPORT_USER, .name = address, .file = file, .line = line});
}

static bool read_mailboxes(struct postfix *p, const char *parameter, const char *path)
{
    return read_lines(p, parameter, path, add_mailbox);
}

static bool read_virtual(struct postfix *p, const char *parameter, const char *path)
{
    return import_virtual(p->run, path, p->error);
}

static bool read_aliases(struct postfix *p, const char *parameter, const char *path)
{
    return import_aliases(p->run, path, p->error);
}

/* ---- the configuration ---- */

/* Appends a text as YAML in double quotes. */
static void add_quoted(struct buffer *yaml, struct bytes text)
{
    buffer_add_octet(yaml, '"');
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '"' || text.at[i] == '\\')
            buffer_add_octet(yaml, '\\');
        buffer_add_octet(yaml, (unsigned char)text.at[i] < ' ' ? '?' : text.at[i]);
    }
    buffer_add_octet(yaml, '"');
}

static bool is_host(struct bytes host)
{
    return host_is_name(host, false) || host_is_ipv4(host) || host_is_ipv6(host);
}

struct postfix_password {
    struct bytes hop, user; /* looked for, and found */
};

/* Finds the user of the relayhost in smtp_sasl_password_maps. */
static struct bytes find_user(struct postfix *p, struct bytes relayhost)
{
    struct bytes list = main_cf_value(&p->main_cf, "smtp_sasl_password_maps"), text, line, key, value;
    struct bytes user = bytes_none();
    struct main_cf_entry entry;
    struct table_text table;
    struct error unreadable = {0};
    size_t number;
    while (main_cf_next(&list, &entry)) {
        if (!main_cf_is_text(&entry) ||
            !import_file_read(p->run, arena_text(&p->run->arena, entry.name), &text, &unreadable))
            continue;
        table_text_start(&table, text);
        while (table_text_next(&table, &line, &number))
            if (table_text_split(line, &key, &value) && bytes_equal(key, relayhost) && user.length == 0)
                user = arena_copy(&p->run->arena, bytes_split(&value, ':'));
        table_text_free(&table);
    }
    return user;
}

static void add_relayhost(struct postfix *p, struct buffer *relay)
{
    struct bytes said = main_cf_value(&p->main_cf, "relayhost");
    struct main_cf_hop hop;
    if (said.length == 0)
        return;
    if (!main_cf_read_hop(said, &hop) || !is_host(hop.host)) {
        import_note_add(p->run, p->file, 0, BYTES("relayhost"), "'%.*s' is not a host", BYTES_ARG(said));
        return;
    }
    struct bytes user = find_user(p, said);
    buffer_add_text(relay, "  via: smarthost\n  smarthost:\n    host: ");
    add_quoted(relay, hop.host);
    buffer_add_format(relay, hop.port != 0 ? "\n    port: %u\n" : "\n    port: auto\n", (unsigned)hop.port);
    if (user.length > 0) {
        buffer_add_text(relay, "    user: ");
        add_quoted(relay, user);
        buffer_add_text(relay, "\n    password_file: /etc/mailboat/smarthost.password\n");
        import_note_add(p->run, p->file, 0, BYTES("smtp_sasl_password_maps"),
                        "put the password of %.*s into /etc/mailboat/smarthost.password", BYTES_ARG(user));
    }
}

static bool is_smtp(struct bytes transport)
{
    return transport.length == 0 || bytes_is(transport, "smtp") || bytes_is(transport, "relay") ||
           bytes_is(transport, "smtps");
}

static void add_route(struct postfix *p, const char *parameter, struct bytes key, struct bytes value,
                      struct bytes file, size_t line)
{
    struct bytes next = value, transport = bytes_split(&next, ':');
    struct buffer *routes = &p->run->yaml;
    struct main_cf_hop hop;
    bool is_subdomains = key.at[0] == '.';
    struct bytes domain = is_subdomains ? bytes_from(key, 1) : key;
    if (bytes_find(key, '@') != SIZE_MAX) {
        import_note_add(p->run, file, line, key, "a route is for a domain here, not for one address");
        return;
    }
    if (!is_smtp(transport)) {
        import_note_add(p->run, file, line, key, "there is no transport '%.*s' here", BYTES_ARG(transport));
        return;
    }
    if (!bytes_is(domain, "*") && !host_is_name(domain, false)) {
        import_note_add(p->run, file, line, bytes_first(key, 100), "is not a domain name");
        return;
    }
    if (!main_cf_read_hop(next, &hop) || (hop.host.length > 0 && !is_host(hop.host))) {
        import_note_add(p->run, file, line, key, "'%.*s' is not a host", BYTES_ARG(next));
        return;
    }
    buffer_add_text(routes, "    - {domain: ");
    char *name = arena_format(&p->run->arena, "%s%.*s", is_subdomains ? "*." : "", BYTES_ARG(domain));
    add_quoted(routes, bytes_of_text(name));
    if (hop.host.length > 0) {
        buffer_add_text(routes, ", host: ");
        add_quoted(routes, hop.host);
    } else {
        buffer_add_text(routes, ", via: mx");
    }
    if (hop.host.length > 0 && hop.port != 0)
        buffer_add_format(routes, ", port: %u", (unsigned)hop.port);
    buffer_add_text(routes,
                    bytes_is(transport, "smtps") && hop.host.length > 0 ? ", tls: implicit}\n" : "}\n");
}

static bool read_routes(struct postfix *p, const char *parameter, const char *path)
{
    return read_lines(p, parameter, path, add_route);
}

/* Each login of the line may send as the key. */
static void add_senders(struct postfix *p, const char *parameter, struct bytes key, struct bytes value,
                        struct bytes file, size_t line)
{
    struct bytes address = import_address(p->run, key);
    struct buffer room = {0};
    struct alias_target login;
    if (address.length == 0) {
        import_note_add(p->run, file, line, bytes_first(key, 100), "is not a mail address");
        return;
    }
    while (alias_target_next(&value, &room, &login)) {
        struct bytes account = import_address(p->run, login.text);
        if (account.length == 0 || account.at[0] == '@') {
            import_note_add(p->run, file, line, key, "'%.*s' is not an account", BYTES_ARG(login.text));
            continue;
        }
        if (bytes_equal(account, address))
            continue; /* it may anyway */
        buffer_add_text(&p->run->yaml, "    - ");
        char *pair = arena_format(&p->run->arena, "%.*s %s%.*s", BYTES_ARG(account),
                                  address.at[0] == '@' ? "*" : "", BYTES_ARG(address));
        add_quoted(&p->run->yaml, bytes_of_text(pair));
        buffer_add_octet(&p->run->yaml, '\n');
    }
    buffer_free(&room);
}

static bool read_senders(struct postfix *p, const char *parameter, const char *path)
{
    return read_lines(p, parameter, path, add_senders);
}

/* Reads tables whose lines go below `head`, which is left out if there are none. */
static bool add_section(struct postfix *p, const char *parameter, const char *head, table_reader *reader)
{
    struct buffer *yaml = &p->run->yaml;
    buffer_add_text(yaml, head);
    size_t length = yaml->length;
    bool done = each_table(p, parameter, reader);
    if (yaml->length == length) /* nothing was added */
        yaml->length -= strlen(head);
    return done;
}

static bool add_configuration(struct postfix *p)
{
    struct buffer *yaml = &p->run->yaml;
    struct bytes size = main_cf_value(&p->main_cf, "message_size_limit");
    uint64_t octets;
    buffer_add_text(yaml, "relay:\n");
    size_t length = yaml->length;
    add_relayhost(p, yaml);
    if (!add_section(p, "transport_maps", "  routes:\n", read_routes))
        return false;
    if (yaml->length == length)
        buffer_clear(yaml);
    if (!add_section(p, "smtpd_sender_login_maps", "submission:\n  send_as:\n", read_senders))
        return false;
    if (main_cf_has(&p->main_cf, "message_size_limit") && bytes_to_u64(size, (uint64_t)1 << 40, &octets) &&
        octets >= 64 * 1024)
        buffer_add_format(yaml, "limits:\n  message_size: %llu\n", (unsigned long long)octets);
    return true;
}

/* ---- what has no counterpart ---- */

static const struct {
    const char *parameter, *reason;
} foreign[] = {
    {"smtpd_milters", "milters are not called here"},
    {"non_smtpd_milters", "milters are not called here"},
    {"content_filter", "there is no content filter here"},
    {"header_checks", "headers are not rewritten or checked by rules here"},
    {"body_checks", "bodies are not checked by rules here"},
    {"canonical_maps", "addresses are not rewritten here"},
    {"sender_canonical_maps", "addresses are not rewritten here"},
    {"recipient_canonical_maps", "addresses are not rewritten here"},
    {"smtp_generic_maps", "addresses are not rewritten here"},
    {"always_bcc", "messages are not copied here; an alias can have several targets"},
    {"sender_bcc_maps", "messages are not copied here"},
    {"recipient_bcc_maps", "messages are not copied here; an alias can have several targets"},
    {"sender_dependent_relayhost_maps", "the route does not depend on the sender here; see relay.routes"},
    {"sender_dependent_default_transport_maps", "the route does not depend on the sender here"},
    {"mailbox_command", "no program delivers mail here; see mailboxes.deliver"},
    {"smtp_tls_policy_maps", "set relay.tls for these domains"},
    {"relocated_maps", "there are no replies for addresses that moved; forward them by an alias"},
    {"recipient_delimiter", "is + here"},
    {"relay_domains", "name each under relay.domains with its recipients, and its server under relay.routes"},
    {"relay_recipient_maps", "its file can be recipients_file of relay.domains"},
};

static void add_foreign(struct postfix *p)
{
    for (size_t i = 0; i < ARRAY_LENGTH(foreign); i++) {
        struct bytes value = main_cf_value(&p->main_cf, foreign[i].parameter);
        if (!main_cf_has(&p->main_cf, foreign[i].parameter) || value.length == 0 ||
            (bytes_is(value, "+") && strcmp(foreign[i].parameter, "recipient_delimiter") == 0))
            continue;
        import_note_add(p->run, p->file, 0, bytes_of_text(foreign[i].parameter), "%s (it is %.*s)",
                        foreign[i].reason, BYTES_ARG(bytes_first(value, 200)));
    }
    struct bytes networks = main_cf_value(&p->main_cf, "mynetworks");
    struct main_cf_entry network;
    while (main_cf_next(&networks, &network))
        if (!bytes_starts_nocase(network.name, "127.") &&
            bytes_search(network.name, BYTES("::1]")) == SIZE_MAX &&
            bytes_search(network.name, BYTES("::ffff:127.")) == SIZE_MAX)
            import_note_add(p->run, p->file, 0, BYTES("mynetworks"),
                            "clients in %.*s need an account (mailboat key add for each), or list them in "
                            "submission.trusted",
                            BYTES_ARG(network.name));
}

/* ---- all of it ---- */

static bool read_all(struct postfix *p)
{
    return choose_domain(p) && add_domains(p, "mydestination") && add_domains(p, "virtual_mailbox_domains") &&
           (!main_cf_has(&p->main_cf, "virtual_alias_domains") || add_domains(p, "virtual_alias_domains")) &&
           each_table(p, "virtual_mailbox_maps", read_mailboxes) &&
           each_table(p, "virtual_alias_maps", read_virtual) && each_table(p, "alias_maps", read_aliases) &&
           add_configuration(p);
}

static struct bytes folder_of(struct bytes path)
{
    size_t slash = bytes_find_last(path, '/');
    return slash == SIZE_MAX ? BYTES(".") : bytes_first(path, slash > 0 ? slash : 1);
}

bool import_postfix(struct import_run *run, const char *path, struct error *error)
{
    struct postfix p = {.run = run, .file = bytes_of_text(path), .error = error};
    struct bytes text, host = bytes_of_text(run->config->hostname);
    if (!import_file_read(run, path, &text, error))
        return false;
    main_cf_read(&p.main_cf, &run->arena, text);
    main_cf_set_default(&p.main_cf, "myhostname", host);
    main_cf_set_default(&p.main_cf, "config_directory", folder_of(p.file));
    host = main_cf_value(&p.main_cf, "myhostname");
    size_t dot = bytes_find(host, '.');
    main_cf_set_default(&p.main_cf, "mydomain",
                        dot == SIZE_MAX ? BYTES("localdomain") : bytes_from(host, dot + 1));
    bool done = read_all(&p);
    if (done)
        add_foreign(&p);
    main_cf_free(&p.main_cf);
    return done;
}
