/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "core/domain/row_check.h"
#include "core/trust/dmarc.h"
#include "core/trust/tlsrpt.h"

/* ---- where reports go ---- */

static struct bytes host_of(struct bytes address)
{
    size_t at = bytes_find_last(address, '@');
    return at == SIZE_MAX ? bytes_none() : bytes_from(address, at + 1);
}

/* Asks the shell about an address; further ones than fit are not asked about. */
static enum domain_mailbox_state mailbox_of(struct domain_check *check, struct bytes address)
{
    for (size_t i = 0; i < check->mailbox_count; i++)
        if (bytes_equal_nocase(check->mailboxes[i].address, address))
            return check->mailboxes[i].state;
    if (check->mailbox_count == DOMAIN_MAILBOXES_MAX)
        return MAILBOX_UNKNOWN;
    check->mailboxes[check->mailbox_count++].address = arena_copy(check->arena, address);
    return MAILBOX_UNASKED;
}

static bool is_null_mx(const struct dns_answer *mx)
{
    return mx->count == 1 && mx->records[0].name.length == 0;
}

/* Can mail for the domain be delivered at all (RFC 5321 5.1)? */
static enum domain_fault find_server(struct domain_check *check, struct bytes host)
{
    struct dns_facts *facts = &check->dns[AREA_REPORTS];
    const struct dns_answer *mx = dns_facts_look_up(facts, DNS_MX, host),
                            *four = dns_facts_look_up(facts, DNS_A, host),
                            *six = dns_facts_look_up(facts, DNS_AAAA, host);
    if (is_null_mx(mx))
        return FAULT_RUA_NO_SERVER;
    if (mx->count > 0 || four->count > 0 || six->count > 0)
        return FAULT_NONE;
    bool told = dns_status_is_told(mx->status) && dns_status_is_told(four->status) &&
                dns_status_is_told(six->status);
    return told ? FAULT_RUA_NO_SERVER : FAULT_NO_ANSWER;
}

static enum domain_fault reach(struct domain_check *check, struct bytes address)
{
    switch (mailbox_of(check, address)) {
    case MAILBOX_HERE: return FAULT_NONE;
    case MAILBOX_NOWHERE: return FAULT_RUA_NO_MAILBOX;
    case MAILBOX_UNASKED:
    case MAILBOX_ELSEWHERE:
    case MAILBOX_UNKNOWN: break;
    }
    return find_server(check, host_of(address));
}

/* Checks one URI; `domain`: where a DMARC record was found, empty for TLS-RPT. */
static enum domain_fault check_uri(struct domain_check *check, struct bytes uri, struct bytes domain,
                                   struct bytes *detail)
{
    struct buffer text = {0};
    *detail = uri;
    if (domain.length == 0 && bytes_starts_nocase(uri, "https:"))
        return FAULT_NONE; /* RFC 8460 3 */
    bool valid = report_uri_address(uri, &text);
    struct bytes address = arena_copy(check->arena, buffer_bytes(&text));
    buffer_free(&text);
    if (!valid)
        return FAULT_RUA_INVALID;
    *detail = address;
    enum domain_fault fault = reach(check, address);
    if (domain.length == 0 || fault != FAULT_NONE)
        return fault;
    switch (dmarc_external_allowed(domain, host_of(address), &check->dns[AREA_REPORTS])) {
    case DMARC_EXTERNAL_YES: return FAULT_NONE;
    case DMARC_EXTERNAL_TEMPERROR: return FAULT_NO_ANSWER;
    case DMARC_EXTERNAL_NO: break;
    }
    *detail = bytes_of_text(arena_format(check->arena, "%.*s._report._dmarc.%.*s", BYTES_ARG(domain),
                                         BYTES_ARG(host_of(address))));
    return FAULT_RUA_EXTERNAL;
}

/* Returns the first fault of the addresses; all are asked about at the same time. */
static struct domain_finding check_uris(struct domain_check *check, const struct report_uris *uris,
                                        struct bytes domain)
{
    struct domain_finding made = domain_finding_of(FAULT_NONE);
    for (size_t i = 0; i < uris->count; i++) {
        struct bytes detail;
        enum domain_fault fault = check_uri(check, uris->uris[i], domain, &detail);
        if (fault == FAULT_NONE || made.fault != FAULT_NONE)
            continue;
        made = domain_finding_of(fault);
        made.detail = found_text_clean(detail, check->arena);
    }
    return made;
}

