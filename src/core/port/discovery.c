/* SPDX-License-Identifier: Apache-2.0 */
#include "core/port/discovery.h"

/* Steps in order; the first that finds a server wins. */
enum step {
    STEP_SRV_SUBMISSIONS,
    STEP_SRV_SUBMISSION,
    STEP_AUTOCONFIG_HOST,
    STEP_WELL_KNOWN,
    STEP_MX,
    STEP_USUAL_SMTP,
    STEP_USUAL_MAIL,
    STEP_USUAL_DOMAIN,
    STEPS,
};

static void keep(char *buffer, size_t size, struct bytes text)
{
    text = bytes_first(text, size - 1);
    if (text.length > 0)
        memcpy(buffer, text.at, text.length);
    buffer[text.length] = '\0';
}

static void keep_words(char *buffer, size_t size, const char *first, struct bytes second, const char *third)
{
    struct buffer words = {0};
    buffer_add_text(&words, first);
    buffer_add(&words, second);
    buffer_add_text(&words, third);
    keep(buffer, size, buffer_bytes(&words));
    buffer_free(&words);
}

/* ---- providers ---- */

static void add_port(struct discovery *d, uint16_t port, enum client_tls tls)
{
    if (d->port_count < RACE_PORTS_MAX)
        d->ports[d->port_count++] = (struct race_port){port, tls};
}

/* Uses a provider's known ports in this program's order: 587, its alternative to 2525, 465. */
static void use_provider(struct discovery *d, const struct provider *provider, const char *how)
{
    struct bytes host = provider_host(provider);
    d->provider = provider;
    keep(d->host, sizeof d->host, host);
    struct bytes user = bytes_of_text(provider->fixed_user != NULL ? provider->fixed_user : d->address);
    if (provider->user_is_local && bytes_find_last(user, '@') != SIZE_MAX)
        user = bytes_first(user, bytes_find_last(user, '@'));
    keep(d->user, sizeof d->user, user);
    d->none_offered = !provider_has_smtp(provider);
    keep_words(d->source, sizeof d->source, how, bytes_of_text(provider->name), "");
    for (size_t i = 0; i < PROVIDER_PORTS_MAX && provider->starttls[i] != 0; i++)
        add_port(d, provider->starttls[i], CLIENT_TLS_REQUIRED);
    for (size_t i = 0; i < PROVIDER_PORTS_MAX && provider->implicit[i] != 0; i++)
        add_port(d, provider->implicit[i], CLIENT_TLS_IMPLICIT);
}

/* ---- queries ---- */

bool discovery_start(struct discovery *d, struct bytes address)
{
    size_t at = bytes_find_last(address, '@');
    struct bytes domain = at == SIZE_MAX ? address : bytes_from(address, at + 1);
    *d = (struct discovery){0};
    if (domain.length == 0 || domain.length >= DISCOVERY_TEXT_MAX || address.length >= sizeof d->address ||
        !host_is_name(domain, true))
        return false;
    keep(d->address, sizeof d->address, address);
    keep(d->domain, sizeof d->domain, domain);
    return true;
}

/* Appends an address for a URL's query (RFC 3986 2.1). */
static void add_escaped(struct buffer *out, struct bytes text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char octet = (unsigned char)text.at[i];
        bool plain = (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') ||
                     ascii_is_digit((char)octet) || octet == '-' || octet == '.' || octet == '_';
        if (plain)
            buffer_add_octet(out, (char)octet);
        else
            buffer_add_format(out, "%%%02X", octet);
    }
}

static struct bytes asked(struct discovery *d, const char *before, bool with_address, const char *after)
{
    struct buffer words = {0};
    buffer_add_text(&words, before);
    buffer_add_text(&words, d->domain);
    buffer_add_text(&words, after);
    if (with_address)
        add_escaped(&words, bytes_of_text(d->address));
    keep(d->asked, sizeof d->asked, buffer_bytes(&words));
    buffer_free(&words);
    return bytes_of_text(d->asked);
}

