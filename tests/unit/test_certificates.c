/* SPDX-License-Identifier: Apache-2.0 */
/* Tricks with names in certificates, all signed by a trusted CA: only those for the requested host are
 * accepted. */
#include <openssl/x509v3.h>

#include "ends.h"
#include "io/conn_evidence.h"
#include "unit.h"

static struct tls_context client_tls;
static X509 *ca;
static EVP_PKEY *ca_key, *key;

/* One name of a kind (GEN_DNS, GEN_IPADD, GEN_EMAIL, GEN_URI), or the CN (0). */
struct name {
    int kind;
    struct bytes text;
};

static X509 *unsigned_certificate(EVP_PKEY *whose, const char *subject, size_t subject_length)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, whose);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", V_ASN1_UTF8STRING,
                               (const unsigned char *)subject, (int)subject_length, -1, 0);
    return certificate;
}

static void add_alternative(GENERAL_NAMES *names, const struct name *name)
{
    GENERAL_NAME *one = GENERAL_NAME_new();
    ASN1_STRING *text = ASN1_STRING_type_new(name->kind == GEN_IPADD ? V_ASN1_OCTET_STRING
                                                                     : V_ASN1_IA5STRING);
    ASN1_STRING_set(text, name->text.at, (int)name->text.length);
    GENERAL_NAME_set0_value(one, name->kind, text);
    sk_GENERAL_NAME_push(names, one);
}

/* Without names, it is for no host. */
static X509 *certificate_for(const struct name *names, size_t count)
{
    struct bytes subject = BYTES("somebody");
    GENERAL_NAMES *alternatives = sk_GENERAL_NAME_new_null();
    for (size_t i = 0; i < count; i++) {
        if (names[i].kind == 0)
            subject = names[i].text;
        else
            add_alternative(alternatives, &names[i]);
    }
    X509 *certificate = unsigned_certificate(key, subject.at, subject.length);
    X509_set_issuer_name(certificate, X509_get_subject_name(ca));
    if (sk_GENERAL_NAME_num(alternatives) > 0)
        assert_int_equal(X509_add1_ext_i2d(certificate, NID_subject_alt_name, alternatives, 0, 0), 1);
    sk_GENERAL_NAME_pop_free(alternatives, GENERAL_NAME_free);
    assert_true(X509_sign(certificate, ca_key, EVP_sha256()) > 0);
    return certificate;
}

static int setup(void **state)
{
    if (ends_setup(state) != 0)
        return -1;
    ca_key = EVP_EC_gen("P-256");
    key = EVP_EC_gen("P-256");
    ca = unsigned_certificate(ca_key, "Test CA", 7);
    X509_set_issuer_name(ca, X509_get_subject_name(ca));
    X509_EXTENSION *basic = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(ca, basic, -1);
    X509_EXTENSION_free(basic);
    X509_sign(ca, ca_key, EVP_sha256());
    if (!tls_client_open(&client_tls, NULL, NULL))
        return -1;
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(client_tls.ssl), ca) == 1 ? 0 : -1;
}

static int teardown(void **state)
{
    tls_close(&client_tls);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    return ends_teardown(state);
}

/* True if a certificate with these names is accepted for `host`. */
static bool is_taken(const char *host, const struct name *names, size_t count)
{
    struct unit_end client, server;
    struct tls_context server_tls = {.ssl = SSL_CTX_new(TLS_server_method())};
    X509 *certificate = certificate_for(names, count);
    assert_int_equal(SSL_CTX_use_certificate(server_tls.ssl, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server_tls.ssl, key), 1);
    ends_pair(&client, &server);
    conn_start_tls_server(&server.conn, &server_tls);
    conn_start_tls_client(&client.conn, &client_tls, host, true);
    TURN_UNTIL(client.tls == 1 || client.ended == 1);
    bool taken = client.tls == 1;
    if (!taken)
        assert_int_equal(client.how, CONN_END_TLS);
    end_close(&client);
    end_close(&server);
    X509_free(certificate);
    SSL_CTX_free(server_tls.ssl);
    return taken;
}

#define DNS(literal)            \
    {                           \
        GEN_DNS, BYTES(literal) \
    }
#define CN(literal)       \
    {                     \
        0, BYTES(literal) \
    }

