/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toy_ground: a server whose rows a test defines: it is started in a folder of its own, with a FIFO through
 * which the test tells a row what to do, and its log is read.
 */
#ifndef MAILBOAT_TESTS_TOY_GROUND_H
#define MAILBOAT_TESTS_TOY_GROUND_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/log.h"
#include "run/supervisor.h"
#include "unit.h"

enum { PATIENCE_MS = 30 * 1000 };

static struct {
    char folder[64], config[96];
    pid_t supervisor;
    int output;
    struct buffer log;
} server = {.folder = "/tmp/mailboat-toys-XXXXXX", .output = -1};

static inline uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = bind(made, (struct sockaddr *)&address, sizeof address) == 0 &&
                 getsockname(made, (struct sockaddr *)&address, &length) == 0;
    close(made);
    return bound ? ntohs(address.sin_port) : 0;
}

/* Starts the rows as a server of their own. */
static inline int toys_start(service_list *toys)
{
    char path[96];
    int ends[2];
    if (mkdtemp(server.folder) == NULL || chmod(server.folder, 0755) != 0 || pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/fifo", server.folder);
    snprintf(server.config, sizeof server.config, "%s/toys.conf", server.folder);
    FILE *config = fopen(server.config, "w");
    if (config == NULL || mkfifo(path, 0600) != 0)
        return -1;
    fprintf(config,
            "hostname: toys.example\ndata_dir: %s\nlisteners:\n  - {address: 127.0.0.1, port: %u, role: "
            "submission}\n",
            server.folder, (unsigned)free_port());
    fclose(config);
    server.supervisor = fork();
    if (server.supervisor == 0) {
        struct error error = {0};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDERR_FILENO);
        int code = supervisor_run(toys, server.config, &error);
        dprintf(STDERR_FILENO, "%s\n", error.text);
        _exit(code);
    }
    close(ends[1]);
    server.output = ends[0];
    return 0;
}

static inline int toys_stop(void **state)
{
    int above = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (server.supervisor > 0) {
        kill(server.supervisor, SIGKILL);
        waitpid(server.supervisor, NULL, 0);
    }
    folder_remove(above, strrchr(server.folder, '/') + 1);
    close(above);
    close(server.output);
    buffer_free(&server.log);
    return 0;
}

/* Counts log lines of this process (NULL: any) that contain both texts. */
static inline unsigned lines(const char *process, const char *event, const char *part)
{
    unsigned count = 0;
    char *log = strdup(buffer_text(&server.log)), *at = log, head[128];
    snprintf(head, sizeof head, " %s %s", process, event);
    for (char *line; (line = strsep(&at, "\n")) != NULL;)
        count += strstr(line, head) != NULL && strstr(line, part) != NULL;
    free(log);
    return count;
}

static inline bool read_log(void)
{
    char octets[4096];
    struct pollfd waiting = {.fd = server.output, .events = POLLIN};
    ssize_t got = poll(&waiting, 1, PATIENCE_MS) == 1 ? read(server.output, octets, sizeof octets) : 0;
    if (got > 0)
        buffer_add(&server.log, bytes_of(octets, (size_t)got));
    return got > 0;
}

static inline void wait_for(unsigned count, const char *process, const char *event, const char *part)
{
    while (lines(process, event, part) < count)
        if (!read_log())
            fail_msg("%u of %u lines '%s %s ...%s' in the log:\n%s", lines(process, event, part), count,
                     process, event, part, buffer_text(&server.log));
    assert_int_equal(lines(process, event, part), count);
}

/* Tells the row that reads the FIFO. */
static inline void tell(char octet)
{
    char path[96];
    snprintf(path, sizeof path, "%s/fifo", server.folder);
    int fifo = open(path, O_RDWR | O_CLOEXEC); /* it does not block where nobody reads */
    assert_int_equal(write(fifo, &octet, 1), 1);
    close(fifo);
}

/* The row's end of it, in its open function; -1 if it cannot be opened. */
static inline int toy_fifo(const char *data_dir)
{
    char path[256];
    snprintf(path, sizeof path, "%s/fifo", data_dir);
    return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

/* Replaces a file of the server's folder, which a row may follow. */
static inline void replace_file(const char *name)
{
    char path[96];
    snprintf(path, sizeof path, "%s/%s", server.folder, name);
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

#endif
