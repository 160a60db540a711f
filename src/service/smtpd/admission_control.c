/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdatomic.h>

#include "io/clock.h"
#include "io/log.h"
#include "service/smtpd/smtpd.h"

/* ---- shared counters ---- */

static struct metrics_port *own_row(const struct smtpd *smtpd)
{
    return smtpd->metrics->ports[smtpd->child->number];
}

static void add_row(struct admission *all, const struct admission_control *admission,
                    const struct metrics_port *row)
{
    for (size_t i = 0; i < METRICS_PORTS; i++) {
        uint32_t name = atomic_load_explicit(&row[i].name, memory_order_relaxed);
        if (name == 0)
            return;
        all->known += atomic_load_explicit(&row[i].known, memory_order_relaxed);
        size_t at = 0;
        while (at + 1 < admission->port_count && admission->names[at] != name)
            at++; /* a port from an older configuration counts with the last */
        all->strangers[at] += atomic_load_explicit(&row[i].strangers, memory_order_relaxed);
    }
}

static uint64_t all_strangers(const struct admission *all)
{
    uint64_t strangers = 0;
    for (size_t i = 0; i < all->port_count; i++)
        strangers += all->strangers[i];
    return strangers;
}

static void log_pressure(const struct smtpd *smtpd, bool pressed)
{
    const struct admission *all = &smtpd->admission.all;
    uint64_t strangers = all_strangers(all);
    log_event(pressed ? LOG_EVENT_WARN : LOG_EVENT_INFO, pressed ? "pressure_begun" : "pressure_ended",
              LOG_U64("connections", strangers + all->known), LOG_U64("unknown_clients", strangers),
              LOG_U64("limit", all->max),
              LOG_TEXT("hint", pressed ? "idle unauthenticated clients are disconnected early; raise "
                                         "limits.connections if this is not an attack"
                                       : ""));
}

/* True under pressure. The first process to notice its begin or end logs it. */
static bool measure(struct smtpd *smtpd)
{
    struct admission_control *admission = &smtpd->admission;
    struct shared_metrics *metrics = smtpd->metrics;
    admission->all = (struct admission){.max = smtpd->child->config->limits.connections,
                                        .port_count = admission->port_count};
    admission->process_count = 1;
    for (size_t i = 0; i < METRICS_SLOTS; i++) {
        if (atomic_load_explicit(&metrics->counted[i], memory_order_relaxed) == 0)
            continue;
        add_row(&admission->all, admission, metrics->ports[i]);
        admission->process_count += i != smtpd->child->number;
    }
    bool before = atomic_load_explicit(&metrics->pressed, memory_order_relaxed) != 0;
    bool pressed = admission_is_pressed(&admission->all, before);
    if (pressed != before && atomic_exchange(&metrics->pressed, pressed) != pressed)
        log_pressure(smtpd, pressed);
    if (!pressed)
        atomic_store_explicit(&metrics->owed, 0, memory_order_relaxed);
    return pressed;
}

static void count(const struct smtp_connection *connection, bool known, int more)
{
    struct metrics_port *port = &own_row(connection->smtpd)[connection->listener->admission_port];
    *(known ? &port->known : &port->strangers) += (uint32_t)more; /* no other process writes this row */
}

/* ---- lines of connections by last progress ---- */

static void line_join(struct admission_line *line, struct smtp_connection *connection)
{
    struct admission_place *place = &connection->place;
    place->line = line;
    place->before = line->last;
    place->after = NULL;
    *(line->last == NULL ? &line->first : &line->last->place.after) = connection;
    line->last = connection;
}

static void line_quit(struct smtp_connection *connection)
{
    struct admission_place *place = &connection->place;
    struct admission_line *line = place->line;
    *(place->before == NULL ? &line->first : &place->before->place.after) = place->after;
    *(place->after == NULL ? &line->last : &place->after->place.before) = place->before;
    place->line = NULL;
}

