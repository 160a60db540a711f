/* SPDX-License-Identifier: Apache-2.0 */
/* trust_keys: the keys of trust: whose word is taken on mail that a server passes on, and where mail goes
 * that is probably forged. */
#include <string.h>

#include "config/config_reader.h"
#include "core/dns/dns_name.h"
#include "core/dns/host.h"
#include "core/route/ip_network.h"

static const char *lowered(struct arena *arena, const char *text)
{
    char *lower = arena_text(arena, bytes_of_text(text));
    for (char *c = lower; *c != '\0'; c++)
        *c = ascii_lower(*c);
    return lower;
}

/* A domain as it is in DNS and in the d= of a seal. */
static bool is_domain(struct bytes text)
{
    return host_parse(text, false) == HOST_NAME && bytes_find(text, '.') != SIZE_MAX;
}

static bool check_sealers(const struct config_reader *reader)
{
    struct config *config = reader->config;
    for (size_t i = 0; i < config->trust.arc_trusted_count; i++) {
        const char *text = config->trust.arc_trusted[i];
        if (!is_domain(bytes_of_text(text)))
            return config_read_fail(
                reader, config_read_said_at(reader, "trust.arc_trusted"),
                "trust.arc_trusted: '%.80s' is not a domain; use the d= of its ARC-Seal fields, in "
                "ASCII: lists.example.net",
                text);
        config->trust.arc_trusted[i] = lowered(&config->arena, text);
    }
    return true;
}

/* An address or a network of at least /8: a wider one would spare the mail of half the Internet. */
static bool check_network(const struct config_reader *reader, const char *text)
{
    enum { WIDEST_FOUR = 8, WIDEST_SIX = 16 };
    const yaml_node_t *said = config_read_said_at(reader, "trust.forwarders");
    struct ip_network network;
    const char *why;
    if (!ip_network_parse(bytes_of_text(text), &network, &why))
        return config_read_fail(reader, said,
                                "trust.forwarders: '%.80s' %s; use 192.0.2.1, 10.0.0.0/8, mx.example.net or "
                                "\"*.example.net\"",
                                text, why);
    unsigned widest = network.address.six ? WIDEST_SIX : WIDEST_FOUR;
    return network.bits >= widest ||
           config_read_fail(reader, said,
                            "trust.forwarders: '%.80s' is too large a network; list the addresses of the "
                            "forwarding servers, or networks of at least /%u",
                            text, widest);
}

static struct bytes without_star(struct bytes pattern)
{
    return bytes_starts_nocase(pattern, "*.") ? bytes_from(pattern, 2) : pattern;
}

static bool check_forwarders(const struct config_reader *reader)
{
    struct config *config = reader->config;
    for (size_t i = 0; i < config->trust.forwarder_count; i++) {
        const char *text = config->trust.forwarders[i];
        if (is_domain(without_star(bytes_of_text(text))))
            config->trust.forwarders[i] = lowered(&config->arena, text);
        else if (!check_network(reader, text))
            return false;
    }
    return true;
}

/* It becomes the name of a folder, of a mailbox in IMAP and of one in Dovecot's configuration. */
static bool check_junk_folder(const struct config_reader *reader)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    const char *name = reader->config->trust.junk_folder;
    size_t length = strlen(name);
    return (length <= CONFIG_JUNK_FOLDER_MAX && name[strspn(name, allowed)] == '\0' &&
            !bytes_is_nocase(bytes_of_text(name), "INBOX")) ||
           config_read_fail(reader, config_read_said_at(reader, "trust.junk_folder"),
                            "trust.junk_folder: '%.80s' is not the name of a folder; use Junk or Spam: at "
                            "most %d letters, digits, - and _, and not INBOX",
                            name, CONFIG_JUNK_FOLDER_MAX);
}

/* ---- reports to other domains ---- */

static bool check_report_kinds(const struct config_reader *reader)
{
    struct config *config = reader->config;
    for (size_t i = 0; i < config->trust.reports.send_count; i++) {
        const char *kind = config->trust.reports.send[i];
        if (strcmp(kind, "tls") != 0 && strcmp(kind, "dmarc") != 0)
            return config_read_fail(
                reader, config_read_said_at(reader, "trust.reports.send"),
                "trust.reports.send: '%.80s' is not a kind of report; use [tls], [tls, dmarc], or []", kind);
    }
    return true;
}

/* It is written into the header of each report, and has to be signed for. */
static bool check_report_author(const struct config_reader *reader)
{
    const char *from = reader->config->trust.reports.from;
    struct bytes text = bytes_of_text(from);
    size_t at = bytes_find_last(text, '@');
    return from == NULL ||
           (at != SIZE_MAX && at > 0 && text.length <= CONFIG_REPORT_FROM_MAX && bytes_is_ascii(text) &&
            !bytes_has_control(text) && strpbrk(from, " <>\"(),:;[\\]") == NULL &&
            bytes_find(text, '@') == at && is_domain(bytes_from(text, at + 1))) ||
           config_read_fail(reader, config_read_said_at(reader, "trust.reports.from"),
                            "trust.reports.from: '%.80s' is not an address; use noreply@reports.example.org",
                            from);
}

static bool check_excluded(const struct config_reader *reader)
{
    struct config *config = reader->config;
    for (size_t i = 0; i < config->trust.reports.exclude_count; i++) {
        const char *text = config->trust.reports.exclude[i];
        if (!is_domain(bytes_of_text(text)))
            return config_read_fail(
                reader, config_read_said_at(reader, "trust.reports.exclude"),
                "trust.reports.exclude: '%.80s' is not a domain; use example.net, in ASCII", text);
        config->trust.reports.exclude[i] = lowered(&config->arena, text);
    }
    return true;
}

bool config_complete_trust(const struct config_reader *reader)
{
    return check_sealers(reader) && check_forwarders(reader) && check_junk_folder(reader) &&
           check_report_kinds(reader) && check_report_author(reader) && check_excluded(reader);
}

bool config_sends_reports(const struct config *config, const char *kind)
{
    for (size_t i = 0; i < config->trust.reports.send_count; i++)
        if (strcmp(config->trust.reports.send[i], kind) == 0)
            return true;
    return false;
}

bool config_excludes_reports(const struct config *config, struct bytes domain)
{
    for (size_t i = 0; i < config->trust.reports.exclude_count; i++)
        if (dns_name_equal(bytes_of_text(config->trust.reports.exclude[i]), domain))
            return true;
    return false;
}

static bool is_named(struct bytes pattern, struct bytes name)
{
    struct bytes below = without_star(pattern);
    if (below.length == pattern.length)
        return dns_name_equal(pattern, name);
    return name.length > below.length + 1 && name.at[0] != '.' &&
           name.at[name.length - below.length - 1] == '.' &&
           dns_name_equal(bytes_from(name, name.length - below.length), below);
}

bool config_is_forwarder(const struct config *config, const struct route_address *client, struct bytes name)
{
    struct bytes known = dns_name_without_dot(name);
    for (size_t i = 0; i < config->trust.forwarder_count; i++) {
        struct ip_network network;
        const char *why;
        struct bytes text = bytes_of_text(config->trust.forwarders[i]);
        if (ip_network_parse(text, &network, &why) ? ip_network_has(&network, client)
                                                   : known.length > 0 && is_named(text, known))
            return true;
    }
    return false;
}
