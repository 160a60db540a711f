/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "conn.h"

#include "route/tls_policy.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

/* Everything is read here first; only what stays unread costs memory. One
 * loop runs in a process, so one is enough. */
static char scratch[CONN_INPUT_MAX];
/* The conn whose callback runs; NULL once it was closed there. */
static struct conn *running;

static void watch_interest(struct conn *conn);
static void wake(struct conn *conn, bool read, bool write);
static void read_on(struct conn *conn);
static void on_ready(void *owner, bool readable, bool writable);

static const struct conn_events no_events;

enum {
    SHRINK_ABOVE = 4096,       /* octets of capacity */
    TLS_RECORD_MAX = 16 * 1024, /* octets of a TLS record (RFC 8446 5.1) */
};

/* ---- life ---- */

static void timeout_rang(evutil_socket_t descriptor, short what, void *owner)
{
    struct conn *conn = owner;
    if (conn->events->on_timeout != NULL)
        conn->events->on_timeout(conn->owner);
}

static void start(struct conn *conn, struct loop *loop, int descriptor, const struct conn_events *events, void *owner)
{
    *conn = (struct conn){.loop = loop, .events = events == NULL ? &no_events : events, .owner = owner, .descriptor = descriptor};
    event_assign(&conn->timeout, loop->base, -1, 0, timeout_rang, conn);
}

void conn_start(struct conn *conn, struct loop *loop, int descriptor, const struct conn_events *events, void *owner)
{
    start(conn, loop, descriptor, events, owner);
    watch_start(&conn->watch, loop, descriptor, true, false, on_ready, conn);
}

/* Remembers how the conn ended; on_end follows from the loop. */
static void end_with(struct conn *conn, enum conn_end end, const char *why)
{
    if (conn->ended)
        return;
    conn->ended = true;
    conn->end = end;
    if (why != NULL)
        snprintf(conn->why, sizeof conn->why, "%s", why);
    watch_change(&conn->watch, false, false);
    event_active(&conn->watch.event, EV_TIMEOUT, 1);
}

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

static void end_with_errno(struct conn *conn, int number)
{
    end_with(conn, conn_end_of(number), strerror(number));
}

void conn_connect(struct conn *conn, struct loop *loop, const struct sockaddr *address, socklen_t length,
                  const struct conn_events *events, void *owner)
{
    int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int socket_errno = errno, one = 1;
    start(conn, loop, descriptor, events, owner);
    conn->connecting = true;
    watch_start(&conn->watch, loop, descriptor, false, false, on_ready, conn);
    if (descriptor < 0) {
        end_with_errno(conn, socket_errno);
        return;
    }
    if (address->sa_family != AF_UNIX)
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(descriptor, address, length) != 0 && errno != EINPROGRESS) {
        end_with_errno(conn, errno);
        return;
    }
    watch_change(&conn->watch, false, true);
}

void conn_close(struct conn *conn)
{
    if (conn->loop == NULL)
        return;
    if (running == conn)
        running = NULL;
    watch_stop(&conn->watch);
    event_del(&conn->timeout);
    if (conn->ssl != NULL) {
        if (!conn->handshaking && !conn->ended)
            SSL_shutdown(conn->ssl); /* close_notify, as far as the socket takes it */
        SSL_free(conn->ssl);
        ERR_clear_error();
    }
    if (conn->descriptor >= 0)
        close(conn->descriptor);
    buffer_free(&conn->input);
    buffer_free(&conn->output);
    buffer_free(&conn->session_key);
    conn->ssl = NULL;
    conn->loop = NULL;
    conn->descriptor = -1;
    conn->fresh = bytes_none();
    conn->wake_read = conn->wake_write = false;
}

/* ---- reading ---- */

struct bytes conn_input(const struct conn *conn)
{
    return conn->fresh.length > 0 ? conn->fresh : buffer_bytes(&conn->input);
}

/* A line's beginning that waits for its end must not hold the memory of all
 * that stood before it. */
