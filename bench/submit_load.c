/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submit load: sends messages as programs submit them: each on a connection
 * of its own, with STARTTLS and AUTH PLAIN; or shakes hands and leaves; or is
 * the server that does nothing but shake hands, to know what that costs.
 *
 *   submit_load send PORT THREADS COUNT FROM TO SIZE [PLAIN-RESPONSE] [resume]
 *   submit_load shake PORT THREADS COUNT
 *   submit_load serve PORT CERTIFICATE KEY
 *
 * Prints how many a second. TLS is not verified: this is a load, not a client.
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

static int number(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

static struct {
    int port, threads, count, size;
    const char *from, *to, *plain;
    int resume, shake_only;
    SSL_CTX *tls;
    char *content;
    atomic_int begun, failed;
} load;

static void fail(const char *what, const char *said)
{
    if (atomic_fetch_add(&load.failed, 1) < 3)
        fprintf(stderr, "submit_load: %s: %s\n", what, said);
}

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)load.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, line = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(line, (struct sockaddr *)&to, sizeof to) == 0)
        return line;
    close(line);
    return -1;
}

/* Says something and reads one reply; 0 when it begins with `code`. */
static int turn(int line, SSL *ssl, const char *say, size_t length, const char *code)
{
    char reply[4096];
    size_t have = 0;
    if (length > 0 && (ssl != NULL ? SSL_write(ssl, say, (int)length) : (int)write(line, say, length)) != (int)length)
        return -1;
    for (;;) {
        ssize_t got = ssl != NULL ? SSL_read(ssl, reply + have, (int)(sizeof reply - 1 - have)) : read(line, reply + have, sizeof reply - 1 - have);
        if (got <= 0)
            return -1;
        have += (size_t)got;
        reply[have] = '\0';
        if (reply[have - 1] != '\n')
            continue;
        char *last = reply;
        for (char *next = reply; (next = strchr(next, '\n')) != NULL && next[1] != '\0';)
            last = ++next;
        if (strlen(last) > 3 && last[3] == '-')
            continue;
        if (strncmp(last, code, strlen(code)) == 0)
            return 0;
        fail(say, reply);
        return -1;
    }
}

static int say(int line, SSL *ssl, const char *code, const char *format, const char *value)
{
    char text[1024];
    int length = snprintf(text, sizeof text, format, value);
    return turn(line, ssl, text, (size_t)length, code);
}

static int submit(int line, SSL *ssl)
{
    if (turn(line, NULL, "", 0, "220") != 0 || say(line, NULL, "250", "EHLO load.example\r\n", "") != 0 || say(line, NULL, "220", "STARTTLS\r\n", "") != 0)
        return -1;
    if (SSL_connect(ssl) != 1)
        return -1;
    if (say(line, ssl, "250", "EHLO load.example\r\n", "") != 0 || (load.plain != NULL && say(line, ssl, "235", "AUTH PLAIN %s\r\n", load.plain) != 0))
        return -1;
    if (say(line, ssl, "250", "MAIL FROM:<%s>\r\n", load.from) != 0 || say(line, ssl, "250", "RCPT TO:<%s>\r\n", load.to) != 0 || say(line, ssl, "354", "DATA\r\n", "") != 0)
        return -1;
    return turn(line, ssl, load.content, strlen(load.content), "250") != 0 || say(line, ssl, "221", "QUIT\r\n", "") != 0 ? -1 : 0;
}

static void *work(void *unused)
{
    SSL_SESSION *session = NULL;
    while (atomic_fetch_add(&load.begun, 1) < load.count) {
        int line = dial();
        SSL *ssl = SSL_new(load.tls);
        SSL_set_fd(ssl, line);
        if (session != NULL)
            SSL_set_session(ssl, session);
        int done = line < 0 ? -1 : load.shake_only ? (SSL_connect(ssl) == 1 ? 0 : -1) : submit(line, ssl);
        if (done != 0)
            fail("a connection", "failed");
        if (done == 0 && load.resume) {
            SSL_SESSION_free(session);
            session = SSL_get1_session(ssl);
        }
        SSL_shutdown(ssl);
        SSL_free(ssl);
        if (line >= 0)
            close(line);
    }
    SSL_SESSION_free(session);
    return NULL;
}

static void make_content(void)
{
    size_t used = 0, room = (size_t)load.size + 512;
    load.content = malloc(room);
    used += (size_t)snprintf(load.content, room, "From: <%s>\r\nTo: <%s>\r\nSubject: load\r\n\r\n", load.from, load.to);
    while (used < (size_t)load.size)
        used += (size_t)snprintf(load.content + used, room - used, "%.*s\r\n", 76, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    snprintf(load.content + used, room - used, ".\r\n");
}

static int run(void)
{
    struct timespec from, to;
    pthread_t threads[256];
    load.tls = SSL_CTX_new(TLS_client_method());
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < load.threads; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < load.threads; i++)
        pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double took = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    printf("%.1f\n", load.count / took);
    return load.failed * 200 <= load.count ? 0 : 1; /* one in two hundred may be unlucky */
}

/* One thread a connection is enough to know what the handshake itself costs. */
static void *shake(void *descriptor)
{
    int line = (int)(intptr_t)descriptor;
    char octet;
    SSL *ssl = SSL_new(load.tls);
    SSL_set_fd(ssl, line);
    if (SSL_accept(ssl) == 1)
        (void)!SSL_read(ssl, &octet, 1);
    SSL_free(ssl);
    close(line);
    return NULL;
}

static int serve(const char *certificate, const char *key)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)load.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, door = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    load.tls = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(load.tls, certificate) != 1 || SSL_CTX_use_PrivateKey_file(load.tls, key, SSL_FILETYPE_PEM) != 1 ||
        bind(door, (struct sockaddr *)&at, sizeof at) != 0 || listen(door, 1024) != 0)
        return 1;
    for (;;) {
        pthread_t thread;
        int line = accept(door, NULL, NULL);
        if (line >= 0 && pthread_create(&thread, NULL, shake, (void *)(intptr_t)line) == 0)
            pthread_detach(thread);
    }
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc >= 5 && strcmp(argv[1], "serve") == 0) {
        load.port = number(argv[2]);
        return serve(argv[3], argv[4]);
    }
    if (argc < 5)
        return 64;
    load.port = number(argv[2]);
    load.threads = number(argv[3]) < 256 ? number(argv[3]) : 256;
    load.count = number(argv[4]);
    load.shake_only = strcmp(argv[1], "shake") == 0;
    if (!load.shake_only) {
        if (argc < 8)
            return 64;
        load.from = argv[5];
        load.to = argv[6];
        load.size = number(argv[7]);
        load.plain = argc > 8 && strcmp(argv[8], "-") != 0 ? argv[8] : NULL;
        load.resume = argc > 9;
        make_content();
    }
    return run();
}
