/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/map.h"
#include "io/clock.h"
#include "io/random.h"
#include "io/tls_files.h"

enum { SELF_SIGNED_DAYS = 825 };

/* A client accepts more than a server offers, P-521 too: it has to deal with existing servers. In TLS 1.2
 * a server may use its own finite-field group: see spare_large_group(). */
#define CLIENT_GROUPS "X25519:P-256:P-384:P-521"

static const char *openssl_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason == NULL ? "unknown reason" : reason;
}

/* Settings of server and client contexts. Buffers are released between records, so that an idle connection
 * stays small. */
static bool context_start(struct tls_context *context, const SSL_METHOD *method, const char *groups,
                          struct error *error)
{
    context->ssl = SSL_CTX_new(method);
    if (context->ssl == NULL || SSL_CTX_set1_groups_list(context->ssl, groups) != 1)
        return error_set(error, EX_SOFTWARE, "cannot start TLS: %s", openssl_reason());
    SSL_CTX_set_min_proto_version(context->ssl, TLS1_2_VERSION);
    SSL_CTX_set_mode(context->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context->ssl,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_read_ahead(context->ssl, 1);
    SSL_CTX_set_default_read_buffer_len(context->ssl, 4096);
    return true;
}

/* Returns the length of an extension; 0 if absent. */
static size_t extension_length(SSL *ssl, unsigned kind)
{
    const unsigned char *octets;
    size_t length;
    return SSL_client_hello_get0_ext(ssl, kind, &octets, &length) == 1 ? length : 0;
}

/* OpenSSL searches each key share among all groups, linearly: with as many as fit into a ClientHello, that
 * takes seconds. */
static int check_hello(SSL *ssl, int *alert, void *owner)
{
    if (extension_length(ssl, TLSEXT_TYPE_supported_groups) <= TLS_HELLO_GROUPS_MAX &&
        extension_length(ssl, TLSEXT_TYPE_key_share) <= TLS_HELLO_SHARES_MAX)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_ILLEGAL_PARAMETER;
    return SSL_CLIENT_HELLO_ERROR;
}

bool tls_server_open(struct tls_context *context, const char *certificate_file, const char *key_file,
                     struct error *error)
{
    if (!context_start(context, TLS_server_method(), TLS_SERVER_GROUPS, error))
        return false;
    SSL_CTX_set_cipher_list(context->ssl, TLS_SERVER_SUITES);
    SSL_CTX_set_options(context->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_client_hello_cb(context->ssl, check_hello, NULL);
    SSL_CTX_set_max_early_data(context->ssl, 0); /* early data could be replayed */
    /* tickets resume without server memory; a mail client opens one connection after the other, and gets
     * the next ticket with it */
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context->ssl, 1);
    /* the file has the chain: else OpenSSL searches for one at each handshake */
    SSL_CTX_set_mode(context->ssl, SSL_MODE_NO_AUTO_CHAIN);
    if (tls_files_use(context->ssl, certificate_file, key_file, error))
        return true;
    tls_close(context);
    return false;
}

void tls_allow_old(struct tls_context *context)
{
    SSL_CTX_set_security_level(context->ssl, 0);
    SSL_CTX_set_min_proto_version(context->ssl, TLS1_VERSION);
    int known = SSL_CTX_set_cipher_list(context->ssl, TLS_OLD_SUITES);
    assert(known == 1);
}

/* ---- application protocol (ALPN) ---- */

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                           const unsigned char *in, unsigned in_length, void *owner)
{
    struct bytes wanted = bytes_of_text(owner);
    for (struct bytes list = bytes_of(in, in_length); list.length > 0;) {
        size_t length = (unsigned char)list.at[0];
        struct bytes one = bytes_first(bytes_from(list, 1), length);
        if (bytes_equal(one, wanted)) {
            *out = (const unsigned char *)one.at;
            *out_length = (unsigned char)one.length;
            return SSL_TLSEXT_ERR_OK;
        }
        list = bytes_from(list, 1 + one.length);
    }
    return SSL_TLSEXT_ERR_NOACK;
}

void tls_speak(struct tls_context *context, const char *protocol)
{
    SSL_CTX_set_alpn_select_cb(context->ssl, select_protocol, (void *)(uintptr_t)protocol);
}

/* ---- tickets ---- */

enum { TICKET_NAME_OCTETS = 16, TICKET_AES_OCTETS = 32, TICKET_MAC_OCTETS = 32 };

struct ticket_key {
    uint64_t epoch; /* of TLS_TICKET_S since 1970 */
    unsigned char name[TICKET_NAME_OCTETS], aes[TICKET_AES_OCTETS], mac[TICKET_MAC_OCTETS];
};

/* Keys of the current epoch and the one before, as last used: to derive them takes as long as a ticket
 * itself. */
