/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/sts.h"

#include "core/dns/dns_name.h"

static const char *const mode_names[] = {"none", "testing", "enforce"};

const char *sts_mode_name(enum sts_mode mode)
{
    return mode_names[mode];
}

static bool read_mode(struct bytes text, enum sts_mode *mode)
{
    for (size_t i = 0; i < ARRAY_LENGTH(mode_names); i++)
        if (bytes_is(text, mode_names[i])) {
            *mode = (enum sts_mode)i;
            return true;
        }
    return false;
}

static bool is_id(struct bytes text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!ascii_is_alnum(text.at[i]))
            return false;
    return text.length > 0 && text.length <= STS_ID_MAX;
}

/* ---- the record ---- */

/* Returns the text after "v=STSv1" and its delimiter; false for another record. */
static bool is_sts(struct bytes text, struct bytes *fields)
{
    struct bytes rest = text;
    bool ours = bytes_is(bytes_trim(bytes_split(&rest, ';')), "v=STSv1") && text.at[0] == 'v';
    *fields = rest;
    return ours;
}

static bool is_extension_name(struct bytes name)
{
    if (name.length == 0 || name.length > STS_EXTENSION_NAME_MAX || !ascii_is_alnum(name.at[0]))
        return false;
    for (size_t i = 1; i < name.length; i++)
        if (!ascii_is_alnum(name.at[i]) && memchr("_-.", name.at[i], 3) == NULL)
            return false;
    return true;
}

bool sts_is_extension(struct bytes field)
{
    struct bytes value = field, name = bytes_split(&value, '=');
    if (!is_extension_name(name))
        return false;
    for (size_t i = 0; i < value.length; i++)
        if (value.at[i] <= ' ' || value.at[i] > '~' || value.at[i] == ';' || value.at[i] == '=')
            return false;
    return value.length > 0;
}

/* Reads the first id; false if there is none or a field has no valid syntax. */
static bool read_id(struct bytes fields, struct bytes *id)
{
    bool found = false;
    while (bytes_trim(fields).length > 0) { /* nothing follows a final semicolon */
        struct bytes field = bytes_trim(bytes_split(&fields, ';')), value = field;
        if (!bytes_is(bytes_trim(bytes_split(&value, '=')), "id")) {
            if (!sts_is_extension(field))
                return false;
            continue;
        }
        if (!is_id(bytes_trim(value)))
            return false;
        if (!found)
            *id = bytes_trim(value);
        found = true;
    }
    return found;
}

bool sts_read_records(const struct dns_record *records, size_t count, struct bytes *id)
{
    struct bytes fields = bytes_none(), found = bytes_none();
    size_t ours = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_sts(records[i].data, &fields))
            continue;
        found = fields;
        ours++;
    }
    return ours == 1 && read_id(found, id);
}

/* ---- the policy ---- */

static bool is_pattern(struct bytes text)
{
    bool wild = bytes_starts_nocase(text, "*.");
    return host_is_name(wild ? bytes_from(text, 2) : text, false);
}

static bool add_pattern(struct sts_policy *policy, struct bytes text)
{
    if (!is_pattern(text) || policy->pattern_count == STS_PATTERNS_MAX)
        return false;
    policy->patterns[policy->pattern_count++] = text;
    return true;
}

static bool read_age(struct bytes text, uint32_t *age_s)
{
    enum { DIGITS_MAX = 10 };
    uint64_t value;
    if (text.length > DIGITS_MAX || !bytes_to_u64(text, UINT64_MAX, &value))
        return false;
    *age_s = value > STS_AGE_MAX_S ? STS_AGE_MAX_S : (uint32_t)value;
    return true;
}

/* Seen keys, of those allowed once. */
struct seen {
    bool version, mode, age;
};

/* Reads a line: the first of each key applies, mx may be repeated (RFC 8461 3.2). */
static bool read_line(struct bytes line, struct sts_policy *policy, struct seen *seen)
{
    struct bytes value = line;
    struct bytes name = bytes_split(&value, ':');
    value = bytes_trim(value);
    if (bytes_is(name, "version"))
        return seen->version || (seen->version = bytes_is(value, "STSv1"));
    if (bytes_is(name, "mode"))
        return seen->mode || (seen->mode = read_mode(value, &policy->mode));
    if (bytes_is(name, "max_age"))
        return seen->age || (seen->age = read_age(value, &policy->max_age_s));
    if (bytes_is(name, "mx"))
        return add_pattern(policy, value);
    bool is_extension = is_extension_name(name) && value.length > 0 && !bytes_has_control(value);
    return line.length == 0 || (is_extension && bytes_is_utf8(value));
}

