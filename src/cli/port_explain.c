/* SPDX-License-Identifier: Apache-2.0 */
#include "port_explain.h"

#include "port/facts.h"
#include "port/networks.h"
#include "port/providers.h"

#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>

/* ---- words ---- */

static const char *confidence_words(char confidence)
{
    return confidence == 'A' ? "read on the primary page" : confidence == 'B' ? "quoted by others" : "unconfirmed";
}

static void add_ports(struct buffer *out, const uint16_t *ports, const char *mode)
{
    bool any = false;
    for (size_t i = 0; i < PROVIDER_PORTS_MAX && ports[i] != 0; i++, any = true)
        buffer_add_format(out, "%s%u", any ? ", " : "", (unsigned)ports[i]);
    if (any)
        buffer_add_format(out, " with %s", mode);
    else
        buffer_add_format(out, "none with %s", mode);
}

static void add_silent(struct buffer *out, unsigned silent)
{
    static const uint16_t all[] = {25, 465, 587, 2525};
    bool any = false;
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        if ((silent & networks_bit(all[i])) != 0) {
            buffer_add_format(out, "%s%u", any ? ", " : "", (unsigned)all[i]);
            any = true;
        }
}

/* ---- for people ---- */

static void print_provider(const struct provider *p)
{
    struct buffer ports = {0};
    add_ports(&ports, p->starttls, "STARTTLS");
    buffer_add_text(&ports, "; ");
    add_ports(&ports, p->implicit, "TLS from the first byte");
    printf("%s\n  hosts     %s\n  ports     %s\n  user name %s\n  password  %s\n", p->name, p->hosts, buffer_text(&ports), p->user, p->password);
    if (p->https[0] != '\0')
        printf("  HTTPS     %s, where every port is blocked\n", p->https);
    if (p->remark[0] != '\0')
        printf("  remark    %s\n", p->remark);
    printf("  source    %s (%s)\n", p->source, confidence_words(p->confidence));
    buffer_free(&ports);
}

static void print_network(const struct network *n)
{
    struct buffer silent = {0};
    add_silent(&silent, n->silent);
    printf("%s\n  blocks    outgoing %s by default%s%s\n  lifted    %s\n  source    reports of its users and its documentation (%s)\n", n->name, buffer_text(&silent),
           n->remark[0] != '\0' ? "; " : "", n->remark, n->lifted, confidence_words(n->confidence));
    buffer_free(&silent);
}

static void print_port(const struct port_facts *f)
{
    printf("%u\n  role      %s\n  TLS       %s\n  registry  %s\n  blocked   by %s\n  advice    %s\n  source    %s\n", (unsigned)f->port, f->role, f->tls_words, f->status, f->blocked, f->advice,
           f->source);
}

/* ---- for programs ---- */

static json_t *ports_json(const uint16_t *ports)
{
    json_t *list = json_array();
    for (size_t i = 0; i < PROVIDER_PORTS_MAX && ports[i] != 0; i++)
        json_array_append_new(list, json_integer(ports[i]));
    return list;
}

static json_t *provider_json(const struct provider *p)
{
    char confidence[2] = {p->confidence, '\0'};
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:s}", "kind", "provider", "name", p->name, "hosts", p->hosts, "starttls", ports_json(p->starttls), "implicit",
                     ports_json(p->implicit), "user", p->user, "password", p->password, "https", p->https, "remark", p->remark, "source", p->source, "confidence", confidence);
}

static json_t *network_json(const struct network *n)
{
    static const uint16_t all[] = {25, 465, 587, 2525};
    char confidence[2] = {n->confidence, '\0'};
    json_t *silent = json_array();
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        if ((n->silent & networks_bit(all[i])) != 0)
            json_array_append_new(silent, json_integer(all[i]));
    return json_pack("{s:s, s:s, s:o, s:s, s:s, s:s}", "kind", "network", "name", n->name, "silent", silent, "lifted", n->lifted, "remark", n->remark, "confidence", confidence);
}

static json_t *port_json(const struct port_facts *f)
{
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s}", "kind", "port", "port", (int)f->port, "role", f->role, "tls", f->tls_words, "registry", f->status, "blocked", f->blocked, "advice",
                     f->advice, "source", f->source);
}

/* ---- which ---- */

static void tell(json_t *list, const struct port_facts *f, const struct provider *p, const struct network *n)
{
    if (list != NULL)
        json_array_append_new(list, f != NULL ? port_json(f) : p != NULL ? provider_json(p) : network_json(n));
    else if (f != NULL)
        print_port(f);
    else if (p != NULL)
        print_provider(p);
    else
        print_network(n);
}

static void tell_all(json_t *list)
{
    for (size_t i = 0; i < ARRAY_LENGTH(port_facts); i++)
        tell(list, &port_facts[i], NULL, NULL);
    for (size_t i = 0; i < provider_count; i++)
        tell(list, NULL, &providers[i], NULL);
    for (size_t i = 0; i < network_count; i++)
        tell(list, NULL, NULL, &networks[i]);
}

bool port_explain(const char *name, bool json, struct error *error)
{
    struct bytes text = bytes_trim(bytes_of_text(name));
    uint64_t number;
    const struct port_facts *f = bytes_to_u64(text, 65535, &number) ? port_facts_of((uint16_t)number) : NULL;
    const struct provider *p = provider_by_name(text) != NULL ? provider_by_name(text) : provider_by_host(text);
    const struct network *n = network_by_name(text);
    if (f == NULL && p == NULL && n == NULL && !bytes_is(text, "all"))
        return error_set(error, EX_DATAERR, "nothing is known of '%s'; ask for a port (25, 587, 465, 2525), a provider (sendgrid, gmail ...), a network (digitalocean ...) or all", name);
    json_t *list = json ? json_array() : NULL;
    if (bytes_is(text, "all"))
        tell_all(list);
    if (f != NULL)
        tell(list, f, NULL, NULL);
    if (p != NULL)
        tell(list, NULL, p, NULL);
    if (n != NULL)
        tell(list, NULL, NULL, n);
    if (list != NULL) {
        json_dumpf(list, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        putchar('\n');
        json_decref(list);
    }
    return true;
}
