/* SPDX-License-Identifier: Apache-2.0 */
#include "service/report_making.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/trust/dmarc_rows.h"
#include "core/trust/report_ledger.h"
#include "core/trust/report_readers.h"
#include "core/trust/tlsrpt_report.h"
#include "io/clock.h"
#include "io/folder.h"
#include "io/pack.h"
#include "io/random.h"
#include "io/read.h"
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
    struct report_readers found;
    bool open;
    struct timer next;
};

struct report_making {
    const struct config *config;
    const struct report_making_wish *wish;
    struct dns_worker worker;
    struct timer limit;
    struct tlsrpt_counts counts;
    /* of the day, one of them; those of one domain are neighbours */
    struct tlsrpt_report_row *tls_rows;
    struct dmarc_report_row *dmarc_rows;
    size_t row_count, begun; /* begun: rows whose domain has had its turn, or has it */
    size_t open;             /* looks that are under way */
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

static struct bytes domain_at(const struct report_making *making, size_t row)
{
    return making->wish->kind == REPORT_KIND_TLS ? making->tls_rows[row].session.domain
                                                 : making->dmarc_rows[row].evidence.domain;
}

static void add_message(struct report_look *look, struct bytes domain, struct bytes address,
                        struct bytes packed, struct bytes id)
{
    const struct report_making *making = look->of;
    struct buffer from = {0}, content = {0};
    const struct report_message message = {.kind = making->wish->kind,
                                           .hostname = bytes_of_text(making->config->hostname),
                                           .from = author_of(making->config, &from),
                                           .to = address,
                                           .domain = domain,
                                           .id = id,
                                           .day = making->wish->day,
                                           .date_ms = clock_epoch_ms(),
                                           .packed = packed};
    report_message_write(&content, &message);
    bool fits = making->out->length + content.length <= REPORTS_MADE_OCTETS_MAX;
    add_result(making->out, fits ? MADE_REPORT : MADE_LATER, domain, address,
               fits ? buffer_bytes(&content) : bytes_none());
    buffer_free(&content);
    buffer_free(&from);
}

static void write_report(struct report_look *look, struct bytes id, struct buffer *out)
{
    const struct report_making *making = look->of;
    struct bytes organization = bytes_of_text(making->config->hostname);
    struct buffer room = {0};
    struct bytes contact = author_of(making->config, &room);
    size_t count = look->end - look->first;
    if (making->wish->kind == REPORT_KIND_TLS)
        tlsrpt_report_write(out, &(struct tlsrpt_report){organization, contact,
                                                         domain_at(making, look->first), making->wish->day,
                                                         id, &making->tls_rows[look->first], count});
    else
        dmarc_report_write(out, &(struct dmarc_report){organization, contact, id, making->wish->day,
                                                       &making->dmarc_rows[look->first], count});
    buffer_free(&room);
}

/* One message for each address, as each is remembered by itself. */
static void add_messages(struct report_look *look)
{
    const struct report_making *making = look->of;
    struct bytes domain = domain_at(making, look->first);
    struct buffer id = {0}, text = {0}, packed = {0};
    report_message_add_id(&id, making->wish->day, domain, bytes_of_text(making->config->hostname));
    write_report(look, buffer_bytes(&id), &text);
    bool fine = pack_gzip(buffer_bytes(&text), &packed);
    for (size_t i = 0; i < look->found.address_count && fine; i++)
        add_message(look, domain, look->found.addresses[i], buffer_bytes(&packed), buffer_bytes(&id));
    buffer_free(&id);
    buffer_free(&text);
    buffer_free(&packed);
}

/* ---- looks ---- */

static void go_on(struct report_look *look);

static void on_answer(void *owner, const struct dns_answer *answer)
{
    struct report_look *look = owner;
    dns_facts_add(&look->facts, look->facts.lacked[0], answer);
    timer_set(&look->next, 0); /* the resolver's functions are on the stack */
}

static void end_look(struct report_look *look, enum report_wanted wanted)
{
    struct report_making *making = look->of;
    if (wanted == REPORT_WANTED)
        add_messages(look);
    else if (wanted == REPORT_UNKNOWN)
        add_result(making->out, MADE_LATER, domain_at(making, look->first), bytes_none(), bytes_none());
    arena_clear(&look->arena);
    look->open = false;
    making->open--;
}

static void go_on(struct report_look *look)
{
    struct dns *dns = look->of->worker.dns;
    dns_facts_begin(&look->facts);
    enum report_wanted wanted = report_readers_find(look->of->wish->kind, domain_at(look->of, look->first),
                                                    &look->facts, &look->found);
    if (look->facts.lacked_count == 0) {
        end_look(look, wanted);
        return;
    }
    const struct dns_fact_key *key = &look->facts.lacked[0];
    if (key->prefix != NULL)
        dns_ask_text(dns, &look->question, key->name, key->prefix, on_answer, look);
    else
        dns_ask(dns, &look->question, key->name, key->type, on_answer, look);
}

static void begin_look(struct report_look *look)
{
    struct report_making *making = look->of;
    look->first = making->begun;
    look->end = look->first + 1;
    while (look->end < making->row_count &&
           bytes_equal(domain_at(making, look->end), domain_at(making, look->first)))
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
            end_look(&making->looks[i], REPORT_UNKNOWN);
    if (making->begun < making->row_count)
        add_result(making->out, MADE_LATER, domain_at(making, making->begun), bytes_none(), bytes_none());
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

static int by_tls_domain(const void *left, const void *right)
{
    const struct tlsrpt_report_row *a = left, *b = right;
    return bytes_compare(a->session.domain, b->session.domain);
}

static int by_dmarc_domain(const void *left, const void *right)
{
    const struct dmarc_report_row *a = left, *b = right;
    return bytes_compare(a->evidence.domain, b->evidence.domain);
}

/* The rows of the day, and a sign that there are some of the day before. */
static void gather_tls(struct report_making *making)
{
    struct tlsrpt_session session;
    uint64_t times;
    bool late = false;
    making->tls_rows = memory_new((making->counts.rows.count + 1) * sizeof making->tls_rows[0]);
    for (size_t position = 0; tlsrpt_counts_next(&making->counts, &position, &session, &times);) {
        if (session.day + 1 == making->wish->day && !late)
            add_result(making->out, MADE_LATE, session.domain, bytes_none(), bytes_none());
        late = late || session.day + 1 == making->wish->day;
        if (session.day == making->wish->day && !config_excludes_reports(making->config, session.domain))
            making->tls_rows[making->row_count++] = (struct tlsrpt_report_row){session, times};
    }
    qsort(making->tls_rows, making->row_count, sizeof making->tls_rows[0], by_tls_domain);
}

static size_t count_lines(struct bytes text)
{
    size_t count = 0;
    for (; text.length > 0; count++)
        bytes_split(&text, '\n');
    return count;
}

static void gather_dmarc(struct report_making *making)
{
    struct bytes rest = making->wish->evidence;
    making->dmarc_rows = memory_new((count_lines(rest) + 1) * sizeof making->dmarc_rows[0]);
    while (rest.length > 0) {
        struct dmarc_report_row *row = &making->dmarc_rows[making->row_count];
        if (dmarc_rows_read(bytes_split(&rest, '\n'), row) &&
            !config_excludes_reports(making->config, row->evidence.domain))
            making->row_count++;
    }
    qsort(making->dmarc_rows, making->row_count, sizeof making->dmarc_rows[0], by_dmarc_domain);
}

static void read_rows(struct report_making *making, int file)
{
    struct buffer text = {0};
    read_up_to(file, REPORT_ROWS_READ_MAX, &text); /* a part is taken, too */
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
    bool is_tls = making->wish->kind == REPORT_KIND_TLS;
    int file = is_tls ? open_rows(making->config, error) : -1;
    if (is_tls && file < 0)
        return error->exit_code == 0;
    if (!dns_worker_start(&making->worker, making->config, "reports", error))
        return false;
    making->out = out;
    if (is_tls) {
        read_rows(making, file);
        gather_tls(making);
    } else {
        gather_dmarc(making);
    }
    look_at_all(making);
    return true;
}

bool report_making_run(const struct config *config, const struct report_making_wish *wish, struct buffer *out,
                       struct error *error)
{
    struct report_making *making = memory_new(sizeof *making);
    making->config = config;
    making->wish = wish;
    bool done = subprocess_run(work, making, out, error);
    free(making);
    return done;
}
