/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/setup/dns_table.h"

#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>

#include "cli/terminal.h"
#include "core/text/wrap.h"

static size_t width_of(const struct terminal *terminal)
{
    return terminal->width > 0 && terminal->width < DNS_TABLE_COLUMNS ? terminal->width : DNS_TABLE_COLUMNS;
}

/* Prints a line, wrapped; clears it. */
static void print_wrapped(struct buffer *line, size_t indent, size_t width)
{
    struct buffer wrapped = {0};
    wrap_add(&wrapped, buffer_bytes(line), indent, width);
    fwrite(buffer_text(&wrapped), 1, wrapped.length, stdout);
    buffer_free(&wrapped);
    buffer_clear(line);
}

/* ---- a zone ---- */

/* Prints comment lines: each begins with a semicolon. */
static void print_comment(struct buffer *text)
{
    struct buffer wrapped = {0};
    wrap_add(&wrapped, buffer_bytes(text), 0, DNS_TABLE_COLUMNS - 2);
    struct bytes rest = bytes_trim(buffer_bytes(&wrapped));
    while (rest.length > 0) {
        struct bytes line = bytes_split(&rest, '\n');
        printf("; %.*s\n", BYTES_ARG(line));
    }
    buffer_free(&wrapped);
    buffer_clear(text);
}

static void print_record(const struct domain_record *record)
{
    printf("%.*s. IN %s %.*s\n", BYTES_ARG(record->name), dns_type_name(record->type),
           BYTES_ARG(record->value));
}

/* Says why the record is not proposed. */
static void add_sts_reason(const struct dns_lookup *lookup, struct buffer *out)
{
    const struct domain_policy_file *file = &lookup->check.policy;
    buffer_add_format(out,
                      "MTA-STS: not proposed, as no policy is served at "
                      "https://mta-sts.%s/.well-known/mta-sts.txt",
                      lookup->domain);
    if (file->state == POLICY_FETCHED)
        buffer_add_text(out, ": the file there is not a policy");
    else if (file->state == POLICY_FAILED) {
        buffer_add_text(out, ": ");
        buffer_add_clean(out, file->text, true);
    }
    if (!lookup->facts.web && lookup->facts.sts.mode != STS_SETTING_OFF)
        buffer_add_text(out, "; this server serves it with web: {address: 0.0.0.0, tls_port: 443}, and a "
                             "certificate that names the host");
}

static void print_advice(const struct dns_lookup *lookup)
{
    const struct domain_facts *facts = &lookup->facts;
    struct buffer text = {0};
    if (facts->address_count == 0 && facts->smarthost.length == 0) {
        buffer_add_format(&text,
                          "%s: this machine has no public address; publish A/AAAA for the address that "
                          "others see, and have its PTR set",
                          lookup->hostname);
        print_comment(&text);
    }
    if (facts->key_count == 0) {
        buffer_add_text(&text, "DKIM: ");
        if (facts->keys_unreadable.length > 0)
            buffer_add_format(&text, "the keys cannot be read: %.*s", BYTES_ARG(facts->keys_unreadable));
        else
            buffer_add_format(&text, "no key; mailboat dkim add %s makes one", lookup->domain);
        print_comment(&text);
    }
    if (facts->sts_served.length == 0) {
        add_sts_reason(lookup, &text);
        print_comment(&text);
    }
    buffer_free(&text);
}

void dns_table_zone(struct dns_lookup *lookup, const struct domain_record *records, size_t count)
{
    enum domain_subject before = DOMAIN_SUBJECTS;
    struct buffer text = {0};
    print_advice(lookup);
    for (size_t i = 0; i < count; i++) {
        const struct domain_record *record = &records[i];
        bool reverse = record->subject == SUBJECT_PTR;
        if (record->subject != before && !reverse)
            printf("\n");
        if (record->subject != before || reverse) {
            buffer_add_format(&text, "%s: %s%s", domain_subject_name(record->subject),
                              domain_subject_use(record->subject), record->needed ? "" : " (recommended)");
            print_comment(&text);
        }
        if (reverse)
            printf("; ");
        print_record(record);
        before = reverse ? before : record->subject;
    }
    buffer_free(&text);
}

