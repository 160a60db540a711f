/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/port_explain.h"

#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>

#include "core/port/interceptor.h"
#include "core/port/network.h"
#include "core/port/port_facts.h"
#include "core/port/port_order.h"
#include "core/port/provider.h"
#include "core/port/web_host.h"

/* ---- words ---- */

static const char *confidence_words(char confidence)
{
    return confidence == 'A'   ? "read on the provider's page"
           : confidence == 'B' ? "quoted by others"
                               : "unconfirmed";
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
    bool any = false;
    for (size_t i = 0; i < NETWORK_PORTS; i++)
        if ((silent & network_bit(network_ports[i])) != 0) {
            buffer_add_format(out, "%s%u", any ? ", " : "", (unsigned)network_ports[i]);
            any = true;
        }
}

/* Adds "a,b" in readable form, with words for a region, which is "*" in JSON. */
static void add_list(struct buffer *out, const char *list)
{
    for (const char *c = list; *c != '\0'; c++) {
        if (*c == ',')
            buffer_add_text(out, ", ");
        else if (*c == '*')
            buffer_add_text(out, "REGION");
        else
            buffer_add_octet(out, *c);
    }
}

/* ---- text ---- */

static void print_list(const char *what, const char *list)
{
    struct buffer words = {0};
    add_list(&words, list);
    if (words.length > 0)
        printf("  %-9s %s\n", what, buffer_text(&words));
    buffer_free(&words);
}

static void print_provider(const struct provider *p)
{
    struct buffer ports = {0};
    if (provider_has_smtp(p)) {
        add_ports(&ports, p->starttls, "STARTTLS");
        buffer_add_text(&ports, "; ");
        add_ports(&ports, p->implicit, "implicit TLS");
    } else {
        buffer_add_text(&ports, "none");
    }
    printf("%s\n", p->name);
    print_list("hosts", p->hosts);
    printf("  ports     %s\n  user name %s\n  password  %s\n", buffer_text(&ports), p->user, p->password);
    if (p->https[0] != '\0')
        printf("  HTTPS     %s, if every port is blocked\n", p->https);
    if (p->remark[0] != '\0')
        printf("  remark    %s\n", p->remark);
    print_list("addresses", p->domains);
    printf("  source    %s (%s)\n", p->source, confidence_words(p->confidence));
    buffer_free(&ports);
}

static void print_line(const char *what, const char *text)
{
    if (text[0] != '\0')
        printf("  %-9s %s\n", what, text);
}

static void print_ports_of(const char *what, unsigned set)
{
    struct buffer words = {0};
    add_silent(&words, set);
    print_line(what, buffer_text(&words));
    buffer_free(&words);
}

static void print_network(const struct network *n)
{
    struct buffer silent = {0};
    if (n->silent != 0) {
        buffer_add_text(&silent, "outgoing ");
        add_silent(&silent, n->silent);
        buffer_add_text(&silent, " by default");
    } else {
        buffer_add_text(&silent, "nothing by default");
    }
    printf("%s\n", n->name);
    print_line("blocks", buffer_text(&silent));
    print_line("unblocked", n->lifted);
    print_line("remark", n->remark);
    printf("  source    %s (%s)\n", n->source, confidence_words(n->confidence));
    buffer_free(&silent);
}

static void print_web_host(const struct web_host *h)
{
    printf("%s\n", h->name);
    if (h->blocked != 0) {
        struct buffer blocked = {0};
        add_silent(&blocked, h->blocked);
        printf("  blocks    outgoing %s: %s\n", buffer_text(&blocked),
               web_host_mechanism_words(h->mechanism));
        buffer_free(&blocked);
    } else {
        print_line("blocks", h->mechanism == WEB_HOST_OPEN ? "nothing" : "not known");
    }
    print_ports_of("open", h->open);
    print_line("relay", h->relay);
    print_line("limits", h->limits);
    print_line("unblocked", h->lifted);
    print_line("remark", h->remark);
    print_list("answers", h->names);
    printf("  source    %s (%s)\n", h->source, confidence_words(h->confidence));
}