static void bucket_take(struct admission_control *admission, struct counted_network *network)
{
    uint32_t at = network->strangers < ADMISSION_CONTROL_BUCKETS ? network->strangers
                                                                 : ADMISSION_CONTROL_BUCKETS - 1;
    *(network->bucket_before == NULL ? &admission->buckets[at]
                                     : &network->bucket_before->bucket_after) = network->bucket_after;
    if (network->bucket_after != NULL)
        network->bucket_after->bucket_before = network->bucket_before;
}

static void bucket_put(struct admission_control *admission, struct counted_network *network)
{
    uint32_t at = network->strangers < ADMISSION_CONTROL_BUCKETS ? network->strangers
                                                                 : ADMISSION_CONTROL_BUCKETS - 1;
    network->bucket_before = NULL;
    network->bucket_after = admission->buckets[at];
    if (network->bucket_after != NULL)
        network->bucket_after->bucket_before = network;
    admission->buckets[at] = network;
    if (at > admission->fullest)
        admission->fullest = at;
}

static void count_strangers(struct admission_control *admission, struct counted_network *network, int more)
{
    if (network->strangers > 0)
        bucket_take(admission, network);
    network->strangers += (uint32_t)more;
    admission->strangers += (uint32_t)more;
    if (network->strangers > 0)
        bucket_put(admission, network);
}

static struct admission_line *line_of(struct smtp_connection *connection)
{
    struct admission_control *admission = &connection->smtpd->admission;
    if (!connection->place.known)
        return &connection_limit_network(connection->network)->line;
    return connection->place.stay.seen.signed_in ? &admission->signed_in : &admission->known_clients;
}

static void look_soon(struct smtpd *smtpd, uint64_t at_ms);

void admission_control_enter(struct smtp_connection *connection, bool known)
{
    struct smtpd *smtpd = connection->smtpd;
    struct admission_control *admission = &smtpd->admission;
    uint64_t now_ms = clock_now_ms();
    connection->place.known = known;
    admission_stay_begin(&connection->place.stay, connection->listener->policy.role, now_ms);
    count(connection, known, 1);
    if (!known)
        count_strangers(admission, connection_limit_network(connection->network), 1);
    line_join(line_of(connection), connection);
    bool pressed = atomic_load_explicit(&smtpd->metrics->pressed, memory_order_relaxed) != 0;
    bool many = admission->strangers > smtpd->child->config->limits.connections / ADMISSION_CONTROL_LOOK_PART;
    look_soon(smtpd, pressed ? now_ms + ADMISSION_CONTROL_LOOK_PRESSED_MS
                     : many  ? now_ms + ADMISSION_CONTROL_LOOK_MS
                             : connection->place.stay.until_ms);
}

void admission_control_leave(struct smtp_connection *connection)
{
    line_quit(connection);
    count(connection, connection->place.known, -1);
    if (!connection->place.known)
        count_strangers(&connection->smtpd->admission, connection_limit_network(connection->network), -1);
}

/* Moves it from the strangers to the known clients. */
static void become_known(struct smtp_connection *connection)
{
    known_clients_add(connection->smtpd, connection->network);
    if (connection->place.known)
        return;
    count(connection, false, -1);
    count(connection, true, 1);
    count_strangers(&connection->smtpd->admission, connection_limit_network(connection->network), -1);
    connection->place.known = true;
}

void admission_control_progress(struct smtp_connection *connection)
{
    struct admission_stay *stay = &connection->place.stay;
    struct server_progress progress = server_session_progress(&connection->session);
    if (progress.steps == stay->seen.steps && progress.octets == stay->seen.octets)
        return;
    bool signs_in = progress.signed_in && !stay->seen.signed_in;
    uint64_t progress_ms = stay->progress_ms, recipient_ms = stay->recipient_ms;
    admission_stay_count(stay, &progress, clock_now_ms());
    if (signs_in || stay->progress_ms != progress_ms || stay->recipient_ms != recipient_ms) {
        line_quit(connection);
        if (signs_in)
            become_known(connection);
        line_join(line_of(connection), connection);
    }
}

/* ---- making room ---- */

/* True if nothing of it is pending here, and no stored message is unanswered. */
static bool can_be_sent_away(const struct smtp_connection *connection)
{
    return !smtp_connection_waits(connection) && connection->stage != SMTP_HELD;
}

