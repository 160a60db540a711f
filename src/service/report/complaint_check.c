/* SPDX-License-Identifier: Apache-2.0 */
#include "service/report/complaint_check.h"

#include "core/dns/dns_name.h"
#include "core/smtp/address.h"
#include "core/trust/authres.h"
#include "core/trust/report_mail.h"
#include "io/signature.h"

/* ---- who sent it ---- */

static struct bytes domain_of(struct bytes address)
{
    struct bytes local, domain;
    return address_split(address, &local, &domain) ? domain : bytes_none();
}

static struct bytes property_of(const struct authres *results, const struct authres_result *result,
                                const char *type, const char *name)
{
    for (size_t i = result->first; i < result->first + result->count; i++) {
        const struct authres_property *property = &results->properties[i];
        if (bytes_is_nocase(property->type, type) && bytes_is_nocase(property->name, name))
            return property->value;
    }
    return bytes_none();
}

/* True if it is DMARC's pass, or one that would be if the author's domain had a policy. */
static bool proves(const struct authres *results, const struct authres_result *result, struct bytes author,
                   bool has_policy)
{
    struct bytes domain = bytes_none();
    if (!bytes_is_nocase(result->result, "pass"))
        return false;
    if (bytes_is_nocase(result->method, "dmarc"))
        return true;
    if (bytes_is_nocase(result->method, "dkim"))
        domain = property_of(results, result, "header", "d");
    else if (bytes_is_nocase(result->method, "spf"))
        domain = domain_of(property_of(results, result, "smtp", "mailfrom"));
    return !has_policy && domain.length > 0 && dkim_domain_is_under(author, domain);
}

static const char *check_sender(const struct complaint_mail *mail, struct bytes author, struct arena *arena)
{
    struct authres *results = ARENA_NEW(arena, struct authres);
    struct bytes value = report_mail_field(mail->prefix, "Authentication-Results");
    bool has_policy = false;
    if (value.length == 0 || !authres_parse(results, value, arena) ||
        !dns_name_equal(results->id, mail->hostname))
        return "it was not checked here who sent it";
    for (size_t i = 0; i < results->result_count; i++)
        has_policy = has_policy || (bytes_is_nocase(results->results[i].method, "dmarc") &&
                                    !bytes_is_nocase(results->results[i].result, "none"));
    for (size_t i = 0; i < results->result_count && author.length > 0; i++)
        if (proves(results, &results->results[i], author, has_policy))
            return NULL;
    return "it is not proven who sent it: neither DMARC passes, nor an aligned signature or SPF";
}

/* ---- a message of ours ---- */

struct key_search {
    const struct dkim_field *field;
    const struct field_index *index;
    struct arena *arena;
    bool verified;
};

/* A key that no longer signs may have signed; one whose files have a fault does not count. */
static bool try_key(void *owner, const struct stored_key *stored)
{
    struct key_search *search = owner;
    struct buffer record = {0}, input = {0};
    struct dkim_key key;
    const struct key_record published = signing_keys_record(stored);
    if (stored->public_key[0] == '\0' || !dns_name_equal(search->field->selector, published.selector) ||
        stored->algorithm != search->field->algorithm)
        return true;
    key_record_value(&published, &record);
    if (dkim_key_parse(&key, buffer_bytes(&record), stored->algorithm, search->arena) == DKIM_KEY_FINE) {
        dkim_field_input(search->field, search->index, &input);
        search->verified = signature_verify(&(struct signature_check){.algorithm = key.algorithm,
                                                                      .key = key.octets,
                                                                      .input = buffer_bytes(&input),
                                                                      .signature = search->field->signature});
    }
    buffer_free(&record);
    buffer_free(&input);
    return !search->verified;
}

static bool is_signed_by(const struct signing_keys *keys, struct key_search *search)
{
    struct error ignored;
    struct bytes domain = dns_name_without_dot(search->field->domain);
    char name[DOMAIN_NAME_MAX + 1];
    if (domain.length > DOMAIN_NAME_MAX)
        return false;
    for (size_t i = 0; i < domain.length; i++)
        name[i] = ascii_lower(domain.at[i]);
    name[domain.length] = '\0';
    return signing_keys_domain_check(bytes_of_text(name), &ignored) &&
           signing_keys_each(keys, name, try_key, search, &ignored) && search->verified;
}

static bool is_signed_here(const struct complaint_mail *mail, struct bytes copy, struct arena *arena)
{
    struct dkim *dkim = arena_take(arena, sizeof *dkim);
    bool found = false;
    dkim_begin(dkim, copy, arena);
    for (size_t i = 0; i < dkim->count && !found; i++) {
        struct key_search search = {&dkim->signatures[i].field, &dkim->index, arena, false};
        found = dkim->signatures[i].looked_at && is_signed_by(mail->keys, &search);
    }
    return found;
}

static const char *check_copy(const struct complaint_mail *mail, struct arena *arena)
{
    static const char *const types[] = {"message/rfc822", "message/global", "text/rfc822-headers",
                                        "message/global-headers"};
    struct bytes copy;
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
        if (report_mail_part(mail->content, types[i], arena, &copy))
            return is_signed_here(mail, copy, arena)
                       ? NULL
                       : "the header in it has no valid signature of a domain of this server";
    return "it has no header of the message";
}

const char *complaint_check(const struct complaint_mail *mail, const struct report_complaint *complaint)
{
    struct arena arena = {0};
    const char *why = check_sender(mail, domain_of(complaint->reporter), &arena);
    if (why == NULL && !bytes_is(complaint->type, "auth-failure"))
        why = check_copy(mail, &arena);
    arena_clear(&arena);
    return why;
}