struct tls_tickets {
    const unsigned char *secret;
    struct ticket_key keys[2]; /* by epoch, alternately; epoch 0: not derived */
    EVP_CIPHER *cipher;
};

/* Derives three values by HMAC-SHA-256, one per purpose. */
static bool derive(const unsigned char *secret, uint64_t epoch, struct ticket_key *key)
{
    unsigned char out[3][EVP_MAX_MD_SIZE], about[sizeof epoch + 1];
    memcpy(about, &epoch, sizeof epoch);
    for (unsigned char part = 0; part < 3; part++) {
        unsigned length;
        about[sizeof epoch] = part;
        if (HMAC(EVP_sha256(), secret, TLS_TICKET_SECRET_OCTETS, about, sizeof about, out[part], &length) ==
            NULL)
            return false;
    }
    memcpy(key->name, out[0], sizeof key->name);
    memcpy(key->aes, out[1], sizeof key->aes);
    memcpy(key->mac, out[2], sizeof key->mac);
    key->epoch = epoch;
    OPENSSL_cleanse(out, sizeof out);
    return true;
}

/* Returns the key of this epoch; NULL if OpenSSL fails. */
static struct ticket_key *key_of_epoch(struct tls_tickets *tickets, uint64_t epoch)
{
    struct ticket_key *key = &tickets->keys[epoch % 2];
    return key->epoch == epoch || derive(tickets->secret, epoch, key) ? key : NULL;
}

static bool use_key(struct tls_tickets *tickets, struct ticket_key *key, unsigned char *vector,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
    OSSL_PARAM about[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
                          OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"sha256", 0),
                          OSSL_PARAM_construct_end()};
    return EVP_CipherInit_ex2(cipher, tickets->cipher, key->aes, vector, encrypt, NULL) == 1 &&
           EVP_MAC_CTX_set_params(mac, about) == 1;
}

/* Selects the key to make or read a ticket, for OpenSSL: 1 valid, 2 valid but renew it, 0 unknown, -1
 * failure. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *vector, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int encrypt)
{
    struct tls_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    uint64_t epoch = (uint64_t)time(NULL) / TLS_TICKET_S;
    int answer = 0;
    for (uint64_t age = 0; age < (encrypt ? 1u : 2u) && answer == 0; age++) {
        struct ticket_key *key = key_of_epoch(tickets, epoch - age);
        if (key == NULL)
            return -1;
        if (encrypt)
            memcpy(name, key->name, sizeof key->name);
        bool known = encrypt ? RAND_bytes(vector, EVP_CIPHER_get_iv_length(tickets->cipher)) == 1
                             : CRYPTO_memcmp(name, key->name, sizeof key->name) == 0;
        if (known)
            answer = !use_key(tickets, key, vector, cipher, mac, encrypt) ? -1 : age == 0 ? 1 : 2;
    }
    return answer;
}

void tls_share_tickets(struct tls_context *context, const unsigned char *secret)
{
    struct tls_tickets *tickets = context->tickets = memory_new(sizeof *tickets);
    tickets->secret = secret;
    tickets->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    assert(tickets->cipher != NULL);
    SSL_CTX_set_app_data(context->ssl, tickets);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context->ssl, ticket_key);
}

static void tickets_free(struct tls_tickets *tickets)
{
    if (tickets == NULL)
        return;
    EVP_CIPHER_free(tickets->cipher);
    OPENSSL_cleanse(tickets, sizeof *tickets);
    free(tickets);
}

/* ---- sessions to resume ---- */

struct kept_session {
    SSL_SESSION *session;
    long verify_error;
    struct kept_session *older, *newer;
    size_t key_length;
    char key[];
};

struct tls_sessions {
    struct map by_key;
    struct kept_session *oldest, *newest;
};

static void forget(struct tls_sessions *sessions, struct kept_session *kept)
{
    map_remove(&sessions->by_key, bytes_of(kept->key, kept->key_length));
    *(kept->older == NULL ? &sessions->oldest : &kept->older->newer) = kept->newer;
    *(kept->newer == NULL ? &sessions->newest : &kept->newer->older) = kept->older;
    SSL_SESSION_free(kept->session);
    free(kept);
}

static void sessions_free(struct tls_sessions *sessions)
{
    if (sessions == NULL)
        return;
    while (sessions->oldest != NULL)
        forget(sessions, sessions->oldest);
    map_free(&sessions->by_key);
    free(sessions);
}

void tls_client_resume(struct tls_context *context)
{
    context->sessions = memory_new(sizeof *context->sessions);
    map_start(&context->sessions->by_key, random_u64());
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
}

