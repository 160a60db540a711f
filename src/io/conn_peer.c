/* SPDX-License-Identifier: Apache-2.0 */
/* conn_peer: TLS requirements for a server, and the result of its certificate check. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/dns/dns_name.h"
#include "core/dns/host.h"
#include "core/route/tls_policy.h"
#include "io/conn_tls.h"

/* ---- sessions ---- */

static int session_came(SSL *ssl, SSL_SESSION *session)
{
    struct conn *conn = SSL_get_app_data(ssl);
    if (conn == NULL || conn->context == NULL)
        return 0;
    tls_session_keep(conn->context, buffer_bytes(&conn->session_key), session, conn->verify_error);
    return 1; /* takes ownership */
}

/* Builds the session key from the requirements, so that no session is reused for stricter ones. */
static void name_session(struct conn *conn, const struct conn_peer *peer)
{
    buffer_add_format(&conn->session_key, "%s %d %s", peer->name, (int)peer->verify,
                      peer->protocol == NULL ? "-" : peer->protocol);
    for (size_t i = 0; i < peer->tlsa_count; i++) {
        const struct dns_record *record = &peer->tlsa[i];
        buffer_add_format(&conn->session_key, " %u %u %u %zu ", record->usage, record->selector,
                          record->matching, record->data.length);
        buffer_add(&conn->session_key, record->data);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(peer->names) && peer->tlsa_count > 0; i++)
        buffer_add_format(&conn->session_key, " %.*s", BYTES_ARG(peer->names[i]));
}

static void resume(struct conn *conn, struct tls_context *context, const struct conn_peer *peer)
{
    if (context->sessions == NULL)
        return;
    conn->context = context;
    name_session(conn, peer);
    SSL_CTX_sess_set_new_cb(context->ssl, session_came);
    SSL_SESSION *session = tls_session_take(context, buffer_bytes(&conn->session_key), &conn->resumed_error);
    if (session != NULL)
        SSL_set_session(conn->ssl, session);
    SSL_SESSION_free(session);
}

bool conn_met_clear_text(const struct conn *conn)
{
    return tls_socket_met_clear_text(&conn->tls);
}

struct bytes conn_clear_text(const struct conn *conn)
{
    return buffer_bytes(&conn->tls.clear);
}

bool conn_tls_resumed(const struct conn *conn)
{
    return conn->ssl != NULL && SSL_session_reused(conn->ssl) == 1;
}

/* ---- the handshake ---- */

/* True if a wildcard among the certificate's names covers the host, followed by two labels or more (RFC
 * 9525 6.3). */
