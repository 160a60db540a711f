/* SPDX-License-Identifier: Apache-2.0 */
/* conn_facts: facts about a connection: its address, its TLS and channel bindings, and the meaning of its
 * end. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/objects.h>
#include <poll.h>
#include <stdio.h>

#include "io/conn_tls.h"

enum conn_end conn_end_of(int number)
{
    switch (number) {
    case ECONNRESET:
    case EPIPE: return CONN_END_RESET;
    case ECONNREFUSED: return CONN_END_REFUSED;
    case ETIMEDOUT: return CONN_END_TIMEOUT;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
    case EACCES:
    case EPERM: return CONN_END_UNREACHABLE;
    }
    return CONN_END_OTHER;
}

/* Older protocols are not supported (RFC 8997). */
static enum tls_protocol protocol_of(const struct conn *conn)
{
    if (conn->ssl == NULL || conn->handshaking)
        return TLS_PROTOCOL_NONE;
    return SSL_version(conn->ssl) >= TLS1_3_VERSION ? TLS_PROTOCOL_1_3 : TLS_PROTOCOL_1_2;
}

struct tls_result conn_tls_result(const struct conn *conn)
{
    struct tls_result result = {.protocol = protocol_of(conn)};
    if (result.protocol == TLS_PROTOCOL_NONE)
        return result;
    result.cipher = bytes_of_text(SSL_get_cipher_name(conn->ssl));
    result.certificate = conn_tls_certificate(conn);
    result.resumed = conn_tls_resumed(conn);
    return result;
}

struct bytes conn_tls_text(const struct conn *conn, char *buffer, size_t size)
{
    enum tls_protocol protocol = protocol_of(conn);
    if (protocol == TLS_PROTOCOL_NONE)
        return bytes_none();
    /* older versions are for the devices of listeners.old_tls alone */
    const char *name = SSL_version(conn->ssl) < TLS1_2_VERSION ? SSL_get_version(conn->ssl)
                                                               : tls_protocol_name(protocol);
    int length = snprintf(buffer, size, "%s %s", name, SSL_get_cipher_name(conn->ssl));
    return bytes_of(buffer, length < (int)size ? (size_t)length : size - 1);
}

/* RFC 9266 4.2: in TLS 1.2 only with the extended master secret. */
static struct bytes exporter_binding(SSL *ssl, unsigned char buffer[CONN_BINDING_MAX])
{
    enum { EXPORTED = 32 };
    static const char label[] = "EXPORTER-Channel-Binding";
    bool safe = SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1;
    bool exported = safe && SSL_export_keying_material(ssl, buffer, EXPORTED, label, sizeof label - 1,
                                                       (const unsigned char *)"", 0, 1) == 1;
    return exported ? bytes_of(buffer, EXPORTED) : bytes_none();
}

/* The server's certificate, hashed as its own signature is; MD5 and SHA-1 become SHA-256 (RFC 5929 4.1). */
static struct bytes end_point_binding(SSL *ssl, unsigned char buffer[CONN_BINDING_MAX])
{
    const X509 *certificate = SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
    int signature = certificate == NULL ? NID_undef : X509_get_signature_nid(certificate), digest = NID_undef;
    unsigned length = 0;
    if (certificate == NULL || OBJ_find_sigid_algs(signature, &digest, NULL) != 1)
        return bytes_none();
    const EVP_MD *hash = digest == NID_md5 || digest == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(digest);
    bool hashed = hash != NULL && EVP_MD_get_size(hash) <= CONN_BINDING_MAX &&
                  X509_digest(certificate, hash, buffer, &length) == 1;
    return hashed ? bytes_of(buffer, length) : bytes_none();
}

struct bytes conn_tls_binding(const struct conn *conn, struct bytes name,
                              unsigned char buffer[CONN_BINDING_MAX])
{
    if (conn->ssl == NULL || conn->handshaking)
        return bytes_none();
    if (bytes_is(name, "tls-exporter"))
        return exporter_binding(conn->ssl, buffer);
    return bytes_is(name, "tls-server-end-point") ? end_point_binding(conn->ssl, buffer) : bytes_none();
}

bool conn_address(const struct sockaddr_storage *from, struct route_address *address)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)from;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)from;
    *address = (struct route_address){0};
    if (from->ss_family == AF_INET)
        memcpy(address->octets, &four->sin_addr, 4);
    else if (from->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        memcpy(address->octets, six->sin6_addr.s6_addr + 12, 4);
    else if (from->ss_family == AF_INET6) {
        address->six = true;
        memcpy(address->octets, &six->sin6_addr, 16);
    } else
        return false;
    return true;
}

struct bytes conn_address_text(const struct sockaddr *address, char *buffer, size_t size)
{
    const char *text = NULL;
    if (address->sa_family == AF_INET) {
        text = inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, buffer,
                         (socklen_t)size);
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        text = IN6_IS_ADDR_V4MAPPED(six) ? inet_ntop(AF_INET, &six->s6_addr[12], buffer, (socklen_t)size)
                                         : inet_ntop(AF_INET6, six, buffer, (socklen_t)size);
    }
    return text == NULL ? BYTES("local") : bytes_of_text(text);
}

bool conn_client_is_gone(const struct conn *conn)
{
    struct pollfd socket = {.fd = conn->descriptor, .events = POLLRDHUP};
    return SSL_is_server(conn->ssl) && conn->tls.heard == 0 && poll(&socket, 1, 0) == 1;
}
