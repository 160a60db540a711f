/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dns/dns_answer.h"

const char *dns_type_name(enum dns_type type)
{
    switch (type) {
    case DNS_A: return "A";
    case DNS_NS: return "NS";
    case DNS_CNAME: return "CNAME";
    case DNS_PTR: return "PTR";
    case DNS_MX: return "MX";
    case DNS_TXT: return "TXT";
    case DNS_AAAA: return "AAAA";
    case DNS_SRV: return "SRV";
    case DNS_TLSA: return "TLSA";
    }
    return "?";
}

bool dns_status_is_told(enum dns_status status)
{
    return status == DNS_FOUND || status == DNS_NO_DATA || status == DNS_NXDOMAIN;
}
