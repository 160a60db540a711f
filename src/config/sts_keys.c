/* SPDX-License-Identifier: Apache-2.0 */
/* sts_keys: the keys of mta_sts: the policy that is published for the domains of this server. */
#include "config/config_reader.h"
#include "core/dns/host.h"

/* A host name, or one with "*." in the place of its first label (RFC 8461 3.2). */
static bool is_pattern(struct bytes text)
{
    if (text.length > 2 && text.at[0] == '*' && text.at[1] == '.')
        text = bytes_from(text, 2);
    return host_parse(text, false) == HOST_NAME && bytes_find(text, '.') != SIZE_MAX;
}

bool config_complete_sts(const struct config_reader *reader)
{
    struct config *config = reader->config;
    for (size_t i = 0; i < config->mta_sts.mx_count; i++) {
        const char *text = config->mta_sts.mx[i];
        if (!is_pattern(bytes_of_text(text)))
            return config_read_fail(reader, config_read_said_at(reader, "mta_sts.mx"),
                                    "mta_sts.mx: '%.80s' is not the name of a server; use mx.example.org or "
                                    "\"*.example.org\"",
                                    text);
    }
    return true;
}

struct sts_settings config_sts_settings(const struct config *config)
{
    return (struct sts_settings){.mode = config->mta_sts.mode,
                                 .max_age_s = (uint32_t)(config->mta_sts.max_age_ms / 1000),
                                 .mx = config->mta_sts.mx,
                                 .mx_count = config->mta_sts.mx_count};
}
