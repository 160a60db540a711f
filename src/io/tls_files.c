/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls_files.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/text/pem_text.h"
#include "io/read.h"

/* A sequence (ASN.1) with a long length, or one that begins with a number. */
static bool is_der(struct bytes start)
{
    return start.length == 3 && start.at[0] == '0' && ((unsigned char)start.at[1] > 127 || start.at[2] == 2);
}

/* OpenSSL passes over lines that it does not know: of a chain that begins with a byte order mark it would
 * take the second certificate. */
static bool check_form(const char *file, const char *what, struct bytes start, struct error *error)
{
    const char *words = NULL;
    if (is_der(start))
        words = "is in binary form (DER or PKCS #12); convert it to PEM with openssl";
    else if (bytes_is(start, "\xef\xbb\xbf"))
        words = "begins with a byte order mark; save it without one";
    else if (bytes_is(bytes_first(start, 2), "\xff\xfe") || bytes_is(bytes_first(start, 2), "\xfe\xff"))
        words = "is UTF-16 text; save it as ASCII or UTF-8";
    return words == NULL || error_set(error, EX_CONFIG, "the TLS %s %s %s", what, file, words);
}

/* A file as it was read, and what is wrong with it. */
struct tls_file {
    const char *path, *what;
    struct buffer text; /* which `found` points into */
    struct pem_finding found;
};

static void tls_file_free(struct tls_file *file)
{
    buffer_wipe(&file->text);
}

static bool fail_pem(const struct tls_file *file, struct error *error)
{
    struct buffer words = {0};
    pem_text_add_words(&words, &file->found);
    error_set(error, EX_CONFIG, "the TLS %s %s %s", file->what, file->path, buffer_text(&words));
    buffer_free(&words);
    return false;
}

static bool read_file(struct tls_file *file, enum pem_wanted wanted, struct error *error)
{
    int descriptor = open(file->path, O_RDONLY | O_CLOEXEC);
    bool read = descriptor >= 0 && read_up_to(descriptor, PEM_FILE_MAX, &file->text);
    if (!read)
        error_set_errno(error, EX_CONFIG, "cannot read the TLS %s %s", file->what, file->path);
    if (descriptor >= 0)
        close(descriptor);
    if (!read || !check_form(file->path, file->what, bytes_first(buffer_bytes(&file->text), 3), error))
        return false;
    file->found = pem_text_check(buffer_bytes(&file->text), wanted);
    return true;
}

/* The first error in OpenSSL's queue is the cause; the last can be of a block that was then tried. */
static bool fail_certificates(const struct tls_file *file, struct error *error)
{
    unsigned long first = ERR_peek_error();
    const char *reason = ERR_reason_error_string(first);
    bool damaged = ERR_GET_LIB(first) == ERR_LIB_ASN1 || ERR_GET_LIB(first) == ERR_LIB_PEM;
    ERR_clear_error();
    if (file->found.fault != PEM_FINE)
        return fail_pem(file, error);
    return error_set(error, EX_CONFIG, "the TLS %s %s %s (%s)%s", file->what, file->path,
                     damaged ? "is damaged: a block in it is not a certificate" : "cannot be used",
                     reason == NULL ? "OpenSSL gives no reason" : reason, damaged ? "; copy it again" : "");
}

/* A server cannot be asked for the passphrase of a key, and `config check` must not wait for one either. */
static int no_passphrase(char *room, int size, int writing, void *owner)
{
    *(bool *)owner = true; /* the key is encrypted */
    return -1;
}

static bool fail_key(bool encrypted, const char *certificate_file, const struct tls_file *key,
                     struct error *error)
{
    unsigned long last = ERR_peek_last_error();
    bool other = ERR_GET_LIB(last) == ERR_LIB_X509 && (ERR_GET_REASON(last) == X509_R_KEY_VALUES_MISMATCH ||
                                                       ERR_GET_REASON(last) == X509_R_KEY_TYPE_MISMATCH);
    /* a key of another kind is stored apart, without a certificate */
    other = other ||
            (ERR_GET_LIB(last) == ERR_LIB_SSL && ERR_GET_REASON(last) == SSL_R_NO_CERTIFICATE_ASSIGNED);
    ERR_clear_error();
    if (encrypted)
        return error_set(error, EX_CONFIG,
                         "the key %s is encrypted; store it without a passphrase: openssl pkey -in %s",
                         key->path, key->path);
    if (other)
        return error_set(error, EX_CONFIG,
                         "the key %s does not belong to the first certificate of %s; use the two files that "
                         "were issued together, with the server's own certificate first",
                         key->path, certificate_file);
    if (key->found.fault != PEM_FINE)
        return fail_pem(key, error);
    return error_set(error, EX_CONFIG, "the TLS key %s is damaged, or of a kind that OpenSSL does not know",
                     key->path);
}

static bool use_both(SSL_CTX *ssl, const struct tls_file *certificate, const struct tls_file *key,
                     struct error *error)
{
    bool encrypted = false;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ssl, certificate->path) != 1)
        return fail_certificates(certificate, error);
    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, &encrypted);
    bool used = SSL_CTX_use_PrivateKey_file(ssl, key->path, SSL_FILETYPE_PEM) == 1 &&
                SSL_CTX_check_private_key(ssl) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    return used || fail_key(encrypted, certificate->path, key, error);
}

bool tls_files_use(SSL_CTX *ssl, const char *certificate_file, const char *key_file, struct error *error)
{
    struct tls_file certificate = {.path = certificate_file, .what = "certificate"},
                    key = {.path = key_file, .what = "key"};
    bool used = read_file(&certificate, PEM_CERTIFICATES, error) && read_file(&key, PEM_KEY, error);
    if (used && pem_fault_is_silent(certificate.found.fault))
        used = fail_pem(&certificate, error);
    used = used && use_both(ssl, &certificate, &key, error);
    tls_file_free(&certificate);
    tls_file_free(&key);
    return used;
}

bool tls_files_trust(SSL_CTX *ssl, const char *ca_file, struct error *error)
{
    struct tls_file file = {.path = ca_file, .what = "CA file"};
    bool trusted = read_file(&file, PEM_CERTIFICATES, error);
    ERR_clear_error();
    if (trusted && SSL_CTX_load_verify_file(ssl, ca_file) != 1)
        trusted = fail_certificates(&file, error);
    tls_file_free(&file);
    return trusted;
}
