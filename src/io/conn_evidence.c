/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "io/conn_evidence.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "io/conn_tls.h"

/* ---- how it ended ---- */

enum { POLICY_FAILS = 5, ROUTE_REJECTED = 6 }; /* codes of ICMPv6 type 1 (RFC 4443 3.1) */

static enum fact_unreachable unreachable_of(int number)
{
    switch (number) {
    case ENETUNREACH:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: return UNREACHABLE_NO_ROUTE;
    case EHOSTUNREACH:
    case EHOSTDOWN: return UNREACHABLE_HOST;
    case EACCES:
    case EPERM: return UNREACHABLE_PROHIBITED;
    case ENOPROTOOPT:
    case EPROTO:
    case EOPNOTSUPP: return UNREACHABLE_PROTOCOL;
    }
    return UNREACHABLE_UNKNOWN;
}

static enum fact_icmp icmp_of(const struct conn_icmp *icmp)
{
    if (!icmp->told)
        return FACT_ICMP_NONE;
    if (icmp->six && icmp->type == ICMP6_DST_UNREACH)
        switch (icmp->code) {
        case ICMP6_DST_UNREACH_NOPORT: return FACT_ICMP_PORT;
        case ICMP6_DST_UNREACH_NOROUTE:
        case ICMP6_DST_UNREACH_ADDR: return FACT_ICMP_HOST;
        case ICMP6_DST_UNREACH_ADMIN:
        case POLICY_FAILS:
        case ROUTE_REJECTED: return FACT_ICMP_PROHIBITED;
        }
    else if (!icmp->six && icmp->type == ICMP_DEST_UNREACH)
        switch (icmp->code) {
        case ICMP_PORT_UNREACH: return FACT_ICMP_PORT;
        case ICMP_NET_UNREACH:
        case ICMP_HOST_UNREACH: return FACT_ICMP_HOST;
        case ICMP_NET_ANO:
        case ICMP_HOST_ANO:
        case ICMP_PKT_FILTERED: return FACT_ICMP_PROHIBITED;
        }
    return FACT_ICMP_OTHER;
}

static void take_reach(const struct conn *conn, struct attempt_line *line)
{
    line->reset = line->reset || conn->end == CONN_END_RESET;
    line->unreachable = unreachable_of(conn->number);
    line->icmp = icmp_of(&conn->icmp);
    line->icmp_from = conn->icmp.from;
    if (line->icmp == FACT_ICMP_PROHIBITED)
        line->unreachable = UNREACHABLE_PROHIBITED;
}

/* Classifies an alert of the peer, or the refusal by OpenSSL; FACT_TLS_DONE if there was none. */
static enum fact_tls tls_of_problem(unsigned long code)
{
    if (code == 0)
        return FACT_TLS_DONE;
    switch (ERR_GET_REASON(code)) {
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_WRONG_SSL_VERSION: return FACT_TLS_ALERT_VERSION;
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_WRONG_CIPHER_RETURNED:
    case SSL_R_WRONG_CURVE:
    case SSL_R_WRONG_SIGNATURE_TYPE:
    case SSL_R_DH_KEY_TOO_SMALL:
    case SSL_R_EE_KEY_TOO_SMALL: return FACT_TLS_ALERT_CIPHER;
    case SSL_R_TLSV1_UNRECOGNIZED_NAME: return FACT_TLS_ALERT_NAME;
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_NO_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: return FACT_TLS_ALERT_CLIENT;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING: return FACT_TLS_CLOSED;
    }
    return FACT_TLS_BROKEN;
}

static enum fact_tls tls_of(const struct conn *conn)
{
    enum fact_tls problem = tls_of_problem(conn->tls_problem);
    if (conn->ssl == NULL)
        return FACT_TLS_NOT_BEGUN;
    /* in TLS 1.3 a server judges the client when the handshake is over for us */
    if (!conn->handshaking)
        return problem == FACT_TLS_ALERT_CLIENT ? problem : FACT_TLS_DONE;
    if (conn_met_clear_text(conn))
        return FACT_TLS_CLEAR_TEXT;
    if (problem != FACT_TLS_DONE)
        return problem;
    if (!conn->ended)
        return FACT_TLS_TIMED_OUT; /* its owner hangs up */
    switch (conn->end) {
    case CONN_END_RESET: return FACT_TLS_RESET;
    case CONN_END_TIMEOUT: return FACT_TLS_TIMED_OUT;
    case CONN_END_TLS:
    case CONN_END_CLOSED: return conn->tls.ended ? FACT_TLS_CLOSED : FACT_TLS_BROKEN;
    case CONN_END_REFUSED:
    case CONN_END_UNREACHABLE:
    case CONN_END_OTHER: break;
    }
    return FACT_TLS_BROKEN;
}

/* ---- the certificate ---- */

