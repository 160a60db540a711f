/* SPDX-License-Identifier: Apache-2.0 */
/* Servers of all ages: a client must reach them, without excessive cost. */
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ends.h"

static struct tls_context client_tls;
static EVP_PKEY *key;
static X509 *certificate;

static int setup(void **state)
{
    key = EVP_RSA_gen(2048); /* DHE and static RSA are for RSA keys */
    certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    return tls_client_open(&client_tls, NULL, NULL) ? ends_setup(state) : -1;
}

static int teardown(void **state)
{
    tls_close(&client_tls);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return ends_teardown(state);
}

/* Makes a server's context: these TLS 1.2 suites, or these TLS 1.3 groups. */
static SSL_CTX *server_context(const char *suites, const char *groups, const char *group_of_dh)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, certificate);
    SSL_CTX_use_PrivateKey(context, key);
    if (suites != NULL) {
        SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
        assert_int_equal(SSL_CTX_set_cipher_list(context, suites), 1);
    }
    if (groups != NULL)
        assert_int_equal(SSL_CTX_set1_groups_list(context, groups), 1);
    if (group_of_dh != NULL) {
        EVP_PKEY *dh = NULL;
        EVP_PKEY_CTX *making = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
        OSSL_PARAM about[] = {OSSL_PARAM_construct_utf8_string("group", (char *)(uintptr_t)group_of_dh, 0),
                              OSSL_PARAM_construct_end()};
        assert_int_equal(EVP_PKEY_paramgen_init(making), 1);
        assert_int_equal(EVP_PKEY_CTX_set_params(making, about), 1);
        assert_int_equal(EVP_PKEY_paramgen(making, &dh), 1);
        EVP_PKEY_CTX_free(making);
        assert_int_equal(SSL_CTX_set0_tmp_dh_pkey(context, dh), 1);
    }
    return context;
}

/* True if a client connects. */
static bool gets_through(SSL_CTX *context)
{
    struct unit_end client;
    int descriptor = end_and_descriptor(&client, SOCK_STREAM), done = 0;
    assert_int_equal(evutil_make_socket_nonblocking(descriptor), 0);
    SSL *server = SSL_new(context);
    SSL_set_fd(server, descriptor);
    SSL_set_accept_state(server);
    conn_start_tls_client(&client.conn, &client_tls, "mx.example.org", false);
    while ((client.tls == 0 || done != 1) && client.ended == 0) {
        turn();
        done = done == 1 ? 1 : SSL_do_handshake(server);
        if (done != 1 && SSL_get_error(server, done) == SSL_ERROR_SSL)
            shutdown(descriptor, SHUT_RDWR);
    }
    bool through = client.ended == 0;
    assert_true(through || client.how == CONN_END_TLS);
    SSL_free(server);
    SSL_CTX_free(context);
    close(descriptor);
    end_close(&client);
    return through;
}

static void groups_of_tls_1_3(void **state)
{
    static const char *const taken[] = {"X25519", "P-256", "P-384", "P-521"}, *const not [] = {"ffdhe2048",
                                                                                               "ffdhe8192"};
    for (size_t i = 0; i < ARRAY_LENGTH(taken); i++)
        assert_true(gets_through(server_context(NULL, taken[i], NULL)));
    for (size_t i = 0; i < ARRAY_LENGTH(not ); i++)
        /* who has TLS 1.3 has a curve, too */
        assert_false(gets_through(server_context(NULL, not [i], NULL)));
}

static void servers_of_old_are_called_still(void **state)
{
    assert_true(gets_through(server_context("ECDHE-RSA-AES128-SHA256", NULL, NULL)));
    assert_true(gets_through(server_context("AES128-SHA", NULL, NULL)));
    assert_true(gets_through(server_context("DHE-RSA-AES128-GCM-SHA256", NULL, "ffdhe2048")));
    assert_true(gets_through(server_context("DHE-RSA-AES256-SHA256", NULL, "modp_3072")));
}

static void their_groups_have_a_size(void **state)
{
    assert_int_equal(TLS_CLIENT_DH_BITS_MAX, 4096);
    assert_true(gets_through(server_context("DHE-RSA-AES128-GCM-SHA256", NULL, "modp_4096")));
    assert_false(gets_through(server_context("DHE-RSA-AES128-GCM-SHA256", NULL, "modp_6144")));
    assert_false(gets_through(server_context("DHE-RSA-AES128-GCM-SHA256", NULL, "ffdhe8192")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_of_tls_1_3),
        cmocka_unit_test(servers_of_old_are_called_still),
        cmocka_unit_test(their_groups_have_a_size),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