static bool has_star_for(X509 *certificate, struct bytes host)
{
    struct bytes tail = host, label = bytes_split(&tail, '.');
    bool may = host_is_name(label, false) && bytes_find(tail, '.') != SIZE_MAX, found = false;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && may; i++) {
        int kind;
        const ASN1_STRING *text = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
        if (kind != GEN_DNS)
            continue;
        struct bytes name = bytes_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
        found = found || (bytes_starts_nocase(name, "*.") && dns_name_matches(name, host));
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* OpenSSL rejects underscores, both under the wildcard and after it; host names may have them
 * (core/dns/host.h). */
static bool star_covers_underscore(X509 *certificate, const char *host)
{
    return strchr(host, '_') != NULL && has_star_for(certificate, bytes_of_text(host));
}

static bool star_covers_any(X509_STORE_CTX *store)
{
    const char *host;
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    for (int i = 0; (host = X509_VERIFY_PARAM_get0_host(X509_STORE_CTX_get0_param(store), i)) != NULL; i++)
        if (star_covers_underscore(certificate, host))
            return true;
    return false;
}

static int first_error(int fine, X509_STORE_CTX *store)
{
    if (!fine && X509_STORE_CTX_get_error(store) == X509_V_ERR_HOSTNAME_MISMATCH && star_covers_any(store))
        return 1;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct conn *conn = ssl == NULL ? NULL : SSL_get_app_data(ssl);
    if (!fine && conn != NULL && conn->verify_error == X509_V_OK)
        conn->verify_error = X509_STORE_CTX_get_error(store);
    return 1; /* checked after the handshake, so that the error can be reported in full */
}

static bool is_address_text(const char *name)
{
    unsigned char address[16];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

enum { HOST_FLAGS = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT };

bool conn_certificate_names(X509 *certificate, const char *host)
{
    if (is_address_text(host))
        return X509_check_ip_asc(certificate, host, 0) == 1;
    return X509_check_host(certificate, host, 0, HOST_FLAGS, NULL) == 1 ||
           star_covers_underscore(certificate, host);
}

/* RFC 7671 5.1: with DANE-EE, names and dates are not checked, as in OpenSSL. True if some records are
 * usable. */
static bool check_tlsa(struct conn *conn, const struct conn_peer *peer)
{
    bool any = false;
    if (peer->tlsa_count == 0 || SSL_dane_enable(conn->ssl, peer->name) != 1)
        return false;
    SSL_dane_set_flags(conn->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    for (size_t i = 0; i < peer->tlsa_count; i++) {
        const struct dns_record *record = &peer->tlsa[i];
        any |= tls_policy_tlsa_is_usable(record) &&
               SSL_dane_tlsa_add(conn->ssl, record->usage, record->selector, record->matching,
                                 (const unsigned char *)record->data.at, record->data.length) > 0;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(peer->names); i++) {
        char name[256];
        if (peer->names[i].length == 0 || peer->names[i].length >= sizeof name)
            continue;
        memcpy(name, peer->names[i].at, peer->names[i].length);
        name[peer->names[i].length] = '\0';
        SSL_add1_host(conn->ssl, name);
    }
    ERR_clear_error();
    return any;
}

static void offer_protocol(struct conn *conn, const char *protocol)
{
    unsigned char list[32];
    size_t length = strlen(protocol);
    assert(length < sizeof list);
    list[0] = (unsigned char)length;
    memcpy(list + 1, protocol, length);
    SSL_set_alpn_protos(conn->ssl, list, (unsigned)length + 1);
}

bool conn_tls_speaks(const struct conn *conn, const char *protocol)
{
    const unsigned char *name = NULL;
    unsigned length = 0;
    if (conn->ssl != NULL)
        SSL_get0_alpn_selected(conn->ssl, &name, &length);
    return bytes_is(bytes_of(name, length), protocol);
}

void conn_start_tls_peer(struct conn *conn, struct tls_context *context, const struct conn_peer *peer)
{
    conn_begin_tls(conn, context);
    if (conn->ssl == NULL)
        return;
    SSL_set_connect_state(conn->ssl);
    SSL_set_verify(conn->ssl, SSL_VERIFY_PEER, first_error);
    X509_VERIFY_PARAM *wanted = SSL_get0_param(conn->ssl);
    X509_VERIFY_PARAM_set_hostflags(wanted, HOST_FLAGS);
    bool by_tlsa = check_tlsa(conn, peer);
    conn->verify = peer->verify || by_tlsa;
    if (!by_tlsa && is_address_text(peer->name)) {
        X509_VERIFY_PARAM_set1_ip_asc(wanted, peer->name);
    } else if (!by_tlsa && peer->name[0] != '\0') {
        SSL_set_tlsext_host_name(conn->ssl, peer->name);
        X509_VERIFY_PARAM_set1_host(wanted, peer->name, 0);
    }
    if (peer->protocol != NULL)
        offer_protocol(conn, peer->protocol);
    resume(conn, context, peer);
}

void conn_start_tls_client(struct conn *conn, struct tls_context *context, const char *name, bool verify)
{
    conn_start_tls_peer(conn, context, &(struct conn_peer){.name = name, .verify = verify});
}

/* ---- its certificate ---- */

enum tls_certificate conn_tls_certificate(const struct conn *conn)
{
    if (conn->ssl == NULL || SSL_get0_peer_certificate(conn->ssl) == NULL)
        return TLS_CERTIFICATE_NONE;
    switch (conn->verify_error) {
    case X509_V_OK: return TLS_CERTIFICATE_VALID;
    case X509_V_ERR_CERT_HAS_EXPIRED: return TLS_CERTIFICATE_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID: return TLS_CERTIFICATE_NOT_YET_VALID;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return TLS_CERTIFICATE_OTHER_NAME;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return TLS_CERTIFICATE_SELF_SIGNED;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: return TLS_CERTIFICATE_UNKNOWN_ISSUER;
    case X509_V_ERR_DANE_NO_MATCH: return TLS_CERTIFICATE_NO_TLSA;
    default: return TLS_CERTIFICATE_INVALID;
    }
}

static void add_name(BIO *out, const ASN1_STRING *name, bool first)
{
    BIO_puts(out, first ? "it is for " : ", ");
    ASN1_STRING_print_ex(out, name, ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB);
}

/* Appends the certificate's first few names (RFC 9525: only subjectAltName counts). */
static void add_names(BIO *out, const X509 *certificate)
{
    enum { NAMES_MAX = 3 };
    int shown = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && shown < NAMES_MAX; i++) {
        int kind;
        ASN1_STRING *name = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
        if (kind == GEN_DNS)
            add_name(out, name, shown++ == 0);
    }
    if (sk_GENERAL_NAME_num(names) > NAMES_MAX)
        BIO_puts(out, ", ...");
    if (shown == 0)
        BIO_puts(out, "it names no host");
    GENERAL_NAMES_free(names);
}

struct bytes conn_tls_certificate_text(const struct conn *conn, char *buffer, size_t size)
{
    const X509 *certificate = conn->ssl == NULL ? NULL : SSL_get0_peer_certificate(conn->ssl);
    BIO *out = certificate == NULL ? NULL : BIO_new(BIO_s_mem());
    if (out == NULL)
        return bytes_none();
    switch (conn_tls_certificate(conn)) {
    case TLS_CERTIFICATE_OTHER_NAME: add_names(out, certificate); break;
    case TLS_CERTIFICATE_EXPIRED:
        BIO_puts(out, "it expired on ");
        ASN1_TIME_print(out, X509_get0_notAfter(certificate));
        break;
    case TLS_CERTIFICATE_NOT_YET_VALID:
        BIO_puts(out, "it begins on ");
        ASN1_TIME_print(out, X509_get0_notBefore(certificate));
        break;
    case TLS_CERTIFICATE_UNKNOWN_ISSUER:
        BIO_puts(out, "its issuer is ");
        X509_NAME_print_ex(out, X509_get_issuer_name(certificate), 0,
                           XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
        break;
    default: break;
    }
    int length = BIO_read(out, buffer, (int)size);
    BIO_free(out);
    return bytes_of(buffer, length > 0 ? (size_t)length : 0);
}

const char *conn_certificate_sentence(enum tls_certificate verdict)
{
    switch (verdict) {
    case TLS_CERTIFICATE_EXPIRED: return "the server's certificate has expired";
    case TLS_CERTIFICATE_NOT_YET_VALID:
        return "the server's certificate is not valid yet; check this machine's clock";
    case TLS_CERTIFICATE_OTHER_NAME: return "the server's certificate is for another name";
    case TLS_CERTIFICATE_SELF_SIGNED: return "the server's certificate is self-signed";
    case TLS_CERTIFICATE_UNKNOWN_ISSUER: return "the server's certificate comes from an unknown issuer";
    case TLS_CERTIFICATE_NONE: return "the server sent no certificate";
    case TLS_CERTIFICATE_NO_TLSA: return "the server's certificate matches none of its TLSA records (DANE)";
    case TLS_CERTIFICATE_VALID:
    case TLS_CERTIFICATE_INVALID: break;
    }
    return "the server's certificate is not valid";
}
