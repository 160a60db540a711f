/* SPDX-License-Identifier: Apache-2.0 */
#include "core/domain/bulk_ready.h"

#include <assert.h>

static const struct {
    const char *name, *clause;
} words[BULK_REASONS] = {
    [BULK_NO_ADDRESS] = {"no_address", "the server's name has no address in DNS"},
    [BULK_NO_REVERSE] = {"no_reverse", "an address of the server has no reverse name (PTR)"},
    [BULK_REVERSE_NOT_BACK] = {"reverse_not_back", "a reverse name (PTR) does not lead back to its address"},
    [BULK_NO_MX] = {"no_mx", "the domain has no MX record, so no answer can come back"},
    [BULK_NO_SPF] = {"no_spf", "there is no SPF record"},
    [BULK_SPF_INVALID] = {"spf_invalid", "the SPF record is invalid"},
    [BULK_SPF_NOT_ALLOWED] = {"spf_not_allowed", "SPF does not allow this server to send"},
    [BULK_SPF_ANYONE] = {"spf_anyone", "SPF allows every address in the world to send"},
    [BULK_NO_HELO_SPF] = {"no_helo_spf", "the server's own name has no SPF record, so its reports are "
                                         "refused"},
    [BULK_HELO_SPF_WRONG] = {"helo_spf_wrong", "the SPF record of the server's own name is wrong, so its "
                                               "reports are refused"},
    [BULK_NO_DKIM_KEY] = {"no_dkim_key", "mail of the domain is not signed (there is no DKIM key)"},
    [BULK_NO_DKIM] = {"no_dkim", "the DKIM key is not published"},
    [BULK_DKIM_WRONG] = {"dkim_wrong", "DNS does not show the DKIM key that signs"},
    [BULK_DKIM_TESTING] = {"dkim_testing", "the DKIM record is marked as a test (t=y)"},
    [BULK_DKIM_WAITS] = {"dkim_waits",
                         "the DKIM key is published, but does not sign yet (mailboat dkim list)"},
    [BULK_NO_DMARC] = {"no_dmarc", "there is no DMARC record"},
    [BULK_DMARC_INVALID] = {"dmarc_invalid", "the DMARC record is invalid"},
    [BULK_UNKNOWN] = {"unknown", "some of what it takes could not be looked up"},
};

const char *bulk_reason_name(enum bulk_reason reason)
{
    assert(reason < BULK_REASONS);
    return words[reason].name;
}

const char *bulk_reason_clause(enum bulk_reason reason)
{
    assert(reason < BULK_REASONS);
    return words[reason].clause;
}

/* The reason that a finding is for a subject. An address that is not this machine's may be right (NAT), and
 * a fault of a report's address refuses no mail. */
static const struct {
    enum domain_subject subject;
    enum domain_fault fault;
    enum bulk_reason reason;
} table[] = {
    {SUBJECT_ADDRESS, FAULT_MISSING, BULK_NO_ADDRESS},
    {SUBJECT_PTR, FAULT_MISSING, BULK_NO_REVERSE},
    {SUBJECT_PTR, FAULT_REVERSE_NOT_BACK, BULK_REVERSE_NOT_BACK},
    {SUBJECT_MX, FAULT_MISSING, BULK_NO_MX},
    {SUBJECT_MX, FAULT_MX_NULL, BULK_NO_MX},
    {SUBJECT_SPF, FAULT_MISSING, BULK_NO_SPF},
    {SUBJECT_SPF, FAULT_SPF_TWO, BULK_SPF_INVALID},
    {SUBJECT_SPF, FAULT_SPF_SYNTAX, BULK_SPF_INVALID},
    {SUBJECT_SPF, FAULT_SPF_LOOKUPS, BULK_SPF_INVALID},
    {SUBJECT_SPF, FAULT_SPF_VOIDS, BULK_SPF_INVALID},
    {SUBJECT_SPF, FAULT_SPF_MX_NAMES, BULK_SPF_INVALID},
    {SUBJECT_SPF, FAULT_SPF_NOWHERE, BULK_SPF_INVALID},
    {SUBJECT_SPF, FAULT_SPF_NOT_ALLOWED, BULK_SPF_NOT_ALLOWED},
    {SUBJECT_SPF, FAULT_SPF_ANYONE, BULK_SPF_ANYONE},
    {SUBJECT_HELO_SPF, FAULT_MISSING, BULK_NO_HELO_SPF},
    {SUBJECT_HELO_SPF, FAULT_SPF_TWO, BULK_HELO_SPF_WRONG},
    {SUBJECT_HELO_SPF, FAULT_SPF_SYNTAX, BULK_HELO_SPF_WRONG},
    {SUBJECT_HELO_SPF, FAULT_SPF_LOOKUPS, BULK_HELO_SPF_WRONG},
    {SUBJECT_HELO_SPF, FAULT_SPF_VOIDS, BULK_HELO_SPF_WRONG},
    {SUBJECT_HELO_SPF, FAULT_SPF_MX_NAMES, BULK_HELO_SPF_WRONG},
    {SUBJECT_HELO_SPF, FAULT_SPF_NOWHERE, BULK_HELO_SPF_WRONG},
    {SUBJECT_HELO_SPF, FAULT_SPF_NOT_ALLOWED, BULK_HELO_SPF_WRONG},
    {SUBJECT_HELO_SPF, FAULT_SPF_ANYONE, BULK_HELO_SPF_WRONG},
    {SUBJECT_DKIM, FAULT_DKIM_NO_KEY, BULK_NO_DKIM_KEY},
    {SUBJECT_DKIM, FAULT_MISSING, BULK_NO_DKIM},
    {SUBJECT_DKIM, FAULT_DKIM_NOWHERE, BULK_NO_DKIM},
    {SUBJECT_DKIM, FAULT_DKIM_REVOKED, BULK_DKIM_WRONG},
    {SUBJECT_DKIM, FAULT_DKIM_CUT, BULK_DKIM_WRONG},
    {SUBJECT_DKIM, FAULT_DKIM_QUOTED, BULK_DKIM_WRONG},
    {SUBJECT_DKIM, FAULT_DKIM_SEVERAL, BULK_DKIM_WRONG},
    {SUBJECT_DKIM, FAULT_DKIM_OTHER_KEY, BULK_DKIM_WRONG},
    {SUBJECT_DKIM, FAULT_DKIM_BROKEN, BULK_DKIM_WRONG},
    {SUBJECT_DKIM, FAULT_DKIM_TESTING, BULK_DKIM_TESTING},
    {SUBJECT_DMARC, FAULT_MISSING, BULK_NO_DMARC},
    {SUBJECT_DMARC, FAULT_DMARC_TWO, BULK_DMARC_INVALID},
    {SUBJECT_DMARC, FAULT_DMARC_SYNTAX, BULK_DMARC_INVALID},
};

