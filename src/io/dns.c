/* SPDX-License-Identifier: Apache-2.0 */
#include "io/dns.h"

#include <idn2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unbound.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "core/dns/dns_name.h"
#include "core/dns/host.h"
#include "io/watch.h"

struct dns {
    struct ub_ctx *context;
    struct loop *loop;
    struct watch watch;
};

static bool set_servers(struct dns *dns, const char *const *servers, size_t count, struct error *error)
{
    char text[128];
    if (count == 0) {
        ub_ctx_resolvconf(dns->context, NULL); /* without resolv.conf libunbound queries the root servers */
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        struct bytes server = bytes_of_text(servers[i]);
        size_t colon = bytes_find_last(server, ':');
        /* "192.0.2.1:53" has a port; "2001:db8::1" has none */
        bool port = colon != SIZE_MAX && !host_is_ipv6(server);
        snprintf(text, sizeof text, "%.*s%s%.*s",
                 BYTES_ARG(bytes_first(server, port ? colon : server.length)), port ? "@" : "",
                 BYTES_ARG(port ? bytes_from(server, colon + 1) : bytes_none()));
        if (ub_ctx_set_fwd(dns->context, text) != 0)
            return error_set(error, EX_CONFIG, "resolver.servers: '%s' is not an address or address:port",
                             servers[i]);
    }
    return true;
}

/* Names that are denied or unsigned in the root zone, but served by resolvers of private networks (RFC
 * 6761, RFC 6762 appendix G, RFC 8375). */
static const char *const private_names[] = {"test.", "internal.", "intranet.", "private.",     "corp.",
                                            "home.", "lan.",      "local.",    "localdomain.", "home.arpa."};

static bool validate(struct dns *dns, const char *anchor_file, bool required, struct error *error)
{
    static const char *const root_anchors[] = {"/usr/share/dns/root.key", "/var/lib/unbound/root.key"};
    size_t i = 0;
    while (anchor_file == NULL && i < ARRAY_LENGTH(root_anchors) && access(root_anchors[i], R_OK) != 0)
        i++;
    if (anchor_file == NULL && i == ARRAY_LENGTH(root_anchors)) /* no trust anchor: no answer is secure */
        return !required || error_set(error, EX_CONFIG,
                                      "resolver.dnssec: required needs the root's keys; install "
                                      "dns-root-data, or set resolver.trust_anchor");
    ub_ctx_set_option(dns->context, "module-config:", "validator iterator");
    if (!required)
        ub_ctx_set_option(dns->context, "harden-dnssec-stripped:", "no");
    for (size_t k = 0; k < ARRAY_LENGTH(private_names); k++)
        ub_ctx_set_option(dns->context, "domain-insecure:", private_names[k]);
    const char *file = anchor_file == NULL ? root_anchors[i] : anchor_file;
    return ub_ctx_add_ta_file(dns->context, file) == 0 ||
           error_set(error, EX_CONFIG, "resolver.trust_anchor: cannot read %s", file);
}

/* libunbound reads the anchors with all other files, once: a file without anchors fails here. */
static bool finalize(struct dns *dns, struct error *error)
{
    struct ub_result *ready = NULL;
    ub_ctx_async(dns->context, 1);                       /* a thread, not a process */
    ub_ctx_zone_add(dns->context, "test.", "nodefault"); /* makes the settings above final */
    /* Answered by libunbound itself: makes it read its files now, before the sandbox; starts no thread. */
    int failed = ub_resolve(dns->context, "localhost", DNS_A, 1, &ready);
    ub_resolve_free(ready);
    return failed == 0 ||
           error_set(
               error, EX_CONFIG,
               "the resolver does not start (%s); is resolver.trust_anchor a file of DS or DNSKEY records?",
               ub_strerror(failed));
}

struct dns_trust {
    bool wanted, required;
    bool no_hosts;
    const char *anchor_file;
};

static struct dns *open_with(const char *const *servers, size_t server_count, const struct dns_trust *trust,
                             struct error *error)
{
    struct dns *dns = memory_new(sizeof *dns);
    dns->context = ub_ctx_create();
    if (dns->context == NULL) {
        error_set(error, EX_OSERR, "cannot start the resolver");
        goto failed;
    }
    ub_ctx_debuglevel(dns->context, 0);
    ub_ctx_debugout(dns->context, NULL);
    ub_ctx_set_option(dns->context, "do-not-query-localhost:", "no");
    ub_ctx_set_option(dns->context, "module-config:", "iterator");
    ub_ctx_set_option(dns->context, "so-reuseport:", "no");
    /* Private names and addresses (home.arpa, .test, 10.in-addr.arpa) may be served by the configured
     * resolvers. */
    ub_ctx_set_option(dns->context, "unblock-lan-zones:", "yes");
    if (!set_servers(dns, servers, server_count, error) ||
        (trust->wanted && !validate(dns, trust->anchor_file, trust->required, error)))
        goto failed;
    if (!trust->no_hosts)
        ub_ctx_hosts(dns->context, NULL);
    if (finalize(dns, error))
        return dns;
failed:
    if (dns->context != NULL)
        ub_ctx_delete(dns->context);
    free(dns);
    return NULL;
}

