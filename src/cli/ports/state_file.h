/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_file: a small JSON object in the user's state folder ($XDG_STATE_HOME/mailboat),
 * for what is remembered from one call of the program to the next (port_cache.h,
 * history.h), and the name of the network that this machine is on. All is best
 * effort: without a state folder nothing is remembered.
 */
#ifndef MAILBOAT_CLI_PORTS_STATE_FILE_H
#define MAILBOAT_CLI_PORTS_STATE_FILE_H

#include <jansson.h>

enum { STATE_FILE_NETWORK_MAX = 160 };

/* `name`: in the folder. What is there, or a new object; the caller's to json_decref(). */
json_t *state_file_load(const char *name);
/* The same to change it: until state_file_save() or state_file_leave() other processes wait, so that no
 * change of theirs is lost. */
json_t *state_file_change(const char *name);
/* A reader sees the old file or the new one; nobody else can read it. */
void state_file_save(const char *name, json_t *all);
void state_file_leave(void); /* nothing is to be saved */
/* Takes away entries until there is room for one more; those with the smallest number in `field` go first. */
void state_file_make_room(json_t *all, size_t max, const char *field);
/* "eth0 192.168.1.1 52:54:00:12:34:56" of the default route, or "no gateway". */
void state_file_network(char *buffer, size_t size);
json_int_t state_file_now_s(void); /* Unix time */

#endif
