/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/facts_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/memory.h"

/* ---- the tables: one row a member ---- */

enum field_kind { FIELD_TEXT, FIELD_BOOL, FIELD_NUMBER, FIELD_SIGNED, FIELD_NAME, FIELD_OCTETS };

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset, size;
    const char *const *names; /* of a FIELD_NAME; the first is not written */
    size_t name_count;
};

static const char *const known_names[] = {"unknown", "no", "yes"};
static const char *const reach_names[] = {"unknown", "silent", "refused", "unreachable", "connected"};
static const char *const unreachable_names[] = {"unknown", "no-route", "host", "prohibited", "protocol"};
static const char *const icmp_names[] = {"unknown", "none", "port", "host", "prohibited", "other"};
static const char *const voice_names[] = {"unknown", "mute", "closed", "reset", "smtp", "tls",
                                          "http",    "ssh",  "imap",   "pop3",  "ftp",  "other"};
static const char *const tls_names[] = {"not-begun",  "done",         "clear-text",    "timed-out",
                                        "closed",     "reset",        "alert-version", "alert-cipher",
                                        "alert-name", "alert-client", "broken"};
static const char *const certificate_names[] = {
    "unknown", "valid", "expired", "not-yet-valid", "other-name", "self-signed", "unknown-issuer", "invalid"};
static const char *const dns_names[] = {"unknown",      "is-address",        "has-address",
                                        "no-such-name", "no-address-record", "fails",
                                        "timed-out",    "refuses",           "no-resolver"};
static const char *const kind_names[] = {"unknown",       "public",     "loopback",    "private",
                                         "shared",        "link-local", "unspecified", "benchmark",
                                         "documentation", "multicast",  "nat64",       "cloudflare"};
static const char *const purpose_names[] = {"submit", "relay", "leave"};
static const char *const step_names[] = {"none", "auth", "mail", "rcpt", "data", "content"};
static const char *const firewall_names[] = {"drops", "rejects", "redirects"};

#define SIZE_OF(type, member) sizeof((type *)NULL)->member
#define TEXT(type, member)                                                          \
    {                                                                               \
#member, FIELD_TEXT, offsetof(type, member), SIZE_OF(type, member), NULL, 0 \
    }
#define FLAG(type, member)                                                          \
    {                                                                               \
#member, FIELD_BOOL, offsetof(type, member), SIZE_OF(type, member), NULL, 0 \
    }
#define NUMBER(type, member)                                                          \
    {                                                                                 \
#member, FIELD_NUMBER, offsetof(type, member), SIZE_OF(type, member), NULL, 0 \
    }
#define NAME(type, member, list)                                                                     \
    {                                                                                                \
#member, FIELD_NAME, offsetof(type, member), SIZE_OF(type, member), list, ARRAY_LENGTH(list) \
    }

#define C struct fact_certificate
static const struct field certificate_fields[] = {
    NAME(C, state, certificate_names),
    NAME(C, names_host, known_names),
    NAME(C, chain_trusted, known_names),
    TEXT(C, subject),
    TEXT(C, issuer),
    TEXT(C, root),
    TEXT(C, names),
    NUMBER(C, not_before_s),
    NUMBER(C, not_after_s),
    {"fingerprint", FIELD_OCTETS, offsetof(C, fingerprint), SIZE_OF(C, fingerprint), NULL, 0},
    NUMBER(C, chain_length)};
#define A struct fact_attempt
static const struct field attempt_fields[] = {TEXT(A, host),
                                              TEXT(A, address),
                                              FLAG(A, six),
                                              NUMBER(A, port),
                                              FLAG(A, implicit_tls),
                                              NAME(A, reach, reach_names),
                                              NAME(A, unreachable, unreachable_names),
                                              NAME(A, icmp, icmp_names),
                                              TEXT(A, icmp_from),
                                              NAME(A, voice, voice_names),
                                              NUMBER(A, connect_ms),
                                              NUMBER(A, first_ms),
                                              NUMBER(A, took_ms),
                                              NUMBER(A, greeting_code),
                                              TEXT(A, greeting),
                                              NAME(A, greeting_masked, known_names),
                                              NUMBER(A, ehlo_code),
                                              TEXT(A, ehlo),
                                              NAME(A, starttls_offered, known_names),
                                              NAME(A, ehlo_masked, known_names),
                                              NUMBER(A, starttls_code),
                                              TEXT(A, starttls_said),
                                              NAME(A, tls, tls_names),
                                              NUMBER(A, tls_sent),
                                              NUMBER(A, tls_received),
                                              TEXT(A, tls_version),
                                              NAME(A, auth_offered, known_names),
                                              NAME(A, auth_passwords, known_names),
                                              NAME(A, auth_tokens, known_names),
                                              TEXT(A, mechanisms),
                                              NAME(A, ready, known_names),
                                              NUMBER(A, end_code),
                                              TEXT(A, said)};
