/* SPDX-License-Identifier: Apache-2.0 */
/* report_json: parses reports on TLS (RFC 8460 4) with jansson. */
#ifndef MAILBOAT_IO_REPORT_JSON_H
#define MAILBOAT_IO_REPORT_JSON_H

#include "base/arena.h"
#include "base/error.h"
#include "core/trust/report_tls.h"

enum report_json_limit {
    /* values of a document, about: its commas, colons and brackets. Each takes memory, some 300 octets for an
     * empty object, whatever the size of its text */
    REPORT_JSON_VALUES_MAX = 200000,
};

/* False with the reason (65) if it is not such a report. Texts are in `arena`, fit for a terminal. */
bool report_json_read(struct bytes document, struct arena *arena, struct report_tls *report,
                      struct error *error);

#endif
