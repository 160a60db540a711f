/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/queue/key_warning.h"

#include <stdio.h>
#include <unistd.h>

#include "core/smtp/address.h"
#include "store/signing_keys.h"

static bool note_signs(void *owner, const struct stored_key *key)
{
    bool *signs = owner;
    *signs = *signs || (key->fault[0] == '\0' && key_state_signs(&key->state));
    return !*signs;
}

/* True if it is not known either: the keys cannot be read. */
static bool may_sign(const struct config *config, const char *domain)
{
    struct signing_keys keys;
    struct error error = {0};
    bool signs = false;
    if (!signing_keys_open(&keys, config->data_dir, geteuid(), getegid(), false, &error))
        return true;
    if (!signing_keys_each(&keys, domain, note_signs, &signs, &error))
        signs = true;
    signing_keys_close(&keys);
    return signs;
}

static bool was_submitted(const struct origin *origin)
{
    return origin->kind == ORIGIN_LOCAL || origin->kind == ORIGIN_REPORT || origin->kind == ORIGIN_VACATION ||
           origin->kind == ORIGIN_TLS_REPORT || origin->kind == ORIGIN_DMARC_REPORT ||
           origin->account.length > 0;
}

void key_warning_add(struct buffer *out, const struct config *config, const struct store_message *m,
                     const struct store_recipient *r)
{
    char domain[DOMAIN_NAME_MAX + 1];
    struct error error = {0};
    struct bytes local, of = bytes_of_text(config->hostname); /* a report's */
    bool away = r->destination.length > 0 && r->destination.at[0] != '@';
    if (!away || !was_submitted(&m->origin))
        return;
    if (m->envelope.sender.length > 0 && !address_split(m->envelope.sender, &local, &of))
        return;
    if (of.length == 0 || of.length > DOMAIN_NAME_MAX)
        return;
    for (size_t i = 0; i < of.length; i++)
        domain[i] = ascii_lower(of.at[i]);
    domain[of.length] = '\0';
    if (signing_keys_domain_check(bytes_of_text(domain), &error) && !may_sign(config, domain))
        buffer_add_format(out,
                          "no DKIM key signs for %s: Gmail, Yahoo and Microsoft can reject or filter this "
                          "message (mailboat dkim add %s)",
                          domain, domain);
}