bool discovery_next(struct discovery *d, struct discovery_question *question)
{
    *question = (struct discovery_question){.kind = DISCOVERY_DNS};
    const struct provider *provider = d->step == STEP_AUTOCONFIG_HOST && !d->done
                                          ? provider_by_domain(bytes_of_text(d->domain))
                                          : NULL;
    if (provider != NULL) { /* its published settings are already known: no query needed */
        use_provider(d, provider, "the built-in table for ");
        d->done = true;
    }
    if (d->done || d->step >= STEPS)
        return false;
    switch ((enum step)d->step) {
    case STEP_SRV_SUBMISSIONS:
        question->type = DNS_SRV;
        question->name = asked(d, "_submissions._tcp.", false, "");
        break;
    case STEP_SRV_SUBMISSION:
        question->type = DNS_SRV;
        question->name = asked(d, "_submission._tcp.", false, "");
        break;
    case STEP_AUTOCONFIG_HOST:
        question->kind = DISCOVERY_FETCH;
        question->url = asked(d, "https://autoconfig.", true, "/mail/config-v1.1.xml?emailaddress=");
        break;
    case STEP_WELL_KNOWN:
        question->kind = DISCOVERY_FETCH;
        question->url = asked(d, "https://", false, "/.well-known/autoconfig/mail/config-v1.1.xml");
        break;
    case STEP_MX:
        question->type = DNS_MX;
        question->name = asked(d, "", false, "");
        break;
    case STEP_USUAL_SMTP:
        question->type = DNS_A;
        question->name = asked(d, "smtp.", false, "");
        break;
    case STEP_USUAL_MAIL:
        question->type = DNS_A;
        question->name = asked(d, "mail.", false, "");
        break;
    case STEP_USUAL_DOMAIN:
        question->type = DNS_A;
        question->name = asked(d, "", false, "");
        break;
    case STEPS: return false;
    }
    return true;
}

/* ---- answers ---- */

/* Inserts before ports of a worse priority, and, with STARTTLS, of the same. */
static void insert_port(struct discovery *d, uint16_t port, enum client_tls tls, unsigned priority)
{
    size_t at = 0;
    while (at < d->port_count &&
           (d->priorities[at] < priority || (d->priorities[at] == priority && d->ports[at].tls == tls)))
        at++;
    if (d->port_count == RACE_PORTS_MAX)
        return;
    memmove(&d->ports[at + 1], &d->ports[at], (d->port_count - at) * sizeof d->ports[0]);
    memmove(&d->priorities[at + 1], &d->priorities[at], (d->port_count - at) * sizeof d->priorities[0]);
    d->ports[at] = (struct race_port){port, tls};
    d->priorities[at] = priority;
    d->port_count++;
}

static const struct dns_record *best_of(const struct dns_record *records, size_t count)
{
    const struct dns_record *best = &records[0];
    for (size_t i = 1; i < count; i++)
        if (records[i].preference < best->preference ||
            (records[i].preference == best->preference && records[i].weight > best->weight))
            best = &records[i];
    return best;
}

/* The record of the best priority gives the host, and its records the ports. The service with the better
 * priority comes first, and 587 if they are equal (RFC 8314 5.1 leaves that to the client). */
static void learn_services(struct discovery *d, const struct dns_record *records, size_t count)
{
    enum client_tls tls = d->step == STEP_SRV_SUBMISSIONS ? CLIENT_TLS_IMPLICIT : CLIENT_TLS_REQUIRED;
    const struct dns_record *best = best_of(records, count);
    if (best->name.length == 0 || !host_is_name(best->name, true)) {
        d->none_offered = best->name.length == 0;
        return;
    }
    if (d->port_count == 0 || best->preference <= d->priorities[0]) {
        if (!bytes_is_nocase(best->name, d->host))
            d->port_count = 0;
        keep(d->host, sizeof d->host, best->name);
        keep(d->user, sizeof d->user, bytes_of_text(d->address));
        keep_words(d->source, sizeof d->source, "the SRV records of ", bytes_of_text(d->domain), "");
    }
    for (size_t i = 0; i < count; i++)
        if (bytes_is_nocase(records[i].name, d->host) && records[i].port != 25 && records[i].port != 0)
            insert_port(d, records[i].port, tls, records[i].preference);
}

