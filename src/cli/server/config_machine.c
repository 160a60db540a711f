/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/server/config_machine.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/text/unit_protection.h"
#include "io/certificate.h"
#include "run/capability.h"
#include "run/data_dir.h"
#include "run/listen.h"
#include "service/services.h"
#include "store/queue/store_lock.h"

enum { UNIT_FILE_MAX = 64 * 1024, DROP_INS_MAX = 64 };

/* ---- the systemd unit ---- */

static bool read_unit(struct unit_protection *protection, const char *path)
{
    static char text[UNIT_FILE_MAX];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    unit_protection_read(protection, bytes_of(text, fread(text, 1, sizeof text, file)));
    fclose(file);
    return true;
}

static int is_drop_in(const struct dirent *entry)
{
    return bytes_ends_nocase(bytes_of_text(entry->d_name), ".conf");
}

static void read_drop_ins(struct unit_protection *protection, const char *folder)
{
    struct dirent **entries;
    char path[512];
    int count = scandir(folder, &entries, is_drop_in, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%.255s", folder, entries[i]->d_name);
        read_unit(protection, path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

/* False if this machine has no such unit. */
static bool find_unit(struct unit_protection *protection)
{
    static const char *const folders[] = {"/etc/systemd/system", "/run/systemd/system",
                                          "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
                                          "/lib/systemd/system"};
    char path[256];
    bool found = false;
    for (size_t i = 0; !found && i < ARRAY_LENGTH(folders); i++) {
        snprintf(path, sizeof path, "%s/mailboat.service", folders[i]);
        found = read_unit(protection, path);
    }
    for (size_t i = ARRAY_LENGTH(folders); found && i-- > 0;) {
        snprintf(path, sizeof path, "%s/mailboat.service.d", folders[i]);
        read_drop_ins(protection, path);
    }
    return found;
}

/* The unit serves the default file; with another one, something else starts the server. */
static void examine_unit(const struct config *config, struct buffer *warnings)
{
    struct unit_protection protection = {0};
    const char *const files[] = {config->tls.certificate, config->tls.key,
                                 config->relay.smarthost.password_file, config->relay.ca_file};
    if (config->file == NULL || strcmp(config->file, CONFIG_DEFAULT_FILE) != 0 || !find_unit(&protection))
        return;
    if (!unit_protection_allows_write(&protection, bytes_of_text(config->data_dir)))
        buffer_add_format(warnings,
                          "mailboat.service does not let the server write to data_dir (%s); systemctl edit "
                          "mailboat, and add under [Service]: ReadWritePaths=%s\n",
                          config->data_dir, config->data_dir);
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
        if (files[i] != NULL && files[i][0] == '/' &&
            !unit_protection_allows_read(&protection, bytes_of_text(files[i])))
            buffer_add_format(warnings,
                              "mailboat.service does not let the server read %s; move it to /etc/mailboat\n",
                              files[i]);
    unit_protection_free(&protection);
}

/* ---- the machine ---- */

static bool check_data_dir(const struct config *config, struct buffer *warnings, struct error *error)
{
    struct buffer warning = {0};
    bool fine = users_settle(config->user, &warning, error) && data_dir_check(config, services, error);
    if (fine && warning.length > 0)
        buffer_add_format(warnings, "%s; " USERS_HINT "\n", buffer_text(&warning));
    buffer_free(&warning);
    if (!fine || access(config->data_dir, W_OK) == 0 || errno != EROFS)
        return fine;
    return error_set(error, EX_CONFIG, "data_dir: %s is on a read-only file system%s", config->data_dir,
                     getenv("INVOCATION_ID") == NULL
                         ? ""
                         : "; if that is the protection of the unit: systemctl edit mailboat, and add "
                           "ReadWritePaths= under [Service]");
}

/* By descriptor: other users own folders below the data directory. */
static bool runs_here(const struct config *config)
{
    struct folder data, queue;
    if (!folder_open(&data, config->data_dir, 0, FOLDER_ANY, NULL))
        return false;
    bool entered = folder_enter(&queue, &data, queue_service.folder, 0, FOLDER_ANY, NULL);
    bool runs = entered && store_lock_owner_at(queue.descriptor) != 0;
    if (entered)
        folder_close(&queue);
    folder_close(&data);
    return runs;
}

static void examine_hostname(const struct config *config, struct buffer *warnings)
{
    if (strchr(config->hostname, '.') == NULL && strchr(config->hostname, ':') == NULL)
        buffer_add_format(warnings,
                          "hostname: '%s' has no dot; other servers reject such a name: use the name that "
                          "DNS has for this machine, as mx.example.org\n",
                          config->hostname);
}

bool config_machine_check(const struct config *config, struct buffer *warnings, struct error *error)
{
    if (!capability_check(config, warnings, error) || !check_data_dir(config, warnings, error))
        return false;
    if (config->tls.certificate != NULL &&
        !certificate_check_files(config->tls.certificate, config->tls.key, config->hostname,
                                 config->relay.ca_file, warnings, error))
        return false;
    examine_hostname(config, warnings);
    examine_unit(config, warnings);
    return listen_check(config, runs_here(config), error);
}
