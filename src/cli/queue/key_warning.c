/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/queue/key_warning.h"

#include "core/smtp/address.h"
#include "service/key_tending.h"

/* True if a key of the domain signs, or with `above` one of a domain above it; also if that cannot be read.
 */
static bool has_key(const struct config *config, const char *domain, bool above)
{
    struct signing_keys keys;
    struct error error = {0};
    if (!key_tending_open(&keys, config, false, &error))
        return true;
    bool signs = signing_keys_signer(&keys, bytes_of_text(domain), above).signs;
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

bool key_warning_host_may_sign(const struct config *config, struct bytes host)
{
    char name[DOMAIN_NAME_MAX + 1];
    return write_domain(host, name) && has_key(config, name, true);
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
    if (!has_key(config, domain, is_from_server(&m->origin)))
        buffer_add_format(out,
                          "no DKIM key signs for %s: Gmail, Yahoo and Microsoft can reject or filter this "
                          "message (mailboat dkim add %s)",
                          domain, domain);
}