bool sts_read_policy(struct bytes text, struct sts_policy *policy)
{
    struct seen seen = {0};
    policy->pattern_count = 0;
    if (text.length > STS_POLICY_MAX)
        return false;
    while (text.length > 0) {
        struct bytes line = bytes_split(&text, '\n');
        if (line.length > 0 && line.at[line.length - 1] == '\r')
            line = bytes_first(line, line.length - 1);
        if (!read_line(line, policy, &seen))
            return false;
    }
    return seen.version && seen.mode && seen.age && (policy->pattern_count > 0 || policy->mode == STS_NONE);
}

bool sts_lists(const struct sts_policy *policy, struct bytes host)
{
    for (size_t i = 0; i < policy->pattern_count; i++)
        if (dns_name_matches(policy->patterns[i], host))
            return true;
    return false;
}

/* ---- the cached policy ---- */

void sts_cache_write(struct buffer *out, const struct sts_cache_entry *kept)
{
    buffer_add_format(out, "sts %.*s %.*s %llu %u %s", BYTES_ARG(kept->domain), BYTES_ARG(kept->id),
                      (unsigned long long)kept->fetched_ms, (unsigned)kept->policy.max_age_s,
                      sts_mode_name(kept->policy.mode));
    for (size_t i = 0; i < kept->policy.pattern_count; i++)
        buffer_add_format(out, " %.*s", BYTES_ARG(kept->policy.patterns[i]));
    buffer_add_text(out, " end"); /* detects a truncated line */
}

bool sts_cache_read(struct bytes line, struct sts_cache_entry *kept)
{
    uint64_t age_s;
    size_t last = bytes_find_last(line, ' ');
    if (last == SIZE_MAX || !bytes_is(bytes_from(line, last + 1), "end"))
        return false;
    line = bytes_first(line, last);
    kept->policy.pattern_count = 0;
    if (!bytes_is(bytes_split(&line, ' '), "sts"))
        return false;
    kept->domain = bytes_split(&line, ' ');
    kept->id = bytes_split(&line, ' ');
    if (!host_is_name(kept->domain, false) || !is_id(kept->id) ||
        !bytes_to_u64(bytes_split(&line, ' '), UINT64_MAX / 2, &kept->fetched_ms) ||
        !bytes_to_u64(bytes_split(&line, ' '), STS_AGE_MAX_S, &age_s) ||
        !read_mode(bytes_split(&line, ' '), &kept->policy.mode))
        return false;
    kept->policy.max_age_s = (uint32_t)age_s;
    while (line.length > 0)
        if (!add_pattern(&kept->policy, bytes_split(&line, ' ')))
            return false;
    return kept->policy.pattern_count > 0 || kept->policy.mode == STS_NONE;
}

bool sts_is_alive(const struct sts_cache_entry *kept, uint64_t now_ms)
{
    return now_ms < kept->fetched_ms + (uint64_t)kept->policy.max_age_s * 1000;
}

/* True after a day, or half of its lifetime if that is less (RFC 8461 10.2). */
static bool grows_old(const struct sts_cache_entry *kept, uint64_t now_ms)
{
    const uint64_t day_ms = (uint64_t)24 * 60 * 60 * 1000, half_ms = (uint64_t)kept->policy.max_age_s * 500;
    return now_ms > kept->fetched_ms + (half_ms < day_ms ? half_ms : day_ms);
}

enum sts_step sts_next(const struct sts_cache_entry *kept, struct bytes id, uint64_t now_ms)
{
    bool alive = kept != NULL && sts_is_alive(kept, now_ms);
    if (id.length == 0) /* hiding the record must not disable the policy (RFC 8461 5.1) */
        return alive ? STS_STEP_USE : STS_STEP_NOTHING;
    if (!alive || !bytes_equal(kept->id, id))
        return STS_STEP_FETCH;
    return grows_old(kept, now_ms) ? STS_STEP_REFRESH : STS_STEP_USE;
}
