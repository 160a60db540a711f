/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/port_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/folder.h"

/* ---- the file ---- */

static bool state_folder(char *path, size_t size)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    const struct passwd *me = home == NULL || home[0] != '/' ? getpwuid(getuid()) : NULL;
    if (me != NULL)
        home = me->pw_dir;
    int length = 0;
    if (state != NULL && state[0] == '/')
        length = snprintf(path, size, "%s/mailboat", state);
    else if (home != NULL && home[0] == '/')
        length = snprintf(path, size, "%s/.local/state/mailboat", home);
    return length > 0 && (size_t)length < size;
}

/* Root may run with another user's home in its environment: files that the user controls are not opened,
 * and nothing is remembered. */
static bool open_state(struct folder *folder, bool make)
{
    char path[3900];
    return state_folder(path, sizeof path) &&
           folder_open(folder, path, make ? 0700 : 0, FOLDER_TRUSTED, NULL);
}

static const char file_name[] = "ports.json";

static json_t *load(void)
{
    struct folder folder;
    json_t *all = NULL;
    if (open_state(&folder, false)) {
        int file = folder_file(folder.descriptor, file_name, O_RDONLY);
        all = file < 0 ? NULL : json_loadfd(file, 0, NULL);
        if (file >= 0)
            close(file);
        folder_close(&folder);
    }
    if (json_is_object(all))
        return all;
    json_decref(all); /* an unreadable file is replaced */
    return json_object();
}

/* Atomic: a reader sees the old file or the new one; two writers do not mix. */
static void save(json_t *all)
{
    struct folder folder;
    char fresh[64];
    if (!open_state(&folder, true))
        return;
    snprintf(fresh, sizeof fresh, "%s.%ld", file_name, (long)getpid());
    int file = folder_new_file(folder.descriptor, fresh, 0600);
    bool written = file >= 0 && json_dumpfd(all, file, JSON_INDENT(1)) == 0;
    if (file >= 0)
        close(file);
    if (!written || renameat(folder.descriptor, fresh, folder.descriptor, file_name) != 0)
        unlinkat(folder.descriptor, fresh, 0);
    folder_close(&folder);
}

/* ---- the current network ---- */

/* Adds the gateway's hardware address from the kernel's table, to distinguish networks that both use
 * 192.168.1.0. */
static void add_hardware_address(const char *gateway, char *buffer, size_t size)
{
    char line[256], address[64], hardware[64];
    FILE *table = fopen("/proc/net/arp", "re");
    while (table != NULL && fgets(line, sizeof line, table) != NULL)
        if (sscanf(line, "%63s %*s %*s %63s", address, hardware) == 2 && strcmp(address, gateway) == 0)
            snprintf(buffer + strlen(buffer), size - strlen(buffer), " %s", hardware);
    if (table != NULL)
        fclose(table);
}

/* Returns "eth0 192.168.1.1 52:54:00:12:34:56" of the default route; "" if there is none. */
static void network_name(char *buffer, size_t size)
{
    char line[256], interface[32], gateway[16];
    unsigned destination, via, mask;
    FILE *table = fopen("/proc/net/route", "re");
    buffer[0] = '\0';
    while (table != NULL && buffer[0] == '\0' && fgets(line, sizeof line, table) != NULL) {
        if (sscanf(line, "%31s %x %x %*x %*d %*d %*d %x", interface, &destination, &via, &mask) != 4 ||
            destination != 0 || mask != 0)
            continue;
        /* printed by the kernel in network order */
        const unsigned char *octets = (const unsigned char *)&via;
        snprintf(gateway, sizeof gateway, "%u.%u.%u.%u", octets[0], octets[1], octets[2], octets[3]);
        snprintf(buffer, size, "%s %s", interface, gateway);
        add_hardware_address(gateway, buffer, size);
    }
    if (table != NULL)
        fclose(table);
}

static void key_of(const char *host, char *key, size_t size)
{
    char network[160];
    network_name(network, sizeof network);
    snprintf(key, size, "%s via %s", host, network[0] == '\0' ? "no gateway" : network);
}

/* ---- entries ---- */

static json_int_t now_s(void)
{
    return (json_int_t)(clock_epoch_ms() / 1000);
}

bool port_cache_find(const char *host, struct race_port *port)
{
    char key[512];
    key_of(host, key, sizeof key);
    json_t *all = load(), *one = json_object_get(all, key);
    json_int_t number = json_integer_value(json_object_get(one, "port")),
               until = json_integer_value(json_object_get(one, "until"));
    bool found = number > 0 && number <= 65535 && until > now_s() && until <= now_s() + PORT_CACHE_S;
    *port = (struct race_port){(uint16_t)number, json_is_true(json_object_get(one, "implicit_tls"))
                                                     ? CLIENT_TLS_IMPLICIT
                                                     : CLIENT_TLS_REQUIRED};
    json_decref(all);
    return found;
}

static void drop_oldest(json_t *all)
{
    const char *key, *oldest = NULL;
    json_t *one;
    json_int_t soonest = 0;
    json_object_foreach(all, key, one)
    {
        json_int_t until = json_integer_value(json_object_get(one, "until"));
        if (oldest == NULL || until < soonest) {
            oldest = key;
            soonest = until;
        }
    }
    if (oldest != NULL)
        json_object_del(all, oldest);
}

void port_cache_remember(const char *host, const struct race_port *port)
{
    char key[512];
    key_of(host, key, sizeof key);
    json_t *all = load();
    json_object_del(all, key);
    while (json_object_size(all) >= PORT_CACHE_MAX)
        drop_oldest(all);
    json_object_set_new(all, key,
                        json_pack("{s:i, s:b, s:I}", "port", (int)port->port, "implicit_tls",
                                  port->tls == CLIENT_TLS_IMPLICIT, "until", now_s() + PORT_CACHE_S));
    save(all);
    json_decref(all);
}

void port_cache_forget(const char *host)
{
    char key[512];
    key_of(host, key, sizeof key);
    json_t *all = load();
    if (json_object_del(all, key) == 0)
        save(all);
    json_decref(all);
}
