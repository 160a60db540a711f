/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd: holds very many connections, of which a few at a time send a message,
 * while newcomers come all the while. bench/soak drives it by lines on its
 * standard input and reads a line for each:
 *
 *   crowd COUNT PORT-25 PORT-587 PORT-465 PORT-2525 FROM PLAIN-RESPONSE TO
 *     (at once)              -> open OPEN FAILED
 *     active THREADS SECONDS PAUSE-MS
 *                            -> active SENT FAILED P50 P99 MAX greeting P50 P99 MAX accepted P50 P99 MAX (µs)
 *     still                  -> still ALIVE FAILED: each connection answers NOOP
 *     end of input           -> closes all and ends
 *
 * Four of ten connections are on 25 in clear, two each on 587, 465 and 2525 in
 * TLS and signed in. TLS is not verified: this is a load, not a client.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    OPENERS = 16,
    THREADS_MAX = 1000,
    TIMES_MAX = 1 << 20,
    PATIENCE_S = 60,
    LETTER_OCTETS = 4096,
    NEWCOMER_PAUSE_MS = 50
};

struct line {
    int socket;
    SSL *tls; /* NULL: in clear */
};

/* How long things took, in microseconds. */
struct times {
    pthread_mutex_t lock;
    size_t count;
    uint32_t *us;
};

static struct {
    size_t count;
    int ports[4];
    const char *from, *plain, *to;
    SSL_CTX *tls;
    struct line *lines;
    atomic_size_t next, open, failed, alive;
    size_t threads;
    unsigned pause_ms;
    uint64_t until_us;
    char letter[LETTER_OCTETS + 256];
} crowd;

static struct times sending = {PTHREAD_MUTEX_INITIALIZER, 0, NULL},
                    greeting = {PTHREAD_MUTEX_INITIALIZER, 0, NULL},
                    accepting = {PTHREAD_MUTEX_INITIALIZER, 0, NULL};

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void pause_until(uint64_t us)
{
    uint64_t now = now_us();
    if (us > now)
        usleep((useconds_t)(us - now));
}

/* ---- times ---- */

static void note(struct times *times, uint64_t since_us)
{
    uint64_t took = now_us() - since_us;
    pthread_mutex_lock(&times->lock);
    if (times->count < TIMES_MAX)
        times->us[times->count++] = (uint32_t)took;
    pthread_mutex_unlock(&times->lock);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_times(struct times *times)
{
    qsort(times->us, times->count, sizeof *times->us, compare);
    size_t count = times->count;
    printf(" %u %u %u", count ? times->us[count / 2] : 0, count ? times->us[count * 99 / 100] : 0,
           count ? times->us[count - 1] : 0);
    times->count = 0;
}

/* ---- one connection ---- */

static bool fail(const char *what, const char *said)
{
    if (atomic_fetch_add(&crowd.failed, 1) < 5)
        fprintf(stderr, "crowd: %.40s: %.100s\n", what, said);
    return false;
}

static bool put(const struct line *line, const char *text, size_t length)
{
    for (size_t done = 0; done < length;) {
        long put = line->tls != NULL ? SSL_write(line->tls, text + done, (int)(length - done))
                                     : write(line->socket, text + done, length - done);
        if (put <= 0)
            return false;
        done += (size_t)put;
    }
    return true;
}

/* Sends a line, or nothing, and reads one reply; true if it begins with `code`. */
static bool turn(const struct line *line, const char *text, size_t length, const char *code)
{
    char reply[4096];
    size_t have = 0;
    if (!put(line, text, length))
        return fail(text, "cannot be said");
    for (;;) {
        long got = line->tls != NULL ? SSL_read(line->tls, reply + have, (int)(sizeof reply - 1 - have))
                                     : read(line->socket, reply + have, sizeof reply - 1 - have);
        if (got <= 0)
            return fail(length > 0 ? text : "greeting", "hung up on, or no reply");
        have += (size_t)got;
        reply[have] = '\0';
        char *last = reply;
        for (char *next = reply; (next = strchr(next, '\n')) != NULL && next[1] != '\0';)
            last = ++next;
        if (reply[have - 1] == '\n' && strlen(last) > 3 && last[3] != '-')
            return strncmp(last, code, strlen(code)) == 0 || fail(text, last);
    }
}

static bool say(const struct line *line, const char *code, const char *format, const char *value)
{
    char text[1024];
    return turn(line, text, (size_t)snprintf(text, sizeof text, format, value), code);
}

static bool secure(struct line *line)
{
    line->tls = SSL_new(crowd.tls);
    SSL_set_fd(line->tls, line->socket);
    return SSL_connect(line->tls) == 1 || fail("handshake", "failed");
}

static void hang_up(struct line *line)
{
    if (line->tls != NULL)
        SSL_free(line->tls);
    if (line->socket >= 0)
        close(line->socket);
    *line = (struct line){.socket = -1};
}

/* 0: port 25, in clear; 1: 587; 2: 465; 3: 2525. */
static bool dial(struct line *line, int which, uint64_t *greeted_since_us)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)crowd.ports[which]),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int one = 1;
    uint64_t since_us = now_us();
    *line = (struct line){.socket = socket(AF_INET, SOCK_STREAM, 0)};
    setsockopt(line->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(line->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(line->socket, (struct sockaddr *)&to, sizeof to) != 0)
        return fail("connect", "refused, or no room");
    if ((which == 2 && !secure(line)) || !turn(line, "", 0, "220"))
        return false;
    if (greeted_since_us != NULL)
        *greeted_since_us = since_us;
    return true;
}

