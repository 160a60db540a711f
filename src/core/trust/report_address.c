/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/report_address.h"

#include <assert.h>

static const char *const names[REPORT_ADDRESSES] = {[REPORT_ADDRESS_DMARC] = "dmarc-reports",
                                                    [REPORT_ADDRESS_TLS] = "tls-reports",
                                                    [REPORT_ADDRESS_COMPLAINTS] = "feedback-reports"};

const char *report_address_name(enum report_address which)
{
    assert(which < REPORT_ADDRESSES);
    return names[which];
}

bool report_address_is(struct bytes local)
{
    size_t plus = bytes_find(local, '+');
    if (plus != SIZE_MAX)
        local = bytes_first(local, plus);
    for (size_t i = 0; i < REPORT_ADDRESSES; i++)
        if (bytes_is_nocase(local, names[i]))
            return true;
    return false;
}
