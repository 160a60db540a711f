/* SPDX-License-Identifier: Apache-2.0 */
#include "core/import/stored_password.h"

#include <assert.h>

/* ---- the forms of crypt(5) ---- */

enum crypt_form_limit { SALT_MAX = 64, DES_LENGTH = 13 };

static const struct crypt_form {
    const char *prefix, *name;
    size_t hash_length; /* characters behind the last '$' */
    uint8_t fields;     /* parts between the prefix and the hash: 1, or with parameters 2 */
    bool has_rounds;    /* "rounds=5000$" can stand in front */
} forms[] = {{"$6$", "SHA512-CRYPT", 86, 1, true},    {"$5$", "SHA256-CRYPT", 43, 1, true},
             {"$1$", "MD5-CRYPT", 22, 1, false},      {"$2a$", "BLF-CRYPT", 53, 1, false},
             {"$2b$", "BLF-CRYPT", 53, 1, false},     {"$2x$", "BLF-CRYPT", 53, 1, false},
             {"$2y$", "BLF-CRYPT", 53, 1, false},     {"$y$", "YESCRYPT", 43, 2, false},
             {"$gy$", "GOST-YESCRYPT", 43, 2, false}, {"$7$", "SCRYPT", 43, 1, false}};

static bool is_crypt_text(struct bytes text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!ascii_is_alnum(text.at[i]) && text.at[i] != '.' && text.at[i] != '/')
            return false;
    return true;
}

static bool is_salt(struct bytes text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] <= ' ' || text.at[i] > '~' || text.at[i] == ':')
            return false;
    return text.length <= SALT_MAX;
}

static bool has_form(const struct crypt_form *form, struct bytes text)
{
    struct bytes rest = bytes_from(text, strlen(form->prefix));
    bool ends = true;
    assert(form->fields > 0 && form->hash_length > 0);
    if (form->has_rounds && bytes_starts_nocase(rest, "rounds="))
        bytes_split(&rest, '$');
    for (uint8_t i = 0; i < form->fields; i++) {
        ends = ends && bytes_find(rest, '$') != SIZE_MAX;
        if (!is_salt(bytes_split(&rest, '$')))
            return false;
    }
    return ends && rest.length == form->hash_length && is_crypt_text(rest);
}

static const struct crypt_form *form_of(struct bytes text)
{
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++)
        if (bytes_is(bytes_first(text, strlen(forms[i].prefix)), forms[i].prefix))
            return &forms[i];
    return NULL;
}

static bool is_des(struct bytes text)
{
    return text.length == DES_LENGTH && is_crypt_text(text);
}

/* ---- Dovecot's schemes ---- */

static const char *const crypt_schemes[] = {"CRYPT",     "SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT",
                                            "MD5-CRYPT", "DES-CRYPT",    "MD5"};
static const char *const plain_schemes[] = {"PLAIN", "CLEARTEXT", "CLEAR"};
/* names without "." and an encoding behind them */
static const char *const foreign_schemes[] = {
    "ARGON2I",  "ARGON2ID",    "ARGON2",        "SSHA",        "SSHA256",  "SSHA512",   "SHA",
    "SHA1",     "SHA256",      "SHA512",        "SMD5",        "LDAP-MD5", "PLAIN-MD4", "PLAIN-MD5",
    "CRAM-MD5", "HMAC-MD5",    "DIGEST-MD5",    "LANMAN",      "NTLM",     "OTP",       "RPA",
    "PBKDF2",   "SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN-TRUNC", "SKEY",     "PAM"};

static bool is_among(struct bytes scheme, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_is_nocase(scheme, names[i]))
            return true;
    return false;
}

/* "{SCHEME}value" or "{SCHEME.b64}value"; false for another text, also one that only looks alike. */
static bool split_scheme(struct bytes text, struct bytes *scheme, struct bytes *encoding, struct bytes *value)
{
    size_t end = text.length > 0 && text.at[0] == '{' ? bytes_find(text, '}') : SIZE_MAX;
    if (end == SIZE_MAX)
        return false;
    *encoding = bytes_first(bytes_from(text, 1), end - 1);
    *scheme = bytes_split(encoding, '.');
    *value = bytes_from(text, end + 1);
    return true;
}

static struct stored_password read_scheme(struct bytes scheme, struct bytes encoding, struct bytes value)
{
    struct stored_password stored = {.scheme = scheme, .value = value};
    if (is_among(scheme, crypt_schemes, ARRAY_LENGTH(crypt_schemes))) {
        const struct crypt_form *form = form_of(value);
        bool whole = encoding.length == 0 && (form != NULL ? has_form(form, value) : is_des(value));
        stored.kind = whole ? STORED_HASH : STORED_DAMAGED;
    } else if (is_among(scheme, plain_schemes, ARRAY_LENGTH(plain_schemes))) {
        stored.kind = encoding.length == 0 ? STORED_PLAIN : STORED_FOREIGN;
    } else if (is_among(scheme, foreign_schemes, ARRAY_LENGTH(foreign_schemes))) {
        stored.kind = STORED_FOREIGN;
    }
    return stored;
}

struct stored_password stored_password_read(struct bytes text, bool crypt_default)
{
    struct bytes scheme, encoding, value;
    if (split_scheme(text, &scheme, &encoding, &value)) {
        struct stored_password stored = read_scheme(scheme, encoding, value);
        if (stored.kind != STORED_NOT)
            return stored;
        return (struct stored_password){crypt_default ? STORED_FOREIGN : STORED_NOT, scheme, value};
    }
    const struct crypt_form *form = form_of(text);
    if (form != NULL && has_form(form, text))
        return (struct stored_password){STORED_HASH, bytes_of_text(form->name), text};
    if (bytes_starts_nocase(text, "$argon2"))
        return (struct stored_password){STORED_FOREIGN, BYTES("ARGON2"), text};
    if (crypt_default && is_des(text))
        return (struct stored_password){STORED_HASH, BYTES("DES-CRYPT"), text};
    return (struct stored_password){crypt_default && text.length > 0 ? STORED_DAMAGED : STORED_NOT,
                                    form != NULL ? bytes_of_text(form->name) : BYTES("CRYPT"), text};
}
