/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import: shared by the files of `mailboat import`. import.c parses the command line and carries the plan
 * out; import_files.c reads tables, aliases and passwd-files into the plan, import_postfix.c main.cf;
 * import_output.c prints.
 */
#ifndef MAILBOAT_CLI_SETUP_IMPORT_H
#define MAILBOAT_CLI_SETUP_IMPORT_H

#include "base/buffer.h"
#include "config/config.h"
#include "core/import/alias_target.h"
#include "core/import/import_plan.h"

enum {
    IMPORT_FILE_MAX = 256 << 20, /* octets of a file */
    IMPORT_LISTS_MAX = 8,        /* :include: in files that are included */
};

/* A line, or a parameter, that cannot be imported. */
struct import_note {
    struct bytes file;
    size_t line; /* 0: not of a line */
    struct bytes subject, reason;
};

struct import_run {
    const struct config *config;
    struct bytes domain; /* of names without one; canonical */
    struct import_plan plan;
    struct arena arena; /* texts of notes, of the configuration, of files */
    struct import_note *notes;
    size_t note_count, note_capacity;
    struct buffer yaml; /* lines for the configuration */
    bool json, dry_run;
};

extern const struct command import_command;

/* ---- notes ---- */

void import_note_add(struct import_run *run, struct bytes file, size_t line, struct bytes subject,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

/* ---- files ---- */

/* Reads a whole file into the arena. EX_NOINPUT with a reason. */
bool import_file_read(struct import_run *run, const char *path, struct bytes *text, struct error *error);
/* Returns the address of a name in the domain of the run, canonical, in the arena; empty if it is not one. */
struct bytes import_address(struct import_run *run, struct bytes name);

/* Each reads a file into the plan, and notes what cannot be imported. */
bool import_aliases(struct import_run *run, const char *path, struct error *error);
bool import_passwd(struct import_run *run, const char *path, struct error *error);
bool import_virtual(struct import_run *run, const char *path, struct error *error);
/* `path` is main.cf. Sets run->domain from myorigin unless it is set. */
bool import_postfix(struct import_run *run, const char *path, struct error *error);

/* ---- output ---- */

/* `done`: it has been carried out. */
void import_print(const struct import_run *run, bool done);

#endif