#define D struct fact_address
static const struct field address_fields[] = {TEXT(D, text), FLAG(D, six), NAME(D, kind, kind_names),
                                              NAME(D, own, known_names)};
#define M struct fact_machine
static const struct field machine_fields[] = {
    NAME(M, route_4, known_names),
    NAME(M, route_6, known_names),
    NAME(M, container, known_names),
    NAME(M, virtual_network, known_names),
    TEXT(M, tunnel),
    NUMBER(M, mtu),
    NAME(M, clock_right, known_names),
    {"clock_ahead_s", FIELD_SIGNED, offsetof(M, clock_ahead_s), SIZE_OF(M, clock_ahead_s), NULL, 0},
    NAME(M, ca_bundle, known_names),
    NUMBER(M, ca_count),
    NUMBER(M, ca_age_days),
    NAME(M, proxy_set, known_names),
    TEXT(M, proxy),
    TEXT(M, resolver),
    TEXT(M, hosts_address),
    TEXT(M, network_sign),
    NAME(M, panel_cpanel, known_names),
    NAME(M, panel_csf, known_names),
    NAME(M, panel_directadmin, known_names),
    NAME(M, panel_plesk, known_names),
    NAME(M, rules_read, known_names),
    NAME(M, listeners_read, known_names)};
#define H struct fact_history
static const struct field history_fields[] = {NAME(H, password_refused, known_names),
                                              NUMBER(H, calls_last_hour)};
#define R struct fact_reply
static const struct field reply_fields[] = {NAME(R, step, step_names), NUMBER(R, code), TEXT(R, enhanced),
                                            FLAG(R, signed_in), TEXT(R, text)};
#define F struct diagnosis_facts
static const struct field facts_fields[] = {NAME(F, purpose, purpose_names),
                                            NUMBER(F, now_s),
                                            TEXT(F, host),
                                            NAME(F, host_is_own, known_names),
                                            NAME(F, smarthost_is_set, known_names),
                                            NAME(F, host_in_mail_domain, known_names),
                                            TEXT(F, near_provider),
                                            FLAG(F, own_ca),
                                            NUMBER(F, gathered),
                                            NAME(F, dns, dns_names),
                                            TEXT(F, dns_said),
                                            NAME(F, other_dns, dns_names),
                                            NAME(F, other_dns_agrees, known_names),
                                            NAME(F, web_elsewhere, known_names)};
#define RULE struct fact_rule
static const struct field rule_fields[] = {NUMBER(RULE, port), NAME(RULE, does, firewall_names),
                                           TEXT(RULE, rule)};
#define LISTENER struct fact_listener
static const struct field listener_fields[] = {NUMBER(LISTENER, port), FLAG(LISTENER, loopback_only)};
#define REMEMBERED struct fact_remembered
static const struct field remembered_fields[] = {NUMBER(REMEMBERED, port), FLAG(REMEMBERED, worked),
                                                 NUMBER(REMEMBERED, age_s)};

/* ---- one member ---- */

static uint64_t number_at(const void *at, size_t size)
{
    switch (size) {
    case 1: return *(const uint8_t *)at;
    case 2: return *(const uint16_t *)at;
    case 4: return *(const uint32_t *)at;
    default: return *(const uint64_t *)at;
    }
}

static void put_number(void *at, size_t size, uint64_t value)
{
    switch (size) {
    case 1: *(uint8_t *)at = (uint8_t)value; break;
    case 2: *(uint16_t *)at = (uint16_t)value; break;
    case 4: *(uint32_t *)at = (uint32_t)value; break;
    default: *(uint64_t *)at = value; break;
    }
}

