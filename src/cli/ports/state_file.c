/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/state_file.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/folder.h"

enum { LOCK_MS = 10 * 1000, LOCK_PAUSE_US = 2000 };

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

json_t *state_file_load(const char *name)
{
    struct folder folder;
    json_t *all = NULL;
    if (open_state(&folder, false)) {
        int file = folder_file(folder.descriptor, name, O_RDONLY);
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

/* The folder, locked by this process; -1: not locked. */
static int changing = -1;

json_t *state_file_change(const char *name)
{
    struct folder folder;
    if (changing < 0 && open_state(&folder, true)) {
        changing = openat(folder.descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        folder_close(&folder);
        uint64_t until_ms = clock_now_ms() + LOCK_MS; /* a stopped process keeps nobody waiting */
        while (changing >= 0 && flock(changing, LOCK_EX | LOCK_NB) != 0 && clock_now_ms() < until_ms)
            usleep(LOCK_PAUSE_US);
    }
    return state_file_load(name);
}

void state_file_leave(void)
{
    if (changing >= 0)
        close(changing);
    changing = -1;
}

/* Atomic: a reader sees the old file or the new one; two writers do not mix. */
void state_file_save(const char *name, json_t *all)
{
    struct folder folder;
    char fresh[64];
    if (!open_state(&folder, true)) {
        state_file_leave();
        return;
    }
    snprintf(fresh, sizeof fresh, "%s.%ld", name, (long)getpid());
    int file = folder_new_file(folder.descriptor, fresh, 0600);
    bool written = file >= 0 && json_dumpfd(all, file, JSON_INDENT(1)) == 0;
    if (file >= 0)
        close(file);
    if (!written || renameat(folder.descriptor, fresh, folder.descriptor, name) != 0)
        unlinkat(folder.descriptor, fresh, 0);
    folder_close(&folder);
    state_file_leave();
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

void state_file_network(char *buffer, size_t size)
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
    if (buffer[0] == '\0')
        snprintf(buffer, size, "no gateway");
}

/* ---- its entries ---- */

void state_file_make_room(json_t *all, size_t max, const char *field)
{
    while (json_object_size(all) >= max) {
        const char *key, *oldest = NULL;
        json_t *one;
        json_int_t soonest = 0;
        json_object_foreach(all, key, one)
        {
            json_int_t at = json_integer_value(json_object_get(one, field));
            if (oldest == NULL || at < soonest) {
                oldest = key;
                soonest = at;
            }
        }
        json_object_del(all, oldest);
    }
}

json_int_t state_file_now_s(void)
{
    return (json_int_t)(clock_epoch_ms() / 1000);
}
