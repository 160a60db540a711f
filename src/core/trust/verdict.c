/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/verdict.h"

#include <assert.h>

/* The reply that a finding gets; its text is made by add_text(). */
enum verdict_reply { REPLY_NONE, REPLY_FORM, REPLY_POLICY, REPLY_LATER };

/* The consequence of each finding. */
static const struct verdict_row {
    enum disposition disposition;
    enum verdict_override override;
    enum verdict_reply reply;
    const char *sentence;
} ROWS[VERDICT_FINDINGS] = {
    [FINDING_NOT_CHECKED] = {DISPOSITION_DELIVER, OVERRIDE_NONE, REPLY_NONE,
                             "the message was not checked: it was submitted, or trust.mode is off"},
    [FINDING_BAD_FORM] = {DISPOSITION_REJECT, OVERRIDE_NONE, REPLY_FORM,
                          "the header is not valid (RFC 5322 3.6)"},
    [FINDING_PASS] = {DISPOSITION_DELIVER, OVERRIDE_NONE, REPLY_NONE, "DMARC passes"},
    [FINDING_NO_POLICY] = {DISPOSITION_DELIVER, OVERRIDE_NONE, REPLY_NONE,
                           "the domain in From publishes no DMARC policy"},
    [FINDING_SEVERAL_AUTHORS] = {DISPOSITION_DELIVER, OVERRIDE_NONE, REPLY_NONE,
                                 "From has addresses of several domains, so no DMARC policy applies"},
    [FINDING_FAIL_NONE] = {DISPOSITION_DELIVER, OVERRIDE_NONE, REPLY_NONE,
                           "DMARC fails, and the policy of the domain is none"},
    [FINDING_FAIL_NONE_TESTING] = {DISPOSITION_DELIVER, OVERRIDE_TEST_MODE, REPLY_NONE,
                                   "DMARC fails, and the domain only tests its policy quarantine (t=y)"},
    [FINDING_FAIL_QUARANTINE] = {DISPOSITION_JUNK, OVERRIDE_NONE, REPLY_NONE,
                                 "DMARC fails, and the policy of the domain is quarantine"},
    [FINDING_FAIL_QUARANTINE_TESTING] = {DISPOSITION_JUNK, OVERRIDE_TEST_MODE, REPLY_NONE,
                                         "DMARC fails, and the domain only tests its policy reject (t=y)"},
    [FINDING_FAIL_QUARANTINE_ARC] = {DISPOSITION_DELIVER, OVERRIDE_TRUSTED_FORWARDER, REPLY_NONE,
                                     "DMARC fails, but a trusted forwarder has sealed the message (ARC)"},
    [FINDING_FAIL_QUARANTINE_FORWARDER] = {DISPOSITION_DELIVER, OVERRIDE_TRUSTED_FORWARDER, REPLY_NONE,
                                           "DMARC fails, but the client is a listed forwarder"},
    [FINDING_FAIL_REJECT] = {DISPOSITION_REJECT, OVERRIDE_NONE, REPLY_POLICY,
                             "DMARC fails, and the policy of the domain is reject"},
    [FINDING_FAIL_REJECT_ARC] = {DISPOSITION_JUNK, OVERRIDE_TRUSTED_FORWARDER, REPLY_NONE,
                                 "DMARC fails with policy reject, but a trusted forwarder has sealed the "
                                 "message (ARC)"},
    [FINDING_FAIL_REJECT_FORWARDER] =
        {DISPOSITION_JUNK, OVERRIDE_TRUSTED_FORWARDER, REPLY_NONE,
         "DMARC fails with policy reject, but the client is a listed forwarder"},
    [FINDING_FAIL_REJECT_LIST] = {DISPOSITION_JUNK, OVERRIDE_MAILING_LIST, REPLY_NONE,
                                  "DMARC fails with policy reject, but the message is from a mailing list "
                                  "that has signed it"},
    [FINDING_TEMPERROR] = {DISPOSITION_DELIVER, OVERRIDE_NONE, REPLY_NONE,
                           "DNS did not answer, so DMARC has no result"},
    [FINDING_TEMPERROR_REJECT] = {DISPOSITION_DEFER, OVERRIDE_NONE, REPLY_LATER,
                                  "DNS did not answer, and the policy of the domain is reject"},
    [FINDING_TEMPERROR_ACCEPTED] = {DISPOSITION_DELIVER, OVERRIDE_LOCAL_POLICY, REPLY_NONE,
                                    "DNS has not answered for a day, so the message is accepted unchecked"},
};

