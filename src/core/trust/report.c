/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/report.h"

#include <assert.h>

const char *report_type_name(enum report_type kind)
{
    static const char *const names[REPORT_TYPES] = {
        [REPORT_AGGREGATE] = "dmarc", [REPORT_TLS] = "tls", [REPORT_COMPLAINT] = "complaint"};
    assert(kind > 0 && kind < REPORT_TYPES);
    return names[kind];
}
