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
#include "core/dns/host.h"

struct dns {
    struct ub_ctx *context;
    struct loop *loop;
    struct watch watch;
};

static bool set_servers(struct dns *dns, const char *const *servers, size_t count, struct error *error)
{
    char text[128];
    if (count == 0) {
        ub_ctx_resolvconf(dns->context, NULL); /* without one libunbound asks the root servers itself */
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

/* Names that the root zone denies, or leaves unsigned, and that resolvers of
 * a private network serve all the same (RFC 6761, RFC 6762 appendix G, RFC 8375). */
static const char *const private_names[] = {"test.", "internal.", "intranet.", "private.",     "corp.",
                                            "home.", "lan.",      "local.",    "localdomain.", "home.arpa."};

static bool validate(struct dns *dns, const char *anchor_file, bool required, struct error *error)
{
    static const char *const root_anchors[] = {"/usr/share/dns/root.key", "/var/lib/unbound/root.key"};
    size_t i = 0;
    while (anchor_file == NULL && i < ARRAY_LENGTH(root_anchors) && access(root_anchors[i], R_OK) != 0)
        i++;
    if (anchor_file == NULL && i == ARRAY_LENGTH(root_anchors)) /* nothing to trust: no answer is secure */
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

/* libunbound reads the anchors with all the rest, once: a file that holds none shows here. */
static bool finalize(struct dns *dns, struct error *error)
{
    struct ub_result *ready = NULL;
    ub_ctx_async(dns->context, 1);                       /* a thread, not a process */
    ub_ctx_zone_add(dns->context, "test.", "nodefault"); /* the settings above are final from here on */
    /* Answered by libunbound itself: makes it read all it reads from files
     * now, before the process is sealed; no thread is started by it. */
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
    /* What is known of private names and addresses (home.arpa, .test, 10.in-addr.arpa) is
     * the resolvers' matter: those that are asked may serve them. */
    ub_ctx_set_option(dns->context, "unblock-lan-zones:", "yes");
    if (!set_servers(dns, servers, server_count, error) ||
        (trust->wanted && !validate(dns, trust->anchor_file, trust->required, error)))
        goto failed;
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

/* What would read as another name is written \DDD (RFC 1035 5.1). */
static void add_label(struct buffer *out, struct bytes label)
{
    for (size_t i = 0; i < label.length; i++) {
        unsigned char octet = (unsigned char)label.at[i];
        if (octet <= ' ' || octet == 127 || octet == '.' || octet == '\\')
            buffer_add_format(out, "\\%03u", octet);
        else
            buffer_add_octet(out, (char)octet);
    }
}

/* A name in wire form (RFC 1035 3.1) as text; false when it is malformed. */
static bool read_name(struct bytes wire, struct buffer *out)
{
    while (wire.length > 0 && wire.at[0] != 0) {
        size_t length = (unsigned char)wire.at[0];
        if (length > LABEL_MAX || wire.length < length + 1)
            return false;
        if (out->length > 0)
            buffer_add_octet(out, '.');
        add_label(out, bytes_of(wire.at + 1, length));
        wire = bytes_from(wire, length + 1);
    }
    return wire.length > 0;
}

static uint16_t read_u16(struct bytes data, size_t at)
{
    return (uint16_t)((unsigned char)data.at[at] << 8 | (unsigned char)data.at[at + 1]);
}

/* MX and SRV: numbers, then a name. */
/* `numbers`: octets of them before the name: 6 in SRV, 2 in MX, 0 in PTR. */
static bool read_host(struct dns_record *record, struct arena *arena, size_t numbers, struct bytes data)
{
    struct buffer name = {0};
    bool srv = numbers == 6, fine = data.length > numbers && read_name(bytes_from(data, numbers), &name);
    record->preference = fine && numbers > 0 ? read_u16(data, 0) : 0;
    record->weight = fine && srv ? read_u16(data, 2) : 0;
    record->port = fine && srv ? read_u16(data, 4) : 0;
    record->name = arena_copy(arena, buffer_bytes(&name));
    buffer_free(&name);
    return fine;
}

static bool read_strings(struct dns_record *record, struct arena *arena, struct bytes data)
{
    struct buffer text = {0};
    bool fine = data.length > 0;
    while (fine && data.length > 0) {
        size_t length = (unsigned char)data.at[0];
        fine = data.length > length;
        if (fine)
            buffer_add(&text, bytes_of(data.at + 1, length));
        data = fine ? bytes_from(data, length + 1) : data;
    }
    record->data = arena_copy(arena, buffer_bytes(&text));
    buffer_free(&text);
    return fine;
}

static bool read_tlsa(struct dns_record *record, struct bytes data)
{
    if (data.length <= 3)
        return false;
    record->usage = (uint8_t)data.at[0];
    record->selector = (uint8_t)data.at[1];
    record->matching = (uint8_t)data.at[2];
    record->data = bytes_from(data, 3); /* lives as long as the answer */
    return true;
}

static bool read_address(struct dns_record *record, size_t length, struct bytes data)
{
    if (data.length != length)
        return false;
    memcpy(record->address, data.at, data.length);
    return true;
}

static bool read_record(struct dns_record *record, struct arena *arena, enum dns_type type, struct bytes data)
{
    bool fine = false;
    *record = (struct dns_record){0};
    switch (type) {
    case DNS_A: fine = read_address(record, 4, data); break;
    case DNS_AAAA: fine = read_address(record, 16, data); break;
    case DNS_MX: fine = read_host(record, arena, 2, data); break;
    case DNS_CNAME:
    case DNS_PTR: fine = read_host(record, arena, 0, data); break;
    case DNS_SRV: fine = read_host(record, arena, 6, data); break;
    case DNS_TXT: fine = read_strings(record, arena, data); break;
    case DNS_TLSA: fine = read_tlsa(record, data); break;
    }
    return fine;
}

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

/* Where aliases led, without its final dot. */
static struct bytes canonical_of(const struct ub_result *result)
{
    struct bytes name = result->canonname == NULL ? bytes_none() : bytes_of_text(result->canonname);
    return name.length > 1 && name.at[name.length - 1] == '.' ? bytes_first(name, name.length - 1) : name;
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
    answer.canonical = answer.status == DNS_FOUND ? canonical_of(result) : bytes_none();
    size_t count = count_of(result, answer.status);
    struct dns_record *records = ARENA_ARRAY(&arena, struct dns_record, count);
    for (size_t i = 0; i < count; i++) {
        struct bytes data = bytes_of(result->data[i], (size_t)result->len[i]);
        answer.count += read_record(&records[answer.count], &arena, question->type, data) ? 1 : 0;
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
    timer_set(&question->timer, fine ? DNS_TIMEOUT_MS : 0); /* what cannot be asked fails from the loop */
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