static void a_name_is_the_whole_name(void **state)
{
    static const struct {
        const char *host;
        bool taken;
        struct name names[2];
    } cases[] = {
        {"mx.example.org", true, {DNS("mx.example.org")}},
        {"mx.example.org", true, {DNS("other.example.org"), DNS("MX.Example.ORG")}},
        {"mx.example.org", false, {DNS("mx.example.com")}},
        {"mx.example.org", false, {DNS("example.org")}},
        {"mx.example.org", false, {DNS("xmx.example.org")}},
        {"mx.example.org", false, {DNS("mx.example.org.evil.example")}},
        {"mx.example.org", false, {DNS("mx.example.or")}},
        {"mx.example.org", false, {DNS("")}},
        {"mx.example.org", false, {DNS("mx.example.org ")}},
        {"mx.example.org", false, {DNS(".example.org")}},
        /* NUL, which ends a name for C code */
        {"mx.example.org", false, {DNS("mx.example.org\0.evil.example")}},
        {"mx.example.org", false, {DNS("mx.example.org\0")}},
        {"mx.example.org", false, {DNS("\0mx.example.org")}},
        /* the CN is for people, whatever it says */
        {"mx.example.org", false, {CN("mx.example.org")}},
        {"mx.example.org", false, {CN("mx.example.org\0.evil.example")}},
        {"mx.example.org", false, {CN("mx.example.org"), DNS("evil.example")}},
        {"mx.example.org", false, {CN("*.example.org")}},
        /* names of other kinds */
        {"mx.example.org", false, {{GEN_EMAIL, BYTES("mx.example.org")}}},
        {"mx.example.org", false, {{GEN_EMAIL, BYTES("postmaster@mx.example.org")}}},
        {"mx.example.org", false, {{GEN_URI, BYTES("smtp://mx.example.org")}}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        bool taken = is_taken(cases[i].host, cases[i].names, cases[i].names[1].text.at == NULL ? 1 : 2);
        if (taken != cases[i].taken)
            print_error("case %zu is %s\n", i, taken ? "taken" : "refused");
        assert_int_equal(taken, cases[i].taken);
    }
}

static void a_star_is_one_whole_label_at_the_left(void **state)
{
    static const struct {
        const char *host;
        bool taken;
        struct name name;
    } cases[] = {
        {"mx.example.org", true, DNS("*.example.org")},
        {"a.mx.example.org", false, DNS("*.example.org")},
        {"example.org", false, DNS("*.example.org")},
        {"mx.example.org", false, DNS("m*.example.org")},
        {"mx.example.org", false, DNS("*x.example.org")},
        {"mx.example.org", false, DNS("m*x.example.org")},
        {"mx.example.org", false, DNS("mx.*.org")},
        {"mx.example.org", false, DNS("mx.example.*")},
        {"mx.example.org", false, DNS("*.*.org")},
        {"mx.example.org", false, DNS("**.example.org")},
        {"mx.example.org", false, DNS("*")},
        {"example.org", false, DNS("*.org")},
        {"localhost", false, DNS("*")},
        {"xn--mx-bja.example.org", false, DNS("xn--*.example.org")},
        {"mx.example.org", false, DNS("*.example.org\0.evil.example")},
        /* underscores, which OpenSSL does not match with a wildcard */
        {"my_host.example.org", true, DNS("my_host.example.org")},
        {"my_host.example.org", true, DNS("*.example.org")},
        {"_dc-mx.0123abcd.example.com", true, DNS("*.0123abcd.Example.com")},
        {"_dc-mx.0123abcd.example.com", false, DNS("*.example.com")},
        {"mx.my_net.example.org", true, DNS("*.my_net.example.org")},
        {"my_host.example.org", false, DNS("*.example.com")},
        {"my_host.example.org", false, DNS("my*.example.org")},
        {"my_host.example.org", false, DNS("*.*.org")},
        {"my_host.example.org", false, DNS("*.example.org\0.evil.example")},
        {"my_host.example.org", false, {GEN_URI, BYTES("*.example.org")}},
        {"my_host.example.org", false, CN("*.example.org")},
        {"my_host.org", false, DNS("*.org")},
        {"mail_relay", true, DNS("mail_relay")},
        {"mail_relay", false, DNS("*")},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        bool taken = is_taken(cases[i].host, &cases[i].name, 1);
        if (taken != cases[i].taken)
            print_error("case %zu is %s\n", i, taken ? "taken" : "refused");
        assert_int_equal(taken, cases[i].taken);
    }
}

static void an_address_is_an_address(void **state)
{
    static const struct {
        const char *host;
        bool taken;
        struct name name;
    } cases[] = {
        {"192.0.2.1", true, {GEN_IPADD, BYTES("\xc0\x00\x02\x01")}},
        {"192.0.2.1", false, {GEN_IPADD, BYTES("\xc0\x00\x02\x02")}},
        {"192.0.2.1", false, {GEN_IPADD, BYTES("192.0.2.1")}},
        {"192.0.2.1", false, DNS("192.0.2.1")},
        {"192.0.2.1", false, DNS("*.0.2.1")},
        {"192.0.2.1", false, CN("192.0.2.1")},
        {"192.0.2.1", false, {GEN_IPADD, BYTES("\xc0\x00\x02\x01\x00")}},
        {"2001:db8::1", true, {GEN_IPADD, BYTES("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01")}},
        {"2001:db8::1", false, DNS("2001:db8::1")},
        {"::ffff:192.0.2.1", false, {GEN_IPADD, BYTES("\xc0\x00\x02\x01")}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        bool taken = is_taken(cases[i].host, &cases[i].name, 1);
        if (taken != cases[i].taken)
            print_error("case %zu is %s\n", i, taken ? "taken" : "refused");
        assert_int_equal(taken, cases[i].taken);
    }
}

/* ---- as evidence ---- */

/* What is seen of a server with this certificate. */
static struct attempt_line seen_of(X509 *certificate, EVP_PKEY *its_key, const char *host)
{
    struct unit_end client, server;
    struct attempt_line line = {0};
    struct tls_context server_tls = {.ssl = SSL_CTX_new(TLS_server_method())};
    assert_int_equal(SSL_CTX_use_certificate(server_tls.ssl, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server_tls.ssl, its_key), 1);
    ends_pair(&client, &server);
    conn_start_tls_server(&server.conn, &server_tls);
    conn_start_tls_client(&client.conn, &client_tls, host, false);
    TURN_UNTIL(client.tls == 1 || client.ended == 1);
    conn_evidence_take(&client.conn, host, &line);
    end_close(&client);
    end_close(&server);
    SSL_CTX_free(server_tls.ssl);
    return line;
}

static void each_fault_is_judged_apart(void **state)
{
    static const struct name names[] = {DNS("mx.example.org"), DNS("*.example.com")};
    static const struct {
        const char *host;
        bool expired, foreign;
        enum fact_certificate_state state;
        enum known names_host, chain_trusted;
    } cases[] = {
        {"mx.example.org", false, false, FACT_CERTIFICATE_VALID, KNOWN_YES, KNOWN_YES},
        {"a.example.com", true, false, FACT_CERTIFICATE_EXPIRED, KNOWN_YES, KNOWN_YES},
        {"mx.example.net", false, false, FACT_CERTIFICATE_OTHER_NAME, KNOWN_NO, KNOWN_YES},
        {"mx.example.net", true, false, FACT_CERTIFICATE_OTHER_NAME, KNOWN_NO, KNOWN_YES},
        {"mx.example.org", false, true, FACT_CERTIFICATE_UNKNOWN_ISSUER, KNOWN_YES, KNOWN_NO},
        {"192.0.2.1", true, true, FACT_CERTIFICATE_UNKNOWN_ISSUER, KNOWN_NO, KNOWN_NO},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        X509 *certificate = certificate_for(names, ARRAY_LENGTH(names));
        if (cases[i].expired)
            X509_gmtime_adj(X509_getm_notAfter(certificate), -30);
        if (cases[i].foreign)
            X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
        X509_NAME_add_entry_by_txt(X509_get_issuer_name(certificate), "O", V_ASN1_UTF8STRING,
                                   (const unsigned char *)"Sca\x01nner", 8, -1, 0);
        if (!cases[i].foreign)
            X509_set_issuer_name(certificate, X509_get_subject_name(ca));
        assert_true(X509_sign(certificate, ca_key, EVP_sha256()) > 0);
        struct attempt_line line = seen_of(certificate, key, cases[i].host);
        const struct fact_certificate *fact = &line.certificate;
        if (fact->state != cases[i].state || fact->names_host != cases[i].names_host)
            print_error("case %zu\n", i);
        assert_int_equal(line.tls, FACT_TLS_DONE);
        assert_int_equal(fact->state, cases[i].state);
        assert_int_equal(fact->names_host, cases[i].names_host);
        assert_int_equal(fact->chain_trusted, cases[i].chain_trusted);
        assert_string_equal(fact->subject, "CN=somebody");
        assert_string_equal(fact->root, "CN=somebody");
        assert_string_equal(fact->issuer, cases[i].foreign ? "CN=somebody, O=Sca\\01nner" : "CN=Test CA");
        assert_string_equal(fact->names, "mx.example.org, *.example.com");
        assert_int_equal(fact->chain_length, 1);
        assert_true(fact->not_before_s + 120 > clock_epoch_ms() / 1000);
        assert_int_equal(fact->not_after_s < clock_epoch_ms() / 1000, cases[i].expired);
        assert_true(line.tls_sent > 0 && line.tls_received > 0 && line.tls_version[0] == 'T');
        X509_free(certificate);
    }
}

static void a_self_signed_certificate_is_told(void **state)
{
    struct attempt_line line = seen_of(ca, ca_key, "mx.example.org");
    assert_int_equal(line.certificate.state, FACT_CERTIFICATE_OTHER_NAME); /* this one is trusted */
    X509 *own = unsigned_certificate(key, "own", 3);
    X509_set_issuer_name(own, X509_get_subject_name(own));
    assert_true(X509_sign(own, key, EVP_sha256()) > 0);
    line = seen_of(own, key, "mx.example.org");
    assert_int_equal(line.certificate.state, FACT_CERTIFICATE_SELF_SIGNED);
    assert_int_equal(line.certificate.chain_trusted, KNOWN_NO);
    assert_int_equal(line.certificate.names_host, KNOWN_NO);
    assert_string_equal(line.certificate.names, "");
    X509_free(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_the_whole_name),
        cmocka_unit_test(a_star_is_one_whole_label_at_the_left),
        cmocka_unit_test(an_address_is_an_address),
        cmocka_unit_test(each_fault_is_judged_apart),
        cmocka_unit_test(a_self_signed_certificate_is_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
