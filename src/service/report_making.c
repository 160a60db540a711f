/* SPDX-License-Identifier: Apache-2.0 */
#include "service/report_making.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/trust/report_ledger.h"
#include "core/trust/tlsrpt.h"
#include "core/trust/tlsrpt_report.h"
#include "io/clock.h"
#include "io/folder.h"
#include "io/pack.h"
#include "io/random.h"
#include "run/subprocess.h"
#include "service/dns_worker.h"
#include "service/relay/tls_counts.h"

/* A domain whose record is being looked up. */
struct report_look {
    struct report_making *of;
    struct arena arena;
    struct dns_facts facts;
    struct dns_question question;
    size_t first, end; /* its rows */
    bool open;
    struct timer next;
};

struct report_making {
    const struct config *config;
    uint32_t day;
    struct dns_worker worker;
    struct timer limit;
    struct tlsrpt_counts counts;
    struct tlsrpt_report_row *rows; /* of the day; those of one domain are neighbours */
    size_t row_count, begun;        /* begun: rows whose domain has had its turn, or has it */
    size_t open;                    /* looks that are under way */
    struct report_look looks[REPORT_LOOKS_AT_ONCE];
    struct buffer *out;
};

/* ---- the results ---- */

static const char *const kind_names[MADE_KINDS] = {
    [MADE_REPORT] = "report", [MADE_LATER] = "later", [MADE_LATE] = "late"};

static void add_result(struct buffer *out, enum made_report_kind kind, struct bytes domain,
                       struct bytes address, struct bytes content)
{
    buffer_add_format(out, "%s %zu %.*s %.*s\n%.*s", kind_names[kind], content.length, BYTES_ARG(domain),
                      BYTES_ARG(address.length > 0 ? address : BYTES("-")), BYTES_ARG(content));
}

bool report_making_next(struct bytes *rest, struct made_report *made)
{
    struct bytes line = bytes_split(rest, '\n'), kind = bytes_split(&line, ' ');
    uint64_t length;
    *made = (struct made_report){.kind = MADE_KINDS};
    for (int i = 0; i < MADE_KINDS; i++)
        if (bytes_is(kind, kind_names[i]))
            made->kind = (enum made_report_kind)i;
    if (made->kind == MADE_KINDS || !bytes_to_u64(bytes_split(&line, ' '), rest->length, &length))
        return false;
    made->domain = bytes_split(&line, ' ');
    made->address = line;
    made->content = bytes_first(*rest, (size_t)length);
    *rest = bytes_from(*rest, (size_t)length);
    return !bytes_has_control(made->domain) && !bytes_has_control(made->address);
}

/* ---- a message ---- */

static struct bytes author_of(const struct config *config, struct buffer *room)
{
    if (config->trust.reports.from != NULL)
        buffer_add_text(room, config->trust.reports.from);
    else
        buffer_add_format(room, "postmaster@%s", config->hostname);
    return buffer_bytes(room);
}

static void add_message(struct report_look *look, struct bytes domain, struct bytes address,
                        struct bytes packed, struct bytes id)
{
    const struct report_making *making = look->of;
    struct buffer from = {0}, content = {0};
    const struct report_message message = {.kind = REPORT_KIND_TLS,
                                           .hostname = bytes_of_text(making->config->hostname),
                                           .from = author_of(making->config, &from),
                                           .to = address,
                                           .domain = domain,
                                           .id = id,
                                           .day = making->day,
                                           .date_ms = clock_epoch_ms(),
                                           .packed = packed};
    report_message_write(&content, &message);
    bool fits = making->out->length + content.length <= REPORTS_MADE_OCTETS_MAX;
    add_result(making->out, fits ? MADE_REPORT : MADE_LATER, domain, address,
               fits ? buffer_bytes(&content) : bytes_none());
    buffer_free(&content);
    buffer_free(&from);
}

/* One message for each address, as each is remembered by itself. */
static void add_messages(struct report_look *look, const struct report_uris *rua)
{
    const struct report_making *making = look->of;
    struct bytes domain = making->rows[look->first].session.domain;
    struct buffer id = {0}, text = {0}, packed = {0}, from = {0};
    report_message_add_id(&id, making->day, domain, bytes_of_text(making->config->hostname));
    struct tlsrpt_report report = {.organization = bytes_of_text(making->config->hostname),
                                   .contact = author_of(making->config, &from),
                                   .domain = domain,
                                   .day = making->day,
                                   .id = buffer_bytes(&id),
                                   .rows = &making->rows[look->first],
                                   .row_count = look->end - look->first};
    tlsrpt_report_write(&text, &report);
    bool fine = pack_gzip(buffer_bytes(&text), &packed);
    for (size_t i = 0; i < rua->count && fine; i++) {
        struct buffer address = {0};
        if (report_uri_address(rua->uris[i], &address) && bytes_is_ascii(buffer_bytes(&address)) &&
            address.length <= REPORT_ADDRESS_MAX) /* https: is not supported */
            add_message(look, domain, buffer_bytes(&address), buffer_bytes(&packed), buffer_bytes(&id));
        buffer_free(&address);
    }
    buffer_free(&id);
    buffer_free(&text);
    buffer_free(&packed);
    buffer_free(&from);
}

/* ---- looks ---- */

static void go_on(struct report_look *look);

static void on_answer(void *owner, const struct dns_answer *answer)
{
    struct report_look *look = owner;
    dns_facts_add(&look->facts, look->facts.lacked[0], answer);
    timer_set(&look->next, 0); /* the resolver's functions are on the stack */
}

