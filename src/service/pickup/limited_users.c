/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limited_users: users who have reached their sending limit. Their files stay in place, and are not opened
 * until the user may send again; other users' files are processed meanwhile.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "io/clock.h"
#include "io/log.h"
#include "service/pickup/pickup.h"

static struct limited_user *find(struct pickup *p, uint32_t uid)
{
    for (size_t i = 0; i < p->wait_count; i++)
        if (p->limited_users[i].uid == uid)
            return &p->limited_users[i];
    return NULL;
}

void limited_users_add(struct pickup *p, uint32_t uid, uint32_t wait_s)
{
    struct limited_user *wait = find(p, uid);
    /* it is asked about again soon; no harm otherwise */
    if (wait == NULL && p->wait_count == PICKUP_WAITS_MAX) {
        p->again = true;
        return;
    }
    if (wait == NULL)
        wait = &p->limited_users[p->wait_count++];
    *wait = (struct limited_user){.uid = uid, .until_ms = clock_now_ms() + 1000 * (uint64_t)wait_s};
    log_event(LOG_EVENT_WARN, "drop_delayed", LOG_U64("uid", uid), LOG_U64("wait_s", wait_s),
              LOG_TEXT("hint", "the user's hourly sending limit is reached (submission.local); the files "
                               "stay in the drop directory until then"));
}

void limited_users_expire(struct pickup *p)
{
    uint64_t now_ms = clock_now_ms();
    for (size_t i = p->wait_count; i-- > 0;)
        if (p->limited_users[i].until_ms <= now_ms)
            p->limited_users[i] = p->limited_users[--p->wait_count];
}

bool limited_users_has(struct pickup *p, const char *name)
{
    struct stat facts;
    return p->wait_count > 0 && fstatat(p->folder, name, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
           find(p, facts.st_uid) != NULL;
}

uint64_t limited_users_next_ms(const struct pickup *p, uint64_t most_ms)
{
    uint64_t now_ms = clock_now_ms(), next_ms = most_ms;
    for (size_t i = 0; i < p->wait_count; i++) {
        uint64_t left_ms = p->limited_users[i].until_ms > now_ms ? p->limited_users[i].until_ms - now_ms : 0;
        next_ms = left_ms < next_ms ? left_ms : next_ms;
    }
    return next_ms;
}
