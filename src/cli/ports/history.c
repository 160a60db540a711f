/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/history.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/ports/state_file.h"

static const char file_name[] = "history.json";

enum { HOUR_S = 3600 };

/* The object of this name in another, made where it is not there. */
static json_t *part_of(json_t *all, const char *name)
{
    json_t *part = json_object_get(all, name);
    if (!json_is_object(part)) {
        part = json_object();
        json_object_set_new(all, name, part);
    }
    return part;
}

/* The age of an entry; UINT32_MAX when it is of the future, or no entry. */
static uint32_t age_of(json_t *entry)
{
    json_int_t at = json_integer_value(json_object_get(entry, "at")), now = state_file_now_s();
    return at <= 0 || at > now || now - at > UINT32_MAX ? UINT32_MAX : (uint32_t)(now - at);
}

static bool is_kept(const char *host)
{
    return host != NULL && host[0] != '\0' && strlen(host) < FACTS_HOST_MAX;
}

/* ---- calls: those of this hour, and of the one before ---- */

static uint32_t calls_of(json_t *entry, json_int_t now)
{
    json_int_t hour = json_integer_value(json_object_get(entry, "hour")),
               count = json_integer_value(json_object_get(entry, "count")),
               before = json_integer_value(json_object_get(entry, "before"));
    if (hour == now / HOUR_S - 1) { /* the hour has changed since */
        before = count;
        count = 0;
    } else if (hour != now / HOUR_S) {
        return 0;
    }
    json_int_t calls = count + before * (HOUR_S - now % HOUR_S) / HOUR_S; /* as if they were spread evenly */
    return calls < 0 || calls > UINT32_MAX ? 0 : (uint32_t)calls;
}

void history_remember_call(const char *host)
{
    if (!is_kept(host))
        return;
    json_t *all = state_file_change(file_name), *calls = part_of(all, "calls");
    json_int_t now = state_file_now_s(), hour = now / HOUR_S, count = 0, before = 0;
    json_t *entry = json_object_get(calls, host);
    if (json_integer_value(json_object_get(entry, "hour")) == hour) {
        count = json_integer_value(json_object_get(entry, "count"));
        before = json_integer_value(json_object_get(entry, "before"));
    } else if (json_integer_value(json_object_get(entry, "hour")) == hour - 1) {
        before = json_integer_value(json_object_get(entry, "count"));
    }
    if (entry == NULL)
        state_file_make_room(calls, HISTORY_HOSTS_MAX, "hour");
    json_object_set_new(calls, host,
                        json_pack("{s:I, s:I, s:I}", "hour", hour, "count", count + 1, "before", before));
    state_file_save(file_name, all);
    json_decref(all);
}

/* ---- ports ---- */

static void remember_port(json_t *ports, uint16_t port, bool worked)
{
    char name[8];
    snprintf(name, sizeof name, "%u", (unsigned)port);
    if (json_object_get(ports, name) == NULL)
        state_file_make_room(ports, FACTS_REMEMBERED_MAX, "at");
    json_object_set_new(ports, name,
                        json_pack("{s:b, s:I}", "worked", (int)worked, "at", state_file_now_s()));
}

/* Silence tells something once another port of the host has greeted in a shorter time, or where the whole
 * time has passed without an answer on a port that is known to be there. */
static bool is_blocked(const struct race *race, const struct race_attempt *silent,
                       const struct provider *provider)
{
    if (silent->verdict != PORT_FILTERED || silent->started_ms == 0)
        return false;
    for (size_t i = 0; i < race->attempt_count; i++) {
        const struct race_attempt *other = &race->attempts[i];
        if (other->heard && other->address->six == silent->address->six &&
            other->started_ms >= silent->started_ms)
            return true;
    }
    return !race->won && provider != NULL && provider_offers(provider, silent->port->port);
}