static bool introduce(struct line *line, int which)
{
    if (!say(line, "250", "EHLO crowd.example\r\n", ""))
        return false;
    if (which == 0)
        return true;
    if (which != 2 && (!say(line, "220", "STARTTLS\r\n", "") || !secure(line) ||
                       !say(line, "250", "EHLO crowd.example\r\n", "")))
        return false;
    return say(line, "235", "AUTH PLAIN %s\r\n", crowd.plain);
}

static bool send_letter(const struct line *line)
{
    return say(line, "250", "MAIL FROM:<%s>\r\n", crowd.from) &&
           say(line, "250", "RCPT TO:<%s>\r\n", crowd.to) && say(line, "354", "DATA\r\n", "") &&
           turn(line, crowd.letter, strlen(crowd.letter), "250");
}

/* ---- all of them ---- */

static int port_of(size_t at)
{
    static const int share[10] = {0, 1, 0, 2, 0, 3, 0, 1, 2, 3};
    return share[at % 10];
}

static void *opens(void *unused)
{
    for (size_t at; (at = atomic_fetch_add(&crowd.next, 1)) < crowd.count;) {
        if (dial(&crowd.lines[at], port_of(at), NULL) && introduce(&crowd.lines[at], port_of(at)))
            atomic_fetch_add(&crowd.open, 1);
        else
            hang_up(&crowd.lines[at]);
    }
    return NULL;
}

static void *answers(void *unused)
{
    for (size_t at; (at = atomic_fetch_add(&crowd.next, 1)) < crowd.count;)
        if (crowd.lines[at].socket >= 0 && say(&crowd.lines[at], "250", "NOOP\r\n", ""))
            atomic_fetch_add(&crowd.alive, 1);
    return NULL;
}

/* Each has connections of its own, and sends over one of them after the other. */
static void *is_active(void *own)
{
    size_t number = *(size_t *)own, each = crowd.count / crowd.threads, turns = 0;
    unsigned seed = (unsigned)number;
    pause_until(now_us() + (uint64_t)crowd.pause_ms * 1000 * number / crowd.threads);
    for (uint64_t due_us = now_us(); due_us < crowd.until_us; turns++) {
        const struct line *line = &crowd.lines[number * each + (size_t)rand_r(&seed) % each];
        uint64_t since_us = now_us();
        if (line->socket >= 0 && send_letter(line))
            note(&sending, since_us);
        due_us = crowd.pause_ms > 0 ? due_us + (uint64_t)crowd.pause_ms * 1000 : now_us();
        pause_until(due_us);
    }
    return NULL;
}

