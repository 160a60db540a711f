/* SPDX-License-Identifier: Apache-2.0 */
#include "core/domain/sts_settings.h"

#include <assert.h>

#include "base/buffer.h"

struct bytes sts_settings_policy(const struct sts_settings *settings, struct bytes hostname,
                                 struct arena *arena)
{
    static const char *const modes[] = {
        [STS_SETTING_ENFORCE] = "enforce", [STS_SETTING_TESTING] = "testing", [STS_SETTING_NONE] = "none"};
    struct buffer text = {0};
    assert(settings->mode != STS_SETTING_OFF);
    buffer_add_format(&text, "version: STSv1\nmode: %s\n", modes[settings->mode]);
    for (size_t i = 0; i < settings->mx_count; i++)
        buffer_add_format(&text, "mx: %s\n", settings->mx[i]);
    if (settings->mx_count == 0)
        buffer_add_format(&text, "mx: %.*s\n", BYTES_ARG(hostname));
    buffer_add_format(&text, "max_age: %u\n", (unsigned)settings->max_age_s);
    struct bytes policy = arena_copy(arena, buffer_bytes(&text));
    buffer_free(&text);
    return policy;
}

struct bytes sts_settings_id(struct bytes policy, struct arena *arena)
{
    return bytes_of_text(arena_format(arena, "%016llx", (unsigned long long)bytes_hash(policy, 1)));
}