static void input_shrink(struct conn *conn)
{
    struct buffer small = {0};
    if (conn->input.length > 0 && (conn->input.capacity < SHRINK_ABOVE || conn->input.length > conn->input.capacity / 4))
        return;
    if (conn->input.length > 0)
        buffer_add(&small, buffer_bytes(&conn->input));
    buffer_free(&conn->input);
    conn->input = small;
}

void conn_consume(struct conn *conn, size_t count)
{
    if (conn->fresh.length > 0) {
        conn->fresh = bytes_from(conn->fresh, count);
        return;
    }
    bool was_full = conn->input.length >= CONN_INPUT_MAX;
    buffer_consume(&conn->input, count);
    input_shrink(conn);
    if (was_full && running != conn)
        read_on(conn);
}

bool conn_input_is_tls(const struct conn *conn)
{
    struct bytes input = conn_input(conn);
    return input.length >= 3 && input.at[0] == 0x16 && input.at[1] == 0x03;
}

/* Octets read, 0 when there are none now, -1 when the conn ended. */
static ssize_t read_clear(struct conn *conn, char *room, size_t size)
{
    ssize_t got;
    do
        got = read(conn->descriptor, room, size);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        return got;
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got == 0)
        end_with(conn, CONN_END_CLOSED, "the connection was closed");
    else
        end_with_errno(conn, errno);
    return -1;
}

static void end_with_tls(struct conn *conn)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER || ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST)
        end_with(conn, CONN_END_TLS, "the other side speaks in clear where TLS was expected");
    else if (code == 0)
        end_with(conn, conn->handshaking ? CONN_END_TLS : CONN_END_CLOSED, "the connection was closed during TLS");
    else
        end_with(conn, CONN_END_TLS, reason == NULL ? "TLS failed" : reason);
    ERR_clear_error();
}

static ssize_t read_tls(struct conn *conn, char *room, size_t size)
{
    size_t total = 0;
    while (total < size) {
        ERR_clear_error();
        int got = SSL_read(conn->ssl, room + total, (int)(size - total));
        if (got > 0) {
            total += (size_t)got;
            if (got < TLS_RECORD_MAX && !SSL_has_pending(conn->ssl))
                return (ssize_t)total; /* a dialogue: what follows will wake us, no need to ask the socket */
            continue;
        }
        int problem = SSL_get_error(conn->ssl, got);
        if (problem == SSL_ERROR_WANT_READ || problem == SSL_ERROR_WANT_WRITE)
            return (ssize_t)total;
        if (total > 0)
            break; /* the end is met again once this is read */
        if (problem == SSL_ERROR_ZERO_RETURN)
            end_with(conn, CONN_END_CLOSED, "the connection was closed");
        else if (problem == SSL_ERROR_SYSCALL && errno != 0)
            end_with_errno(conn, errno);
        else
            end_with_tls(conn);
        return -1;
    }
    wake(conn, true, false); /* what OpenSSL holds already, the kernel does not tell */
    return (ssize_t)total;
}

/* Reads again where reading had stopped. */
static void read_on(struct conn *conn)
{
    if (conn->loop == NULL || conn->ended)
        return;
    watch_interest(conn);
    if (conn->ssl != NULL && !conn->handshaking && SSL_has_pending(conn->ssl))
        wake(conn, true, false);
}

/* Reads once and tells the owner. */
static void read_input(struct conn *conn)
{
    size_t room = CONN_INPUT_MAX - conn->input.length;
    if (room == 0)
        return;
    ssize_t got = conn->ssl != NULL ? read_tls(conn, scratch, room) : read_clear(conn, scratch, room);
    if (got <= 0)
        return;
    if (conn->timeout_ms > 0 && !conn->deadline)
        event_add(&conn->timeout, loop_common_timeout(conn->loop, conn->timeout_ms));
    if (conn->input.length == 0)
        conn->fresh = bytes_of(scratch, (size_t)got);
    else
        buffer_add(&conn->input, bytes_of(scratch, (size_t)got));
    running = conn;
    if (conn->events->on_input != NULL)
        conn->events->on_input(conn->owner);
    if (running != conn)
        return; /* closed by its owner */
    running = NULL;
    struct bytes left = conn->fresh;
    conn->fresh = bytes_none();
    if (left.length > 0)
        buffer_add(&conn->input, left);
    conn_flush(conn);
    watch_interest(conn);
}

