/* SPDX-License-Identifier: Apache-2.0 */
#include "service/smtpd/smtpd.h"

#include "io/clock.h"
#include "io/log.h"

#include <assert.h>
#include <stdatomic.h>

/* ---- counts of all processes ---- */

static struct census_port *own_row(const struct smtpd *smtpd)
{
    return smtpd->child->census->ports[smtpd->child->number];
}

static void add_row(struct admission *all, const struct crowd *crowd, const struct census_port *row)
{
    for (size_t i = 0; i < CENSUS_PORTS; i++) {
        uint32_t name = atomic_load_explicit(&row[i].name, memory_order_relaxed);
        if (name == 0)
            return;
        all->known += atomic_load_explicit(&row[i].known, memory_order_relaxed);
        size_t at = 0;
        while (at + 1 < crowd->port_count && crowd->names[at] != name)
            at++; /* a port of another time's configuration counts with the last */
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

static void tell_pressure(const struct smtpd *smtpd, bool pressed)
{
    const struct admission *all = &smtpd->crowd.all;
    uint64_t strangers = all_strangers(all);
    log_event(pressed ? LOG_EVENT_WARN : LOG_EVENT_INFO, pressed ? "pressure_begun" : "pressure_ended",
              LOG_U64("connections", strangers + all->known), LOG_U64("strangers", strangers),
              LOG_U64("limit", all->max),
              LOG_TEXT("hint", pressed ? "idle clients that have not signed in are closed early; raise "
                                         "limits.connections if they are no attack"
                                       : ""));
}

/* True under pressure. The first process to notice that it began or ended says so. */
static bool measure(struct smtpd *smtpd)
{
    struct crowd *crowd = &smtpd->crowd;
    struct census *census = smtpd->child->census;
    crowd->all =
        (struct admission){.max = smtpd->child->config->limits.connections, .port_count = crowd->port_count};
    crowd->process_count = 1;
    for (size_t i = 0; i < CENSUS_SLOTS; i++) {
        if (atomic_load_explicit(&census->connections[i], memory_order_relaxed) == 0)
            continue;
        add_row(&crowd->all, crowd, census->ports[i]);
        crowd->process_count += i != smtpd->child->number;
    }
    bool before = atomic_load_explicit(&census->pressed, memory_order_relaxed) != 0;
    bool pressed = admission_is_pressed(&crowd->all, before);
    if (pressed != before && atomic_exchange(&census->pressed, pressed) != pressed)
        tell_pressure(smtpd, pressed);
    if (!pressed)
        atomic_store_explicit(&census->owed, 0, memory_order_relaxed);
    return pressed;
}

static void count(const struct dialogue *dialogue, bool known, int more)
{
    struct census_port *port = &own_row(dialogue->smtpd)[dialogue->door->crowd_port];
    *(known ? &port->known : &port->strangers) += (uint32_t)more; /* no other process writes this row */
}

/* ---- lines of those who can make room ---- */

static void line_join(struct crowd_line *line, struct dialogue *dialogue)
{
    struct place *place = &dialogue->place;
    place->line = line;
    place->before = line->last;
    place->after = NULL;
    *(line->last == NULL ? &line->first : &line->last->place.after) = dialogue;
    line->last = dialogue;
}

static void line_quit(struct dialogue *dialogue)
{
    struct place *place = &dialogue->place;
    struct crowd_line *line = place->line;
    *(place->before == NULL ? &line->first : &place->before->place.after) = place->after;
    *(place->after == NULL ? &line->last : &place->after->place.before) = place->before;
    place->line = NULL;
}

static void bucket_take(struct crowd *crowd, struct visitor *network)
{
    uint32_t at = network->strangers < CROWD_BUCKETS ? network->strangers : CROWD_BUCKETS - 1;
    *(network->bucket_before == NULL ? &crowd->buckets[at] : &network->bucket_before->bucket_after) =
        network->bucket_after;
    if (network->bucket_after != NULL)
        network->bucket_after->bucket_before = network->bucket_before;
}

static void bucket_put(struct crowd *crowd, struct visitor *network)
{
    uint32_t at = network->strangers < CROWD_BUCKETS ? network->strangers : CROWD_BUCKETS - 1;
    network->bucket_before = NULL;
    network->bucket_after = crowd->buckets[at];
    if (network->bucket_after != NULL)
        network->bucket_after->bucket_before = network;
    crowd->buckets[at] = network;
    if (at > crowd->fullest)
        crowd->fullest = at;
}

static void count_strangers(struct crowd *crowd, struct visitor *network, int more)
{
    if (network->strangers > 0)
        bucket_take(crowd, network);
    network->strangers += (uint32_t)more;
    crowd->strangers += (uint32_t)more;
    if (network->strangers > 0)
        bucket_put(crowd, network);
}

static struct crowd_line *line_of(struct dialogue *dialogue)
{
    struct crowd *crowd = &dialogue->smtpd->crowd;
    if (!dialogue->place.known)
        return &visitor_network(dialogue->visitor)->line;
    return dialogue->place.stay.seen.signed_in ? &crowd->signed_in : &crowd->familiar;
}

static void look_soon(struct smtpd *smtpd, uint64_t at_ms);

void crowd_enter(struct dialogue *dialogue, bool known)
{
    struct smtpd *smtpd = dialogue->smtpd;
    struct crowd *crowd = &smtpd->crowd;
    uint64_t now_ms = clock_now_ms();
    dialogue->place.known = known;
    stay_begin(&dialogue->place.stay, dialogue->door->policy.role, now_ms);
    count(dialogue, known, 1);
    if (!known)
        count_strangers(crowd, visitor_network(dialogue->visitor), 1);
    line_join(line_of(dialogue), dialogue);
    bool pressed = atomic_load_explicit(&smtpd->child->census->pressed, memory_order_relaxed) != 0;
    bool many = crowd->strangers > smtpd->child->config->limits.connections / CROWD_LOOK_PART;
    look_soon(smtpd, pressed ? now_ms + CROWD_LOOK_PRESSED_MS
                     : many  ? now_ms + CROWD_LOOK_MS
                             : dialogue->place.stay.until_ms);
}

void crowd_leave(struct dialogue *dialogue)
{
    line_quit(dialogue);
    count(dialogue, dialogue->place.known, -1);
    if (!dialogue->place.known)
        count_strangers(&dialogue->smtpd->crowd, visitor_network(dialogue->visitor), -1);
}

/* It is no stranger any more. */
static void become_known(struct dialogue *dialogue)
{
    familiar_met(dialogue->smtpd, dialogue->visitor);
    if (dialogue->place.known)
        return;
    count(dialogue, false, -1);
    count(dialogue, true, 1);
    count_strangers(&dialogue->smtpd->crowd, visitor_network(dialogue->visitor), -1);
    dialogue->place.known = true;
}

void crowd_progress(struct dialogue *dialogue)
{
    struct stay *stay = &dialogue->place.stay;
    struct server_progress progress = server_session_progress(&dialogue->session);
    if (progress.steps == stay->seen.steps && progress.octets == stay->seen.octets)
        return;
    bool signs_in = progress.signed_in && !stay->seen.signed_in;
    uint64_t progress_ms = stay->progress_ms, recipient_ms = stay->recipient_ms;
    stay_count(stay, &progress, clock_now_ms());
    if (signs_in || stay->progress_ms != progress_ms || stay->recipient_ms != recipient_ms) {
        line_quit(dialogue);
        if (signs_in)
            become_known(dialogue);
        line_join(line_of(dialogue), dialogue);
    }
}

/* ---- who has to go ---- */

/* Nothing of it waits for us, or was stored and not yet told. */
static bool can_be_sent_away(const struct dialogue *dialogue)
{
    return !dialogue->question.open && !dialogue->held;
}

static struct dialogue *idlest_of(const struct crowd_line *line, uint64_t now_ms)
{
    struct dialogue *dialogue = line->first;
    for (int i = 0; dialogue != NULL && i < CROWD_TRIES_MAX; i++, dialogue = dialogue->place.after)
        if (can_be_sent_away(dialogue) && stay_can_make_room(&dialogue->place.stay, now_ms))
            return dialogue;
    return NULL;
}

/* Of the network with the most strangers; where all of those work, of the next. */
static struct dialogue *idlest_stranger(struct crowd *crowd, uint64_t now_ms)
{
    int tries = 0;
    while (crowd->fullest > 0 && crowd->buckets[crowd->fullest] == NULL)
        crowd->fullest--;
    for (uint32_t at = crowd->fullest; at > 0; at--)
        for (struct visitor *network = crowd->buckets[at]; network != NULL; network = network->bucket_after) {
            struct dialogue *dialogue = idlest_of(&network->line, now_ms);
            if (dialogue != NULL || ++tries >= CROWD_TRIES_MAX)
                return dialogue;
        }
    return NULL;
}

static void send_away(struct dialogue *dialogue)
{
    dialogue->smtpd->crowd.sent_away++;
    dialogue_expel(dialogue, EXPELLED_FOR_ROOM);
}

/* One line for all of them, once a minute and when it is over. */
static void tell_sent_away(struct crowd *crowd, bool pressed, uint64_t now_ms)
{
    if (crowd->sent_away == 0 || (pressed && now_ms - crowd->told_ms < CROWD_TELL_MS))
        return;
    log_event(LOG_EVENT_WARN, "connections_closed",
              LOG_TEXT("reason", "other clients need the room, and these did nothing"),
              LOG_U64("times", crowd->sent_away));
    crowd->sent_away = 0;
    crowd->told_ms = now_ms;
}

bool crowd_makes_room(struct smtpd *smtpd, bool for_known)
{
    struct crowd *crowd = &smtpd->crowd;
    uint64_t now_ms = clock_now_ms();
    struct dialogue *dialogue =
        for_known && admission_known_are_many(&crowd->all) ? NULL : idlest_stranger(crowd, now_ms);
    if (dialogue == NULL && for_known)
        dialogue = idlest_of(&crowd->familiar, now_ms);
    if (dialogue == NULL && for_known)
        dialogue = idlest_of(&crowd->signed_in, now_ms);
    if (dialogue == NULL)
        return false;
    send_away(dialogue);
    return true;
}

/* Strangers are not spread over the processes as one would like: this one has its part of them. */
static bool has_its_part(const struct crowd *crowd)
{
    return (uint64_t)crowd->strangers * crowd->process_count >= all_strangers(&crowd->all);
}

/* Another process will send one away for the one that comes here. */
static bool borrow(struct smtpd *smtpd)
{
    _Atomic uint32_t *owed = &smtpd->child->census->owed;
    uint32_t most = smtpd->child->config->limits.connections / CROWD_OWED_PART + 1;
    if (has_its_part(&smtpd->crowd) || atomic_load_explicit(owed, memory_order_relaxed) >= most)
        return false;
    atomic_fetch_add_explicit(owed, 1, memory_order_relaxed);
    return true;
}

static void give_back(struct smtpd *smtpd)
{
    _Atomic uint32_t *owed = &smtpd->child->census->owed;
    uint32_t count = atomic_load_explicit(owed, memory_order_relaxed);
    if (count == 0 || !has_its_part(&smtpd->crowd))
        return;
    count = atomic_exchange_explicit(owed, 0, memory_order_relaxed);
    while (count > 0 && crowd_makes_room(smtpd, false))
        count--;
    atomic_fetch_add_explicit(owed, count, memory_order_relaxed);
}

bool crowd_lets_in(struct door *door, bool known)
{
    struct smtpd *smtpd = door->smtpd;
    bool pressed = measure(smtpd);
    if (pressed)
        look_soon(smtpd, clock_now_ms() + CROWD_LOOK_PRESSED_MS);
    give_back(smtpd);
    return admission_has_room(&smtpd->crowd.all, door->crowd_port, known) || (pressed && borrow(smtpd)) ||
           crowd_makes_room(smtpd, known);
}

/* ---- whose time is over ---- */

static void judge(struct dialogue *dialogue, bool pressed, uint64_t now_ms)
{
    struct stay *stay = &dialogue->place.stay;
    enum stay_verdict verdict = stay_judge(stay, pressed, dialogue->place.known, now_ms);
    if (verdict == STAY_GOES_ON)
        return;
    if (!can_be_sent_away(dialogue)) {
        stay_excuse(stay, now_ms);
        return;
    }
    if (verdict == STAY_IS_IN_THE_WAY) {
        send_away(dialogue);
        return;
    }
    log_event(LOG_EVENT_DEBUG, "connection_closed", LOG_TEXT("reason", "nothing came of it for too long"),
              LOG_TEXT("client", dialogue->address), LOG_U64("port", dialogue->door->port));
    dialogue_expel(dialogue, EXPELLED_FOR_TIME);
}

static void look(void *owner)
{
    struct smtpd *smtpd = owner;
    struct crowd *crowd = &smtpd->crowd;
    bool pressed = measure(smtpd),
         many = crowd->strangers > smtpd->child->config->limits.connections / CROWD_LOOK_PART;
    uint64_t now_ms = clock_now_ms(), next_ms = UINT64_MAX;
    crowd->look_at_ms = 0;
    give_back(smtpd);
    for (struct dialogue *dialogue = smtpd->dialogues, *next; dialogue != NULL; dialogue = next) {
        next = dialogue->next;
        uint64_t until_ms = dialogue->place.stay.until_ms;
        if (until_ms > now_ms && until_ms < next_ms)
            next_ms = until_ms;
        judge(dialogue, pressed, now_ms);
    }
    tell_sent_away(crowd, pressed, now_ms);
    if (smtpd->dialogue_count == 0)
        return;
    uint64_t latest_ms = pressed ? now_ms + CROWD_LOOK_PRESSED_MS
                         : many  ? now_ms + CROWD_LOOK_MS
                                 : now_ms + STAY_SIGNED_IN_MS;
    look_soon(smtpd, next_ms < latest_ms ? next_ms : latest_ms);
}

/* Not more than once a second, whatever is due. */
static void look_soon(struct smtpd *smtpd, uint64_t at_ms)
{
    struct crowd *crowd = &smtpd->crowd;
    uint64_t now_ms = clock_now_ms();
    if (at_ms < now_ms + CROWD_LOOK_PRESSED_MS)
        at_ms = now_ms + CROWD_LOOK_PRESSED_MS;
    if (crowd->look_at_ms != 0 && crowd->look_at_ms <= at_ms)
        return;
    crowd->look_at_ms = at_ms;
    timer_set(&crowd->look, at_ms - now_ms);
}

/* ---- the start ---- */

static void number_door(struct smtpd *smtpd, struct door *door)
{
    struct crowd *crowd = &smtpd->crowd;
    uint32_t name = door->policy.role == ROLE_LOCAL ? CROWD_LOCAL_PORT : door->port;
    size_t at = 0;
    while (at < crowd->port_count && crowd->names[at] != name)
        at++;
    assert(at < ADMISSION_PORTS_MAX);
    door->crowd_port = at;
    crowd->names[at] = name;
    atomic_store(&own_row(smtpd)[at].name, name);
    if (at == crowd->port_count)
        crowd->port_count++;
}

void crowd_start(struct smtpd *smtpd)
{
    timer_start(&smtpd->crowd.look, smtpd->child->loop, look, smtpd);
    for (size_t i = 0; i < smtpd->door_count; i++)
        number_door(smtpd, &smtpd->doors[i]);
    if (smtpd->web_door.port != 0)
        number_door(smtpd, &smtpd->web_door);
    measure(smtpd);
}
