/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/learned_verifier.h"

#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/log.h"
#include "run/subprocess.h"
#include "store/accounts.h"

enum { PARTS = 4 };

/* Four lengths, then the octets of the four. */
struct learned_record {
    uint16_t lengths[PARTS];
    char octets[LEARNED_MAX];
};

static size_t fill(struct learned_record *record, const struct learned *learned)
{
    const struct bytes parts[PARTS] = {learned->address, learned->key, learned->password_hash,
                                       learned->verifier};
    size_t used = 0;
    for (size_t i = 0; i < PARTS; i++) {
        if (parts[i].length > sizeof record->octets - used)
            return 0;
        if (parts[i].length > 0)
            memcpy(record->octets + used, parts[i].at, parts[i].length);
        record->lengths[i] = (uint16_t)parts[i].length;
        used += parts[i].length;
    }
    return offsetof(struct learned_record, octets) + used;
}

bool learned_send(struct child *child, const struct learned *learned)
{
    struct learned_record record;
    int ends[2];
    size_t size = fill(&record, learned);
    if (size == 0 || pipe2(ends, O_CLOEXEC) != 0)
        return false;
    bool told = write(ends[1], &record, size) == (ssize_t)size &&
                child_give_supervisor(child, IPC_LEARN, &(struct ipc_nothing){0}, ends[0]);
    close(ends[0]);
    close(ends[1]);
    explicit_bzero(&record, sizeof record);
    return told;
}

/* ---- the other end ---- */

struct learned_keeping {
    const char *data_dir;
    int pipe;
};

static bool parse(struct bytes octets, struct learned *learned)
{
    struct bytes *const parts[PARTS] = {&learned->address, &learned->key, &learned->password_hash,
                                        &learned->verifier};
    uint16_t lengths[PARTS];
    if (octets.length < sizeof lengths)
        return false;
    memcpy(lengths, octets.at, sizeof lengths);
    octets = bytes_from(octets, sizeof lengths);
    for (size_t i = 0; i < PARTS; i++) {
        if (lengths[i] > octets.length)
            return false;
        *parts[i] = bytes_first(octets, lengths[i]);
        octets = bytes_from(octets, lengths[i]);
    }
    return octets.length == 0;
}

/* A writer that holds its end open keeps nobody waiting: auth has written all of it before. */
static bool keep(void *owner, struct buffer *out, struct error *error)
{
    const struct learned_keeping *keeping = owner;
    char buffer[sizeof(struct learned_record) + 1];
    struct learned learned = {0};
    fcntl(keeping->pipe, F_SETFL, O_NONBLOCK);
    ssize_t got = read(keeping->pipe, buffer, sizeof buffer);
    bool read_it = got > 0 && parse(bytes_of(buffer, (size_t)got), &learned);
    struct accounts *accounts = read_it ? accounts_open(keeping->data_dir, true, error) : NULL;
    bool done = read_it ? accounts != NULL && accounts_learn(accounts, learned.address, learned.key,
                                                             learned.password_hash, learned.verifier, error)
                        : error_set(error, EX_SOFTWARE, "auth told nothing of use");
    log_event(done ? LOG_EVENT_INFO : LOG_EVENT_WARN, done ? "scram_ready" : "scram_not_ready",
              LOG_BYTES("user", learned.address), LOG_TEXT("reason", done ? "" : error->text));
    if (accounts != NULL)
        accounts_close(accounts);
    return true; /* it has told by itself */
}

void learned_keep(const char *data_dir, int pipe)
{
    struct learned_keeping keeping = {data_dir, pipe};
    struct error error = {0};
    bool run = pipe >= 0 ? subprocess_run(keep, &keeping, NULL, &error)
                         : error_set(&error, EX_OSERR, "no descriptor was free for it");
    if (!run)
        log_event(LOG_EVENT_WARN, "scram_not_ready", LOG_TEXT("reason", error.text));
    if (pipe >= 0)
        close(pipe);
}
