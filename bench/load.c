/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: brings messages to a server over many connections at once, as
 * programs do, and says how many a second and how long one took:
 *
 *   load send  port=N connections=N count=N size=N from=ADDRESS to=ADDRESS
 *              [kept=1] [tls=1] [plain=RESPONSE] [resume=1] [unique=N]
 *   load shake port=N connections=N count=N       TLS handshakes and no more
 *   load serve port=N certificate=FILE key=FILE   the server for those
 *
 * Prints: a second, median ms, p99 ms. Time runs from the connection (with
 * kept=1: from MAIL) to the 250 after the content. With unique=N each message
 * has a sender domain that no other has: uN, uN+1 and so on below that of
 * `from`. TLS is by STARTTLS and not verified: this is a load, not a client.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 256,
    FAILURES_TOLD = 3,
    UNLUCKY_ONE_IN = 200,
    WAIT_S = 30,
    ADDRESS_MAX = 320,
    HEADER_MAX = 1024,
};

static struct {
    const char *verb, *from, *to, *plain, *certificate, *key;
    long port, connections, count, size, kept, tls, resume, unique;
    SSL_CTX *context;
    char *content;
    size_t content_length, header_length;
    double *took_ms; /* one for each message that was accepted */
    atomic_long begun, accepted, failed, named;
} load;

/* ---- arguments ---- */

static const struct {
    const char *name;
    const char **text;
    long *number;
} OPTIONS[] = {
    {"from", &load.from, NULL},
    {"to", &load.to, NULL},
    {"plain", &load.plain, NULL},
    {"certificate", &load.certificate, NULL},
    {"key", &load.key, NULL},
    {"port", NULL, &load.port},
    {"connections", NULL, &load.connections},
    {"count", NULL, &load.count},
    {"size", NULL, &load.size},
    {"kept", NULL, &load.kept},
    {"tls", NULL, &load.tls},
    {"resume", NULL, &load.resume},
    {"unique", NULL, &load.unique},
};

static int read_option(const char *argument)
{
    const char *value = strchr(argument, '=');
    for (size_t i = 0; value != NULL && i < sizeof OPTIONS / sizeof OPTIONS[0]; i++) {
        if (strlen(OPTIONS[i].name) != (size_t)(value - argument) ||
            strncmp(OPTIONS[i].name, argument, (size_t)(value - argument)) != 0)
            continue;
        if (OPTIONS[i].text != NULL)
            *OPTIONS[i].text = value + 1;
        else
            *OPTIONS[i].number = strtol(value + 1, NULL, 10);
        return 0;
    }
    return -1;
}

static int usage(void)
{
    fprintf(stderr, "usage: load send|shake|serve NAME=VALUE ...; the head of load.c tells which\n");
    return 64;
}

/* ---- one dialogue ---- */

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void report_failure(const char *what, const char *said)
{
    if (load.failed < FAILURES_TOLD)
        fprintf(stderr, "load: %s: %s\n", what, said);
}

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)load.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval wait = {.tv_sec = WAIT_S};
    int one = 1, line = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(line, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(line, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect(line, (struct sockaddr *)&to, sizeof to) == 0)
        return line;
    close(line);
    return -1;
}

struct wire {
    int line;
    SSL *ssl; /* NULL: in clear */
};

static int write_all(struct wire *wire, const char *octets, size_t length)
{
    while (length > 0) {
        ssize_t wrote = wire->ssl != NULL ? SSL_write(wire->ssl, octets, (int)length)
                                          : write(wire->line, octets, length);
        if (wrote <= 0)
            return -1;
        octets += wrote;
        length -= (size_t)wrote;
    }
    return 0;
}

/* Reads one reply of one or more lines; 0 when it begins with `code`. */
static int hear(struct wire *wire, const char *code)
{
    char reply[4096];
    size_t have = 0;
    while (have < sizeof reply - 1) {
        ssize_t got = wire->ssl != NULL ? SSL_read(wire->ssl, reply + have, (int)(sizeof reply - 1 - have))
                                        : read(wire->line, reply + have, sizeof reply - 1 - have);
        if (got <= 0)
            return report_failure(code, "no reply"), -1;
        have += (size_t)got;
        reply[have] = '\0';
        if (reply[have - 1] != '\n')
            continue;
        char *last = reply;
        for (char *next = reply; (next = strchr(next, '\n')) != NULL && next[1] != '\0';)
            last = ++next;
        if (strlen(last) > 3 && last[3] == '-')
            continue;
        return strncmp(last, code, strlen(code)) == 0 ? 0 : (report_failure(code, reply), -1);
    }
    return report_failure(code, "an endless reply"), -1;
}