static void print_interceptor(const struct interceptor *i)
{
    printf("%s\n  is        %s, when it stands in the issuer of a certificate\n", i->name,
           interceptor_kind_words(i->kind));
    print_list("issuer", i->words);
    printf("  advice    %s\n  source    %s (%s)\n", interceptor_advice(i->kind), i->source,
           confidence_words(i->confidence));
}

static void print_port(const struct port_facts *f)
{
    printf("%u\n  role      %s\n  TLS       %s\n  registry  %s\n  blocked   by %s\n  advice    %s\n  source  "
           "  %s (%s)\n",
           (unsigned)f->port, f->role, f->tls_words, f->status, f->blocked, f->advice, f->source,
           confidence_words(f->confidence));
}

static void print_other(const struct port_other *o)
{
    printf("%u\n  role      submission\n  TLS       %s\n  used by   %s\n  source    %s (%s)\n",
           (unsigned)o->port, o->tls == CLIENT_TLS_IMPLICIT ? "implicit TLS" : "STARTTLS", o->who, o->source,
           confidence_words(o->confidence));
}

/* ---- JSON ---- */

static json_t *ports_json(const uint16_t *ports)
{
    json_t *list = json_array();
    for (size_t i = 0; i < PROVIDER_PORTS_MAX && ports[i] != 0; i++)
        json_array_append_new(list, json_integer(ports[i]));
    return list;
}

static json_t *list_json(const char *list)
{
    json_t *array = json_array();
    for (struct bytes rest = bytes_of_text(list); rest.length > 0;) {
        struct bytes one = bytes_split(&rest, ',');
        json_array_append_new(array, json_stringn(one.at, one.length));
    }
    return array;
}

static const char *mode_of(enum client_tls tls)
{
    return tls == CLIENT_TLS_IMPLICIT ? "implicit" : "starttls";
}

static json_t *provider_json(const struct provider *p)
{
    char confidence[2] = {p->confidence, '\0'};
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:o, s:s, s:s, s:s, s:s}", "kind", "provider",
                     "name", p->name, "hosts", list_json(p->hosts), "starttls", ports_json(p->starttls),
                     "implicit", ports_json(p->implicit), "user", p->user, "password", p->password, "domains",
                     list_json(p->domains), "https", p->https, "remark", p->remark, "source", p->source,
                     "confidence", confidence);
}

static json_t *set_json(unsigned set)
{
    json_t *list = json_array();
    for (size_t i = 0; i < NETWORK_PORTS; i++)
        if ((set & network_bit(network_ports[i])) != 0)
            json_array_append_new(list, json_integer(network_ports[i]));
    return list;
}

static json_t *network_json(const struct network *n)
{
    char confidence[2] = {n->confidence, '\0'};
    return json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:s}", "kind", "network", "name", n->name, "silent",
                     set_json(n->silent), "lifted", n->lifted, "remark", n->remark, "source", n->source,
                     "confidence", confidence);
}

static json_t *web_host_json(const struct web_host *h)
{
    static const char *const mechanisms[] = {"unknown", "open", "blocked", "redirected", "refused"};
    char confidence[2] = {h->confidence, '\0'};
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:o, s:s, s:s}", "kind", "web_host",
                     "name", h->name, "mechanism", mechanisms[h->mechanism], "blocked", set_json(h->blocked),
                     "open", set_json(h->open), "relay", h->relay, "limits", h->limits, "lifted", h->lifted,
                     "remark", h->remark, "answers", list_json(h->names), "source", h->source, "confidence",
                     confidence);
}

static json_t *interceptor_json(const struct interceptor *i)
{
    char confidence[2] = {i->confidence, '\0'};
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:s}", "kind", "interceptor", "name", i->name, "is",
                     interceptor_kind_words(i->kind), "issuer", list_json(i->words), "advice",
                     interceptor_advice(i->kind), "source", i->source, "confidence", confidence);
}

static json_t *port_json(const struct port_facts *f)
{
    char confidence[2] = {f->confidence, '\0'};
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "kind", "port", "port",
                     (int)f->port, "role", f->role, "tls_mode", mode_of(f->tls), "tls", f->tls_words,
                     "registry", f->status, "blocked", f->blocked, "advice", f->advice, "source", f->source,
                     "confidence", confidence);
}