void conn_pause(struct conn *conn, bool paused)
{
    if (conn->paused == paused || conn->loop == NULL)
        return;
    conn->paused = paused;
    if (paused)
        return; /* the socket is left alone until it has octets: most pauses end before */
    conn->deaf = false;
    read_on(conn);
}

/* ---- writing ---- */

void conn_write(struct conn *conn, struct bytes b)
{
    if (conn->loop == NULL || conn->ended)
        return;
    buffer_add(&conn->output, b);
    conn->full = conn->full || conn_output_is_full(conn);
    if (running != conn)
        wake(conn, false, true); /* sent at the next turn unless conn_flush() comes first */
}

size_t conn_unsent(const struct conn *conn)
{
    return conn->output.length;
}

/* Octets sent, 0 when there is no room now, -1 when the conn ended. */
static ssize_t write_clear(struct conn *conn, struct bytes b)
{
    ssize_t sent;
    do
        sent = send(conn->descriptor, b.at, b.length, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN)
        return 0;
    end_with_errno(conn, errno);
    return -1;
}

static ssize_t write_tls(struct conn *conn, struct bytes b)
{
    ERR_clear_error();
    int sent = SSL_write(conn->ssl, b.at, (int)(b.length < INT32_MAX ? b.length : INT32_MAX));
    if (sent > 0)
        return sent;
    int problem = SSL_get_error(conn->ssl, sent);
    if (problem == SSL_ERROR_WANT_READ || problem == SSL_ERROR_WANT_WRITE)
        return 0;
    if (problem == SSL_ERROR_SYSCALL && errno != 0)
        end_with_errno(conn, errno);
    else
        end_with_tls(conn);
    return -1;
}

void conn_flush(struct conn *conn)
{
    if (conn->loop == NULL || conn->ended || conn->connecting || conn->handshaking)
        return;
    while (conn->output.length > 0) {
        struct bytes unsent = buffer_bytes(&conn->output);
        ssize_t sent = conn->ssl != NULL ? write_tls(conn, unsent) : write_clear(conn, unsent);
        if (sent < 0)
            return;
        if (sent == 0)
            break;
        buffer_consume(&conn->output, (size_t)sent);
    }
    if (conn->output.length == 0)
        buffer_free(&conn->output);
    if (conn->output.length == 0 && conn->full) { /* also where the kernel took all of it at once */
        conn->full = false;
        conn->drained = true;
        wake(conn, false, true);
    }
    watch_interest(conn);
}

/* ---- TLS ---- */

static int first_error(int fine, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct conn *conn = ssl == NULL ? NULL : SSL_get_app_data(ssl);
    if (!fine && conn != NULL && conn->verify_error == X509_V_OK)
        conn->verify_error = X509_STORE_CTX_get_error(store);
    return 1; /* judged when the handshake is done, so that a person learns what was wrong */
}

static void start_tls(struct conn *conn, struct tls_context *context)
{
    assert(conn->ssl == NULL);
    conn->fresh = bytes_none();
    conn_flush(conn);
    buffer_free(&conn->input); /* RFC 3207 4.2: what came in clear behind STARTTLS is not heard */
    conn->ssl = SSL_new(context->ssl);
    if (conn->ssl == NULL) {
        end_with(conn, CONN_END_TLS, "there is no memory for TLS");
        return;
    }
    SSL_set_app_data(conn->ssl, conn);
    SSL_set_fd(conn->ssl, conn->descriptor);
    conn->handshaking = true;
    conn->clear_left = conn->output.length;
    wake(conn, true, true);
}

void conn_start_tls_server(struct conn *conn, struct tls_context *context)
{
    start_tls(conn, context);
    if (conn->ssl != NULL)
        SSL_set_accept_state(conn->ssl);
}

/* ---- sessions ---- */

static int session_came(SSL *ssl, SSL_SESSION *session)
{
    struct conn *conn = SSL_get_app_data(ssl);
    if (conn == NULL || conn->context == NULL)
        return 0;
    tls_session_keep(conn->context, buffer_bytes(&conn->session_key), session, conn->verify_error);
    return 1; /* it is ours now */
}

