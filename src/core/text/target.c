/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text/target.h"

#include <assert.h>
#include <sysexits.h>

#include "base/buffer.h"
#include "core/dns/host.h"
#include "core/port/port_order.h"

/* Schemes that people paste; of those with a TLS mode the port follows from the name. */
static const struct url_scheme {
    const char *name, *tls; /* tls: suffix for a given port */
} schemes[] = {
    {"smtp", ""},  {"smtps", ":tls"}, {"submission", ":starttls"}, {"submissions", ":tls"},
    {"https", ""}, {"http", ""},
};

/* Writes the text, which has room, with its NUL. */
static void put(char *to, size_t size, struct bytes text)
{
    assert(text.length < size);
    if (text.length > 0)
        memcpy(to, text.at, text.length);
    to[text.length] = '\0';
}

/* Reduces a URL to its authority: without scheme, user and path. Returns its scheme; NULL if it has none. */
static const struct url_scheme *strip_url(struct bytes *text)
{
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        struct bytes scheme = bytes_of_text(schemes[i].name);
        if (bytes_search(*text, BYTES("://")) != scheme.length ||
            !bytes_starts_nocase(*text, schemes[i].name))
            continue;
        struct bytes rest = bytes_from(*text, scheme.length + 3);
        rest = bytes_first(rest, bytes_find(rest, '/'));
        size_t at = bytes_find_last(rest, '@');
        *text = at == SIZE_MAX ? rest : bytes_from(rest, at + 1);
        return &schemes[i];
    }
    return NULL;
}

static bool read_address(struct target *target, struct bytes text, struct error *error)
{
    size_t at = bytes_find_last(text, '@');
    if (at == 0 || text.length >= sizeof target->address)
        return error_set(error, EX_DATAERR, "'%.*s' is not a mail address", BYTES_ARG(bytes_first(text, 80)));
    put(target->address, sizeof target->address, text);
    return true;
}

/* "host", "host:port", "[v6]:port", "v6" */
static void split_port(struct bytes text, struct bytes *host, struct bytes *port)
{
    size_t colon = bytes_find_last(text, ':');
    bool bracketed = text.length > 0 && text.at[0] == '[';
    bool has_port = colon != SIZE_MAX &&
                    (bytes_find(text, ':') == colon || (bracketed && text.at[colon - 1] == ']'));
    *host = has_port ? bytes_first(text, colon) : text;
    *port = has_port ? bytes_from(text, colon + 1) : bytes_none();
    if (bracketed && host->length > 2 && host->at[host->length - 1] == ']')
        *host = bytes_of(host->at + 1, host->length - 2);
    if (host->length > 1 && host->at[host->length - 1] == '.') /* a name's final dot */
        *host = bytes_first(*host, host->length - 1);
}

/* Takes the port that was typed, or that of the scheme where the scheme tells its TLS mode. */
static void take_ports(struct target *target, struct bytes typed, const struct url_scheme *scheme)
{
    struct buffer ports = {0};
    const char *tls = scheme == NULL ? "" : scheme->tls;
    if (typed.length > 0)
        buffer_add_format(&ports, "%.*s%s", BYTES_ARG(bytes_first(typed, 20)), tls);
    else if (tls[0] != '\0')
        buffer_add_format(&ports, "%u", (unsigned)port_order_named(bytes_of_text(scheme->name)));
    put(target->ports, sizeof target->ports, buffer_bytes(&ports));
    buffer_free(&ports);
}

bool target_read(struct target *target, const char *said, struct error *error)
{
    struct bytes text = bytes_trim(bytes_of_text(said)), host, port;
    uint64_t number;
    *target = (struct target){0};
    const struct url_scheme *scheme = strip_url(&text);
    if (scheme == NULL && bytes_search(text, BYTES("://")) != SIZE_MAX)
        return error_set(error, EX_DATAERR,
                         "'%s' is not a mail target; give a host, smtp://HOST or smtps://HOST", said);
    size_t at = bytes_find_last(text, '@');
    if (scheme == NULL && at != SIZE_MAX) {
        if (!read_address(target, text, error))
            return false;
        text = bytes_from(text, at + 1);
    }
    split_port(text, &host, &port);
    if (host.length == 0 || host.length >= sizeof target->host)
        return error_set(error, EX_DATAERR, "'%s' does not name a host", said);
    if ((port.length > 0 || (text.length > 0 && text.at[text.length - 1] == ':')) &&
        (!bytes_to_u64(bytes_first(port, bytes_find(port, ':')), 65535, &number) || number == 0))
        return error_set(error, EX_DATAERR, "'%.*s' in '%s' is not a port: ports are 1 to 65535",
                         BYTES_ARG(port), said);
    if (!host_check(host, error))
        return false;
    put(target->host, sizeof target->host, host);
    take_ports(target, port, scheme);
    return true;
}