/* ---- DMARC ---- */

/* The record that counts for the domain: its own, or that of its organization. *domain: where it is. */
static enum domain_fault find_record(struct domain_check *check, const struct dns_answer *answer,
                                     struct dmarc_record *record, struct bytes *domain)
{
    struct dmarc_walk walk;
    size_t count = 0, alike = 0;
    for (size_t i = 0; i < answer->count; i++) {
        struct dmarc_record read;
        alike += bytes_starts_nocase(answer->records[i].data, "v=DMARC1");
        if (dmarc_record_read(answer->records[i].data, &read) && ++count == 1)
            *record = read;
    }
    *domain = check->facts.domain;
    if (count > 1)
        return FAULT_DMARC_TWO;
    if (count == 1)
        return record->usable ? FAULT_NONE : FAULT_DMARC_SYNTAX;
    if (alike > 0)
        return FAULT_DMARC_SYNTAX;
    dmarc_walk_from(check->facts.domain, &check->dns[AREA_POLICY], &walk);
    if (walk.state == DMARC_WALK_LACKING || walk.start_failed)
        return FAULT_NO_ANSWER;
    if (walk.state == DMARC_WALK_FAILED || !walk.has_top || !walk.top.usable || walk.top.psd == DMARC_PSD_YES)
        return FAULT_MISSING;
    *record = walk.top;
    if (walk.top.sp != DMARC_POLICY_UNSET)
        record->p = walk.top.sp; /* this is a subdomain */
    *domain = walk.top_domain;
    return FAULT_NONE;
}

static struct domain_finding check_dmarc(struct domain_check *check, const struct dns_answer *answer)
{
    struct dmarc_record record = {.usable = false};
    struct bytes domain;
    enum domain_fault fault = find_record(check, answer, &record, &domain);
    if (fault != FAULT_NONE)
        return domain_finding_of(fault);
    struct domain_finding made = check_uris(check, &record.rua, domain);
    if (made.fault != FAULT_NONE)
        return made;
    if (record.rua.count == 0)
        return domain_finding_of(record.rua.invalid > 0 ? FAULT_RUA_INVALID : FAULT_DMARC_NO_RUA);
    return domain_finding_of(record.p == DMARC_POLICY_NONE ? FAULT_DMARC_NONE_ONLY : FAULT_NONE);
}

struct domain_finding report_check_dmarc(struct domain_check *check, const struct domain_record *record)
{
    bool has;
    const struct dns_answer *answer = dns_facts_look_up(&check->dns[AREA_POLICY], DNS_TXT, record->name);
    struct domain_finding made = domain_finding_of_answer(answer, &has);
    if (made.verdict == RECORD_UNKNOWN)
        return made;
    made = check_dmarc(check, answer);
    if (made.verdict != RECORD_RIGHT && made.verdict != RECORD_MISSING)
        made.found = found_text_with(answer, "v=DMARC1", check->arena);
    return made;
}

/* ---- TLS-RPT ---- */

struct domain_finding report_check_tls(struct domain_check *check, const struct domain_record *record)
{
    bool has;
    struct report_uris rua;
    struct dns_facts *facts = &check->dns[AREA_POLICY];
    const struct dns_answer *answer = dns_facts_look_up(facts, DNS_TXT, record->name);
    struct domain_finding made = domain_finding_of_answer(answer, &has);
    if (!has)
        return made;
    struct bytes found = found_text_with(answer, "v=TLSRPT", check->arena);
    switch (tlsrpt_look_up(check->facts.domain, facts, &rua)) {
    case TLSRPT_WANTED: made = check_uris(check, &rua, bytes_none()); break;
    case TLSRPT_NONE: made = domain_finding_of(found.length > 0 ? FAULT_TLSRPT_SYNTAX : FAULT_MISSING); break;
    case TLSRPT_TEMPERROR: made = domain_finding_of(FAULT_NO_ANSWER); break;
    }
    if (made.verdict != RECORD_RIGHT)
        made.found = found;
    return made;
}
