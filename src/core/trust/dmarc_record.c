/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/dmarc_record.h"

#include "base/white_space.h"
#include "core/trust/tags.h"

static const char *const POLICY_NAMES[] = {
    [DMARC_POLICY_UNSET] = "",
    [DMARC_POLICY_NONE] = "none",
    [DMARC_POLICY_QUARANTINE] = "quarantine",
    [DMARC_POLICY_REJECT] = "reject",
};

const char *dmarc_policy_name(enum dmarc_policy policy)
{
    return POLICY_NAMES[policy];
}

/* Reads a policy tag; *invalid becomes true for a value that is none. */
static enum dmarc_policy read_policy(const struct tags *tags, const char *name, bool *invalid)
{
    const struct tag *tag = tags_find(tags, name);
    if (tag == NULL)
        return DMARC_POLICY_UNSET;
    for (size_t i = DMARC_POLICY_NONE; i <= DMARC_POLICY_REJECT; i++)
        if (bytes_is_nocase(tag->value, POLICY_NAMES[i]))
            return (enum dmarc_policy)i;
    *invalid = true;
    return DMARC_POLICY_UNSET;
}

static unsigned read_failures(struct bytes value)
{
    unsigned failures = 0;
    struct bytes item;
    while (tags_next_item(&value, ':', &item)) {
        const char *at = item.length == 1 ? strchr("01ds", ascii_lower(item.at[0])) : NULL;
        if (at != NULL)
            failures |= 1U << (at - "01ds");
    }
    /* 0 and 1 exclude each other (RFC 9989 4.7). */
    bool both = (failures & DMARC_FO_0) != 0 && (failures & DMARC_FO_1) != 0;
    return failures == 0 || both ? (failures & ~(unsigned)DMARC_FO_1) | DMARC_FO_0 : failures;
}

static bool has_version_first(const struct tags *tags, struct bytes text)
{
    return tags->count > 0 && tags->list[0].name.at == white_space_trim(text).at &&
           bytes_is_nocase(tags->list[0].name, "v") && bytes_is(tags->list[0].value, "DMARC1");
}

bool dmarc_record_read(struct bytes text, struct dmarc_record *record)
{
    struct tags tags;
    bool invalid = false;
    if (tags_parse(&tags, text, TAGS_SKIP_MALFORMED) != TAGS_FINE || !has_version_first(&tags, text))
        return false;
    *record = (struct dmarc_record){.text = text};
    record->p = read_policy(&tags, "p", &invalid);
    record->sp = read_policy(&tags, "sp", &invalid);
    record->np = read_policy(&tags, "np", &invalid);
    record->strict_dkim = bytes_is_nocase(tags_value(&tags, "adkim"), "s");
    record->strict_spf = bytes_is_nocase(tags_value(&tags, "aspf"), "s");
    record->testing = bytes_is_nocase(tags_value(&tags, "t"), "y");
    struct bytes psd = tags_value(&tags, "psd");
    record->psd = bytes_is_nocase(psd, "y")   ? DMARC_PSD_YES
                  : bytes_is_nocase(psd, "n") ? DMARC_PSD_NO
                                              : DMARC_PSD_UNKNOWN;
    record->failures = read_failures(tags_value(&tags, "fo"));
    report_uri_read_list(tags_value(&tags, "rua"), true, &record->rua);
    report_uri_read_list(tags_value(&tags, "ruf"), true, &record->ruf);
    record->usable = (record->p != DMARC_POLICY_UNSET && !invalid) || record->rua.count > 0;
    if (record->p == DMARC_POLICY_UNSET || invalid) {
        record->p = record->usable ? DMARC_POLICY_NONE : DMARC_POLICY_UNSET;
        record->sp = record->np = DMARC_POLICY_UNSET;
    }
    return true;
}
