/* SPDX-License-Identifier: Apache-2.0 */
/* complete: derived values, and checks across several keys. */
#include <assert.h>
#include <errno.h>
#include <sysexits.h>
#include <unistd.h>

#include "config/config_reader.h"
#include "config/readers.h"
#include "config/secret_file.h"
#include "core/dns/host.h"
#include "core/port/port_order.h"
#include "core/route/ip_network.h"

const yaml_node_t *config_read_said_at(const struct config_reader *reader, const char *path)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].path, path) == 0)
            return reader->seen[i];
    return NULL;
}

/* Sets all defaults, from the table's text. */
static void fill_defaults(struct config_reader *reader)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (reader->seen[i] != NULL || key->otherwise == NULL || key->type == KEY_LIST ||
            key->type == KEY_NETWORKS)
            continue;
        yaml_node_t node = {.type = YAML_SCALAR_NODE};
        node.data.scalar.value = (yaml_char_t *)(uintptr_t)key->otherwise;
        node.data.scalar.length = strlen(key->otherwise);
        bool read = config_read_scalar(reader, &node, key, (char *)reader->config + key->offset);
        assert(read);
    }
}

static void fill_listeners(struct config *config)
{
    config->listeners = ARENA_ARRAY(&config->arena, struct config_listener, PORT_LISTENERS);
    config->listener_count = PORT_LISTENERS;
    for (size_t i = 0; i < PORT_LISTENERS; i++) {
        uint16_t port = port_order_listeners[i];
        const struct submission_port *submission = port_order_of(port);
        bool implicit = submission != NULL && submission->tls == CLIENT_TLS_IMPLICIT;
        config->listeners[i] = (struct config_listener){.port = port,
                                                        .role = submission == NULL ? ROLE_MX
                                                                                   : ROLE_SUBMISSION,
                                                        .tls = implicit ? TLS_IMPLICIT : TLS_STARTTLS};
    }
}

/* Another user than the one that the command needs: nothing is wrong with the configuration. */
static bool fail_denied(const struct config_reader *reader, const yaml_node_t *node, const char *key,
                        const char *readers)
{
    config_read_fail(reader, node, "%s: %s; run the command as root (sudo)", key, readers);
    if (reader->error != NULL)
        reader->error->exit_code = EX_NOPERM;
    return false;
}

static bool check_file(const struct config_reader *reader, const char *path, const char *file)
{
    if (file == NULL || reader->as_anybody || access(file, R_OK) == 0)
        return true;
    int number = errno;
    char readers[READERS_MAX];
    if (number != EACCES || !readers_explain(file, readers, sizeof readers))
        return config_read_fail(reader, config_read_said_at(reader, path), "%s: cannot read %s (%s)%s", path,
                                file, strerror(number),
                                number == ENOENT ? "; give a file that exists, or omit the key" : "");
    return fail_denied(reader, config_read_said_at(reader, path), path, readers);
}

static bool check_tls(const struct config_reader *reader)
{
    const struct config *config = reader->config;
    if ((config->tls.certificate == NULL) != (config->tls.key == NULL))
        return config_read_fail(
            reader, config_read_said_at(reader, config->tls.key == NULL ? "tls.certificate" : "tls.key"),
            "tls.certificate and tls.key require each other; set both or neither");
    return check_file(reader, "tls.certificate", config->tls.certificate) &&
           check_file(reader, "tls.key", config->tls.key);
}

/* Checks that the file exists and is usable; only relay reads its text, and this process keeps none of it. */
static bool check_password(const struct config_reader *reader)
{
    static const char key[] = "relay.smarthost.password_file";
    const char *file = reader->config->relay.smarthost.password_file;
    struct error why = {0};
    char readers[READERS_MAX];
    if (file == NULL || reader->as_anybody || secret_file_check(key, file, &why))
        return true;
    if (why.number == EACCES && readers_explain(file, readers, sizeof readers))
        return fail_denied(reader, config_read_said_at(reader, key), key, readers);
    return config_read_fail(reader, config_read_said_at(reader, key), "%s", why.text);
}