static int say(struct wire *wire, const char *code, const char *format, const char *value)
{
    char text[1024];
    int length = snprintf(text, sizeof text, format, value);
    return write_all(wire, text, (size_t)length) != 0 ? -1 : hear(wire, code);
}

static int greet(struct wire *wire, SSL *ssl)
{
    if (hear(wire, "220") != 0 || say(wire, "250", "EHLO load.example\r\n", "") != 0)
        return -1;
    if (!load.tls)
        return 0;
    if (say(wire, "220", "STARTTLS\r\n", "") != 0)
        return -1;
    if (SSL_connect(ssl) != 1)
        return report_failure("STARTTLS", "no handshake"), -1;
    wire->ssl = ssl;
    if (say(wire, "250", "EHLO load.example\r\n", "") != 0)
        return -1;
    return load.plain == NULL ? 0 : say(wire, "235", "AUTH PLAIN %s\r\n", load.plain);
}

static size_t write_header(char header[HEADER_MAX], const char *from)
{
    return (size_t)snprintf(header, HEADER_MAX, "From: <%s>\r\nTo: <%s>\r\nSubject: load\r\n\r\n", from,
                            load.to);
}

static int envelope(struct wire *wire, const char *from)
{
    return say(wire, "250", "MAIL FROM:<%s>\r\n", from) != 0 ||
                   say(wire, "250", "RCPT TO:<%s>\r\n", load.to) != 0 || say(wire, "354", "DATA\r\n", "") != 0
               ? -1
               : 0;
}

static int bring(struct wire *wire)
{
    if (envelope(wire, load.from) != 0 || write_all(wire, load.content, load.content_length) != 0)
        return -1;
    return hear(wire, "250");
}

/* The same with a sender domain of its own, in the envelope and in From. */
static int bring_unique(struct wire *wire)
{
    char from[ADDRESS_MAX];
    const char *domain = strchr(load.from, '@');
    long number = load.unique + atomic_fetch_add(&load.named, 1);
    snprintf(from, sizeof from, "%.*s@u%ld.%s", (int)(domain - load.from), load.from, number, domain + 1);
    size_t body = load.content_length - load.header_length;
    char *content = malloc(HEADER_MAX + body);
    size_t used = write_header(content, from);
    memcpy(content + used, load.content + load.header_length, body);
    int brought = envelope(wire, from) != 0 || write_all(wire, content, used + body) != 0 ? -1
                                                                                          : hear(wire, "250");
    free(content);
    return brought;
}

/* ---- many of them ---- */

static int another_begins(void)
{
    return atomic_fetch_add(&load.begun, 1) < load.count;
}

static void accepted_after(double ms)
{
    load.took_ms[atomic_fetch_add(&load.accepted, 1)] = ms;
}

/* One message, or with kept=1 as many as there are left. 0 when all went well. */
static int converse(struct wire *wire, SSL *ssl, double started_ms)
{
    if (greet(wire, ssl) != 0)
        return -1;
    do {
        if (load.kept)
            started_ms = now_ms();
        if ((load.unique > 0 ? bring_unique(wire) : bring(wire)) != 0)
            return -1;
        accepted_after(now_ms() - started_ms);
    } while (load.kept && another_begins());
    return say(wire, "221", "QUIT\r\n", "");
}