/* ---- a web form ---- */

static void print_field(const char *name, struct bytes value)
{
    printf("  %-9s %.*s\n", name, BYTES_ARG(value));
}

static void print_number(const char *name, unsigned value)
{
    printf("  %-9s %u\n", name, value);
}

void dns_table_form(struct dns_lookup *lookup, const struct domain_record *records, size_t count)
{
    print_advice(lookup);
    for (size_t i = 0; i < count; i++) {
        const struct domain_record *record = &records[i];
        printf("\n%s%s\n", domain_subject_name(record->subject), record->needed ? "" : " (recommended)");
        print_field("Type", bytes_of_text(dns_type_name(record->type)));
        print_field("Name", domain_record_form_name(&lookup->facts, record, &lookup->arena));
        if (record->type == DNS_MX || record->type == DNS_SRV)
            print_number("Priority", record->priority);
        if (record->type == DNS_SRV) {
            print_number("Weight", record->weight);
            print_number("Port", record->port);
        }
        print_field(record->type == DNS_SRV ? "Target" : "Value", record->text);
    }
}

/* ---- findings ---- */

/* A long value is shortened: its end is of little use without all of it. */
static void add_value(struct buffer *out, struct bytes value)
{
    size_t columns = wrap_columns(value);
    if (columns <= DNS_TABLE_VALUE_MAX) {
        buffer_add(out, value);
        return;
    }
    size_t cut = DNS_TABLE_VALUE_MAX / 2;
    while (cut > 0 && ((unsigned char)value.at[cut] & 0xc0) == 0x80)
        cut--;
    buffer_add_format(out, "%.*s... (%zu characters)", BYTES_ARG(bytes_first(value, cut)), value.length);
}

static void print_value(const char *what, struct bytes value, size_t width)
{
    struct buffer line = {0};
    if (value.length > 0) {
        buffer_add_format(&line, "           %-11s ", what);
        add_value(&line, value);
        print_wrapped(&line, 23, width);
    }
    buffer_free(&line);
}

static void print_row(struct dns_lookup *lookup, const struct domain_row *row,
                      const struct terminal *terminal)
{
    struct buffer line = {0};
    const struct domain_finding *f = &row->finding;
    bool optional = !row->record.needed && f->verdict == RECORD_MISSING;
    bool red = (f->verdict == RECORD_MISSING && !optional) || f->verdict == RECORD_DIFFERENT;
    const char *colour = red                          ? terminal_red(terminal)
                         : f->verdict == RECORD_RIGHT ? ""
                                                      : terminal_yellow(terminal);
    const char *status = optional ? "(missing)" : domain_verdict_status(f->verdict);
    buffer_add_format(&line, "%s%-10s%s %-12s %.*s", colour, status,
                      colour[0] == '\0' ? "" : terminal_plain(terminal),
                      domain_subject_name(row->record.subject), BYTES_ARG(row->record.name));
    if (f->counted)
        buffer_add_format(&line, " (%u of 10 lookups, %u of 2 void)", f->lookups, f->voids);
    print_wrapped(&line, 11, width_of(terminal));
    print_value("DNS says", f->found, width_of(terminal));
    print_value("should say", domain_row_should(row), width_of(terminal));
    struct bytes hint = domain_finding_hint(f, &lookup->arena);
    if (hint.length > 0) {
        buffer_add_format(&line, "           %.*s", BYTES_ARG(hint));
        print_wrapped(&line, 11, width_of(terminal));
    }
    buffer_free(&line);
}

void dns_table_findings(struct dns_lookup *lookup)
{
    struct terminal terminal;
    struct buffer line = {0};
    int exit_code = dns_lookup_exit_code(lookup);
    terminal_look(&terminal);
    for (size_t i = 0; i < lookup->check.row_count; i++)
        print_row(lookup, &lookup->check.rows[i], &terminal);
    buffer_add_format(&line, "-> %s",
                      exit_code == EX_OK ? "all required records are right; (missing) marks recommended ones"
                      : exit_code == EX_TEMPFAIL ? "some of it could not be looked up; try again later"
                                                 : "set the records that are missing or wrong; all of them: "
                                                   "mailboat dns ");
    if (exit_code == EX_UNAVAILABLE)
        buffer_add_text(&line, lookup->domain);
    print_wrapped(&line, 3, width_of(&terminal));
    struct bytes sentence = bulk_ready_sentence(&lookup->ready, &lookup->arena);
    buffer_add_format(&line, "-> %.*s", BYTES_ARG(sentence));
    print_wrapped(&line, 3, width_of(&terminal));
    buffer_free(&line);
}