static enum verdict_finding fail_finding(const struct verdict_facts *facts)
{
    switch (facts->dmarc->policy) {
    case DMARC_POLICY_REJECT:
        return facts->arc_trusted ? FINDING_FAIL_REJECT_ARC
               : facts->forwarder ? FINDING_FAIL_REJECT_FORWARDER
               : facts->list      ? FINDING_FAIL_REJECT_LIST
                                  : FINDING_FAIL_REJECT;
    case DMARC_POLICY_QUARANTINE:
        return facts->arc_trusted      ? FINDING_FAIL_QUARANTINE_ARC
               : facts->forwarder      ? FINDING_FAIL_QUARANTINE_FORWARDER
               : facts->dmarc->testing ? FINDING_FAIL_QUARANTINE_TESTING
                                       : FINDING_FAIL_QUARANTINE;
    case DMARC_POLICY_NONE:
    case DMARC_POLICY_UNSET: break;
    }
    return facts->dmarc->testing ? FINDING_FAIL_NONE_TESTING : FINDING_FAIL_NONE;
}

/* A temporary failure matters only where the message would be refused otherwise. */
static enum verdict_finding temperror_finding(const struct verdict_facts *facts)
{
    bool spared = facts->arc_trusted || facts->forwarder || facts->list;
    if (facts->dmarc->policy != DMARC_POLICY_REJECT || spared)
        return FINDING_TEMPERROR;
    return facts->deferred_enough ? FINDING_TEMPERROR_ACCEPTED : FINDING_TEMPERROR_REJECT;
}

static enum verdict_finding find(const struct verdict_facts *facts)
{
    if (facts->authenticated || facts->mode == VERDICT_OFF)
        return FINDING_NOT_CHECKED;
    if (facts->form != FORM_FINE)
        return FINDING_BAD_FORM;
    switch (facts->dmarc->result) {
    case DMARC_PASS: return FINDING_PASS;
    case DMARC_NONE: return FINDING_NO_POLICY;
    case DMARC_PERMERROR: return FINDING_SEVERAL_AUTHORS;
    case DMARC_TEMPERROR: return temperror_finding(facts);
    case DMARC_FAIL: break;
    }
    return fail_finding(facts);
}

/* ---- replies ---- */

static const char *const FORM_TEXTS[VERDICT_FORMS] = {
    [FORM_FINE] = "",
    [FORM_TOO_LARGE] = "Message header is over 256 KiB or has over 1,000 fields; send it with fewer",
    [FORM_NO_FROM] = "Message has no From field (RFC 5322 3.6); add one with the address of its author",
    [FORM_SEVERAL_FROM] = "Message has more than one From field (RFC 5322 3.6); send it with one",
    [FORM_BAD_FROM] = "Message has no valid address in From (RFC 5322 3.6.2); write it as <name@example.org>",
    [FORM_SEVERAL_DATES] = "Message has more than one Date field (RFC 5322 3.6); send it with one",
    [FORM_SEVERAL_SUBJECTS] = "Message has more than one Subject field (RFC 5322 3.6); send it with one",
    [FORM_SEVERAL_SENDERS] = "Message has more than one Sender field (RFC 5322 3.6); send it with one",
};