static void learn_mx(struct discovery *d, const struct dns_record *records, size_t count)
{
    for (size_t i = 0; i < count && !d->done; i++) {
        const struct provider *provider = provider_by_mx(records[i].name);
        if (provider == NULL || provider_host(provider).length == 0)
            continue;
        use_provider(d, provider, "its mail exchanger belongs to ");
        d->done = true;
    }
}

static void learn_usual(struct discovery *d)
{
    if (!host_is_name(bytes_of_text(d->asked), true)) /* too long, with "smtp." prepended */
        return;
    keep(d->host, sizeof d->host, bytes_of_text(d->asked));
    keep(d->user, sizeof d->user, bytes_of_text(d->address));
    keep_words(d->source, sizeof d->source, "a guess: ", bytes_of_text(d->domain),
               " publishes no settings; this is a customary name");
    d->done = true;
}

void discovery_learn_records(struct discovery *d, const struct dns_record *records, size_t count)
{
    if (count == 0) {
        discovery_learn_nothing(d);
        return;
    }
    if (d->step <= STEP_SRV_SUBMISSION)
        learn_services(d, records, count);
    else if (d->step == STEP_MX)
        learn_mx(d, records, count);
    else
        learn_usual(d);
    discovery_learn_nothing(d);
}

void discovery_learn_nothing(struct discovery *d)
{
    if (d->step == STEP_SRV_SUBMISSION && d->host[0] != '\0')
        d->done = true; /* both services are known now */
    if (d->step < STEPS)
        d->step++;
}

/* Expands the placeholders for parts of the address, in any field (Mozilla's config-v1.1); EMAILHOSTNAME is
 * an older name of the domain. */
static void expand(const struct discovery *d, struct bytes form, char *field, size_t size)
{
    struct buffer user = {0};
    struct bytes address = bytes_of_text(d->address);
    size_t at = bytes_find_last(address, '@');
    for (; form.length > 0;) {
        struct bytes word = bytes_of_text("");
        size_t used = 1;
        if (bytes_starts_nocase(form, "%EMAILADDRESS%")) {
            word = address;
            used = strlen("%EMAILADDRESS%");
        } else if (bytes_starts_nocase(form, "%EMAILLOCALPART%")) {
            word = bytes_first(address, at == SIZE_MAX ? 0 : at);
            used = strlen("%EMAILLOCALPART%");
        } else if (bytes_starts_nocase(form, "%EMAILDOMAIN%")) {
            word = bytes_of_text(d->domain);
            used = strlen("%EMAILDOMAIN%");
        } else if (bytes_starts_nocase(form, "%EMAILHOSTNAME%")) {
            word = bytes_of_text(d->domain);
            used = strlen("%EMAILHOSTNAME%");
        } else {
            word = bytes_first(form, 1);
        }
        buffer_add(&user, word);
        form = bytes_from(form, used);
    }
    keep(field, size, buffer_bytes(&user));
    buffer_free(&user);
}

void discovery_learn_settings(struct discovery *d, const struct published_server *servers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct published_server *server = &servers[i];
        char host[2 * DISCOVERY_TEXT_MAX];
        expand(d, server->host, host, sizeof host);
        if ((server->tls != CLIENT_TLS_REQUIRED && server->tls != CLIENT_TLS_IMPLICIT) ||
            server->port == 25 || server->port == 0 || !host_is_name(bytes_of_text(host), true) ||
            strlen(host) >= DISCOVERY_TEXT_MAX)
            continue;
        if (d->host[0] == '\0') {
            keep(d->host, sizeof d->host, bytes_of_text(host));
            expand(d, server->user.length > 0 ? server->user : BYTES("%EMAILADDRESS%"), d->user,
                   sizeof d->user);
            keep_words(d->source, sizeof d->source, "the settings that ", bytes_of_text(d->domain),
                       " publishes");
        }
        if (bytes_is_nocase(bytes_of_text(host), d->host))
            add_port(d, server->port, server->tls);
    }
    d->done = d->host[0] != '\0';
    discovery_learn_nothing(d);
}