/* What is asked of the peer, so that no session serves where more is asked. */
static void name_session(struct conn *conn, const struct conn_peer *peer)
{
    buffer_add_format(&conn->session_key, "%s %d %s", peer->name, (int)peer->verify, peer->protocol == NULL ? "-" : peer->protocol);
    for (size_t i = 0; i < peer->tlsa_count; i++) {
        const struct dns_record *record = &peer->tlsa[i];
        buffer_add_format(&conn->session_key, " %u %u %u %zu ", record->usage, record->selector, record->matching, record->data.length);
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

bool conn_tls_resumed(const struct conn *conn)
{
    return conn->ssl != NULL && SSL_session_reused(conn->ssl) == 1;
}

/* ---- a client's handshake ---- */

static bool is_address_text(const char *name)
{
    unsigned char address[16];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* RFC 7671 5.1: with DANE-EE names and dates do not count, as OpenSSL has it. True when some can be used. */
static bool judge_by_tlsa(struct conn *conn, const struct conn_peer *peer)
{
    bool any = false;
    if (peer->tlsa_count == 0 || SSL_dane_enable(conn->ssl, peer->name) != 1)
        return false;
    SSL_dane_set_flags(conn->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    for (size_t i = 0; i < peer->tlsa_count; i++) {
        const struct dns_record *record = &peer->tlsa[i];
        any |= tlsa_is_usable(record) && SSL_dane_tlsa_add(conn->ssl, record->usage, record->selector, record->matching,
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
    start_tls(conn, context);
    if (conn->ssl == NULL)
        return;
    SSL_set_connect_state(conn->ssl);
    SSL_set_verify(conn->ssl, SSL_VERIFY_PEER, first_error);
    X509_VERIFY_PARAM *wanted = SSL_get0_param(conn->ssl);
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    bool by_tlsa = judge_by_tlsa(conn, peer);
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

struct bytes conn_tls_text(const struct conn *conn, char *room, size_t size)
{
    if (conn->ssl == NULL || conn->handshaking)
        return bytes_none();
    int length = snprintf(room, size, "%s %s", SSL_get_version(conn->ssl), SSL_get_cipher_name(conn->ssl));
    return bytes_of(room, length < (int)size ? (size_t)length : size - 1);
}

/* RFC 9266 4.2: in TLS 1.2 only with the extended master secret. */
static struct bytes exporter_binding(SSL *ssl, unsigned char room[CONN_BINDING_MAX])
{
    enum { EXPORTED = 32 };
    static const char label[] = "EXPORTER-Channel-Binding";
    bool safe = SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1;
    bool exported = safe && SSL_export_keying_material(ssl, room, EXPORTED, label, sizeof label - 1, (const unsigned char *)"", 0, 1) == 1;
    return exported ? bytes_of(room, EXPORTED) : bytes_none();
}

/* The server's certificate, hashed as its own signature is; MD5 and SHA-1 become SHA-256 (RFC 5929 4.1). */
static struct bytes end_point_binding(SSL *ssl, unsigned char room[CONN_BINDING_MAX])
{
    const X509 *certificate = SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
    int signature = certificate == NULL ? NID_undef : X509_get_signature_nid(certificate), digest = NID_undef;
    unsigned length = 0;
    if (certificate == NULL || OBJ_find_sigid_algs(signature, &digest, NULL) != 1)
        return bytes_none();
    const EVP_MD *hash = digest == NID_md5 || digest == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(digest);
    bool hashed = hash != NULL && EVP_MD_get_size(hash) <= CONN_BINDING_MAX && X509_digest(certificate, hash, room, &length) == 1;
    return hashed ? bytes_of(room, length) : bytes_none();
}

struct bytes conn_tls_binding(const struct conn *conn, struct bytes name, unsigned char room[CONN_BINDING_MAX])
{
    if (conn->ssl == NULL || conn->handshaking)
        return bytes_none();
    if (bytes_is(name, "tls-exporter"))
        return exporter_binding(conn->ssl, room);
    return bytes_is(name, "tls-server-end-point") ? end_point_binding(conn->ssl, room) : bytes_none();
}

static void add_name(BIO *out, const ASN1_STRING *name, bool first)
{
    BIO_puts(out, first ? "it is for " : ", ");
    ASN1_STRING_print_ex(out, name, ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB);
}

/* The first few names it is for (RFC 9525: those of subjectAltName alone count). */
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

struct bytes conn_tls_certificate_text(const struct conn *conn, char *room, size_t size)
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
        X509_NAME_print_ex(out, X509_get_issuer_name(certificate), 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
        break;
    default: break;
    }
    int length = BIO_read(out, room, (int)size);
    BIO_free(out);
    return bytes_of(room, length > 0 ? (size_t)length : 0);
}

static const char *certificate_sentence(enum tls_certificate verdict)
{
    switch (verdict) {
    case TLS_CERTIFICATE_EXPIRED: return "the server's certificate has expired";
    case TLS_CERTIFICATE_NOT_YET_VALID: return "the server's certificate is not valid yet; is the clock right?";
    case TLS_CERTIFICATE_OTHER_NAME: return "the server's certificate is for another name";
    case TLS_CERTIFICATE_SELF_SIGNED: return "the server's certificate is self-signed";
    case TLS_CERTIFICATE_UNKNOWN_ISSUER: return "the server's certificate comes from an unknown issuer";
    case TLS_CERTIFICATE_NONE: return "the server showed no certificate";
    case TLS_CERTIFICATE_NO_TLSA: return "the server's certificate matches none of its TLSA records (DANE)";
    case TLS_CERTIFICATE_VALID:
    case TLS_CERTIFICATE_INVALID: break;
    }
    return "the server's certificate is not valid";
}

/* True once all that was written before STARTTLS is on its way. */
static bool clear_is_sent(struct conn *conn)
{
    while (conn->clear_left > 0) {
        ssize_t sent = write_clear(conn, bytes_first(buffer_bytes(&conn->output), conn->clear_left));
        if (sent < 0)
            return false;
        if (sent == 0) {
            watch_change(&conn->watch, false, true);
            return false;
        }
        buffer_consume(&conn->output, (size_t)sent);
        conn->clear_left -= (size_t)sent;
    }
    return true;
}

static void finish_handshake(struct conn *conn)
{
    conn->handshaking = false;
    if (conn->context != NULL && SSL_session_reused(conn->ssl) == 1)
        conn->verify_error = conn->resumed_error; /* no certificate came: that of the session counts */
    if (conn->verify && conn_tls_certificate(conn) != TLS_CERTIFICATE_VALID) {
        end_with(conn, CONN_END_TLS, certificate_sentence(conn_tls_certificate(conn)));
        return;
    }
    running = conn;
    if (conn->events->on_tls != NULL)
        conn->events->on_tls(conn->owner);
    if (running != conn)
        return;
    running = NULL;
    conn_flush(conn);
    read_on(conn);
}

static void handshake(struct conn *conn)
{
    if (!clear_is_sent(conn))
        return;
    ERR_clear_error();
    int done = SSL_do_handshake(conn->ssl);
    if (done == 1) {
        finish_handshake(conn);
        return;
    }
    int problem = SSL_get_error(conn->ssl, done);
    if (problem == SSL_ERROR_WANT_READ)
        watch_change(&conn->watch, true, false);
    else if (problem == SSL_ERROR_WANT_WRITE)
        watch_change(&conn->watch, false, true);
    else if (problem == SSL_ERROR_SYSCALL && errno != 0 && ERR_peek_last_error() == 0)
        end_with_errno(conn, errno);
    else
        end_with_tls(conn);
}

/* ---- the loop's news ---- */

static void watch_interest(struct conn *conn)
{
    if (conn->ended || conn->connecting || conn->handshaking || conn->loop == NULL)
        return;
    watch_change(&conn->watch, !conn->deaf && conn->input.length < CONN_INPUT_MAX, conn->output.length > 0);
    if (conn->wake_read || conn->wake_write) /* a change forgets it */
        event_active(&conn->watch.event, EV_READ, 1);
}

static void wake(struct conn *conn, bool read, bool write)
{
    conn->wake_read |= read;
    conn->wake_write |= write;
    event_active(&conn->watch.event, EV_READ, 1);
}

static void finish_connect(struct conn *conn)
{
    int problem = 0;
    socklen_t length = sizeof problem;
    getsockopt(conn->descriptor, SOL_SOCKET, SO_ERROR, &problem, &length);
    if (problem != 0) {
        end_with_errno(conn, problem);
        return;
    }
    conn->connecting = false;
    running = conn;
    if (conn->events->on_connected != NULL)
        conn->events->on_connected(conn->owner);
    if (running != conn)
        return;
    running = NULL;
    conn_flush(conn);
    watch_interest(conn);
}

/* False when the owner closed the conn. */
static bool write_ready(struct conn *conn)
{
    bool waited = conn->output.length > 0;
    conn_flush(conn);
    waited = waited || conn->drained;
    if (!waited || conn->ended || conn->output.length > 0 || conn->events->on_drained == NULL)
        return true;
    conn->drained = false;
    running = conn;
    conn->events->on_drained(conn->owner);
    if (running != conn)
        return false;
    running = NULL;
    conn_flush(conn);
    return true;
}

enum { TLS_HANDSHAKE_RECORD = 0x16 }; /* RFC 8446 5.1; no command begins so */

void conn_await_first(struct conn *conn)
{
    conn->awaiting_first = true;
}

void conn_end_await(struct conn *conn)
{
    conn->awaiting_first = false;
}

/* False when the owner closed the conn, or went on with TLS. */
static bool look_at_first(struct conn *conn)
{
    unsigned char first = 0;
    ssize_t got = recv(conn->descriptor, &first, 1, MSG_PEEK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    conn->awaiting_first = false;
    if (got <= 0)
        return true; /* reading tells what happened */
    running = conn;
    conn->events->on_first(conn->owner, first == TLS_HANDSHAKE_RECORD);
    if (running != conn)
        return false;
    running = NULL;
    conn_flush(conn);
    return conn->ssl == NULL;
}

static void on_ready(void *owner, bool readable, bool writable)
{
    struct conn *conn = owner;
    if (conn->ended) {
        if (!conn->end_told) {
            conn->end_told = true;
            if (conn->events->on_end != NULL)
                conn->events->on_end(conn->owner, conn->end);
        }
        return;
    }
    if (conn->connecting) {
        if (writable)
            finish_connect(conn);
        return;
    }
    bool woken = conn->wake_read || conn->wake_write;
    if (woken) {
        readable = conn->wake_read;
        writable = conn->wake_write || writable;
        conn->wake_read = conn->wake_write = false;
    }
    if (conn->handshaking) {
        handshake(conn);
        return;
    }
    if (writable && !write_ready(conn))
        return;
    if (!readable || conn->ended || (conn->awaiting_first && !look_at_first(conn)))
        return;
    if (!conn->paused) {
        read_input(conn);
        return;
    }
    conn->deaf = true;
    watch_interest(conn);
}

void conn_set_timeout(struct conn *conn, uint32_t timeout_ms)
{
    if (conn->loop == NULL)
        return;
    conn->deadline = false;
    conn->timeout_ms = timeout_ms;
    if (timeout_ms == 0)
        event_del(&conn->timeout);
    else
        event_add(&conn->timeout, loop_common_timeout(conn->loop, timeout_ms));
}

void conn_set_deadline(struct conn *conn, uint32_t timeout_ms)
{
    conn_set_timeout(conn, timeout_ms);
    conn->deadline = true;
}

struct bytes conn_address_text(const struct sockaddr *address, char *room, size_t size)
{
    const char *text = NULL;
    if (address->sa_family == AF_INET) {
        text = inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, room, (socklen_t)size);
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        text = IN6_IS_ADDR_V4MAPPED(six) ? inet_ntop(AF_INET, &six->s6_addr[12], room, (socklen_t)size)
                                         : inet_ntop(AF_INET6, six, room, (socklen_t)size);
    }
    return text == NULL ? BYTES("local") : bytes_of_text(text);
}
