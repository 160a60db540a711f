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

bool port_cache_find(const char *host, struct race_port *port)
{
    char key[512];
    key_of(host, key, sizeof key);
    json_t *all = state_file_load(file_name), *one = json_object_get(all, key);
    json_int_t number = json_integer_value(json_object_get(one, "port")),
               until = json_integer_value(json_object_get(one, "until"));
    bool found = number > 0 && number <= 65535 && until > state_file_now_s() &&
                 until <= state_file_now_s() + PORT_CACHE_S;
    *port = (struct race_port){(uint16_t)number, json_is_true(json_object_get(one, "implicit_tls"))
                                                     ? CLIENT_TLS_IMPLICIT
                                                     : CLIENT_TLS_REQUIRED};
    json_decref(all);
    return found;
}

void port_cache_remember(const char *host, const struct race_port *port)
{
    char key[512];
    key_of(host, key, sizeof key);
    json_t *all = state_file_change(file_name);
    json_object_del(all, key);
    state_file_make_room(all, PORT_CACHE_MAX, "until");
    json_object_set_new(all, key,
                        json_pack("{s:i, s:b, s:I}", "port", (int)port->port, "implicit_tls",
                                  port->tls == CLIENT_TLS_IMPLICIT, "until",
                                  state_file_now_s() + PORT_CACHE_S));
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
