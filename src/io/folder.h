/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder: opens folders and files by descriptor, so that no other user can trick a privileged process into
 * reading, writing, giving away or removing the wrong file: by planting a symbolic link, hard link, FIFO
 * or device, or by swapping a name between a check and its use.
 *
 * folder_open() walks an absolute path from /. Every folder on the path must belong to root or to this
 * process's user, and no other user may be able to rename its contents; a symbolic link is followed only
 * if root or this user made it. folder_enter() continues from an open folder. Files in a folder are opened
 * with folder_file() and created with folder_new_file(); folder_replace() writes a whole file.
 *
 * Callers: everything that runs as root on the data directory, and the processes in their own folders.
 * Root never acts on another user's files: see data_dir_act_in().
 */
#ifndef MAILBOAT_IO_FOLDER_H
#define MAILBOAT_IO_FOLDER_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"

enum folder_limit {
    FOLDER_PATH_MAX = 4096, /* octets of a path with the NUL, links resolved */
    FOLDER_LINKS_MAX = 40,  /* symbolic links on one path, as in the kernel */
    FOLDER_DEPTH_MAX = 64,  /* nesting depth of folder_remove() */
};

struct folder {
    int descriptor;               /* -1: not open */
    char path[FOLDER_PATH_MAX];   /* without links, for messages and for calls that need a path */
    char closed[FOLDER_PATH_MAX]; /* first folder on the path that other users cannot enter; "": none */
};

/* Requirements of folder_open() and folder_enter() for the last folder of the path. */
enum folder_end {
    FOLDER_TRUSTED, /* owned by root or this user, and not writable by others */
    FOLDER_ANY,     /* the caller checks its owner */
};

/* Opens the folder at an absolute path. Creates missing ones with `mode` (the last) and 0755 (those above
 * it); mode 0: they must exist. False with a reason that names the folder, its owner and the fix
 * (EX_NOPERM), or EX_CANTCREAT, EX_NOINPUT. folder->descriptor is readable if the user may read it. */
bool folder_open(struct folder *folder, const char *path, mode_t mode, enum folder_end end,
                 struct error *error);
/* The same, starting at `outer`; `path` is relative. */
bool folder_enter(struct folder *folder, const struct folder *outer, const char *path, mode_t mode,
                  enum folder_end end, struct error *error);
void folder_close(struct folder *folder);

/* Checks a path as folder_open() does, as far as it exists. */
bool folder_check(const char *path, struct error *error);

/* Returns "ada (1000)", or "1000" for a number without a name. Valid until the next call. */
const char *folder_owner_name(uid_t uid);

/* True once the folder's names are on disk, or if the file system cannot sync them. */
bool folder_sync(const struct folder *folder, struct error *error);

/* Opens a regular file with one name: -1 with errno, ELOOP for a symbolic link, EMLINK for a file with a
 * second name, EINVAL for anything else that is not a file. Never blocks on a FIFO. `flags` as for
 * open(2). */
int folder_file(int folder, const char *name, int flags);
/* Creates a new file in place of any with its name: -1 with errno. */
int folder_new_file(int folder, const char *name, mode_t mode);
/* Replaces a whole file, synced: readers see the old one or the new one. */
bool folder_replace(const struct folder *folder, const char *name, struct bytes content, mode_t mode,
                    struct error *error);
/* The same for a file that belongs to another user. */
bool folder_replace_for(const struct folder *folder, const char *name, struct bytes content, mode_t mode,
                        uid_t uid, gid_t gid, struct error *error);
/* Removes a name and, if it is a folder, its contents. Keeps anything that cannot be removed. */
void folder_remove(int folder, const char *name);

#endif
