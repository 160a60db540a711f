/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dns/dns_name.h"

#include "core/dns/host.h"

/* Escapes octets that would change a name as \DDD (RFC 1035 5.1). */
static void add_label(struct buffer *out, struct bytes label)
{
    for (size_t i = 0; i < label.length; i++) {
        unsigned char octet = (unsigned char)label.at[i];
        if (octet <= ' ' || octet == 127 || octet == '.' || octet == '\\')
            buffer_add_format(out, "\\%03u", octet);
        else
            buffer_add_octet(out, (char)octet);
    }
}

bool dns_name_read(struct bytes wire, struct buffer *out)
{
    while (wire.length > 0 && wire.at[0] != 0) {
        size_t length = (unsigned char)wire.at[0];
        if (length > LABEL_MAX || wire.length < length + 1)
            return false;
        if (out->length > 0)
            buffer_add_octet(out, '.');
        add_label(out, bytes_of(wire.at + 1, length));
        wire = bytes_from(wire, length + 1);
    }
    return wire.length > 0;
}

struct bytes dns_name_without_dot(struct bytes name)
{
    return name.length > 1 && name.at[name.length - 1] == '.' ? bytes_first(name, name.length - 1) : name;
}

bool dns_name_equal(struct bytes a, struct bytes b)
{
    return bytes_equal_nocase(a, b);
}

bool dns_name_matches(struct bytes pattern, struct bytes name)
{
    if (!bytes_starts_nocase(pattern, "*."))
        return dns_name_equal(pattern, name);
    size_t dot = bytes_find(name, '.');
    return dot != SIZE_MAX && dot > 0 && dns_name_equal(bytes_from(pattern, 1), bytes_from(name, dot));
}