/* Appends a domain: ASCII without control characters, cut at VERDICT_NAME_MAX. */
static void add_name(struct buffer *out, struct bytes domain)
{
    buffer_add_clean(out, bytes_first(domain, VERDICT_NAME_MAX), false);
    if (domain.length > VERDICT_NAME_MAX)
        buffer_add_text(out, "...");
}

/* The hint depends on what the message has: a signature of another domain, one that is broken, or none. */
static void add_policy_text(struct buffer *out, const struct verdict_facts *facts)
{
    bool signed_by_other = false, broken = false;
    for (size_t i = 0; i < facts->identifiers->dkim_count; i++) {
        bool passes = facts->identifiers->dkim[i].outcome == DMARC_OUTCOME_PASS;
        signed_by_other = signed_by_other || passes;
        broken = broken || !passes;
    }
    buffer_add_text(out, "Rejected by the DMARC policy of ");
    add_name(out, facts->dmarc->author);
    if (signed_by_other)
        buffer_add_text(out, "; the DKIM signature is another domain's: sign as the domain in From");
    else if (broken)
        buffer_add_text(out, "; the DKIM signature does not verify: do not change mail after signing");
    else
        buffer_add_text(out, "; sign with DKIM as that domain, or list the server in its SPF record");
}

static void add_text(struct buffer *out, enum verdict_reply reply, const struct verdict_facts *facts)
{
    switch (reply) {
    case REPLY_NONE: break;
    case REPLY_FORM: buffer_add_text(out, FORM_TEXTS[facts->form]); break;
    case REPLY_POLICY: add_policy_text(out, facts); break;
    case REPLY_LATER:
        buffer_add_text(out, "Temporary DNS failure while checking the DMARC policy of ");
        add_name(out, facts->dmarc->author);
        buffer_add_text(out, "; try again later");
        break;
    }
}

static const char *enhanced_code(enum verdict_reply reply, const struct verdict_facts *facts)
{
    switch (reply) {
    case REPLY_NONE: break;
    case REPLY_FORM: return "5.6.0";
    case REPLY_POLICY: return "5.7.26";
    case REPLY_LATER: /* RFC 7372 3.2, 3.1 */
        return facts->spf != NULL && facts->spf->result == SPF_TEMPERROR ? "4.7.24" : "4.7.20";
    }
    return "";
}

void verdict_judge(const struct verdict_facts *facts, struct verdict *verdict)
{
    struct buffer text = {0};
    enum verdict_finding finding = find(facts);
    const struct verdict_row *row = &ROWS[finding];
    *verdict = (struct verdict){.finding = finding,
                                .disposition = row->disposition,
                                .proposed = row->disposition,
                                .override = row->override,
                                .code = row->reply == REPLY_NONE    ? 0
                                        : row->reply == REPLY_LATER ? 451
                                                                    : 550,
                                .enhanced = enhanced_code(row->reply, facts)};
    add_text(&text, row->reply, facts);
    assert(text.length <= VERDICT_REPLY_MAX);
    memcpy(verdict->text, buffer_text(&text), text.length + 1);
    buffer_free(&text);
    if (facts->mode == VERDICT_OBSERVE && verdict->disposition != DISPOSITION_DELIVER) {
        verdict->disposition = DISPOSITION_DELIVER;
        verdict->override = OVERRIDE_LOCAL_POLICY;
    }
}

const char *verdict_finding_sentence(enum verdict_finding finding)
{
    assert(finding < VERDICT_FINDINGS);
    return ROWS[finding].sentence;
}

const char *verdict_disposition_name(enum disposition disposition)
{
    static const char *const NAMES[] = {"deliver", "junk", "defer", "reject"};
    return NAMES[disposition];
}

const char *verdict_override_name(enum verdict_override override)
{
    static const char *const NAMES[] = {"", "mailing_list", "trusted_forwarder", "policy_test_mode",
                                        "local_policy"};
    return NAMES[override];
}
