/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls_socket.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* Returns how far OpenSSL may read ahead: little if records are small, since it processes all it has. */
static size_t ahead(const struct tls_socket *from)
{
    return from->heard < from->all_records * TLS_SMALL_RECORD ? TLS_SMALL_AHEAD : SIZE_MAX;
}

static bool is_fine(struct tls_socket *from, struct bytes octets)
{
    bool before_1_3 = SSL_version(from->ssl) < TLS1_3_VERSION;
    if (!from->counts && SSL_is_server(from->ssl) &&
        !tls_client_hello_goes_on(&from->hello, octets, before_1_3))
        from->refused = true;
    return !from->refused;
}

/* No TLS record begins with text (RFC 8446 5.1), and every SMTP reply does. */
static bool is_text(unsigned char first)
{
    return (first >= ' ' && first < 127) || first == '\r' || first == '\n' || first == '\t';
}

bool tls_socket_met_clear_text(const struct tls_socket *socket)
{
    return socket->heard > 0 && is_text(socket->first);
}

/* Of a server: a client is told in clear what it does wrong, and asked no more. */
static void keep_clear_text(struct tls_socket *from, struct bytes octets)
{
    if (!SSL_is_server(from->ssl) && is_text(from->first))
        buffer_add(&from->clear, bytes_first(octets, TLS_CLEAR_KEPT_MAX));
}

static int socket_read(BIO *bio, char *out, int size)
{
    struct tls_socket *from = BIO_get_data(bio);
    size_t wanted = least(least((size_t)size, from->capacity), ahead(from));
    BIO_clear_retry_flags(bio);
    if (wanted == 0 || from->records >= TLS_TURN_RECORDS_MAX) {
        BIO_set_retry_read(bio);
        return -1;
    }
    errno = 0; /* end of file is not an error */
    if (from->vain > TLS_VAIN_RECORDS_MAX) {
        from->ended = true;
        return 0;
    }
    ssize_t got = read(from->descriptor, out, wanted);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    from->ended = from->ended || got == 0;
    if (got > 0 && from->heard == 0) {
        from->first = (unsigned char)out[0];
        keep_clear_text(from, bytes_of(out, (size_t)got));
    }
    if (got > 0) {
        from->capacity -= (size_t)got;
        from->heard += (uint64_t)got;
    }
    if (got > 0 && !is_fine(from, bytes_of(out, (size_t)got)))
        return -1;
    return (int)got;
}

static int socket_write(BIO *bio, const char *octets, int size)
{
    struct tls_socket *to = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t sent = send(to->descriptor, octets, (size_t)size, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    to->sent += sent > 0 ? (uint64_t)sent : 0;
    return (int)sent;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_socket *tls = BIO_get_data(bio);
    switch (command) {
    case BIO_CTRL_FLUSH: return 1; /* nothing is buffered */
    case BIO_CTRL_EOF: return tls->ended;
    }
    return 0;
}

/* Shared by all sockets, created with the first. */
static const BIO_METHOD *method(void)
{
    static BIO_METHOD *made;
    if (made == NULL && (made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "conn")) != NULL) {
        BIO_meth_set_read(made, socket_read);
        BIO_meth_set_write(made, socket_write);
        BIO_meth_set_ctrl(made, socket_control);
    }
    return made;
}

/* Called by OpenSSL with each record's header. */
static void record_met(int sent, int version, int what, const void *octets, size_t length, SSL *ssl,
                       void *owner)
{
    struct tls_socket *tls = owner;
    bool read_one = !sent && what == SSL3_RT_HEADER;
    tls->records += read_one;
    tls->all_records += read_one;
    tls->vain += read_one && tls->counts;
}

bool tls_socket_start(struct tls_socket *socket, int descriptor, SSL *ssl)
{
    *socket = (struct tls_socket){.ssl = ssl, .descriptor = descriptor};
    BIO *bio = method() == NULL ? NULL : BIO_new(method());
    if (bio == NULL)
        return false;
    BIO_set_data(bio, socket);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_msg_callback(ssl, record_met);
    SSL_set_msg_callback_arg(ssl, socket);
    return true;
}
