/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder_owners: finds what a user cannot work with in that user's own folder, as after a restore on a
 * machine with other user numbers, or of a copy that root made: files and folders of other users, and folders
 * without the rights of their owner.
 *
 * folder_owners_find() looks at a tree before it is used: each process calls it on its folder, as its own
 * user, when it starts. folder_owners_explain() names the reason when a path was refused later. Both only
 * look, never follow links, and need no user database.
 */
#ifndef MAILBOAT_IO_FOLDER_OWNERS_H
#define MAILBOAT_IO_FOLDER_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum folder_owners_limit {
    FOLDER_OWNERS_LOOKED_MAX = 50000, /* names in one tree; what is beyond is not looked at */
    FOLDER_OWNERS_FILES_MAX = 64,     /* files in a folder that has no folders: the first of them tell */
    FOLDER_OWNERS_TEXT_SIZE = 1600,   /* octets of an explanation with its NUL */
};

/* Something that was found; `path` is valid during the call. */
struct folder_owners_found {
    const char *path;
    uid_t uid;   /* its owner */
    mode_t mode; /* if `uid` is the right one: the rights that do not suffice */
};
typedef void folder_owners_visitor(void *context, const struct folder_owners_found *found);

/* Looks at the tree at `path`, whose top is right, for the user that this process is. Calls `visit` for each
 * thing of another user and each folder closed to its owner, without looking into it. Returns their number;
 * 0 too if the folder cannot be read. */
size_t folder_owners_find(const char *path, folder_owners_visitor *visit, void *context);

/* Returns the text of an errno, and if a folder on the way to `path` (below `folder`, which messages call
 * `shown`) is the reason, which one it is, whose, and what to do: "Permission denied: /d/mail/example.org
 * belongs to user 1005, not to 994; as root: chown -R 994:994 /d/mail". */
const char *folder_owners_explain(int folder, const char *shown, const char *path, int number,
                                  char text[FOLDER_OWNERS_TEXT_SIZE]);

#endif
