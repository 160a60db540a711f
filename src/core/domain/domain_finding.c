/* SPDX-License-Identifier: Apache-2.0 */
#include "core/domain/domain_finding.h"

#include <assert.h>

static const struct {
    enum domain_verdict verdict;
    const char *name, *hint;
} faults[DOMAIN_FAULTS] = {
    [FAULT_NONE] = {RECORD_RIGHT, "none", ""},
    [FAULT_MISSING] = {RECORD_MISSING, "missing", ""},
    [FAULT_NO_ANSWER] = {RECORD_UNKNOWN, "no_answer", "the domain's DNS servers did not answer"},
    [FAULT_BOGUS] = {RECORD_UNKNOWN, "bogus", "DNSSEC validation failed: fix the zone's signatures"},
    [FAULT_OTHER_ADDRESS] = {RECORD_UNSURE, "other_address",
                             "the name resolves to an address that this machine does not have; correct "
                             "behind NAT, otherwise fix the record"},
    [FAULT_REVERSE_NOT_BACK] = {RECORD_DIFFERENT, "reverse_not_back",
                                "the reverse name does not lead back to the address; ask the provider of the "
                                "address to set it to the server's host name"},
    [FAULT_REVERSE_OTHER_NAME] = {RECORD_UNSURE, "reverse_other_name",
                                  "the reverse name leads back, but is not the name that this server sends "
                                  "in EHLO; better ask the provider of the address to set it to that"},
    [FAULT_MX_ELSEWHERE] = {RECORD_DIFFERENT, "mx_elsewhere",
                            "mail for the domain goes to another server; set the MX record to receive it "
                            "here"},
    [FAULT_MX_NULL] = {RECORD_DIFFERENT, "mx_null",
                       "the record says that the domain accepts no mail (RFC 7505); set it to this server"},
    [FAULT_SPF_TWO] = {RECORD_DIFFERENT, "spf_two",
                       "there are several SPF records, which makes all of them invalid; keep exactly one"},
    [FAULT_SPF_SYNTAX] = {RECORD_DIFFERENT, "spf_syntax",
                          "the record has a syntax error, so receivers ignore all of it"},
    [FAULT_SPF_LOOKUPS] = {RECORD_DIFFERENT, "spf_lookups",
                           "the record needs more than 10 DNS lookups, after which receivers give up; remove "
                           "include, a and mx terms, or write their addresses as ip4 and ip6"},
    [FAULT_SPF_VOIDS] = {RECORD_DIFFERENT, "spf_voids",
                         "more than 2 lookups of the record find nothing, after which receivers give up; "
                         "remove the terms whose names do not exist"},
    [FAULT_SPF_VOIDS_OTHERS] = {RECORD_UNSURE, "spf_voids_others",
                                "for senders that are not listed more than 2 lookups of the record find "
                                "nothing, after which receivers give up"},
    [FAULT_SPF_MX_NAMES] = {RECORD_DIFFERENT, "spf_mx_names",
                            "an mx term leads to more than 10 servers, after which receivers give up"},
    [FAULT_SPF_NOWHERE] = {RECORD_DIFFERENT, "spf_nowhere",
                           "include or redirect names a domain without an SPF record, which makes this "
                           "record invalid; correct or remove it"},
    [FAULT_SPF_DNS] = {RECORD_UNKNOWN, "spf_dns", "DNS did not answer for a name that the record needs"},
    [FAULT_SPF_NOT_ALLOWED] = {RECORD_DIFFERENT, "spf_not_allowed",
                               "it does not allow this server to send from"},
    [FAULT_SPF_ANYONE] = {RECORD_DIFFERENT, "spf_anyone",
                          "it allows every address in the world to send as the domain; end it with ~all or "
                          "-all"},
    [FAULT_SPF_SMARTHOST] = {RECORD_UNSURE, "spf_smarthost",
                             "mail leaves through the smarthost, whose addresses are not known here; the "
                             "record needs what its provider prescribes, usually an include. Smarthost"},
    [FAULT_SPF_NO_ADDRESS] = {RECORD_UNSURE, "spf_no_address",
                              "this server's public address is not known, so nothing was compared"},
    [FAULT_DKIM_NO_KEY] = {RECORD_MISSING, "dkim_no_key",
                           "mail of the domain is not signed: no key was made; use mailboat dkim add"},
    [FAULT_DKIM_UNREADABLE] = {RECORD_UNKNOWN, "dkim_unreadable", "the keys could not be read"},
    [FAULT_DKIM_NOWHERE] = {RECORD_DIFFERENT, "dkim_nowhere",
                            "the name is an alias (CNAME) that leads to no TXT record; publish the record at "
                            "the target of the alias, or in the place of it"},
    [FAULT_DKIM_REVOKED] = {RECORD_DIFFERENT, "dkim_revoked",
                            "the record has an empty p=, which revokes the key; publish the whole record"},
    [FAULT_DKIM_CUT] = {RECORD_DIFFERENT, "dkim_cut",
                        "the record is cut: it has only the beginning of the key; publish it as several "
                        "strings of at most 255 characters. Cut at"},
    [FAULT_DKIM_QUOTED] = {RECORD_DIFFERENT, "dkim_quoted",
                           "quotation marks are part of the text; publish the value without them"},
    [FAULT_DKIM_SEVERAL] = {RECORD_DIFFERENT, "dkim_several",
                            "there is more than one TXT record at that name, and receivers take any of them; "
                            "keep only this one"},
    [FAULT_DKIM_OTHER_KEY] = {RECORD_DIFFERENT, "dkim_other_key",
                              "it is another key than the one that signs; replace it with this record"},
    [FAULT_DKIM_BROKEN] = {RECORD_DIFFERENT, "dkim_broken",
                           "the text is not a key that receivers can read; replace it with this record"},
    [FAULT_DKIM_TESTING] = {RECORD_UNSURE, "dkim_testing",
                            "t=y asks receivers to treat signed mail as unsigned; remove it"},
    [FAULT_DMARC_TWO] = {RECORD_DIFFERENT, "dmarc_two",
                         "there are several DMARC records, which makes all of them invalid; keep exactly "
                         "one"},
    [FAULT_DMARC_SYNTAX] = {RECORD_DIFFERENT, "dmarc_syntax",
                            "receivers cannot use the record: it needs v=DMARC1 first, and a valid p="},
    [FAULT_DMARC_NONE_ONLY] = {RECORD_RIGHT, "dmarc_none",
                               "p=none is enough for bulk mail and protects nothing; quarantine or reject "
                               "does, once the reports show that all your mail passes"},
    [FAULT_DMARC_NO_RUA] = {RECORD_UNSURE, "dmarc_no_rua",
                            "without rua= nobody reports who sends as the domain"},
    [FAULT_RUA_EXTERNAL] = {RECORD_DIFFERENT, "rua_external",
                            "another domain must agree to get the reports, and does not: it needs a TXT "
                            "record \"v=DMARC1\" at"},
    [FAULT_RUA_NO_MAILBOX] = {RECORD_DIFFERENT, "rua_no_mailbox",
                              "reports cannot arrive: no user or alias of this server has the address"},
    [FAULT_RUA_NO_SERVER] = {RECORD_DIFFERENT, "rua_no_server",
                             "reports cannot arrive: the domain of the address has no mail server"},
    [FAULT_RUA_INVALID] = {RECORD_DIFFERENT, "rua_invalid",
                           "rua= has no address that reports can be sent to; write mailto: before it"},
    [FAULT_STS_RECORD] = {RECORD_DIFFERENT, "sts_record",
                          "there must be exactly one such record, with v=STSv1 and an id of letters and "
                          "digits"},
    [FAULT_STS_NOT_SERVED] = {RECORD_DIFFERENT, "sts_not_served",
                              "the record announces a policy that cannot be fetched; serve it, or remove the "
                              "record"},
    [FAULT_STS_POLICY] = {RECORD_DIFFERENT, "sts_policy",
                          "the file that is served is not an MTA-STS policy, so other servers ignore it"},
    [FAULT_STS_MX] = {RECORD_DIFFERENT, "sts_mx",
                      "the policy does not list a server of the domain's MX, so others do not deliver to it"},
    [FAULT_STS_NOT_ENFORCED] = {RECORD_UNSURE, "sts_not_enforced",
                                "the policy protects nothing yet: its mode is"},
    [FAULT_TLSRPT_SYNTAX] = {RECORD_DIFFERENT, "tlsrpt_syntax",
                             "there must be exactly one such record, with v=TLSRPTv1 and rua="},
    [FAULT_TLSA_UNSIGNED] = {RECORD_RIGHT, "tlsa_unsigned",
                             "it takes effect only in a zone with DNSSEC, and this zone is not signed"},
    [FAULT_TLSA_OTHER_KEY] = {RECORD_DIFFERENT, "tlsa_other_key",
                              "it does not match this server's certificate, so senders that check DANE will "
                              "not deliver; publish the new record beside it, then remove the old one"},
    [FAULT_SRV_ELSEWHERE] = {RECORD_DIFFERENT, "srv_elsewhere",
                             "mail programs are directed to another server or port"},
};