/* A receiver cannot be content with what nobody knows. */
static bool is_wanted(enum domain_subject subject)
{
    switch (subject) {
    case SUBJECT_ADDRESS:
    case SUBJECT_PTR:
    case SUBJECT_MX:
    case SUBJECT_SPF:
    case SUBJECT_HELO_SPF:
    case SUBJECT_DKIM:
    case SUBJECT_DMARC: return true;
    case SUBJECT_STS_HOST:
    case SUBJECT_MTA_STS:
    case SUBJECT_TLS_RPT:
    case SUBJECT_TLSA:
    case SUBJECT_SRV:
    case DOMAIN_SUBJECTS: break;
    }
    return false;
}

/* How far the best key of the domain is: a second one is no use to receivers while the first is fine. */
enum key_state_of_domain { KEYS_NOT_SHOWN, KEYS_SHOWN, KEYS_SIGN };

static enum key_state_of_domain best_key(const struct domain_row *rows, size_t count)
{
    enum key_state_of_domain best = KEYS_NOT_SHOWN;
    for (size_t i = 0; i < count; i++) {
        const struct domain_key *key = rows[i].record.key;
        if (rows[i].record.subject != SUBJECT_DKIM || key == NULL || key->stage >= KEY_RETIRED ||
            rows[i].finding.verdict != RECORD_RIGHT)
            continue;
        if (key->stage == KEY_ACTIVE)
            return KEYS_SIGN;
        best = KEYS_SHOWN;
    }
    return best;
}

static void note(const struct domain_row *row, enum key_state_of_domain keys, bool *is_reason)
{
    const struct domain_record *record = &row->record;
    bool spare = record->subject == SUBJECT_DKIM && keys != KEYS_NOT_SHOWN;
    if (!record->needed || !is_wanted(record->subject) || spare)
        return;
    if (row->finding.verdict == RECORD_UNKNOWN)
        is_reason[BULK_UNKNOWN] = true;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (table[i].subject == record->subject && table[i].fault == row->finding.fault)
            is_reason[table[i].reason] = true;
}

void bulk_ready_judge(const struct domain_row *rows, size_t count, struct bulk_ready *ready)
{
    bool is_reason[BULK_REASONS] = {false};
    enum key_state_of_domain keys = best_key(rows, count);
    *ready = (struct bulk_ready){.yes = count > 0};
    for (size_t i = 0; i < count; i++)
        note(&rows[i], keys, is_reason);
    is_reason[BULK_DKIM_WAITS] = keys == KEYS_SHOWN;
    for (int reason = 0; reason < BULK_REASONS; reason++)
        if (is_reason[reason])
            ready->reasons[ready->reason_count++] = (enum bulk_reason)reason;
    ready->yes = ready->yes && ready->reason_count == 0;
}

struct bytes bulk_ready_sentence(const struct bulk_ready *ready, struct arena *arena)
{
    struct buffer text = {0};
    buffer_add_text(&text, "ready for Gmail, Yahoo and Microsoft (also in bulk): ");
    if (ready->yes)
        buffer_add_text(&text, "yes");
    else if (ready->reason_count == 1 && ready->reasons[0] == BULK_UNKNOWN)
        buffer_add_text(&text, "not known, because ");
    else
        buffer_add_text(&text, "no, because ");
    for (size_t i = 0; i < ready->reason_count; i++)
        buffer_add_format(&text, "%s%s%s", i == 0 ? "" : "; ",
                          i > 0 && i + 1 == ready->reason_count ? "and " : "",
                          bulk_reason_clause(ready->reasons[i]));
    struct bytes sentence = arena_copy(arena, buffer_bytes(&text));
    buffer_free(&text);
    return sentence;
}