static enum fact_certificate_state state_of(const struct conn *conn)
{
    static const enum fact_certificate_state states[] = {
        [TLS_CERTIFICATE_NONE] = FACT_CERTIFICATE_UNKNOWN,
        [TLS_CERTIFICATE_VALID] = FACT_CERTIFICATE_VALID,
        [TLS_CERTIFICATE_EXPIRED] = FACT_CERTIFICATE_EXPIRED,
        [TLS_CERTIFICATE_NOT_YET_VALID] = FACT_CERTIFICATE_NOT_YET_VALID,
        [TLS_CERTIFICATE_OTHER_NAME] = FACT_CERTIFICATE_OTHER_NAME,
        [TLS_CERTIFICATE_SELF_SIGNED] = FACT_CERTIFICATE_SELF_SIGNED,
        [TLS_CERTIFICATE_UNKNOWN_ISSUER] = FACT_CERTIFICATE_UNKNOWN_ISSUER,
        [TLS_CERTIFICATE_INVALID] = FACT_CERTIFICATE_INVALID,
        [TLS_CERTIFICATE_NO_TLSA] = FACT_CERTIFICATE_INVALID};
    if (conn->verify_error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN)
        return FACT_CERTIFICATE_SELF_SIGNED;
    return states[conn_tls_certificate(conn)];
}

static void take_text(BIO *from, char *field, size_t size)
{
    char *text = NULL;
    long length = BIO_get_mem_data(from, &text);
    client_record_text(field, size, bytes_of(text, length > 0 ? (size_t)length : 0), false);
}

/* "C=US, O=Fortinet, CN=FG100" */
static void write_name(const X509_NAME *name, char *field, size_t size)
{
    BIO *out = BIO_new(BIO_s_mem());
    if (out == NULL)
        return;
    X509_NAME_print_ex(out, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB & ~XN_FLAG_SPC_EQ);
    take_text(out, field, size);
    BIO_free(out);
}

static void write_dns_names(const X509 *certificate, char *field, size_t size)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    BIO *out = BIO_new(BIO_s_mem());
    bool some = false;
    for (int i = 0; out != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        int kind;
        const ASN1_STRING *name = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
        if (kind != GEN_DNS)
            continue;
        BIO_puts(out, some ? ", " : "");
        ASN1_STRING_print_ex(out, name, ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB);
        some = true;
    }
    if (out != NULL)
        take_text(out, field, size);
    BIO_free(out);
    GENERAL_NAMES_free(names);
}

/* 0 where it is none, or before 1970. */
static uint64_t epoch_s(const ASN1_TIME *when)
{
    struct tm tm = {0};
    time_t seconds = ASN1_TIME_to_tm(when, &tm) == 1 ? timegm(&tm) : 0;
    return seconds > 0 ? (uint64_t)seconds : 0;
}

/* By the CA certificates here, whatever name and day it is. */
static enum known chain_is_trusted(const struct conn *conn, X509 *certificate)
{
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    enum known trusted = KNOWN_NOT;
    if (store != NULL &&
        X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(conn->ssl)), certificate,
                            SSL_get_peer_cert_chain(conn->ssl)) == 1 &&
        X509_STORE_CTX_set_default(store, "ssl_server") == 1) {
        X509_STORE_CTX_set_flags(store, X509_V_FLAG_NO_CHECK_TIME);
        trusted = X509_verify_cert(store) == 1 ? KNOWN_YES : KNOWN_NO;
    }
    X509_STORE_CTX_free(store);
    ERR_clear_error();
    return trusted;
}

static void take_certificate(const struct conn *conn, const char *host, struct fact_certificate *fact)
{
    X509 *certificate = SSL_get0_peer_certificate(conn->ssl);
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(conn->ssl);
    unsigned char digest[EVP_MAX_MD_SIZE];
    int sent = chain == NULL ? 0 : sk_X509_num(chain);
    if (certificate == NULL || fact->state != FACT_CERTIFICATE_UNKNOWN)
        return;
    fact->state = state_of(conn);
    write_name(X509_get_subject_name(certificate), fact->subject, sizeof fact->subject);
    write_name(X509_get_issuer_name(certificate), fact->issuer, sizeof fact->issuer);
    if (sent > 0)
        write_name(X509_get_subject_name(sk_X509_value(chain, sent - 1)), fact->root, sizeof fact->root);
    write_dns_names(certificate, fact->names, sizeof fact->names);
    fact->not_before_s = epoch_s(X509_get0_notBefore(certificate));
    fact->not_after_s = epoch_s(X509_get0_notAfter(certificate));
    fact->chain_length = (uint8_t)(sent < UINT8_MAX ? sent : UINT8_MAX);
    if (X509_digest(certificate, EVP_sha256(), digest, NULL) == 1)
        memcpy(fact->fingerprint, digest, sizeof fact->fingerprint);
    fact->names_host = conn_certificate_names(certificate, host) ? KNOWN_YES : KNOWN_NO;
    fact->chain_trusted = chain_is_trusted(conn, certificate);
    ERR_clear_error();
}

/* ---- all of it ---- */

static uint32_t counted(uint64_t octets)
{
    return octets < UINT32_MAX ? (uint32_t)octets : UINT32_MAX;
}

void conn_evidence_take(const struct conn *conn, const char *host, struct attempt_line *line)
{
    if (conn->ended)
        take_reach(conn, line);
    if (conn->ssl == NULL)
        return;
    line->tls = tls_of(conn);
    line->tls_sent = counted(conn->tls.sent);
    line->tls_received = counted(conn->tls.heard);
    if (conn->handshaking)
        return;
    snprintf(line->tls_version, sizeof line->tls_version, "%s", SSL_get_version(conn->ssl));
    take_certificate(conn, host, &line->certificate);
}
