/* SPDX-License-Identifier: Apache-2.0 */
/* An address has one text: what is written is read as the same again. */
#include "choices.h"
#include "core/route/route.h"

static struct route_address address_of(struct bytes text)
{
    struct route route;
    route_start(&route, text, BYTES("mx.example.org"), true, 1);
    struct route_answer answer = route_next(&route);
    INSIST(answer.kind == ROUTE_TRY);
    INSIST(route_next(&route).kind == ROUTE_END);
    route_free(&route);
    return answer.address;
}

static void check_address(struct bytes text)
{
    struct buffer written = {0};
    struct route_address address = address_of(text);
    route_address_text(&written, &address);
    struct bytes again = buffer_bytes(&written);
    INSIST(address.six ? host_is_ipv6(again) : bytes_equal(again, text));
    struct route_address same = address_of(again);
    INSIST(memcmp(same.octets, address.octets, address.six ? 16 : 4) == 0);
    buffer_free(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    for (int utf8 = 0; utf8 <= 1; utf8++) {
        enum host_kind kind = host_parse(text, utf8);
        INSIST((kind == HOST_IPV4) == host_is_ipv4(text) && (kind == HOST_IPV6) == host_is_ipv6(text));
        INSIST(kind != HOST_NAME ||
               (host_is_name(text, utf8) && size <= DOMAIN_NAME_MAX && !bytes_has_control(text)));
        if (kind == HOST_IPV4 || kind == HOST_IPV6)
            check_address(text);
    }
    host_is_loopback(text);
    return 0;
}