static bool check_relay(const struct config_reader *reader)
{
    const struct config *config = reader->config;
    const char *host = config->relay.smarthost.host;
    const yaml_node_t *via = config_read_said_at(reader, "relay.via");
    if (config->relay.via != RELAY_MX && host == NULL)
        return config_read_fail(reader, via, "relay.via: %s needs relay.smarthost.host",
                                config->relay.via == RELAY_AUTO ? "auto" : "smarthost");
    for (size_t i = 0; i < config->relay.route_count; i++)
        if (host == NULL &&
            (config->relay.routes[i].via == RELAY_SMARTHOST || config->relay.routes[i].via == RELAY_AUTO))
            return config_read_fail(reader, config_read_said_at(reader, "relay.routes"),
                                    "relay.routes: %s: via: %s needs relay.smarthost.host",
                                    config->relay.routes[i].domain,
                                    config->relay.routes[i].via == RELAY_AUTO ? "auto" : "smarthost");
    bool loopback = host != NULL && host_is_loopback(bytes_of_text(host));
    if ((int)config->relay.smarthost.tls == SMARTHOST_TLS_NONE && !loopback)
        return config_read_fail(reader, config_read_said_at(reader, "relay.smarthost.tls"),
                                "relay.smarthost.tls: none is allowed only for a smarthost on loopback; use "
                                "starttls or implicit");
    const char *secrets[] = {config->relay.smarthost.password_file, config->relay.smarthost.password_command,
                             config->relay.smarthost.token_command};
    static const char *const names[] = {"relay.smarthost.password_file", "relay.smarthost.password_command",
                                        "relay.smarthost.token_command"};
    const char *said = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++) {
        if (secrets[i] != NULL && said != NULL)
            return config_read_fail(
                reader, config_read_said_at(reader, names[i]),
                "relay.smarthost: set only one of password_file, password_command and token_command");
        said = secrets[i] != NULL ? names[i] : said;
    }
    if ((config->relay.smarthost.user == NULL) != (said == NULL))
        return config_read_fail(reader,
                                config_read_said_at(reader, said == NULL ? "relay.smarthost.user" : said),
                                "relay.smarthost: user and password_file (or password_command, or "
                                "token_command) require each other");
    return check_file(reader, "relay.ca_file", config->relay.ca_file) &&
           check_file(reader, "resolver.trust_anchor", config->resolver.trust_anchor) &&
           check_password(reader);
}

static bool check_domains(const struct config_reader *reader)
{
    struct config *config = reader->config;
    for (size_t i = 0; i < config->domain_count; i++) {
        struct bytes domain = bytes_of_text(config->domains[i]);
        if (!host_is_name(domain, true) || host_is_ipv4(domain))
            return config_read_fail(reader, config_read_said_at(reader, "domains"),
                                    "domains: '%s' is not a domain name", config->domains[i]);
        char *lower = arena_text(&config->arena, domain);
        for (char *c = lower; *c != '\0'; c++)
            *c = ascii_lower(*c);
        config->domains[i] = lower;
    }
    return true;
}

/* A domain is delivered here or passed on. */
static bool check_relay_domains(const struct config_reader *reader)
{
    const struct config *config = reader->config;
    for (size_t i = 0; i < config->relay.domain_count; i++)
        for (size_t k = 0; k < config->domain_count; k++)
            if (strcmp(config->relay.domains[i].domain, config->domains[k]) == 0)
                return config_read_fail(
                    reader, config_read_said_at(reader, "relay.domains"),
                    "relay.domains: %s is listed under domains too: its mail is delivered "
                    "here or passed on, not both",
                    config->domains[k]);
    return true;
}

static bool check_send_as(const struct config_reader *reader)
{
    const struct config *config = reader->config;
    for (size_t i = 0; i < config->submission.send_as_count; i++) {
        struct bytes rest = bytes_of_text(config->submission.send_as[i]);
        struct bytes account = bytes_split(&rest, ' ');
        rest = bytes_trim(rest);
        if (bytes_find(account, '@') == SIZE_MAX || bytes_find(rest, '@') == SIZE_MAX ||
            bytes_find(rest, ' ') != SIZE_MAX)
            return config_read_fail(reader, config_read_said_at(reader, "submission.send_as"),
                                    "submission.send_as: '%s' is not an account and an address; use: "
                                    "ada@example.org *@example.org",
                                    config->submission.send_as[i]);
    }
    return true;
}

static void complete_local_users(struct config *config)
{
    for (size_t i = 0; i < config->submission.local.user_count; i++) {
        struct config_local_user *user = &config->submission.local.users[i];
        if (user->messages_per_hour == CONFIG_AS_ALL)
            user->messages_per_hour = config->submission.local.messages_per_hour;
        if (user->recipients_per_hour == CONFIG_AS_ALL)
            user->recipients_per_hour = config->submission.local.recipients_per_hour;
    }
}

