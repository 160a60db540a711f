/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict: what becomes of a message, from the results of SPF, DKIM, ARC and DMARC. One table (verdict.c) has
 * a row for each finding: what happens, how it is reported, the reply, and the sentence for explain.
 *
 * trust calls verdict_judge() once, when nothing is lacking any more. What follows from SPF or DKIM alone is
 * never more than a line in Authentication-Results: a forwarder breaks SPF, a mailing list DKIM.
 */
#ifndef MAILBOAT_CORE_TRUST_VERDICT_H
#define MAILBOAT_CORE_TRUST_VERDICT_H

#include "core/trust/dmarc.h"
#include "core/trust/spf.h"

enum verdict_limit {
    VERDICT_REPLY_MAX = 160, /* octets of a reply's text; all of it ASCII */
    VERDICT_NAME_MAX = 48,   /* octets of a domain in a reply; a longer one is cut */
};

enum verdict_mode { VERDICT_ENFORCE, VERDICT_OBSERVE, VERDICT_OFF };

/* A fault of the header for which a message is refused, whoever it is from (RFC 5322 3.6). */
enum verdict_form {
    FORM_FINE,
    FORM_TOO_LARGE, /* the rest of the header was not read: FIELD_INDEX_OCTETS_MAX, FIELD_INDEX_MAX */
    FORM_NO_FROM,
    FORM_SEVERAL_FROM, /* fields, not addresses */
    FORM_BAD_FROM,     /* no address can be read from it with certainty */
    FORM_SEVERAL_DATES,
    FORM_SEVERAL_SUBJECTS,
    FORM_SEVERAL_SENDERS,
    VERDICT_FORMS
};

struct verdict_facts {
    enum verdict_mode mode;
    bool authenticated; /* submission: nothing is checked */
    enum verdict_form form;
    const struct spf_verdict *spf;
    const struct dmarc_question *identifiers; /* of DMARC: MAIL FROM, and the signatures */
    const struct dmarc_verdict *dmarc;
    bool arc_trusted;     /* the chain passes, and a domain of arc_trusted has sealed it */
    bool forwarder;       /* the client is one of `forwarders` */
    bool list;            /* List-Id, and a passing signature of the list's own domain */
    bool deferred_enough; /* this client and sender have got 451 for a day */
};

/* The numbers of this enum and of the two that follow are stored on disk (trust_record.h). */
enum disposition {
    DISPOSITION_DELIVER,
    DISPOSITION_JUNK, /* into the Junk folder */
    DISPOSITION_DEFER,
    DISPOSITION_REJECT,
};

enum verdict_finding {
    FINDING_NOT_CHECKED,
    FINDING_BAD_FORM,
    FINDING_PASS,
    FINDING_NO_POLICY,
    FINDING_SEVERAL_AUTHORS, /* From has addresses of several domains: no policy applies */
    FINDING_FAIL_NONE,
    FINDING_FAIL_NONE_TESTING, /* p=quarantine with t=y */
    FINDING_FAIL_QUARANTINE,
    FINDING_FAIL_QUARANTINE_TESTING, /* p=reject with t=y */
    FINDING_FAIL_QUARANTINE_ARC,
    FINDING_FAIL_QUARANTINE_FORWARDER,
    FINDING_FAIL_REJECT,
    FINDING_FAIL_REJECT_ARC,
    FINDING_FAIL_REJECT_FORWARDER,
    FINDING_FAIL_REJECT_LIST,
    FINDING_TEMPERROR,          /* and what is known of the policy refuses nothing */
    FINDING_TEMPERROR_REJECT,   /* the policy is known to be reject */
    FINDING_TEMPERROR_ACCEPTED, /* the same, but for a day already */
    VERDICT_FINDINGS
};

/* Why something else happened than the policy asks (RFC 9990 2.1). */
enum verdict_override {
    OVERRIDE_NONE,
    OVERRIDE_MAILING_LIST,
    OVERRIDE_TRUSTED_FORWARDER,
    OVERRIDE_TEST_MODE,
    OVERRIDE_LOCAL_POLICY,
};

struct verdict {
    enum verdict_finding finding;
    enum disposition disposition; /* the one that is carried out */
    enum disposition proposed;    /* the one of VERDICT_ENFORCE */
    enum verdict_override override;
    unsigned code;                    /* 550 or 451 of `proposed`; 0 if it has no reply */
    const char *enhanced;             /* "5.7.26" */
    char text[VERDICT_REPLY_MAX + 1]; /* of the reply, after the codes; "" if there is none */
};

void verdict_judge(const struct verdict_facts *facts, struct verdict *verdict);

/* Returns the finding as a sentence for people, without its full stop. */
const char *verdict_finding_sentence(enum verdict_finding finding);
const char *verdict_disposition_name(enum disposition disposition); /* "junk" */
/* Returns the name of RFC 9990 2.1.6: "trusted_forwarder"; "" for none. */
const char *verdict_override_name(enum verdict_override override);

#endif