static json_t *other_json(const struct port_other *o)
{
    char confidence[2] = {o->confidence, '\0'};
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s}", "kind", "port", "port", (int)o->port, "role",
                     "submission", "tls_mode", mode_of(o->tls), "used_by", o->who, "source", o->source,
                     "confidence", confidence);
}

/* ---- lookup ---- */

/* The query, and its output: a list for JSON, or NULL for text. */
struct explain_query {
    struct bytes name;
    uint16_t port; /* 0: none */
    bool all;
    json_t *list;
    size_t told;
};

/* Accepts the names used by mail programs. */
static uint16_t port_called(struct bytes name)
{
    uint64_t number;
    if (bytes_to_u64(name, UINT16_MAX, &number))
        return (uint16_t)number;
    return port_order_named(name);
}

static void print_ports(struct explain_query *q)
{
    for (size_t i = 0; i < ARRAY_LENGTH(port_facts); i++) {
        if (!q->all && port_facts[i].port != q->port)
            continue;
        q->told++;
        if (q->list == NULL)
            print_port(&port_facts[i]);
        else
            json_array_append_new(q->list, port_json(&port_facts[i]));
    }
    for (const struct port_other *o = port_others; o->port != 0; o++) {
        if (!q->all && o->port != q->port)
            continue;
        q->told++;
        if (q->list == NULL)
            print_other(o);
        else
            json_array_append_new(q->list, other_json(o));
    }
}

static void print_providers(struct explain_query *q)
{
    for (size_t i = 0; i < provider_count; i++) {
        if (!q->all && !provider_is_called(&providers[i], q->name))
            continue;
        q->told++;
        if (q->list == NULL)
            print_provider(&providers[i]);
        else
            json_array_append_new(q->list, provider_json(&providers[i]));
    }
}

static void print_networks(struct explain_query *q)
{
    for (size_t i = 0; i < network_count; i++) {
        if (!q->all && !network_is_called(&networks[i], q->name))
            continue;
        q->told++;
        if (q->list == NULL)
            print_network(&networks[i]);
        else
            json_array_append_new(q->list, network_json(&networks[i]));
    }
}

static void print_web_hosts(struct explain_query *q)
{
    for (size_t i = 0; i < web_host_count; i++) {
        if (!q->all && !web_host_is_called(&web_hosts[i], q->name))
            continue;
        q->told++;
        if (q->list == NULL)
            print_web_host(&web_hosts[i]);
        else
            json_array_append_new(q->list, web_host_json(&web_hosts[i]));
    }
}

static void print_interceptors(struct explain_query *q)
{
    for (size_t i = 0; i < interceptor_count; i++) {
        if (!q->all && interceptor_by_name(q->name) != &interceptors[i])
            continue;
        q->told++;
        if (q->list == NULL)
            print_interceptor(&interceptors[i]);
        else
            json_array_append_new(q->list, interceptor_json(&interceptors[i]));
    }
}

bool port_explain(const char *name, bool json, struct error *error)
{
    struct bytes text = bytes_trim(bytes_of_text(name));
    size_t at = bytes_find_last(text, '@'); /* the domain of a mail address is used */
    struct explain_query q = {.name = at == SIZE_MAX ? text : bytes_from(text, at + 1),
                              .port = port_called(text),
                              .all = bytes_is_nocase(text, "all"),
                              .list = json ? json_array() : NULL};
    print_ports(&q);
    print_providers(&q);
    print_networks(&q);
    print_web_hosts(&q);
    print_interceptors(&q);
    if (json && q.told > 0) {
        json_dumpf(q.list, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        putchar('\n');
    }
    json_decref(q.list);
    if (q.told == 0)
        return error_set(error, EX_DATAERR,
                         "'%.80s' is unknown; use a port (25, 587, 465, 2525), a provider (sendgrid, gmail "
                         "...), a network (digitalocean ...), a web host (godaddy ...), a scanner of TLS "
                         "(avast ...) or all",
                         name);
    return true;
}