static void end_look(struct report_look *look, enum tlsrpt_state state, const struct report_uris *rua)
{
    struct report_making *making = look->of;
    if (state == TLSRPT_WANTED)
        add_messages(look, rua);
    else if (state == TLSRPT_TEMPERROR)
        add_result(making->out, MADE_LATER, making->rows[look->first].session.domain, bytes_none(),
                   bytes_none());
    arena_clear(&look->arena);
    look->open = false;
    making->open--;
}

static void go_on(struct report_look *look)
{
    struct report_uris rua;
    dns_facts_begin(&look->facts);
    enum tlsrpt_state state = tlsrpt_look_up(look->of->rows[look->first].session.domain, &look->facts, &rua);
    if (look->facts.lacked_count == 0) {
        end_look(look, state, &rua);
        return;
    }
    const struct dns_fact_key *key = &look->facts.lacked[0];
    dns_ask_text(look->of->worker.dns, &look->question, key->name, key->prefix, on_answer, look);
}

static void begin_look(struct report_look *look)
{
    struct report_making *making = look->of;
    look->first = making->begun;
    look->end = look->first + 1;
    while (look->end < making->row_count &&
           bytes_equal(making->rows[look->end].session.domain, making->rows[look->first].session.domain))
        look->end++;
    making->begun = look->end;
    look->open = true;
    making->open++;
    dns_facts_start(&look->facts, &look->arena);
    go_on(look);
}

static void next(void *owner)
{
    struct report_look *look = owner;
    struct report_making *making = look->of;
    if (look->open)
        go_on(look);
    while (!look->open && making->begun < making->row_count)
        begin_look(look);
    if (making->open == 0 && making->begun == making->row_count)
        loop_stop(&making->worker.loop);
}

static void limit_passed(void *owner)
{
    struct report_making *making = owner;
    for (size_t i = 0; i < REPORT_LOOKS_AT_ONCE; i++)
        if (making->looks[i].open)
            end_look(&making->looks[i], TLSRPT_TEMPERROR, NULL);
    if (making->begun < making->row_count)
        add_result(making->out, MADE_LATER, making->rows[making->begun].session.domain, bytes_none(),
                   bytes_none());
    loop_stop(&making->worker.loop);
}

static void look_at_all(struct report_making *making)
{
    timer_start(&making->limit, &making->worker.loop, limit_passed, making);
    timer_set(&making->limit, REPORT_LOOKS_MS);
    for (size_t i = 0; i < REPORT_LOOKS_AT_ONCE; i++) {
        struct report_look *look = &making->looks[i];
        look->of = making;
        timer_start(&look->next, &making->worker.loop, next, look);
        timer_set(&look->next, 0);
    }
    loop_run(&making->worker.loop);
}

/* ---- the rows ---- */

static int by_domain(const void *left, const void *right)
{
    const struct tlsrpt_report_row *a = left, *b = right;
    return bytes_compare(a->session.domain, b->session.domain);
}

/* The rows of the day, and a sign that there are some of the day before. */
static void gather(struct report_making *making)
{
    struct tlsrpt_session session;
    uint64_t times;
    bool late = false;
    making->rows = memory_new((making->counts.rows.count + 1) * sizeof making->rows[0]);
    for (size_t position = 0; tlsrpt_counts_next(&making->counts, &position, &session, &times);) {
        if (session.day + 1 == making->day && !late)
            add_result(making->out, MADE_LATE, session.domain, bytes_none(), bytes_none());
        late = late || session.day + 1 == making->day;
        if (session.day == making->day && !config_excludes_reports(making->config, session.domain))
            making->rows[making->row_count++] = (struct tlsrpt_report_row){session, times};
    }
    qsort(making->rows, making->row_count, sizeof making->rows[0], by_domain);
}

static void read_rows(struct report_making *making, int file)
{
    struct buffer text = {0};
    ssize_t got = 1;
    while (got > 0 && text.length < REPORT_ROWS_READ_MAX) {
        got = read(file, buffer_reserve(&text, 65536), 65536);
        if (got > 0)
            buffer_written(&text, (size_t)got);
    }
    tlsrpt_counts_start(&making->counts, random_u64());
    for (struct bytes rest = buffer_bytes(&text); rest.length > 0;)
        tlsrpt_counts_take(&making->counts, bytes_split(&rest, '\n'));
    buffer_free(&text);
}

/* Relay's file: -1 without an error if there is none. */
static int open_rows(const struct config *config, struct error *error)
{
    struct folder folder;
    struct buffer path = {0};
    buffer_add_format(&path, "%s/relay", config->data_dir);
    int file = -1;
    if (folder_open(&folder, buffer_text(&path), 0, FOLDER_ANY, error)) {
        file = folder_file(folder.descriptor, TLS_COUNTS_FILE, O_RDONLY);
        if (file < 0 && errno != ENOENT)
            error_set_errno(error, EX_NOINPUT, "%s/%s", buffer_text(&path), TLS_COUNTS_FILE);
        folder_close(&folder);
    }
    buffer_free(&path);
    return file;
}

static bool work(void *owner, struct buffer *out, struct error *error)
{
    struct report_making *making = owner;
    int file = open_rows(making->config, error);
    if (file < 0)
        return error->exit_code == 0;
    if (!dns_worker_start(&making->worker, making->config, "reports", error))
        return false;
    making->out = out;
    read_rows(making, file);
    gather(making);
    look_at_all(making);
    return true;
}

bool report_making_run(const struct config *config, uint32_t day, struct buffer *out, struct error *error)
{
    struct report_making *making = memory_new(sizeof *making);
    making->config = config;
    making->day = day;
    bool done = subprocess_run(work, making, out, error);
    free(making);
    return done;
}