static void *newcomers(void *unused)
{
    struct line line;
    for (size_t turns = 0; now_us() < crowd.until_us; turns++) {
        int which = turns % 2 == 0 ? 0 : 1;
        uint64_t since_us = now_us();
        if (dial(&line, which, &since_us)) {
            note(&greeting, since_us);
            if (introduce(&line, which) && send_letter(&line))
                note(&accepting, since_us);
        }
        hang_up(&line);
        pause_until(since_us + NEWCOMER_PAUSE_MS * 1000);
    }
    return NULL;
}

static void all(void *(*work)(void *))
{
    pthread_t threads[OPENERS];
    crowd.next = 0;
    for (int i = 0; i < OPENERS; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < OPENERS; i++)
        pthread_join(threads[i], NULL);
}

static void be_active(void)
{
    static pthread_t threads[THREADS_MAX], newcomer;
    static size_t numbers[THREADS_MAX];
    for (size_t i = 0; i < crowd.threads; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, is_active, &numbers[i]);
    }
    pthread_create(&newcomer, NULL, newcomers, NULL);
    for (size_t i = 0; i < crowd.threads; i++)
        pthread_join(threads[i], NULL);
    pthread_join(newcomer, NULL);
}

static void obey(const char *command)
{
    unsigned threads, seconds, pause_ms;
    crowd.failed = 0;
    if (sscanf(command, "active %u %u %u", &threads, &seconds, &pause_ms) == 3 && threads >= 1 &&
        threads <= THREADS_MAX && threads <= crowd.count) {
        crowd.threads = threads;
        crowd.pause_ms = pause_ms;
        crowd.until_us = now_us() + (uint64_t)seconds * 1000000;
        be_active();
        printf("active %zu %zu", sending.count + accepting.count, (size_t)crowd.failed);
        print_times(&sending);
        printf(" greeting");
        print_times(&greeting);
        printf(" accepted");
        print_times(&accepting);
        printf("\n");
    } else if (strncmp(command, "still", 5) == 0) {
        crowd.alive = 0;
        all(answers);
        printf("still %zu %zu\n", (size_t)crowd.alive, (size_t)crowd.failed);
    } else {
        printf("what?\n");
    }
    fflush(stdout);
}

int main(int count, char **arguments)
{
    char command[200];
    if (count != 9) {
        fprintf(stderr, "usage: crowd COUNT PORT-25 PORT-587 PORT-465 PORT-2525 FROM PLAIN-RESPONSE TO\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    crowd.count = strtoul(arguments[1], NULL, 10);
    for (int i = 0; i < 4; i++)
        crowd.ports[i] = (int)strtol(arguments[2 + i], NULL, 10);
    crowd.from = arguments[6];
    crowd.plain = arguments[7];
    crowd.to = arguments[8];
    crowd.lines = calloc(crowd.count, sizeof *crowd.lines);
    sending.us = calloc(TIMES_MAX, sizeof *sending.us);
    greeting.us = calloc(TIMES_MAX, sizeof *greeting.us);
    accepting.us = calloc(TIMES_MAX, sizeof *accepting.us);
    crowd.tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(crowd.tls, SSL_MODE_RELEASE_BUFFERS);
    size_t length = (size_t)snprintf(crowd.letter, sizeof crowd.letter,
                                     "From: <%s>\r\nSubject: of the crowd\r\n\r\n", crowd.from);
    while (length < LETTER_OCTETS)
        length += (size_t)snprintf(crowd.letter + length, sizeof crowd.letter - length,
                                   "a line of a letter, as long as lines of letters usually are\r\n");
    snprintf(crowd.letter + length, sizeof crowd.letter - length, ".\r\n");
    all(opens);
    printf("open %zu %zu\n", (size_t)crowd.open, (size_t)crowd.failed);
    fflush(stdout);
    while (fgets(command, sizeof command, stdin) != NULL)
        obey(command);
    for (size_t i = 0; i < crowd.count; i++)
        hang_up(&crowd.lines[i]);
    return 0;
}