static void connect_once(SSL_SESSION **session)
{
    double started_ms = now_ms();
    struct wire wire = {.line = dial()};
    if (wire.line < 0) {
        report_failure("connection", "refused");
        atomic_fetch_add(&load.failed, 1);
        return;
    }
    SSL *ssl = load.context != NULL ? SSL_new(load.context) : NULL;
    if (ssl != NULL) {
        SSL_set_fd(ssl, wire.line);
        if (*session != NULL)
            SSL_set_session(ssl, *session);
    }
    int fine = strcmp(load.verb, "send") == 0 ? converse(&wire, ssl, started_ms) == 0 : SSL_connect(ssl) == 1;
    if (!fine)
        atomic_fetch_add(&load.failed, 1);
    else if (strcmp(load.verb, "shake") == 0)
        accepted_after(now_ms() - started_ms);
    if (fine && load.resume) {
        SSL_SESSION_free(*session);
        *session = SSL_get1_session(ssl);
    }
    if (ssl != NULL) {
        SSL_shutdown(ssl);
        SSL_free(ssl);
    }
    close(wire.line);
}

static void *work(void *unused)
{
    SSL_SESSION *session = NULL;
    while (another_begins())
        connect_once(&session);
    SSL_SESSION_free(session);
    return unused;
}

static void make_content(void)
{
    static const char line[] =
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";
    size_t room = (size_t)load.size + HEADER_MAX, used;
    load.content = malloc(room);
    load.header_length = used = write_header(load.content, load.from);
    while (used < (size_t)load.size) {
        memcpy(load.content + used, line, sizeof line - 1);
        used += sizeof line - 1;
    }
    used += (size_t)snprintf(load.content + used, room - used, ".\r\n");
    load.content_length = used;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int run(void)
{
    pthread_t threads[CONNECTIONS_MAX];
    long connections = load.connections < CONNECTIONS_MAX ? load.connections : CONNECTIONS_MAX;
    load.took_ms = calloc((size_t)load.count, sizeof *load.took_ms);
    double started_ms = now_ms();
    for (long i = 0; i < connections; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            return report_failure("thread", "refused"), 1;
    for (long i = 0; i < connections; i++)
        pthread_join(threads[i], NULL);
    double took_ms = now_ms() - started_ms;
    long count = load.accepted;
    if (count == 0)
        return 1;
    qsort(load.took_ms, (size_t)count, sizeof *load.took_ms, by_size);
    printf("%.1f %.3f %.3f\n", (double)count / took_ms * 1e3, load.took_ms[count / 2],
           load.took_ms[count * 99 / 100]);
    free(load.took_ms);
    return load.failed * UNLUCKY_ONE_IN <= load.count ? 0 : 1;
}

/* ---- the server that shakes hands ---- */

/* One thread a connection is enough to know what the handshake itself costs. */
static void *shake(void *descriptor)
{
    int line = (int)(intptr_t)descriptor;
    char octet;
    SSL *ssl = SSL_new(load.context);
    SSL_set_fd(ssl, line);
    if (SSL_accept(ssl) == 1)
        (void)!SSL_read(ssl, &octet, 1);
    SSL_free(ssl);
    close(line);
    return NULL;
}

static int serve(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)load.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, door = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    load.context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(load.context, load.certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(load.context, load.key, SSL_FILETYPE_PEM) != 1 ||
        bind(door, (struct sockaddr *)&at, sizeof at) != 0 || listen(door, 1024) != 0)
        return 1;
    for (;;) {
        pthread_t thread;
        int line = accept(door, NULL, NULL);
        if (line >= 0 && pthread_create(&thread, NULL, shake, (void *)(intptr_t)line) == 0)
            pthread_detach(thread);
    }
}

static int is_address(const char *text)
{
    return text != NULL && strchr(text, '@') != NULL && strlen(text) < ADDRESS_MAX / 2;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2)
        return usage();
    load.verb = argv[1];
    for (int i = 2; i < argc; i++)
        if (read_option(argv[i]) != 0)
            return usage();
    if (strcmp(load.verb, "serve") == 0)
        return load.port > 0 && load.certificate != NULL && load.key != NULL ? serve() : usage();
    int sends = strcmp(load.verb, "send") == 0;
    if (load.port <= 0 || load.count <= 0 || load.connections <= 0 ||
        (sends && (!is_address(load.from) || !is_address(load.to))) ||
        (!sends && strcmp(load.verb, "shake") != 0))
        return usage();
    if (!sends || load.tls)
        load.context = SSL_CTX_new(TLS_client_method());
    if (sends)
        make_content();
    return run();
}