void tls_session_keep(struct tls_context *context, struct bytes key, SSL_SESSION *session, long verify_error)
{
    struct tls_sessions *sessions = context->sessions;
    struct kept_session *before = map_get(&sessions->by_key, key);
    if (before != NULL)
        forget(sessions, before);
    while (sessions->by_key.count >= TLS_SESSIONS_MAX)
        forget(sessions, sessions->oldest);
    struct kept_session *kept = memory_new(sizeof *kept + key.length);
    kept->session = session;
    kept->verify_error = verify_error;
    kept->key_length = key.length;
    memcpy(kept->key, key.at, key.length);
    kept->older = sessions->newest;
    *(kept->older == NULL ? &sessions->oldest : &kept->older->newer) = kept;
    sessions->newest = kept;
    map_put(&sessions->by_key, key, kept);
}

/* A TLS 1.3 ticket is used once (RFC 8446 C.4); TLS 1.2 tickets are stored again by the next handshake. */
SSL_SESSION *tls_session_take(struct tls_context *context, struct bytes key, long *verify_error)
{
    struct kept_session *kept = map_get(&context->sessions->by_key, key);
    if (kept == NULL)
        return NULL;
    int64_t age_s = (int64_t)clock_epoch_ms() / 1000 - SSL_SESSION_get_time(kept->session);
    bool usable = age_s >= -1 && age_s < TLS_SESSION_AGE_MAX_S && SSL_SESSION_is_resumable(kept->session) &&
                  SSL_SESSION_up_ref(kept->session) == 1;
    SSL_SESSION *session = usable ? kept->session : NULL;
    *verify_error = kept->verify_error;
    if (!usable || SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
        forget(context->sessions, kept);
    return session;
}

/* ---- a client's context ---- */

/* The result is read from the connection later; the handshake continues so that all faults can be
 * reported. */
static int verify_later(int fine, X509_STORE_CTX *store)
{
    return 1;
}

typedef int security_check(const SSL *ssl, const SSL_CTX *context, int operation, int bits, int nid,
                           void *other, void *owner);
static security_check *usual_check;

/* Applies OpenSSL's security check, plus a limit on finite-field groups: a server without ECDHE is still
 * accepted, but its modulus must not block other deliveries. */
static int spare_large_group(const SSL *ssl, const SSL_CTX *context, int operation, int bits, int nid,
                             void *other, void *owner)
{
    EVP_PKEY *key = operation == SSL_SECOP_TMP_DH ? other : NULL;
    if (key != NULL && EVP_PKEY_get_bits(key) > TLS_CLIENT_DH_BITS_MAX)
        return 0;
    return usual_check(ssl, context, operation, bits, nid, other, owner);
}

/* With the certificates of the default paths. Reads the bundle now: a sandboxed process opens no file. On
 * Debian the default file is a link to the bundle, and to read its certificates again takes as long. */
static void trust_the_system(SSL_CTX *ssl)
{
    static const char bundle[] = "/etc/ssl/certs/ca-certificates.crt";
    const char *named = getenv(X509_get_default_cert_file_env());
    struct stat usual, known;
    bool same = stat(named != NULL ? named : X509_get_default_cert_file(), &usual) == 0 &&
                stat(bundle, &known) == 0 && usual.st_dev == known.st_dev && usual.st_ino == known.st_ino;
    SSL_CTX_set_default_verify_paths(ssl);
    if (!same)
        SSL_CTX_load_verify_file(ssl, bundle);
    ERR_clear_error();
}

bool tls_client_open(struct tls_context *context, const char *ca_file, struct error *error)
{
    if (!context_start(context, TLS_client_method(), CLIENT_GROUPS, error))
        return false;
    usual_check = SSL_CTX_get_security_callback(context->ssl);
    SSL_CTX_set_security_callback(context->ssl, spare_large_group);
    if (ca_file == NULL) {
        trust_the_system(context->ssl);
    } else if (!tls_files_trust(context->ssl, ca_file, error)) {
        tls_close(context);
        return false;
    }
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, verify_later);
    SSL_CTX_dane_enable(context->ssl);
    return true;
}

void tls_close(struct tls_context *context)
{
    sessions_free(context->sessions);
    context->sessions = NULL;
    SSL_CTX_free(context->ssl);
    context->ssl = NULL;
    tickets_free(context->tickets);
    context->tickets = NULL;
}

/* ---- a self-signed certificate ---- */

