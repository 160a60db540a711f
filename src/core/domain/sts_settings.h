/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sts_settings: the MTA-STS policy that this server publishes for the domains it hosts (RFC 8461 3.2), as
 * configured under mta_sts. The web process serves the text, `mailboat dns` proposes the record that
 * announces it. Policies of other domains: core/route/sts.h.
 */
#ifndef MAILBOAT_CORE_DOMAIN_STS_SETTINGS_H
#define MAILBOAT_CORE_DOMAIN_STS_SETTINGS_H

#include "base/arena.h"

/* As the words of the configuration. */
enum sts_setting { STS_SETTING_ENFORCE, STS_SETTING_TESTING, STS_SETTING_NONE, STS_SETTING_OFF };

struct sts_settings {
    enum sts_setting mode; /* OFF: no policy is served */
    uint32_t max_age_s;
    const char *const *mx; /* hosts, or patterns such as "*.example.net"; none: this server's name */
    size_t mx_count;
};

/* Returns the policy's text, in `arena`. The mode is not OFF. */
struct bytes sts_settings_policy(const struct sts_settings *settings, struct bytes hostname,
                                 struct arena *arena);
/* Returns an id for the record that announces a policy: another one for each text, of 16 letters and digits
 * (RFC 8461 3.1). */
struct bytes sts_settings_id(struct bytes policy, struct arena *arena);

#endif
