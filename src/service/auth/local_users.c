/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/local_users.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/log.h"

/* ---- lookup ---- */

static struct local_user *find(const struct local_users *users, uint32_t uid)
{
    size_t low = 0, high = users->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (users->users[middle].uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < users->count && users->users[low].uid == uid ? &users->users[low] : NULL;
}

static void add(struct local_users *users, uint32_t uid, const char *name)
{
    if (users->count == users->capacity) {
        size_t capacity = users->capacity == 0 ? 64 : users->capacity * 2;
        struct local_user *larger = ARENA_ARRAY(&users->arena, struct local_user, capacity);
        if (users->count > 0)
            memcpy(larger, users->users, users->count * sizeof *larger);
        users->users = larger;
        users->capacity = capacity;
    }
    users->users[users->count++] = (struct local_user){
        .uid = uid, .name = name == NULL ? NULL : arena_text(&users->arena, bytes_of_text(name))};
}

static int by_uid(const void *a, const void *b)
{
    uint32_t one = ((const struct local_user *)a)->uid, other = ((const struct local_user *)b)->uid;
    return one < other ? -1 : one > other;
}

static void sort(struct local_users *users)
{
    if (users->count > 0)
        qsort(users->users, users->count, sizeof *users->users, by_uid);
}

static void read_names(struct local_users *users)
{
    setpwent();
    for (struct passwd *entry; users->count < LOCAL_USERS_MAX && (entry = getpwent()) != NULL;)
        add(users, entry->pw_uid, entry->pw_name);
    endpwent();
    sort(users);
}

static bool uid_of(const struct config_local_user *rule, uint32_t *uid)
{
    uint64_t number;
    if (bytes_to_u64(bytes_of_text(rule->user), UINT32_MAX, &number)) {
        *uid = (uint32_t)number;
        return true;
    }
    const struct passwd *entry = getpwnam(rule->user);
    if (entry != NULL)
        *uid = entry->pw_uid;
    return entry != NULL;
}

static void read_rule(struct local_users *users, const struct config_local_user *rule)
{
    uint32_t uid;
    if (!uid_of(rule, &uid)) {
        log_event(LOG_EVENT_WARN, "local_user_unknown", LOG_TEXT("user", rule->user),
                  LOG_TEXT("hint", "submission.local.users names a user that does not exist; create the user "
                                   "and reload, or remove the entry"));
        return;
    }
    if (find(users, uid) == NULL) {
        add(users, uid, NULL);
        sort(users);
    }
    find(users, uid)->rule = rule;
}

void local_users_read(struct local_users *users, const struct config *config)
{
    *users = (struct local_users){.config = config, .own_uid = geteuid()};
    read_names(users);
    for (size_t i = 0; i < config->submission.local.user_count; i++)
        read_rule(users, &config->submission.local.users[i]);
}

bool local_users_is_one(struct bytes account, uint32_t *uid)
{
    static const char mark[] = "uid ";
    uint64_t number;
    if (bytes_starts_nocase(account, SERVER_TRUSTED_MARK)) { /* a host has no user */
        *uid = LOCAL_USERS_NO_UID;
        return true;
    }
    if (!bytes_starts_nocase(account, mark) ||
        !bytes_to_u64(bytes_from(account, strlen(mark)), UINT32_MAX, &number))
        return false;
    *uid = (uint32_t)number;
    return true;
}

static bool is_trusted(const struct local_users *users, uint32_t uid)
{
    return uid == 0 || uid == users->own_uid;
}

/* ---- sending limits ---- */

struct rate_limit_max local_users_limits(const struct local_users *users, uint32_t uid)
{
    const struct local_user *user = find(users, uid);
    const struct config *config = users->config;
    if (user != NULL && user->rule != NULL)
        return (struct rate_limit_max){user->rule->messages_per_hour, user->rule->recipients_per_hour};
    if (is_trusted(users, uid))
        return (struct rate_limit_max){0};
    return (struct rate_limit_max){config->submission.local.messages_per_hour,
                                   config->submission.local.recipients_per_hour};
}

/* ---- sender addresses ---- */

bool local_users_sender_matches(struct bytes pattern, struct bytes address)
{
    if (bytes_is(pattern, "*"))
        return true;
    if (!bytes_starts_nocase(pattern, "*@"))
        return bytes_equal_nocase(pattern, address);
    size_t at = bytes_find_last(address, '@');
    return at != SIZE_MAX && bytes_equal_nocase(bytes_from(pattern, 1), bytes_from(address, at));
}

/* True for the default sender of sendmail: the user name at the first local domain. */
static bool is_at_first_domain(const struct config *config, const char *name, struct bytes address)
{
    const char *domain = config->domain_count > 0 ? config->domains[0] : config->hostname;
    struct buffer whole = {0}, wanted = {0};
    buffer_add_format(&whole, "%s@%s", name, domain);
    bool same = accounts_canonical(&wanted, buffer_bytes(&whole)) &&
                bytes_equal(buffer_bytes(&wanted), address);
    buffer_free(&whole);
    buffer_free(&wanted);
    return same;
}

/* True for the user's own name; and for root's: Debian's cron runs sendmail as the job's user with "From:
 * root (Cron Daemon)". */
static bool is_its_own(const struct local_users *users, const struct local_user *user, struct bytes address)
{
    return is_at_first_domain(users->config, "root", address) ||
           (user != NULL && user->name != NULL && is_at_first_domain(users->config, user->name, address));
}

static bool is_listed(const struct config_local_user *rule, struct bytes address)
{
    for (size_t i = 0; i < rule->sender_count; i++)
        if (local_users_sender_matches(bytes_of_text(rule->senders[i]), address))
            return true;
    return false;
}

static bool may_send_canonical(const struct local_users *users, struct accounts *accounts, uint32_t uid,
                               struct bytes address, struct bytes said)
{
    const struct local_user *user = find(users, uid);
    struct arena arena = {0};
    struct account account;
    struct bytes plain = accounts_without_tag(address, &arena);
    plain = plain.length > 0 ? plain : address;
    bool own = is_its_own(users, user, plain), allowed = true;
    if (user != NULL && user->rule != NULL && user->rule->sender_count > 0)
        allowed = own || is_listed(user->rule, address) || is_listed(user->rule, plain) ||
                  is_listed(user->rule, said);
    else if (users->config->submission.local.protect_accounts && !is_trusted(users, uid))
        allowed = own || !(accounts_find(accounts, address, &arena, &account) ||
                           accounts_find(accounts, plain, &arena, &account));
    arena_clear(&arena);
    return allowed;
}

bool local_users_may_send(const struct local_users *users, struct accounts *accounts, uint32_t uid,
                          struct bytes address)
{
    struct buffer canonical = {0};
    if (address.length == 0)
        return true;
    bool is_address = accounts_canonical(&canonical, address);
    bool allowed = may_send_canonical(users, accounts, uid, is_address ? buffer_bytes(&canonical) : address,
                                      address);
    buffer_free(&canonical);
    return allowed;
}