static json_t *octets_json(const unsigned char *at, size_t size)
{
    char text[2 * 32 + 1] = "";
    for (size_t i = 0; i < size && i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", at[i]);
    return json_string(text);
}

static json_t *field_json(const struct field *field, const unsigned char *at)
{
    uint64_t number = field->kind == FIELD_TEXT || field->kind == FIELD_OCTETS ? 0
                                                                               : number_at(at, field->size);
    switch (field->kind) {
    case FIELD_TEXT:
        return *at == '\0' ? NULL : json_stringn_nocheck((const char *)at, strlen((const char *)at));
    case FIELD_BOOL: return number == 0 ? NULL : json_true();
    case FIELD_NUMBER:
    case FIELD_SIGNED: return number == 0 ? NULL : json_integer((json_int_t)number);
    case FIELD_NAME:
        return number == 0 || number >= field->name_count ? NULL : json_string(field->names[number]);
    case FIELD_OCTETS: return octets_json(at, field->size);
    }
    return NULL;
}

static json_t *fields_json(const struct field *fields, size_t count, const void *from)
{
    json_t *to = json_object();
    for (size_t i = 0; i < count; i++) {
        json_t *one = field_json(&fields[i], (const unsigned char *)from + fields[i].offset);
        if (one != NULL)
            json_object_set_new_nocheck(to, fields[i].name, one);
    }
    return to;
}

/* ---- and back ---- */

static bool wrong(struct error *error, const char *name, const char *why)
{
    return error_set(error, EX_DATAERR, "report: %s: %s", name, why);
}

static bool read_octets(const char *text, unsigned char *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned octet;
        if (strlen(text) != 2 * size || sscanf(text + 2 * i, "%2x", &octet) != 1)
            return false;
        at[i] = (unsigned char)octet;
    }
    return true;
}

static bool read_name(const struct field *field, const char *text, unsigned char *at)
{
    for (size_t i = 0; i < field->name_count; i++)
        if (strcmp(field->names[i], text) == 0) {
            put_number(at, field->size, i);
            return true;
        }
    return false;
}

/* Control characters come from no program of ours. */
static bool read_text(const struct field *field, const json_t *from, unsigned char *at)
{
    size_t length = json_string_length(from);
    const char *text = json_string_value(from);
    if (length >= field->size)
        return false;
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)text[i] < 32 && text[i] != '\n') || text[i] == 127)
            return false;
    memcpy(at, text, length);
    at[length] = '\0';
    return true;
}

static bool read_number(const struct field *field, const json_t *from, unsigned char *at)
{
    json_int_t value = json_integer_value(from);
    bool fits = field->kind == FIELD_SIGNED ||
                (value >= 0 && (field->size == 8 || value >> (8 * field->size) == 0));
    if (fits)
        put_number(at, field->size, (uint64_t)value);
    return fits;
}

static bool read_field(const struct field *field, const json_t *from, unsigned char *at, struct error *error)
{
    bool fits = false;
    if (from == NULL)
        return true;
    switch (field->kind) {
    case FIELD_TEXT: fits = json_is_string(from) && read_text(field, from, at); break;
    case FIELD_BOOL: fits = json_is_boolean(from); break;
    case FIELD_NUMBER:
    case FIELD_SIGNED: fits = json_is_integer(from) && read_number(field, from, at); break;
    case FIELD_NAME: fits = json_is_string(from) && read_name(field, json_string_value(from), at); break;
    case FIELD_OCTETS:
        fits = json_is_string(from) && read_octets(json_string_value(from), at, field->size);
        break;
    }
    if (fits && field->kind == FIELD_BOOL)
        put_number(at, field->size, json_is_true(from));
    return fits || wrong(error, field->name, "not a value that a report has");
}

static bool read_fields(const struct field *fields, size_t count, const json_t *from, void *to,
                        struct error *error)
{
    if (!json_is_object(from))
        return wrong(error, fields[0].name, "expected an object");
    for (size_t i = 0; i < count; i++)
        if (!read_field(&fields[i], json_object_get(from, fields[i].name),
                        (unsigned char *)to + fields[i].offset, error))
            return false;
    return true;
}

/* ---- lists ---- */

struct list {
    const char *name;
    const struct field *fields;
    size_t field_count, item_size, max;
    size_t offset, count_offset; /* in struct diagnosis_facts */
};

#define LIST(name, fields, at, count)                                                                \
    {                                                                                                \
        name, fields, ARRAY_LENGTH(fields), sizeof((F *)NULL)->at[0], ARRAY_LENGTH(((F *)NULL)->at), \
            offsetof(F, at), offsetof(F, count)                                                      \
    }