struct dns *dns_open(const char *const *servers, size_t server_count, struct error *error)
{
    return open_with(servers, server_count, &(struct dns_trust){0}, error);
}

struct dns *dns_open_without_hosts(const char *const *servers, size_t server_count, struct error *error)
{
    return open_with(servers, server_count, &(struct dns_trust){.no_hosts = true}, error);
}

struct dns *dns_open_validating(const char *const *servers, size_t server_count, const char *anchor_file,
                                bool required, struct error *error)
{
    return open_with(servers, server_count,
                     &(struct dns_trust){.wanted = true, .required = required, .anchor_file = anchor_file},
                     error);
}

static void recipient_cache_ready(void *owner, bool readable, bool writable)
{
    struct dns *dns = owner;
    ub_process(dns->context);
}

bool dns_start(struct dns *dns, struct loop *loop, struct error *error)
{
    int descriptor = ub_fd(dns->context);
    dns->loop = loop;
    if (descriptor < 0)
        return error_set(error, EX_OSERR, "cannot watch the resolver");
    watch_start(&dns->watch, loop, descriptor, true, false, recipient_cache_ready, dns);
    return true;
}

void dns_close(struct dns *dns)
{
    watch_stop(&dns->watch);
    ub_ctx_delete(dns->context);
    free(dns);
}

/* ---- answers ---- */

static enum dns_status status_of(int problem, const struct ub_result *result)
{
    enum { RCODE_NOERROR = 0, RCODE_NXDOMAIN = 3 };
    if (problem != 0 || result == NULL)
        return DNS_SERVER_FAILURE;
    if (result->bogus)
        return DNS_BOGUS;
    if (result->nxdomain || result->rcode == RCODE_NXDOMAIN)
        return DNS_NXDOMAIN;
    if (result->rcode != RCODE_NOERROR)
        return DNS_SERVER_FAILURE;
    return result->havedata ? DNS_FOUND : DNS_NO_DATA;
}

static void give_answer(struct dns_question *question, const struct dns_answer *answer)
{
    timer_cancel(&question->timer);
    question->asked = false;
    question->on_answer(question->owner, answer);
}

static size_t count_of(const struct ub_result *result, enum dns_status status)
{
    size_t count = 0;
    while (status == DNS_FOUND && result->data[count] != NULL && count < DNS_RECORDS_MAX)
        count++;
    return count;
}

static void answered(void *owner, int problem, struct ub_result *result)
{
    struct dns_question *question = owner;
    struct arena arena = {0};
    struct dns_answer answer = {.status = status_of(problem, result)};
    answer.secure = dns_status_is_told(answer.status) && result->secure;
    answer.canonical = answer.status == DNS_FOUND ? dns_name_without_dot(bytes_of_text(
                                                        result->canonname == NULL ? "" : result->canonname))
                                                  : bytes_none();
    size_t count = count_of(result, answer.status);
    struct dns_record *records = ARENA_ARRAY(&arena, struct dns_record, count);
    for (size_t i = 0; i < count; i++) {
        struct bytes data = bytes_of(result->data[i], (size_t)result->len[i]);
        answer.count += dns_record_read(&records[answer.count], question->type, data, &arena) ? 1 : 0;
    }
    answer.records = records;
    if (answer.status == DNS_FOUND && answer.count == 0)
        answer.status = DNS_NO_DATA;
    give_answer(question, &answer);
    ub_resolve_free(result);
    arena_clear(&arena);
}

static void took_too_long(void *owner)
{
    struct dns_question *question = owner;
    struct dns_answer answer = {.status = DNS_SERVER_FAILURE};
    if (question->number >= 0)
        ub_cancel(question->dns->context, question->number);
    give_answer(question, &answer);
}

bool dns_ascii_name(const char *name, char *buffer, size_t size)
{
    char *ascii = NULL;
    bool fine = idn2_to_ascii_8z(name, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK;
    fine = fine && snprintf(buffer, size, "%s", ascii) < (int)size;
    idn2_free(ascii);
    return fine;
}

void dns_ask(struct dns *dns, struct dns_question *question, struct bytes name, enum dns_type type,
             void (*on_answer)(void *owner, const struct dns_answer *answer), void *owner)
{
    struct buffer text = {0};
    char ascii[256];
    *question = (struct dns_question){
        .on_answer = on_answer, .owner = owner, .dns = dns, .type = type, .number = -1};
    timer_start(&question->timer, dns->loop, took_too_long, question);
    buffer_add(&text, name);
    bool converted = dns_ascii_name(buffer_text(&text), ascii, sizeof ascii);
    bool fine = (converted || bytes_is_ascii(name)) &&
                ub_resolve_async(dns->context, converted ? ascii : buffer_text(&text), (int)type, 1, question,
                                 answered, &question->number) == 0;
    question->asked = fine;
    /* a query that cannot start fails from the loop */
    timer_set(&question->timer, fine ? DNS_TIMEOUT_MS : 0);
    buffer_free(&text);
}

void dns_cancel(struct dns_question *question)
{
    if (question->dns == NULL)
        return;
    timer_cancel(&question->timer);
    if (question->asked)
        ub_cancel(question->dns->context, question->number);
    question->asked = false;
}