static struct smtp_connection *idlest_of(const struct admission_line *line, uint64_t now_ms)
{
    struct smtp_connection *connection = line->first;
    for (int i = 0; connection != NULL && i < ADMISSION_CONTROL_TRIES_MAX;
         i++, connection = connection->place.after)
        if (can_be_sent_away(connection) && admission_stay_can_make_room(&connection->place.stay, now_ms))
            return connection;
    return NULL;
}

/* Returns an idle stranger of the network with the most strangers; if all of those are active, of the
 * next. */
static struct smtp_connection *idlest_stranger(struct admission_control *admission, uint64_t now_ms)
{
    int tries = 0;
    while (admission->fullest > 0 && admission->buckets[admission->fullest] == NULL)
        admission->fullest--;
    for (uint32_t at = admission->fullest; at > 0; at--)
        for (struct counted_network *network = admission->buckets[at]; network != NULL;
             network = network->bucket_after) {
            struct smtp_connection *connection = idlest_of(&network->line, now_ms);
            if (connection != NULL || ++tries >= ADMISSION_CONTROL_TRIES_MAX)
                return connection;
        }
    return NULL;
}

static void send_away(struct smtp_connection *connection)
{
    connection->smtpd->admission.sent_away++;
    smtp_connection_expel(connection, EXPELLED_FOR_ROOM);
}

/* Logs one line for all of them, once a minute and at the end. */
static void log_closed(struct admission_control *admission, bool pressed, uint64_t now_ms)
{
    if (admission->sent_away == 0 || (pressed && now_ms - admission->logged_ms < ADMISSION_CONTROL_TELL_MS))
        return;
    log_event(LOG_EVENT_WARN, "connections_closed",
              LOG_TEXT("reason", "other clients need the connections, and these were idle"),
              LOG_U64("connections", admission->sent_away));
    admission->sent_away = 0;
    admission->logged_ms = now_ms;
}

bool admission_control_makes_room(struct smtpd *smtpd, bool for_known)
{
    struct admission_control *admission = &smtpd->admission;
    uint64_t now_ms = clock_now_ms();
    struct smtp_connection *connection = for_known && admission_known_are_many(&admission->all)
                                             ? NULL
                                             : idlest_stranger(admission, now_ms);
    if (connection == NULL && for_known)
        connection = idlest_of(&admission->known_clients, now_ms);
    if (connection == NULL && for_known)
        connection = idlest_of(&admission->signed_in, now_ms);
    if (connection == NULL)
        return false;
    send_away(connection);
    return true;
}

/* True if this process has its part of the strangers, which are not spread evenly. */
static bool has_its_part(const struct admission_control *admission)
{
    return (uint64_t)admission->strangers * admission->process_count >= all_strangers(&admission->all);
}

/* Lets another process close one for the client that comes here. */
static bool borrow(struct smtpd *smtpd)
{
    _Atomic uint32_t *owed = &smtpd->metrics->owed;
    uint32_t most = smtpd->child->config->limits.connections / ADMISSION_CONTROL_OWED_PART + 1;
    if (has_its_part(&smtpd->admission) || atomic_load_explicit(owed, memory_order_relaxed) >= most)
        return false;
    atomic_fetch_add_explicit(owed, 1, memory_order_relaxed);
    return true;
}

static void give_back(struct smtpd *smtpd)
{
    _Atomic uint32_t *owed = &smtpd->metrics->owed;
    uint32_t count = atomic_load_explicit(owed, memory_order_relaxed);
    if (count == 0 || !has_its_part(&smtpd->admission))
        return;
    count = atomic_exchange_explicit(owed, 0, memory_order_relaxed);
    while (count > 0 && admission_control_makes_room(smtpd, false))
        count--;
    atomic_fetch_add_explicit(owed, count, memory_order_relaxed);
}

