/* SPDX-License-Identifier: Apache-2.0 */
#include "service/trust_digests.h"

void trust_digests_add(struct buffer *out, const struct dkim_body_fact *facts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_add(out, bytes_of((const char *)facts[i].digest, DKIM_DIGEST));
        buffer_add(out, bytes_of((const char *)&facts[i].length, sizeof facts[i].length));
    }
}

bool trust_digests_read(struct bytes digests, struct dkim_body_fact *facts, size_t count)
{
    if (digests.length != count * (DKIM_DIGEST + sizeof facts->length))
        return false;
    for (size_t i = 0; i < count; i++) {
        memcpy(facts[i].digest, digests.at, DKIM_DIGEST);
        memcpy(&facts[i].length, digests.at + DKIM_DIGEST, sizeof facts[i].length);
        digests = bytes_from(digests, DKIM_DIGEST + sizeof facts[i].length);
    }
    return true;
}