/* ---- JSON ---- */

static json_t *text_json(struct bytes text)
{
    return json_stringn(text.at == NULL ? "" : text.at, text.length);
}

static json_t *form_json(struct dns_lookup *lookup, const struct domain_record *record)
{
    json_t *form = json_pack("{s:o, s:o}", "name",
                             text_json(domain_record_form_name(&lookup->facts, record, &lookup->arena)),
                             "value", text_json(record->text));
    if (record->type == DNS_MX || record->type == DNS_SRV)
        json_object_set_new(form, "priority", json_integer(record->priority));
    if (record->type == DNS_SRV) {
        json_object_set_new(form, "weight", json_integer(record->weight));
        json_object_set_new(form, "port", json_integer(record->port));
    }
    return form;
}

static json_t *record_json(struct dns_lookup *lookup, const struct domain_record *r)
{
    return json_pack("{s:s, s:o, s:s, s:o, s:b, s:s, s:o}", "subject", domain_subject_name(r->subject),
                     "name", text_json(r->name), "type", dns_type_name(r->type), "value", text_json(r->value),
                     "needed", r->needed, "use", domain_subject_use(r->subject), "form",
                     form_json(lookup, r));
}

static json_t *row_json(struct dns_lookup *lookup, const struct domain_row *row)
{
    const struct domain_finding *f = &row->finding;
    json_t *one = record_json(lookup, &row->record);
    struct bytes hint = domain_finding_hint(f, &lookup->arena), should = domain_row_should(row);
    json_object_set_new(one, "verdict", json_string(domain_verdict_name(f->verdict)));
    json_object_set_new(one, "status", json_string(domain_verdict_status(f->verdict)));
    json_object_set_new(one, "fault", json_string(domain_fault_name(f->fault)));
    if (f->found.length > 0)
        json_object_set_new(one, "found", text_json(f->found));
    if (should.length > 0)
        json_object_set_new(one, "should", text_json(should));
    if (f->counted) {
        json_object_set_new(one, "lookups", json_integer(f->lookups));
        json_object_set_new(one, "voids", json_integer(f->voids));
    }
    if (hint.length > 0) {
        json_t *text = text_json(hint);
        json_object_set(one, "mend", text); /* its name until release 0.2 */
        json_object_set_new(one, "hint", text);
    }
    return one;
}

static json_t *ready_json(struct dns_lookup *lookup)
{
    json_t *reasons = json_array();
    for (size_t i = 0; i < lookup->ready.reason_count; i++) {
        enum bulk_reason reason = lookup->ready.reasons[i];
        json_array_append_new(reasons, json_pack("{s:s, s:s}", "reason", bulk_reason_name(reason), "words",
                                                 bulk_reason_clause(reason)));
    }
    return json_pack("{s:b, s:o, s:o}", "yes", lookup->ready.yes, "reasons", reasons, "sentence",
                     text_json(bulk_ready_sentence(&lookup->ready, &lookup->arena)));
}

void dns_table_json(struct dns_lookup *lookup, const struct domain_record *records, size_t count,
                    bool checked)
{
    json_t *list = json_array();
    for (size_t i = 0; !checked && i < count; i++)
        json_array_append_new(list, record_json(lookup, &records[i]));
    for (size_t i = 0; checked && i < lookup->check.row_count; i++)
        json_array_append_new(list, row_json(lookup, &lookup->check.rows[i]));
    json_t *facts = json_pack("{s:s, s:s, s:b, s:o}", "domain", lookup->domain, "host", lookup->hostname,
                              "hosted", lookup->hosted, "records", list);
    if (checked)
        json_object_set_new(facts, "ready", ready_json(lookup));
    json_dumpf(facts, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(facts);
}
