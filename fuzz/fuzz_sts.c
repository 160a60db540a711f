/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Untrusted data for MTA-STS: the first octet selects a TXT record, a policy file or a line of the policy
 * cache. A policy that is accepted is cached and read back the same.
 */
#include "choices.h"
#include "core/route/sts.h"

static void check_policy(struct bytes text)
{
    struct sts_cache_entry kept = {.domain = BYTES("example.com"), .id = BYTES("1"), .fetched_ms = 1}, back;
    struct buffer line = {0};
    if (!sts_read_policy(text, &kept.policy))
        return;
    INSIST(kept.policy.max_age_s <= STS_AGE_MAX_S && kept.policy.pattern_count <= STS_PATTERNS_MAX);
    sts_cache_write(&line, &kept);
    INSIST(bytes_find(buffer_bytes(&line), '\n') == SIZE_MAX);
    INSIST(sts_cache_read(buffer_bytes(&line), &back));
    INSIST(back.policy.mode == kept.policy.mode && back.policy.pattern_count == kept.policy.pattern_count);
    for (size_t i = 0; i < back.policy.pattern_count; i++)
        INSIST(bytes_equal(back.policy.patterns[i], kept.policy.patterns[i]));
    sts_lists(&kept.policy, BYTES("mx.example.com"));
    buffer_free(&line);
}

static void check_records(struct bytes text)
{
    struct dns_record records[4];
    size_t count = 0;
    struct bytes id = bytes_none();
    while (text.length > 0 && count < ARRAY_LENGTH(records))
        records[count++] = (struct dns_record){.data = bytes_split(&text, '\n')};
    if (!sts_read_records(records, count, &id))
        return;
    INSIST(id.length > 0 && id.length <= STS_ID_MAX);
    for (size_t i = 0; i < id.length; i++)
        INSIST(ascii_is_alnum(id.at[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    struct sts_cache_entry kept;
    if (size == 0)
        return 0;
    text = bytes_from(text, 1);
    if (data[0] == 't')
        check_records(text);
    else if (data[0] == 'k')
        sts_cache_read(text, &kept);
    else
        check_policy(text);
    return 0;
}
