/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "io/folder_owners.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/folder.h"

/* A tree that is being looked at. */
struct owners_walk {
    folder_owners_visitor *visit;
    void *context;
    size_t looked, wrong;
    char path[FOLDER_PATH_MAX];
};

static bool is_wrong(const struct stat *facts)
{
    return facts->st_uid != geteuid() || (S_ISDIR(facts->st_mode) && (facts->st_mode & S_IRWXU) != S_IRWXU);
}

/* Also what a file system makes in its root, where the tree is a mount point. */
static bool is_ignored(const char *name, unsigned depth)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
           (depth == 0 && strcmp(name, "lost+found") == 0);
}

static void look_into(struct owners_walk *walk, int folder, unsigned depth);

/* Returns true for a folder. */
static bool look_at(struct owners_walk *walk, int folder, const char *name, unsigned depth)
{
    struct stat facts;
    size_t length = strlen(walk->path);
    if (fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) != 0 ||
        length + 1 + strlen(name) >= sizeof walk->path)
        return false;
    walk->looked++;
    snprintf(walk->path + length, sizeof walk->path - length, "/%s", name);
    bool is_folder = S_ISDIR(facts.st_mode);
    if (is_wrong(&facts)) {
        const struct folder_owners_found found = {walk->path, facts.st_uid, facts.st_mode & 07777};
        walk->wrong++;
        walk->visit(walk->context, &found);
    } else if (is_folder && depth < FOLDER_DEPTH_MAX) {
        look_into(walk, openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), depth + 1);
    }
    walk->path[length] = '\0';
    return is_folder;
}

/* Closes the folder. */
static void look_into(struct owners_walk *walk, int folder, unsigned depth)
{
    DIR *stream = folder < 0 ? NULL : fdopendir(folder);
    size_t files = 0, folders = 0;
    if (stream == NULL) {
        if (folder >= 0)
            close(folder);
        return;
    }
    for (const struct dirent *entry; walk->looked < FOLDER_OWNERS_LOOKED_MAX &&
                                     (folders > 0 || files < FOLDER_OWNERS_FILES_MAX) &&
                                     (entry = readdir(stream)) != NULL;) {
        /* of very many files the first tell; where there are folders too, those are looked for */
        bool skipped = is_ignored(entry->d_name, depth) ||
                       (entry->d_type == DT_REG && files >= FOLDER_OWNERS_FILES_MAX);
        if (skipped)
            continue;
        if (look_at(walk, folder, entry->d_name, depth))
            folders++;
        else
            files++;
    }
    closedir(stream);
}

size_t folder_owners_find(const char *path, folder_owners_visitor *visit, void *context)
{
    struct owners_walk walk = {.visit = visit, .context = context};
    if (snprintf(walk.path, sizeof walk.path, "%s", path) >= (int)sizeof walk.path)
        return 0;
    look_into(&walk, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0);
    return walk.wrong;
}

/* ---- explanations ---- */

/* Finds the first name on the way that this process cannot use; `way` is cut behind it. */
static bool find_obstacle(int folder, char *way, struct stat *facts)
{
    if (fstat(folder, facts) != 0)
        return false;
    if (is_wrong(facts)) {
        way[0] = '\0';
        return true;
    }
    for (char *end = way; end != NULL;) {
        end = strchr(end == way ? way : end + 1, '/');
        if (end != NULL)
            *end = '\0';
        if (fstatat(folder, way, facts, AT_SYMLINK_NOFOLLOW) != 0)
            return false;
        if (is_wrong(facts))
            return true;
        if (end != NULL)
            *end = '/';
    }
    return false;
}

const char *folder_owners_explain(int folder, const char *shown, const char *path, int number,
                                  char text[FOLDER_OWNERS_TEXT_SIZE])
{
    char way[FOLDER_PATH_MAX];
    struct stat facts;
    bool denied = number == EACCES || number == EPERM;
    bool fits = snprintf(way, sizeof way, "%s", path) < (int)sizeof way;
    assert(path[0] != '\0' && path[0] != '/');
    if (!denied || !fits || !find_obstacle(folder, way, &facts)) {
        snprintf(text, FOLDER_OWNERS_TEXT_SIZE, "%s: %.600s/%.600s", strerror(number), shown, path);
        return text;
    }
    const char *between = way[0] == '\0' ? "" : "/";
    if (facts.st_uid != geteuid())
        snprintf(text, FOLDER_OWNERS_TEXT_SIZE,
                 "%s: %.300s%s%.300s belongs to user %u, not to %u; as root: chown -R %u:%u %.300s",
                 strerror(number), shown, between, way, (unsigned)facts.st_uid, (unsigned)geteuid(),
                 (unsigned)geteuid(), (unsigned)getegid(), shown);
    else
        snprintf(text, FOLDER_OWNERS_TEXT_SIZE,
                 "%s: %.300s%s%.300s has the mode %04o; as root: chmod u+rwx %.300s%s%.300s",
                 strerror(number), shown, between, way, (unsigned)(facts.st_mode & 07777), shown, between,
                 way);
    return text;
}
