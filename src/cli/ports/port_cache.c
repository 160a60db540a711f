/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/port_cache.h"

#include <stdio.h>

#include "cli/ports/state_file.h"

/* ---- entries ---- */

static const char file_name[] = "ports.json";

static void key_of(const char *host, char *key, size_t size)
{
    char network[STATE_FILE_NETWORK_MAX];
    state_file_network(network, sizeof network);
    snprintf(key, size, "%s via %s", host, network);
}

static bool is_within(json_t *entry, const char *field, json_int_t seconds)
{
    json_int_t until_s = json_integer_value(json_object_get(entry, field)), now_s = state_file_now_s();
    return until_s > now_s && until_s <= now_s + seconds;
}

bool port_cache_find(const char *host, struct port_cache_entry *entry)
{
    char key[512];
    key_of(host, key, sizeof key);
    json_t *all = state_file_load(file_name), *one = json_object_get(all, key);
    json_int_t number = json_integer_value(json_object_get(one, "port")),
               trip_ms = json_integer_value(json_object_get(one, "round_trip_ms"));
    bool found = number > 0 && number <= 65535 && is_within(one, "until", PORT_CACHE_S),
         is_implicit = json_is_true(json_object_get(one, "implicit_tls"));
    *entry = (struct port_cache_entry){
        .port = {(uint16_t)number, is_implicit ? CLIENT_TLS_IMPLICIT : CLIENT_TLS_REQUIRED},
        .is_first = found && is_within(one, "first_until", PORT_CACHE_FIRST_S),
        .round_trip_ms = trip_ms > 0 && trip_ms <= PORT_CACHE_ROUND_TRIP_MAX_MS ? (uint32_t)trip_ms : 0};
    json_decref(all);
    return found;
}

void port_cache_remember(const char *host, const struct race_port *port, uint64_t round_trip_ms)
{
    char key[512];
    json_int_t now_s = state_file_now_s();
    key_of(host, key, sizeof key);
    json_t *all = state_file_change(file_name);
    json_object_del(all, key);
    state_file_make_room(all, PORT_CACHE_MAX, "until");
    json_object_set_new(all, key,
                        json_pack("{s:i, s:b, s:I, s:I, s:I}", "port", (int)port->port, "implicit_tls",
                                  port->tls == CLIENT_TLS_IMPLICIT, "until", now_s + PORT_CACHE_S,
                                  "first_until", now_s + PORT_CACHE_FIRST_S, "round_trip_ms",
                                  (json_int_t)round_trip_ms));
    state_file_save(file_name, all);
    json_decref(all);
}

void port_cache_forget(const char *host)
{
    char key[512];
    key_of(host, key, sizeof key);
    json_t *all = state_file_change(file_name);
    if (json_object_del(all, key) == 0)
        state_file_save(file_name, all);
    state_file_leave();
    json_decref(all);
}