const char *domain_verdict_name(enum domain_verdict verdict)
{
    static const char *const names[DOMAIN_VERDICTS] = {"right", "missing", "different", "unsure", "unknown"};
    assert(verdict < DOMAIN_VERDICTS);
    return names[verdict];
}

const char *domain_verdict_status(enum domain_verdict verdict)
{
    static const char *const names[DOMAIN_VERDICTS] = {"fine", "missing", "wrong", "unsure", "unknown"};
    assert(verdict < DOMAIN_VERDICTS);
    return names[verdict];
}

const char *domain_fault_name(enum domain_fault fault)
{
    assert(fault < DOMAIN_FAULTS);
    return faults[fault].name;
}

const char *domain_fault_hint(enum domain_fault fault)
{
    assert(fault < DOMAIN_FAULTS);
    return faults[fault].hint;
}

bool domain_fault_is_of_value(enum domain_fault fault)
{
    switch (fault) {
    case FAULT_MISSING:
    case FAULT_OTHER_ADDRESS:
    case FAULT_REVERSE_NOT_BACK:
    case FAULT_REVERSE_OTHER_NAME:
    case FAULT_MX_ELSEWHERE:
    case FAULT_MX_NULL:
    case FAULT_SPF_TWO:
    case FAULT_SPF_SYNTAX:
    case FAULT_DKIM_NOWHERE:
    case FAULT_DKIM_REVOKED:
    case FAULT_DKIM_CUT:
    case FAULT_DKIM_QUOTED:
    case FAULT_DKIM_SEVERAL:
    case FAULT_DKIM_OTHER_KEY:
    case FAULT_DKIM_BROKEN:
    case FAULT_DKIM_TESTING:
    case FAULT_DMARC_TWO:
    case FAULT_DMARC_SYNTAX:
    case FAULT_STS_RECORD:
    case FAULT_TLSRPT_SYNTAX:
    case FAULT_TLSA_OTHER_KEY:
    case FAULT_SRV_ELSEWHERE: return true;
    case FAULT_NONE:
    case FAULT_NO_ANSWER:
    case FAULT_BOGUS:
    case FAULT_SPF_LOOKUPS:
    case FAULT_SPF_VOIDS:
    case FAULT_SPF_VOIDS_OTHERS:
    case FAULT_SPF_MX_NAMES:
    case FAULT_SPF_NOWHERE:
    case FAULT_SPF_DNS:
    case FAULT_SPF_NOT_ALLOWED:
    case FAULT_SPF_ANYONE:
    case FAULT_SPF_SMARTHOST:
    case FAULT_SPF_NO_ADDRESS:
    case FAULT_DKIM_NO_KEY:
    case FAULT_DKIM_UNREADABLE:
    case FAULT_DMARC_NONE_ONLY:
    case FAULT_DMARC_NO_RUA:
    case FAULT_RUA_EXTERNAL:
    case FAULT_RUA_NO_MAILBOX:
    case FAULT_RUA_NO_SERVER:
    case FAULT_RUA_INVALID:
    case FAULT_STS_NOT_SERVED:
    case FAULT_STS_POLICY:
    case FAULT_STS_MX:
    case FAULT_STS_NOT_ENFORCED:
    case FAULT_TLSA_UNSIGNED:
    case DOMAIN_FAULTS: break;
    }
    return false;
}

