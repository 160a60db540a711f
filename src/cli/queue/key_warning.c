/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/queue/key_warning.h"

#include <stdio.h>

#include "core/smtp/address.h"
#include "service/key_tending.h"

/* An active key that cannot be used makes mail wait, not leave unsigned; one that cannot be read may be
 * active. */
static bool note_signs(void *owner, const struct stored_key *key)
{
    bool *signs = owner;
    *signs = *signs || key->public_key[0] == '\0' || key_state_signs(&key->state);
    return !*signs;
}

static bool has_key(const struct config *config, const char *domain)
{
    struct signing_keys keys;
    struct error error = {0};
    bool signs = false;
    if (!key_tending_open(&keys, config, false, &error))
        return true;
    if (!signing_keys_each(&keys, domain, note_signs, &signs, &error))
        signs = true;
    signing_keys_close(&keys);
    return signs;
}

/* Writes the domain in lower case; false if no key can be its. */
static bool write_domain(struct bytes of, char domain[DOMAIN_NAME_MAX + 1])
{
    struct error error = {0};
    if (of.length == 0 || of.length > DOMAIN_NAME_MAX)
        return false;
    for (size_t i = 0; i < of.length; i++)
        domain[i] = ascii_lower(of.at[i]);
    domain[of.length] = '\0';
    return signing_keys_domain_check(bytes_of_text(domain), &error);
}

static bool may_sign(const struct config *config, struct bytes domain)
{
    char name[DOMAIN_NAME_MAX + 1];
    return write_domain(domain, name) && has_key(config, name);
}

bool key_warning_host_may_sign(const struct config *config, struct bytes host)
{
    for (size_t dot;; host = bytes_from(host, dot + 1)) {
        if (may_sign(config, host))
            return true;
        if ((dot = bytes_find(host, '.')) == SIZE_MAX)
            return false;
    }
}

/* A domain above that of the sender signs what this server writes, and nothing else (signatures.h). */
static bool is_from_server(const struct origin *origin)
{
    return origin->kind == ORIGIN_REPORT || origin->kind == ORIGIN_VACATION ||
           origin->kind == ORIGIN_TLS_REPORT || origin->kind == ORIGIN_DMARC_REPORT;
}

bool key_warning_was_submitted(const struct origin *origin)
{
    return origin->kind == ORIGIN_LOCAL || is_from_server(origin) || origin->account.length > 0;
}

void key_warning_add(struct buffer *out, const struct config *config, const struct store_message *m,
                     const struct store_recipient *r)
{
    char domain[DOMAIN_NAME_MAX + 1];
    struct bytes local, of = bytes_of_text(config->hostname); /* a report's */
    bool away = r->destination.length > 0 && r->destination.at[0] != '@';
    if (!away || !key_warning_was_submitted(&m->origin))
        return;
    if (m->envelope.sender.length > 0 && !address_split(m->envelope.sender, &local, &of))
        return;
    if (!write_domain(of, domain))
        return;
    if (is_from_server(&m->origin) ? !key_warning_host_may_sign(config, of) : !has_key(config, domain))
        buffer_add_format(out,
                          "no DKIM key signs for %s: Gmail, Yahoo and Microsoft can reject or filter this "
                          "message (mailboat dkim add %s)",
                          domain, domain);
}