void history_remember_race(const char *host, const struct race *race)
{
    char network[STATE_FILE_NETWORK_MAX];
    const struct provider *provider = provider_by_host(bytes_of_text(host));
    state_file_network(network, sizeof network);
    json_t *all = state_file_change(file_name), *known = part_of(all, "networks");
    if (json_object_get(known, network) == NULL)
        state_file_make_room(known, HISTORY_NETWORKS_MAX, "at");
    json_t *entry = part_of(known, network), *ports = part_of(entry, "ports");
    json_object_set_new(entry, "at", json_integer(state_file_now_s()));
    for (size_t i = 0; i < race->attempt_count; i++) {
        const struct race_attempt *attempt = &race->attempts[i];
        uint16_t port = attempt->port->port;
        if (attempt->heard)
            remember_port(ports, port, true);
        else if (is_blocked(race, attempt, provider))
            remember_port(ports, port, false);
    }
    state_file_save(file_name, all);
    json_decref(all);
}

/* ---- refused passwords ---- */

static void key_of(const char *host, const char *user, char *key, size_t size)
{
    snprintf(key, size, "%s %016" PRIx64, host, bytes_hash(bytes_of_text(user), 0));
}

void history_remember_refused(const char *host, const char *user)
{
    char key[FACTS_HOST_MAX + 24];
    if (!is_kept(host) || user == NULL)
        return;
    key_of(host, user, key, sizeof key);
    json_t *all = state_file_change(file_name), *refused = part_of(all, "refused");
    json_object_del(refused, key);
    state_file_make_room(refused, HISTORY_REFUSED_MAX, "at");
    json_object_set_new(refused, key, json_pack("{s:I}", "at", state_file_now_s()));
    state_file_save(file_name, all);
    json_decref(all);
}

void history_forget_refused(const char *host, const char *user)
{
    char key[FACTS_HOST_MAX + 24];
    if (!is_kept(host) || user == NULL)
        return;
    key_of(host, user, key, sizeof key);
    json_t *all = state_file_change(file_name);
    if (json_object_del(json_object_get(all, "refused"), key) == 0)
        state_file_save(file_name, all);
    state_file_leave();
    json_decref(all);
}

/* ---- what is remembered ---- */

static void take_ports(json_t *ports, struct fact_history *facts)
{
    const char *name;
    json_t *entry;
    json_object_foreach(ports, name, entry)
    {
        uint64_t port;
        uint32_t age_s = age_of(entry);
        if (age_s > HISTORY_PORTS_S || facts->count == FACTS_REMEMBERED_MAX ||
            !bytes_to_u64(bytes_of_text(name), UINT16_MAX, &port) || port == 0)
            continue;
        facts->ports[facts->count].port = (uint16_t)port;
        facts->ports[facts->count].worked = json_is_true(json_object_get(entry, "worked"));
        facts->ports[facts->count++].age_s = age_s;
    }
}

/* Of any user: a ban is of the address, not of the account. */
static enum known has_refused_anybody(json_t *refused, const char *host)
{
    const char *key;
    json_t *entry;
    size_t length = strlen(host);
    json_object_foreach(refused, key, entry)
    {
        if (strncmp(key, host, length) == 0 && key[length] == ' ' && age_of(entry) <= HISTORY_REFUSED_S)
            return KNOWN_YES;
    }
    return KNOWN_NO;
}

void history_facts(const char *host, const char *user, struct fact_history *facts)
{
    char network[STATE_FILE_NETWORK_MAX], key[FACTS_HOST_MAX + 24];
    *facts = (struct fact_history){0};
    if (!is_kept(host))
        return;
    json_t *all = state_file_load(file_name);
    state_file_network(network, sizeof network);
    take_ports(json_object_get(json_object_get(json_object_get(all, "networks"), network), "ports"), facts);
    facts->calls_last_hour = calls_of(json_object_get(json_object_get(all, "calls"), host),
                                      state_file_now_s());
    if (user != NULL) {
        key_of(host, user, key, sizeof key);
        bool refused = age_of(json_object_get(json_object_get(all, "refused"), key)) <= HISTORY_REFUSED_S;
        facts->password_refused = refused ? KNOWN_YES : KNOWN_NO;
    } else {
        facts->password_refused = has_refused_anybody(json_object_get(all, "refused"), host);
    }
    json_decref(all);
}

bool history_is_blocked(const struct fact_history *facts, uint16_t port)
{
    for (size_t i = 0; i < facts->count; i++)
        if (facts->ports[i].port == port)
            return !facts->ports[i].worked;
    return false;
}