/* Parses "127.0.0.1:24", "[::1]:24", "localhost:24": an address, since local has no DNS. */
static bool read_lmtp_address(struct config *config, struct bytes text)
{
    size_t colon = bytes_find_last(text, ':');
    uint64_t port;
    if (colon == SIZE_MAX || !bytes_to_u64(bytes_from(text, colon + 1), UINT16_MAX, &port) || port == 0)
        return false;
    struct bytes host = bytes_first(text, colon);
    bool bracketed = host.length > 2 && host.at[0] == '[' && host.at[host.length - 1] == ']';
    if (bytes_is_nocase(host, "localhost"))
        host = BYTES("127.0.0.1");
    else if (bracketed)
        host = bytes_first(bytes_from(host, 1), host.length - 2);
    if (bracketed ? !host_is_ipv6(host) : !host_is_ipv4(host))
        return false;
    config->mailboxes.lmtp_at.address = arena_text(&config->arena, host);
    config->mailboxes.lmtp_at.port = (uint16_t)port;
    return true;
}

static bool check_mailboxes(const struct config_reader *reader)
{
    struct config *config = reader->config;
    const char *ours = arena_format(&config->arena, "unix:%s/dovecot/lmtp/socket", config->data_dir);
    if (config->mailboxes.lmtp == NULL)
        config->mailboxes.lmtp = ours;
    struct bytes lmtp = bytes_of_text(config->mailboxes.lmtp);
    const yaml_node_t *said = config_read_said_at(reader, "mailboxes.lmtp");
    if (!bytes_starts_nocase(lmtp, "unix:"))
        return read_lmtp_address(config, lmtp) ||
               config_read_fail(reader, said,
                                "mailboxes.lmtp: '%s' is neither a socket nor an address; use "
                                "unix:/run/dovecot/lmtp, or 127.0.0.1:24",
                                config->mailboxes.lmtp);
    config->mailboxes.lmtp_at.path = config->mailboxes.lmtp + strlen("unix:");
    bool fits = lmtp.length - strlen("unix:") <= SOCKET_PATH_MAX ||
                (strcmp(config->mailboxes.lmtp, ours) == 0 && config->mailboxes.deliver != DELIVER_LMTP);
    return (config->mailboxes.lmtp_at.path[0] == '/' && fits) ||
           config_read_fail(reader, said,
                            "mailboxes.lmtp: '%s' is not a socket; use unix: and its path, at most %d bytes: "
                            "unix:/run/dovecot/lmtp",
                            config->mailboxes.lmtp, SOCKET_PATH_MAX);
}

/* Trusted programs may relay: a network as wide as the Internet would be an open relay. */
static bool check_trusted(const struct config_reader *reader)
{
    enum { NARROWEST_FOUR = 8, NARROWEST_SIX = 7 }; /* 10.0.0.0/8, fc00::/7 */
    const struct config *config = reader->config;
    for (size_t i = 0; i < config->submission.trusted_count; i++) {
        struct ip_network network;
        const char *text = config->submission.trusted[i], *why;
        if (!ip_network_parse(bytes_of_text(text), &network, &why) ||
            network.bits < (network.address.six ? NARROWEST_SIX : NARROWEST_FOUR))
            return config_read_fail(reader, config_read_said_at(reader, "submission.trusted"),
                                    "submission.trusted: '%s' is so wide that this server would be an open "
                                    "relay; list the addresses of your own programs",
                                    text);
    }
    return true;
}

bool config_complete(struct config_reader *reader)
{
    struct config *config = reader->config;
    fill_defaults(reader);
    if (config->hostname == NULL)
        return config_read_fail(
            reader, NULL, "hostname is missing; give the name of this server: hostname: mail.example.org");
    if (config->listener_count == 0)
        fill_listeners(config);
    complete_local_users(config);
    for (size_t i = 0; i < config->relay.route_count; i++) {
        struct route_rule *route = &config->relay.routes[i];
        route->via = route->via == RELAY_UNSAID ? config->relay.via : route->via;
        route->port = route->port == 0 ? config->relay.port : route->port;
    }
    if (config->smtpd_count == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        config->smtpd_count = cores < 1 ? 1 : cores > 64 ? 64 : (uint32_t)cores;
    }
    if (config->data_dir[0] != '/')
        return config_read_fail(reader, config_read_said_at(reader, "data_dir"),
                                "data_dir: '%s' must be an absolute path", config->data_dir);
    if (config->queue.first_ms > config->queue.max_ms)
        return config_read_fail(reader, config_read_said_at(reader, "queue.retry.first"),
                                "queue.retry: first is longer than max");
    return check_domains(reader) && check_relay_domains(reader) && check_tls(reader) && check_relay(reader) &&
           check_send_as(reader) && check_mailboxes(reader) && check_trusted(reader) &&
           config_complete_trust(reader) && config_complete_sts(reader) && config_complete_dkim(reader);
}
