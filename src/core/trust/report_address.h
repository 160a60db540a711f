/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_address: the addresses that every hosted domain has for reports of other servers. They are those of
 * the records that `mailboat dns` prints (rua of DMARC, RFC 9989 4.7, and of TLS-RPT, RFC 8460 3), and the
 * one to give to a feedback loop (RFC 5965). Mail to any of them is read as a report, of whatever kind.
 */
#ifndef MAILBOAT_CORE_TRUST_REPORT_ADDRESS_H
#define MAILBOAT_CORE_TRUST_REPORT_ADDRESS_H

#include "base/bytes.h"

enum report_address { REPORT_ADDRESS_DMARC, REPORT_ADDRESS_TLS, REPORT_ADDRESS_COMPLAINTS, REPORT_ADDRESSES };

const char *report_address_name(enum report_address which); /* the local part: "dmarc-reports" */
/* True for such a local part, with a tag ("dmarc-reports+example.org") or without. */
bool report_address_is(struct bytes local);

#endif