static const struct list lists[] = {
    LIST("addresses", address_fields, addresses, address_count),
    LIST("attempts", attempt_fields, attempts, attempt_count),
    LIST("controls", attempt_fields, controls, control_count),
    LIST("web", attempt_fields, web, web_count),
    LIST("rules", rule_fields, machine.rules, machine.rule_count),
    LIST("listeners", listener_fields, machine.listeners, machine.listener_count),
    LIST("remembered", remembered_fields, history.ports, history.count),
};

static size_t *count_of(const struct list *list, struct diagnosis_facts *facts)
{
    return (size_t *)(void *)((unsigned char *)facts + list->count_offset);
}

static json_t *list_json(const struct list *list, const struct diagnosis_facts *facts)
{
    const unsigned char *items = (const unsigned char *)facts + list->offset;
    size_t count = *count_of(list, (struct diagnosis_facts *)facts);
    json_t *to = json_array();
    for (size_t i = 0; i < count; i++) {
        const void *item = items + i * list->item_size;
        json_t *one = fields_json(list->fields, list->field_count, item);
        const struct fact_attempt *attempt = item;
        if (list->fields == attempt_fields && attempt->certificate.state != FACT_CERTIFICATE_UNKNOWN)
            json_object_set_new(
                one, "certificate",
                fields_json(certificate_fields, ARRAY_LENGTH(certificate_fields), &attempt->certificate));
        json_array_append_new(to, one);
    }
    return to;
}

static bool read_list(const struct list *list, const json_t *from, struct diagnosis_facts *facts,
                      struct error *error)
{
    unsigned char *items = (unsigned char *)facts + list->offset;
    if (from == NULL)
        return true;
    if (!json_is_array(from) || json_array_size(from) > list->max)
        return wrong(error, list->name, "not a list, or too long");
    for (size_t i = 0; i < json_array_size(from); i++) {
        const json_t *one = json_array_get(from, i), *certificate = json_object_get(one, "certificate");
        void *item = items + i * list->item_size;
        if (!read_fields(list->fields, list->field_count, one, item, error))
            return false;
        if (list->fields == attempt_fields && certificate != NULL &&
            !read_fields(certificate_fields, ARRAY_LENGTH(certificate_fields), certificate,
                         &((struct fact_attempt *)item)->certificate, error))
            return false;
    }
    *count_of(list, facts) = json_array_size(from);
    return true;
}

/* ---- members that are arrays of a fixed size ---- */

static json_t *asked_json(const struct diagnosis_facts *facts)
{
    json_t *to = json_array();
    for (size_t i = 0; i < ARRAY_LENGTH(facts->asked) && facts->asked[i] != 0; i++)
        json_array_append_new(to, json_integer(facts->asked[i]));
    return to;
}

static bool read_asked(const json_t *from, struct diagnosis_facts *facts, struct error *error)
{
    if (from == NULL)
        return true;
    if (!json_is_array(from) || json_array_size(from) > ARRAY_LENGTH(facts->asked))
        return wrong(error, "asked", "not a list, or too long");
    for (size_t i = 0; i < json_array_size(from); i++) {
        json_int_t port = json_integer_value(json_array_get(from, i));
        if (port < 1 || port > UINT16_MAX)
            return wrong(error, "asked", "not a port");
        facts->asked[i] = (uint16_t)port;
    }
    return true;
}

static json_t *other_addresses_json(const struct diagnosis_facts *facts)
{
    json_t *to = json_array();
    for (size_t i = 0; i < ARRAY_LENGTH(facts->other_addresses) && facts->other_addresses[i].text[0] != '\0';
         i++)
        json_array_append_new(
            to, fields_json(address_fields, ARRAY_LENGTH(address_fields), &facts->other_addresses[i]));
    return to;
}

static bool read_other_addresses(const json_t *from, struct diagnosis_facts *facts, struct error *error)
{
    if (from == NULL)
        return true;
    if (!json_is_array(from) || json_array_size(from) > ARRAY_LENGTH(facts->other_addresses))
        return wrong(error, "other_addresses", "not a list, or too long");
    for (size_t i = 0; i < json_array_size(from); i++)
        if (!read_fields(address_fields, ARRAY_LENGTH(address_fields), json_array_get(from, i),
                         &facts->other_addresses[i], error))
            return false;
    return true;
}

