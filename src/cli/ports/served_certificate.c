/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/served_certificate.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buffer.h"

enum { REPLY_OCTETS_MAX = 8192 };

/* Reads one reply (RFC 5321 4.2.1); false if it is none, or not positive. */
static bool read_reply(int descriptor)
{
    struct buffer text = {0};
    bool positive = false;
    for (char octet; text.length < REPLY_OCTETS_MAX && recv(descriptor, &octet, 1, 0) == 1;) {
        buffer_add_octet(&text, octet);
        struct bytes all = buffer_bytes(&text);
        if (octet != '\n')
            continue;
        size_t before = bytes_find_last(bytes_first(all, all.length - 1), '\n');
        struct bytes line = before == SIZE_MAX ? all : bytes_from(all, before + 1);
        if (line.length >= 4 && line.at[3] == '-')
            continue;
        positive = line.length >= 3 && line.at[0] == '2';
        break;
    }
    buffer_free(&text);
    return positive;
}

static bool say(int descriptor, const char *line)
{
    return send(descriptor, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line) &&
           read_reply(descriptor);
}

X509 *served_certificate(int descriptor, bool implicit, const char *hostname, STACK_OF(X509) * *chain)
{
    const struct timeval limit = {.tv_sec = SERVED_CERTIFICATE_MS / 1000};
    X509 *certificate = NULL;
    *chain = NULL;
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = context == NULL ? NULL : SSL_new(context);
    bool secured = implicit || (read_reply(descriptor) && say(descriptor, "EHLO [127.0.0.1]\r\n") &&
                                say(descriptor, "STARTTLS\r\n"));
    if (ssl != NULL && secured && SSL_set_tlsext_host_name(ssl, hostname) == 1 &&
        SSL_set_fd(ssl, descriptor) == 1 && SSL_connect(ssl) == 1) {
        certificate = SSL_get1_peer_certificate(ssl);
        *chain = X509_chain_up_ref(SSL_get_peer_cert_chain(ssl));
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    ERR_clear_error();
    close(descriptor);
    return certificate;
}