struct bytes domain_finding_hint(const struct domain_finding *finding, struct arena *arena)
{
    const char *hint = domain_fault_hint(finding->fault);
    if (finding->detail.length == 0 || hint[0] == '\0')
        return bytes_of_text(hint);
    size_t length = strlen(hint);
    bool joined = finding->fault == FAULT_SPF_NOT_ALLOWED || finding->fault == FAULT_RUA_EXTERNAL ||
                  finding->fault == FAULT_STS_NOT_ENFORCED || finding->fault == FAULT_SPF_SMARTHOST ||
                  finding->fault == FAULT_DKIM_CUT || finding->fault == FAULT_DKIM_NO_KEY;
    assert(length > 0);
    return bytes_of_text(
        arena_format(arena, joined ? "%s %.*s" : "%s: %.*s", hint, BYTES_ARG(finding->detail)));
}

struct domain_finding domain_finding_of(enum domain_fault fault)
{
    assert(fault < DOMAIN_FAULTS);
    return (struct domain_finding){.verdict = faults[fault].verdict, .fault = fault};
}

struct domain_finding domain_finding_of_answer(const struct dns_answer *answer, bool *has)
{
    *has = false;
    if (answer->status == DNS_BOGUS)
        return domain_finding_of(FAULT_BOGUS);
    if (!dns_status_is_told(answer->status))
        return domain_finding_of(FAULT_NO_ANSWER);
    *has = answer->count > 0;
    return domain_finding_of(*has ? FAULT_NONE : FAULT_MISSING);
}
