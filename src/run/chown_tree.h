/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chown_tree: gives a process's folder, with its contents, to the process's current user. That is needed
 * when the package's users were created after a first start without them, which used numeric fallback ids.
 *
 * It runs as root in a folder of another user, so it trusts nothing in there: it changes only files of the
 * folder's former owner, by descriptor and without following links; it stops with an error at any other.
 */
#ifndef MAILBOAT_RUN_CHOWN_TREE_H
#define MAILBOAT_RUN_CHOWN_TREE_H

#include "io/folder.h"
#include "run/users.h"

struct chown_tree {
    struct process_user to;
    uid_t from; /* the former owner */
    gid_t from_group;
    bool shared;              /* contains files of any user, which keep their owner: the drop directory */
    unsigned long long count; /* files changed */
};

/* Changes the owner of the top folder last, so that an interrupted run is repeated. False with a reason
 * that names the offending file. */
bool chown_tree(struct chown_tree *chown_tree, const struct folder *top, struct error *error);

#endif