/* ---- the whole ---- */

json_t *facts_json_write(const struct diagnosis_facts *facts)
{
    json_t *to = fields_json(facts_fields, ARRAY_LENGTH(facts_fields), facts);
    json_object_set_new(to, "report", json_integer(FACTS_JSON_VERSION));
    if (facts->machine.network != NULL)
        json_object_set_new(to, "network", json_string(facts->machine.network->name));
    json_object_set_new(to, "machine",
                        fields_json(machine_fields, ARRAY_LENGTH(machine_fields), &facts->machine));
    json_object_set_new(to, "history",
                        fields_json(history_fields, ARRAY_LENGTH(history_fields), &facts->history));
    json_object_set_new(to, "reply", fields_json(reply_fields, ARRAY_LENGTH(reply_fields), &facts->reply));
    json_object_set_new(to, "asked", asked_json(facts));
    json_object_set_new(to, "other_addresses", other_addresses_json(facts));
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
        json_object_set_new(to, lists[i].name, list_json(&lists[i], facts));
    return to;
}

static bool read_part(const json_t *from, const char *name, const struct field *fields, size_t count,
                      void *to, struct error *error)
{
    const json_t *part = json_object_get(from, name);
    return part == NULL || read_fields(fields, count, part, to, error);
}

bool facts_json_read(const json_t *from, struct diagnosis_facts *facts, struct error *error)
{
    *facts = (struct diagnosis_facts){0};
    if (json_integer_value(json_object_get(from, "report")) != FACTS_JSON_VERSION)
        return wrong(error, "report",
                     "not a report of this version (mailboat ports HOST --report FILE writes one)");
    if (!read_fields(facts_fields, ARRAY_LENGTH(facts_fields), from, facts, error) ||
        !read_part(from, "machine", machine_fields, ARRAY_LENGTH(machine_fields), &facts->machine, error) ||
        !read_part(from, "history", history_fields, ARRAY_LENGTH(history_fields), &facts->history, error) ||
        !read_part(from, "reply", reply_fields, ARRAY_LENGTH(reply_fields), &facts->reply, error) ||
        !read_asked(json_object_get(from, "asked"), facts, error) ||
        !read_other_addresses(json_object_get(from, "other_addresses"), facts, error))
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
        if (!read_list(&lists[i], json_object_get(from, lists[i].name), facts, error))
            return false;
    const char *network = json_string_value(json_object_get(from, "network"));
    facts->machine.network = network == NULL ? NULL : network_by_name(bytes_of_text(network));
    facts->provider = provider_by_host(bytes_of_text(facts->host));
    if (facts->provider == NULL)
        facts->provider = provider_by_mx(bytes_of_text(facts->host)); /* as examine finds it */
    return true;
}

bool facts_json_save(const char *path, const struct diagnosis_facts *facts, struct error *error)
{
    json_t *report = facts_json_write(facts);
    bool to_output = strcmp(path, "-") == 0;
    int file = to_output ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool saved = file >= 0 && json_dumpfd(report, file, JSON_INDENT(1) | JSON_PRESERVE_ORDER) == 0 &&
                 write(file, "\n", 1) == 1;
    if (!saved)
        error_set(error, EX_CANTCREAT, "%s: %s", path, strerror(errno));
    if (file >= 0 && !to_output && close(file) != 0 && saved)
        saved = error_set(error, EX_CANTCREAT, "%s: %s", path, strerror(errno));
    json_decref(report);
    return saved;
}

bool facts_json_load(const char *path, struct diagnosis_facts *facts, struct error *error)
{
    json_error_t fault;
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (file == NULL)
        return error_set(error, EX_NOINPUT, "%s: %s", path, strerror(errno));
    char *text = memory_new(FACTS_JSON_SIZE_MAX);
    size_t length = fread(text, 1, FACTS_JSON_SIZE_MAX, file);
    if (file != stdin)
        fclose(file);
    json_t *report = length < FACTS_JSON_SIZE_MAX ? json_loadb(text, length, 0, &fault) : NULL;
    free(text);
    if (report == NULL)
        return error_set(error, EX_DATAERR, "%s: not a report: %s", path,
                         length < FACTS_JSON_SIZE_MAX ? fault.text : "it is too large");
    bool read = facts_json_read(report, facts, error);
    json_decref(report);
    return read;
}