static bool add_extension(X509 *certificate, int kind, const char *value)
{
    X509V3_CTX about;
    X509V3_set_ctx_nodb(&about);
    X509V3_set_ctx(&about, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &about, kind, value);
    bool added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static X509 *self_signed(const char *hostname, EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    char names[600];
    unsigned char address[16];
    bool is_address = inet_pton(AF_INET, hostname, address) == 1 ||
                      inet_pton(AF_INET6, hostname, address) == 1;
    snprintf(names, sizeof names, "%s:%s,DNS:localhost,IP:127.0.0.1,IP:::1", is_address ? "IP" : "DNS",
             hostname);
    uint64_t serial = 0;
    if (certificate == NULL)
        return NULL;
    X509_NAME *name = X509_get_subject_name(certificate);
    bool made = X509_set_version(certificate, 2) == 1 && getentropy(&serial, sizeof serial) == 0 &&
                ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1 &&
                X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != NULL &&
                X509_time_adj_ex(X509_getm_notAfter(certificate), SELF_SIGNED_DAYS, 0, NULL) != NULL &&
                X509_set_pubkey(certificate, key) == 1 &&
                X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)hostname, -1, -1,
                                           0) == 1 &&
                X509_set_issuer_name(certificate, name) == 1 &&
                add_extension(certificate, NID_subject_alt_name, names) &&
                add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
                X509_sign(certificate, key, EVP_sha256()) > 0;
    if (!made) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

static bool write_pem(int descriptor, EVP_PKEY *key, X509 *certificate)
{
    FILE *out = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (out == NULL)
        return false;
    bool written = (key != NULL ? PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL)
                                : PEM_write_X509(out, certificate)) == 1 &&
                   fflush(out) == 0 && fsync(descriptor) == 0;
    return (fclose(out) == 0) && written;
}

/* Writes the key or the certificate. The file gets its name only once it is complete and on disk. */
static bool keep_pem(const struct folder *folder, const char *name, mode_t mode, EVP_PKEY *key,
                     X509 *certificate, struct error *error)
{
    char fresh[NAME_MAX + 1];
    snprintf(fresh, sizeof fresh, "%.200s.new", name);
    int descriptor = folder_new_file(folder->descriptor, fresh, mode);
    bool kept = write_pem(descriptor, key, certificate) &&
                renameat(folder->descriptor, fresh, folder->descriptor, name) == 0;
    if (!kept)
        error_set_errno(error, descriptor < 0 ? EX_CANTCREAT : EX_IOERR, "cannot write %s/%s", folder->path,
                        name);
    return kept && folder_sync(folder, error);
}

bool tls_make_self_signed(const char *hostname, const struct folder *folder, const char *certificate_name,
                          const char *key_name, struct error *error)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key == NULL ? NULL : self_signed(hostname, key);
    bool made = certificate != NULL || error_set(error, EX_SOFTWARE, "cannot make a certificate for %s: %s",
                                                 hostname, openssl_reason());
    /* The key first: where a certificate exists, so does its key. */
    made = made && keep_pem(folder, key_name, 0600, key, NULL, error) &&
           keep_pem(folder, certificate_name, 0644, NULL, certificate, error);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return made;
}

/* ---- published digest of a certificate ---- */

bool tls_key_digest(const char *certificate_file, uint8_t digest[TLS_KEY_DIGEST], struct error *error)
{
    FILE *file = fopen(certificate_file, "re");
    if (file == NULL)
        return error_set_errno(error, EX_NOINPUT, "cannot read the certificate %s", certificate_file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    unsigned char *key = NULL;
    int length = certificate == NULL ? 0 : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
    bool done = length > 0 && EVP_Digest(key, (size_t)length, digest, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(key);
    X509_free(certificate);
    fclose(file);
    return done || error_set(error, EX_DATAERR, "%s holds no certificate in PEM form", certificate_file);
}

/* ---- signing ---- */

bool tls_signer_open(struct tls_signer *signer, const char *certificate_file, const char *key_file)
{
    *signer = (struct tls_signer){0};
    FILE *file = certificate_file == NULL ? NULL : fopen(certificate_file, "re"),
         *key = key_file == NULL ? NULL : fopen(key_file, "re");
    if (file != NULL) {
        X509 *next;
        signer->certificate = PEM_read_X509(file, NULL, NULL, NULL);
        signer->chain = sk_X509_new_null();
        while ((next = PEM_read_X509(file, NULL, NULL, NULL)) != NULL)
            sk_X509_push(signer->chain, next);
        fclose(file);
    }
    if (key != NULL) {
        signer->key = PEM_read_PrivateKey(key, NULL, NULL, NULL);
        fclose(key);
    }
    ERR_clear_error();
    return signer->certificate != NULL && signer->key != NULL;
}

bool tls_sign(const struct tls_signer *signer, struct bytes content, struct buffer *out)
{
    unsigned char *signed_octets = NULL;
    if (signer->certificate == NULL || signer->key == NULL)
        return false;
    BIO *in = BIO_new_mem_buf(content.at, (int)content.length);
    CMS_ContentInfo *cms = CMS_sign(signer->certificate, signer->key, signer->chain, in,
                                    CMS_BINARY | CMS_NOSMIMECAP);
    int length = cms == NULL ? 0 : i2d_CMS_ContentInfo(cms, &signed_octets);
    if (length > 0)
        buffer_add(out, bytes_of(signed_octets, (size_t)length));
    OPENSSL_free(signed_octets);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    ERR_clear_error();
    return length > 0;
}
