/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allowance: how much an account has sent in this hour, in a table of a fixed
 * size that all smtpd processes share. Two accounts that meet in a slot push
 * each other out: then one may send more than it should, never less.
 */
#include "smtpd/smtpd.h"

#include "clock.h"
#include "log.h"

#include <stdatomic.h>

enum { HOUR_S = 3600 };

/* FNV-1a. */
static uint64_t mark_of(struct bytes account)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < account.length; i++)
        hash = (hash ^ (unsigned char)ascii_lower(account.at[i])) * 1099511628211u;
    return hash;
}

/* The account's slot, begun anew with each hour. */
static struct allowance_slot *slot_of(struct smtpd *smtpd, struct bytes account)
{
    uint64_t mark = mark_of(account), hour = clock_epoch_ms() / 1000 / HOUR_S;
    uint64_t whose = (mark & ~(uint64_t)UINT32_MAX) | (hour & UINT32_MAX);
    struct allowance_slot *slot = &smtpd->child->census->allowances[mark % CENSUS_ALLOWANCES];
    if (atomic_load(&slot->whose) != whose) {
        atomic_store(&slot->messages, 0);
        atomic_store(&slot->recipients, 0);
        atomic_store(&slot->told, 0);
        atomic_store(&slot->whose, whose);
    }
    return slot;
}

uint32_t allowance_wait_s(struct smtpd *smtpd, struct bytes account)
{
    const struct config *config = smtpd->child->config;
    uint32_t messages_max = config->submission.messages_per_hour, recipients_max = config->submission.recipients_per_hour;
    if ((messages_max == 0 && recipients_max == 0) || account.length == 0)
        return 0;
    struct allowance_slot *slot = slot_of(smtpd, account);
    uint32_t messages = atomic_load(&slot->messages), recipients = atomic_load(&slot->recipients);
    if ((messages_max == 0 || messages < messages_max) && (recipients_max == 0 || recipients < recipients_max))
        return 0;
    if (atomic_exchange(&slot->told, 1) == 0)
        log_event(LOG_EVENT_WARN, "limit_reached", LOG_BYTES("account", account), LOG_U64("messages", messages), LOG_U64("recipients", recipients),
                  LOG_TEXT("mend", "if this is not its owner: mailboat user disable"));
    return HOUR_S - (uint32_t)(clock_epoch_ms() / 1000 % HOUR_S);
}

void allowance_charge(struct smtpd *smtpd, struct bytes account, size_t recipients)
{
    const struct config *config = smtpd->child->config;
    if ((config->submission.messages_per_hour == 0 && config->submission.recipients_per_hour == 0) || account.length == 0)
        return;
    struct allowance_slot *slot = slot_of(smtpd, account);
    atomic_fetch_add(&slot->messages, 1);
    atomic_fetch_add(&slot->recipients, (uint32_t)recipients);
}
