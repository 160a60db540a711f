/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chown_tree: gives a process's folder, with all that is in it, to the user
 * that the process has now. That happens when the users of the package have
 * been made after a first start without them, whose numbers stood in for them.
 *
 * It runs as root in a folder of another user, so it trusts nothing in there:
 * only what belongs to the folder's former owner changes hands, by descriptor
 * and without following links; anything else stops it before its name.
 */
#ifndef MAILBOAT_RUN_CHOWN_TREE_H
#define MAILBOAT_RUN_CHOWN_TREE_H

#include "io/folder.h"
#include "run/users.h"

struct chown_tree {
    struct process_user to;
    uid_t from; /* the former owner */
    gid_t from_group;
    bool shared;              /* files of anybody may lie in it, and keep their owner: the drop folder */
    unsigned long long count; /* names that changed hands */
};

/* The top folder changes hands last, so that an interrupted run is repeated.
 * False with a reason that names what is in the way. */
bool chown_tree(struct chown_tree *chown_tree, const struct folder *top, struct error *error);

#endif
