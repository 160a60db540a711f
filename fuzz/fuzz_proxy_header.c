/* SPDX-License-Identifier: Apache-2.0 */
/* A PROXY header: its length holds, more octets behind it change nothing, and each beginning asks for more.
 */
#include "choices.h"
#include "core/route/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    struct proxy_header header, again;
    enum proxy_verdict verdict = proxy_header_parse(input, &header);
    switch (verdict) {
    case PROXY_MORE: INSIST(size < PROXY_HEADER_MAX); break;
    case PROXY_MALFORMED: INSIST(header.why != NULL && !header.has_client); break;
    case PROXY_COMPLETE:
        INSIST(header.octets <= size && header.octets <= PROXY_HEADER_MAX && proxy_header_begins(input));
        INSIST(proxy_header_parse(bytes_first(input, header.octets), &again) == PROXY_COMPLETE);
        INSIST(again.octets == header.octets && again.has_client == header.has_client &&
               again.port == header.port);
        for (size_t length = 0; length < header.octets; length += 1 + header.octets / 64)
            INSIST(proxy_header_parse(bytes_first(input, length), &again) == PROXY_MORE);
        break;
    }
    return 0;
}
