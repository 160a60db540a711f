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
#include "io/clock.h"
#include "io/watch.h"

struct dns {
    struct ub_ctx *context;
    struct loop *loop;
    struct watch watch;
    struct resolver_list resolvers;
    char resolver_text[RESOLVER_LIST_MAX * RESOLVER_TEXT_MAX];
    bool patient;
    struct dns_question *first; /* asked; the latest first */
    struct timer doubt;         /* answers are late */
    struct resolver_check check;
    enum resolver_state state; /* result of the last check */
    uint64_t checked_ms;       /* when it ended; 0: never */
    bool any_answer;           /* a lookup succeeded at some time */
};

static bool set_servers(struct dns *dns, const char *const *servers, size_t count, struct error *error)
{
    char text[128];
    if (count == 0) {
        ub_ctx_resolvconf(dns->context, NULL); /* without resolv.conf libunbound queries the root servers */
        resolver_list_read(&dns->resolvers, RESOLV_CONF);
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        struct bytes server = bytes_of_text(servers[i]);
        size_t colon = bytes_find_last(server, ':');
        /* "192.0.2.1:53" has a port; "2001:db8::1" has none */
        bool port = colon != SIZE_MAX && !host_is_ipv6(server);
        resolver_list_add(&dns->resolvers, server);
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
    resolver_list_text(&dns->resolvers, dns->resolver_text, sizeof dns->resolver_text);
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

static void doubt(void *owner);

void dns_be_patient(struct dns *dns)
{
    dns->patient = true;
}

bool dns_start(struct dns *dns, struct loop *loop, struct error *error)
{
    int descriptor = ub_fd(dns->context);
    dns->loop = loop;
    timer_start(&dns->doubt, loop, doubt, dns);
    if (descriptor < 0)
        return error_set(error, EX_OSERR, "cannot watch the resolver");
    watch_start(&dns->watch, loop, descriptor, true, false, recipient_cache_ready, dns);
    return true;
}

void dns_close(struct dns *dns)
{
    if (dns->loop != NULL)
        timer_cancel(&dns->doubt);
    resolver_check_stop(&dns->check);
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

/* Takes it from the list of those that are asked. */
static void settle(struct dns_question *question)
{
    timer_cancel(&question->timer);
    if (question->to != NULL) {
        *question->to = question->next;
        if (question->next != NULL)
            question->next->to = question->to;
    }
    question->to = NULL;
    question->asked = false;
}

static void give_answer(struct dns_question *question, const struct dns_answer *answer)
{
    settle(question);
    question->on_answer(question->owner, answer);
}

/* ---- do the resolvers answer? ---- */

static bool is_fresh(const struct dns *dns)
{
    return dns->checked_ms != 0 && clock_now_ms() - dns->checked_ms < DNS_VERDICT_MS;
}

/* Without a resolver the root servers are asked, which takes as long as it takes: only where no lookup has
 * ever succeeded, and a user waits, is the missing resolver the reason. */
static bool is_dead(const struct dns *dns)
{
    return dns->state == RESOLVER_NONE ? !dns->patient && !dns->any_answer
                                       : resolver_state_is_dead(dns->state);
}

/* From the loop, since an answer can ask the next question. */
static void fail_soon(struct dns_question *question)
{
    timer_set(&question->timer, 0);
}

static void on_checked(void *owner)
{
    struct dns *dns = owner;
    dns->state = dns->check.state;
    if (dns->state == RESOLVER_REFUSES && dns->any_answer) /* this name, and not this machine */
        dns->state = RESOLVER_FAILS;
    dns->checked_ms = clock_now_ms();
    for (struct dns_question *question = dns->first; question != NULL; question = question->next)
        if (question->failed || is_dead(dns))
            fail_soon(question);
    if (dns->first != NULL)
        timer_set(&dns->doubt, DNS_VERDICT_MS);
}

static void check(struct dns *dns, const char *name)
{
    uint32_t limit_ms = dns->patient ? DNS_PATIENT_CHECK_MS : DNS_CHECK_MS;
    if (!dns->check.running)
        resolver_check_start(&dns->check, dns->loop, &dns->resolvers, name, limit_ms, on_checked, dns);
}

static uint32_t doubt_ms(const struct dns *dns)
{
    return dns->patient ? DNS_PATIENT_DOUBT_MS : DNS_DOUBT_MS;
}

/* Checks the resolvers where the oldest question has waited for long. */
static void doubt(void *owner)
{
    struct dns *dns = owner;
    const struct dns_question *oldest = dns->first;
    while (oldest != NULL && oldest->next != NULL)
        oldest = oldest->next;
    if (oldest == NULL || dns->check.running)
        return;
    uint64_t waited_ms = clock_now_ms() - oldest->asked_ms;
    if (waited_ms < doubt_ms(dns))
        timer_set(&dns->doubt, doubt_ms(dns) - waited_ms);
    else
        check(dns, oldest->name);
}

/* True if the failure waits for a check. */
static bool must_check(struct dns *dns, struct dns_question *question)
{
    if (is_fresh(dns) && !dns->check.running)
        return false;
    question->failed = true;
    question->number = -1;
    check(dns, question->name);
    return true;
}

enum resolver_state dns_resolver(const struct dns *dns)
{
    return dns->state == RESOLVER_NONE && !is_dead(dns) ? RESOLVER_UNKNOWN : dns->state;
}

const char *dns_resolver_text(const struct dns *dns)
{
    return dns->resolver_text;
}

/* ---- results ---- */

static size_t count_of(const struct ub_result *result, enum dns_status status)
{
    size_t count = 0;
    while (status == DNS_FOUND && result->data[count] != NULL)
        count++;
    return count;
}

static void read_records(const struct dns_question *question, const struct ub_result *result,
                         struct dns_answer *answer, struct arena *arena)
{
    struct dns_record_list list;
    size_t count = count_of(result, answer->status);
    dns_record_list_start(&list, count, arena);
    for (size_t i = 0; i < count; i++)
        dns_record_list_add(&list, question->type, question->prefix,
                            bytes_of(result->data[i], (size_t)result->len[i]), arena);
    answer->records = list.records;
    answer->count = list.count;
    answer->cut = list.cut;
}

static void answered(void *owner, int problem, struct ub_result *result)
{
    struct dns_question *question = owner;
    struct arena arena = {0};
    struct dns_answer answer = {.status = status_of(problem, result), .unanswered = is_dead(question->dns)};
    if (answer.status == DNS_SERVER_FAILURE && must_check(question->dns, question)) {
        ub_resolve_free(result);
        return;
    }
    if (answer.status != DNS_SERVER_FAILURE) {
        question->dns->any_answer = true;
        question->dns->state = RESOLVER_UNKNOWN;
        answer.unanswered = false;
    }
    answer.secure = dns_status_is_told(answer.status) && result->secure;
    answer.canonical = answer.status == DNS_FOUND ? dns_name_without_dot(bytes_of_text(
                                                        result->canonname == NULL ? "" : result->canonname))
                                                  : bytes_none();
    answer.ttl_s = dns_status_is_told(answer.status) && result->ttl > 0 ? (uint32_t)result->ttl : 0;
    read_records(question, result, &answer, &arena);
    if (answer.status == DNS_FOUND && answer.count == 0)
        answer.status = DNS_NO_DATA;
    give_answer(question, &answer);
    ub_resolve_free(result);
    arena_clear(&arena);
}

static void took_too_long(void *owner)
{
    struct dns_question *question = owner;
    struct dns_answer answer = {.status = DNS_SERVER_FAILURE, .unanswered = is_dead(question->dns)};
    if (question->asked && question->number >= 0)
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

/* Adds it to the list of those that are asked. */
static void wait_for(struct dns *dns, struct dns_question *question)
{
    question->asked = true;
    question->asked_ms = clock_now_ms();
    question->next = dns->first;
    question->to = &dns->first;
    if (dns->first != NULL)
        dns->first->to = &question->next;
    else if (!dns->check.running)
        timer_set(&dns->doubt, doubt_ms(dns));
    dns->first = question;
}

static void ask(struct dns *dns, struct dns_question *question, struct bytes name, enum dns_type type)
{
    struct buffer text = {0};
    question->dns = dns;
    question->type = type;
    question->number = -1;
    timer_start(&question->timer, dns->loop, took_too_long, question);
    buffer_add(&text, name);
    bool converted = dns_ascii_name(buffer_text(&text), question->name, sizeof question->name);
    if (!converted) /* "_25._tcp.example.org" */
        snprintf(question->name, sizeof question->name, "%s", name.length < 256 ? buffer_text(&text) : "");
    bool known_dead = is_fresh(dns) && is_dead(dns);
    bool fine = !known_dead && (converted || bytes_is_ascii(name)) &&
                ub_resolve_async(dns->context, converted ? question->name : buffer_text(&text), (int)type, 1,
                                 question, answered, &question->number) == 0;
    if (fine)
        wait_for(dns, question);
    /* a query that cannot start fails from the loop */
    timer_set(&question->timer, fine ? DNS_TIMEOUT_MS : 0);
    buffer_free(&text);
}

void dns_ask(struct dns *dns, struct dns_question *question, struct bytes name, enum dns_type type,
             void (*on_answer)(void *owner, const struct dns_answer *answer), void *owner)
{
    *question = (struct dns_question){.on_answer = on_answer, .owner = owner};
    ask(dns, question, name, type);
}

void dns_ask_text(struct dns *dns, struct dns_question *question, struct bytes name, const char *prefix,
                  void (*on_answer)(void *owner, const struct dns_answer *answer), void *owner)
{
    *question = (struct dns_question){.on_answer = on_answer, .owner = owner, .prefix = prefix};
    ask(dns, question, name, DNS_TXT);
}

void dns_cancel(struct dns_question *question)
{
    if (question->dns == NULL)
        return;
    if (question->asked && question->number >= 0)
        ub_cancel(question->dns->context, question->number);
    settle(question);
}
