/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder: opens folders and files by descriptor, so that no other user can
 * make a privileged process read, write, give away or remove anything but
 * what it means: no symbolic link, hard link, FIFO or device that was planted,
 * and no name that is swapped between a check and its use.
 *
 * folder_open() walks an absolute path from / on. Every folder on the way must
 * belong to root or to this process's user, and nobody else may be able to
 * rename what is in it; a symbolic link is followed only if root or this user
 * made it. folder_enter() goes on from a folder that was opened so. Files in
 * a folder are opened with folder_file() and made with folder_new_file();
 * folder_replace() writes a whole one.
 *
 * Callers: whatever runs as root on the data directory, and the processes in
 * their own folders. What belongs to another user is not for root at all: see
 * data_dir_act_in().
 */
#ifndef MAILBOAT_IO_FOLDER_H
#define MAILBOAT_IO_FOLDER_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"

enum folder_limit {
    FOLDER_PATH_MAX = 4096, /* octets of a path with the NUL, links resolved */
    FOLDER_LINKS_MAX = 40,  /* symbolic links on one path, as the kernel has it */
    FOLDER_DEPTH_MAX = 64,  /* folders in folders that folder_remove() goes down */
};

struct folder {
    int descriptor;               /* -1: not open */
    char path[FOLDER_PATH_MAX];   /* without links, for messages and for those who need a path */
    char closed[FOLDER_PATH_MAX]; /* the first folder on the way that other users cannot pass; "": none */
};

/* How folder_open() and folder_enter() see the last folder of the path. */
enum folder_end {
    FOLDER_TRUSTED, /* it must be root's or ours, and no other may write to it */
    FOLDER_ANY,     /* the caller looks at its owner */
};

/* Opens the folder at an absolute path. Missing ones are made with `mode` (the
 * last) and 0755 (those above it); mode 0: they must exist. False with a reason
 * that names the folder, its owner and the fix (EX_NOPERM), or EX_CANTCREAT,
 * EX_NOINPUT. folder->descriptor can be read where the user may read it. */
bool folder_open(struct folder *folder, const char *path, mode_t mode, enum folder_end end,
                 struct error *error);
/* The same from `outer` on; `path` is relative. */
bool folder_enter(struct folder *folder, const struct folder *outer, const char *path, mode_t mode,
                  enum folder_end end, struct error *error);
void folder_close(struct folder *folder);

/* Checks a path as folder_open() does, as far as it exists. */
bool folder_check(const char *path, struct error *error);

/* "ada (1000)", or "1000" where the number has no name. Valid until the next call. */
const char *folder_owner_name(uid_t uid);

/* True once the folder's names are on disk, or its file system cannot tell. */
bool folder_sync(const struct folder *folder, struct error *error);

/* Opens a regular file with one name: -1 with errno, ELOOP for a symbolic link,
 * EMLINK for a file with a second name, EINVAL for anything else that is not a
 * file. It never waits for the other end of a FIFO. `flags` as for open(2). */
int folder_file(int folder, const char *name, int flags);
/* Makes a new file, in place of whatever had its name: -1 with errno. */
int folder_new_file(int folder, const char *name, mode_t mode);
/* Replaces a file as a whole, synced: readers see the old one or the new one. */
bool folder_replace(const struct folder *folder, const char *name, struct bytes content, mode_t mode,
                    struct error *error);
/* Removes a name and, where it is a folder, all that is in it. What cannot be removed stays. */
void folder_remove(int folder, const char *name);

#endif
