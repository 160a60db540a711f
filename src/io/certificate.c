/* SPDX-License-Identifier: Apache-2.0 */
#include "io/certificate.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "io/clock.h"
#include "io/tls.h"

static const struct {
    const char *words, *hint;
} faults[CERTIFICATE_FAULTS] = {
    [CERTIFICATE_EXPIRED] = {"has expired", "get a new one, and reload the server: mailboat reload"},
    [CERTIFICATE_NOT_YET_VALID] =
        {"is not valid yet", "if the clock is wrong, set it (timedatectl); if it is right, wait, or get "
                             "another certificate"},
    [CERTIFICATE_OTHER_NAME] = {"is for another name than the hostname of the configuration",
                                "get one for that name"},
    [CERTIFICATE_SELF_SIGNED] = {"is self-signed",
                                 "mail programs will warn: get one from a certificate authority"},
    [CERTIFICATE_CHAIN_INCOMPLETE] = {"is signed by an issuer that is neither sent with it nor trusted by "
                                      "this machine",
                                      "use the file with the whole chain (fullchain.pem)"},
    [CERTIFICATE_UNTRUSTED] = {"is not trusted by this machine",
                               "mail programs will warn: get one from a certificate authority"},
    [CERTIFICATE_EXPIRES_SOON] = {"expires soon", "renew it, and reload the server: mailboat reload"},
};

static const char *date_text(const struct tm *date, char text[20])
{
    strftime(text, 20, "%Y-%m-%d %H:%M", date);
    return text;
}

const char *certificate_fault_words(enum certificate_fault fault, const X509 *certificate,
                                    char words[CERTIFICATE_WORDS_SIZE])
{
    struct tm from, here;
    char from_text[20], here_text[20];
    time_t now_s = (time_t)(clock_epoch_ms() / 1000);
    if (fault != CERTIFICATE_NOT_YET_VALID || gmtime_r(&now_s, &here) == NULL ||
        ASN1_TIME_to_tm(X509_get0_notBefore(certificate), &from) != 1)
        return faults[fault].words;
    snprintf(words, CERTIFICATE_WORDS_SIZE,
             "is not valid yet: it begins at %s, and this machine's clock says %s (UTC)",
             date_text(&from, from_text), date_text(&here, here_text));
    return words;
}

const char *certificate_fault_hint(enum certificate_fault fault)
{
    return faults[fault].hint;
}

/* ---- one certificate ---- */

static bool has_name(X509 *certificate, const char *hostname)
{
    unsigned char address[16];
    bool is_address = inet_pton(AF_INET, hostname, address) == 1 ||
                      inet_pton(AF_INET6, hostname, address) == 1;
    return (is_address ? X509_check_ip_asc(certificate, hostname, 0)
                       : X509_check_host(certificate, hostname, 0, 0, NULL)) == 1;
}

/* Dates are reported apart: here only the chain counts. */
static int verify_chain(X509 *certificate, STACK_OF(X509) * chain, const char *authorities)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    int result = X509_V_ERR_UNSPECIFIED;
    if (store != NULL && context != NULL &&
        (authorities == NULL ? X509_STORE_set_default_paths(store)
                             : X509_STORE_load_file(store, authorities)) == 1 &&
        X509_STORE_CTX_init(context, store, certificate, chain) == 1) {
        X509_STORE_CTX_set_flags(context, X509_V_FLAG_NO_CHECK_TIME);
        X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
        result = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
    }
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return result;
}

static unsigned chain_faults(X509 *certificate, STACK_OF(X509) * chain, const char *authorities)
{
    switch (verify_chain(certificate, chain, authorities)) {
    case X509_V_OK: return 0;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return 1u << CERTIFICATE_SELF_SIGNED;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: return 1u << CERTIFICATE_CHAIN_INCOMPLETE;
    default: return 1u << CERTIFICATE_UNTRUSTED;
    }
}

unsigned certificate_faults(X509 *certificate, STACK_OF(X509) * chain, const char *hostname,
                            const char *authorities, int *days)
{
    int seconds = 0, since_days = 0, since_seconds = 0;
    unsigned found = chain_faults(certificate, chain, authorities);
    *days = 0;
    ASN1_TIME_diff(days, &seconds, NULL, X509_get0_notAfter(certificate));
    ASN1_TIME_diff(&since_days, &since_seconds, X509_get0_notBefore(certificate), NULL);
    if (*days < 0 || seconds < 0)
        found |= 1u << CERTIFICATE_EXPIRED;
    else if (*days < CERTIFICATE_WARN_DAYS)
        found |= 1u << CERTIFICATE_EXPIRES_SOON;
    if (since_days < 0 || since_seconds < 0)
        found |= 1u << CERTIFICATE_NOT_YET_VALID;
    if (!has_name(certificate, hostname))
        found |= 1u << CERTIFICATE_OTHER_NAME;
    return found;
}

/* ---- files ---- */

static void warn_of_key(const char *key_file, struct buffer *warnings)
{
    struct stat facts;
    if (stat(key_file, &facts) == 0 && (facts.st_mode & S_IROTH) != 0)
        buffer_add_format(warnings, "every user of this machine can read the key %s; chmod o= %s\n", key_file,
                          key_file);
}

bool certificate_check_files(const char *certificate_file, const char *key_file, const char *hostname,
                             const char *authorities, struct buffer *warnings, struct error *error)
{
    struct tls_context context = {0};
    STACK_OF(X509) *chain = NULL;
    char words[CERTIFICATE_WORDS_SIZE];
    int days;
    if (!tls_server_open(&context, certificate_file, key_file, error))
        return false;
    SSL_CTX_get0_chain_certs(context.ssl, &chain);
    X509 *certificate = SSL_CTX_get0_certificate(context.ssl);
    unsigned found = certificate_faults(certificate, chain, hostname, authorities, &days);
    for (unsigned fault = 0; fault < CERTIFICATE_FAULTS; fault++)
        if ((found & 1u << fault) != 0)
            buffer_add_format(warnings, "the certificate %s %s%s%s%s; %s\n", certificate_file,
                              certificate_fault_words(fault, certificate, words),
                              fault == CERTIFICATE_OTHER_NAME ? " (" : "",
                              fault == CERTIFICATE_OTHER_NAME ? hostname : "",
                              fault == CERTIFICATE_OTHER_NAME ? ")" : "", faults[fault].hint);
    warn_of_key(key_file, warnings);
    tls_close(&context);
    return true;
}