bool admission_control_lets_in(struct listener *listener, bool known)
{
    struct smtpd *smtpd = listener->smtpd;
    bool pressed = measure(smtpd);
    if (pressed)
        look_soon(smtpd, clock_now_ms() + ADMISSION_CONTROL_LOOK_PRESSED_MS);
    give_back(smtpd);
    return admission_has_room(&smtpd->admission.all, listener->admission_port, known) ||
           (pressed && borrow(smtpd)) || admission_control_makes_room(smtpd, known);
}

/* ---- expired connections ---- */

static void check_stay(struct smtp_connection *connection, bool pressed, uint64_t now_ms)
{
    struct admission_stay *stay = &connection->place.stay;
    enum admission_stay_verdict verdict = admission_stay_check(stay, pressed, connection->place.known,
                                                               now_ms);
    if (verdict == STAY_GOES_ON)
        return;
    if (!can_be_sent_away(connection)) {
        admission_stay_excuse(stay, now_ms);
        return;
    }
    if (verdict == STAY_IS_IN_THE_WAY) {
        send_away(connection);
        return;
    }
    log_event(LOG_EVENT_DEBUG, "connection_closed", LOG_TEXT("reason", "nothing came of it for too long"),
              LOG_TEXT("client", connection->address), LOG_U64("port", connection->listener->port));
    smtp_connection_expel(connection, EXPELLED_FOR_TIME);
}

static void look(void *owner)
{
    struct smtpd *smtpd = owner;
    struct admission_control *admission = &smtpd->admission;
    bool pressed = measure(smtpd),
         many = admission->strangers > smtpd->child->config->limits.connections / ADMISSION_CONTROL_LOOK_PART;
    uint64_t now_ms = clock_now_ms(), next_ms = UINT64_MAX;
    admission->look_at_ms = 0;
    give_back(smtpd);
    for (struct smtp_connection *connection = smtpd->connections, *next; connection != NULL;
         connection = next) {
        next = connection->next;
        uint64_t until_ms = connection->place.stay.until_ms;
        if (until_ms > now_ms && until_ms < next_ms)
            next_ms = until_ms;
        check_stay(connection, pressed, now_ms);
    }
    log_closed(admission, pressed, now_ms);
    if (smtpd->connection_count == 0)
        return;
    uint64_t latest_ms = pressed ? now_ms + ADMISSION_CONTROL_LOOK_PRESSED_MS
                         : many  ? now_ms + ADMISSION_CONTROL_LOOK_MS
                                 : now_ms + STAY_SIGNED_IN_MS;
    look_soon(smtpd, next_ms < latest_ms ? next_ms : latest_ms);
}

/* At most once a second. */
static void look_soon(struct smtpd *smtpd, uint64_t at_ms)
{
    struct admission_control *admission = &smtpd->admission;
    uint64_t now_ms = clock_now_ms();
    if (at_ms < now_ms + ADMISSION_CONTROL_LOOK_PRESSED_MS)
        at_ms = now_ms + ADMISSION_CONTROL_LOOK_PRESSED_MS;
    if (admission->look_at_ms != 0 && admission->look_at_ms <= at_ms)
        return;
    admission->look_at_ms = at_ms;
    timer_set(&admission->look, at_ms - now_ms);
}

/* ---- start ---- */

static void number_listener(struct smtpd *smtpd, struct listener *listener)
{
    struct admission_control *admission = &smtpd->admission;
    uint32_t name = listener->policy.role == ROLE_LOCAL ? ADMISSION_CONTROL_LOCAL_PORT : listener->port;
    size_t at = 0;
    while (at < admission->port_count && admission->names[at] != name)
        at++;
    assert(at < ADMISSION_PORTS_MAX);
    listener->admission_port = at;
    admission->names[at] = name;
    atomic_store(&own_row(smtpd)[at].name, name);
    if (at == admission->port_count)
        admission->port_count++;
}

void admission_control_start(struct smtpd *smtpd)
{
    timer_start(&smtpd->admission.look, smtpd->child->loop, look, smtpd);
    for (size_t i = 0; i < smtpd->listener_count; i++)
        number_listener(smtpd, &smtpd->listeners[i]);
    if (smtpd->web_listener.port != 0)
        number_listener(smtpd, &smtpd->web_listener);
    measure(smtpd);
}
