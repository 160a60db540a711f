/* SPDX-License-Identifier: Apache-2.0 */
/* import_files: the files of aliases, virtual addresses and users of another mail server. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cli/setup/import.h"
#include "core/import/passwd_file.h"
#include "core/import/table_text.h"
#include "store/accounts.h"

/* ---- notes ---- */

void import_note_add(struct import_run *run, struct bytes file, size_t line, struct bytes subject,
                     const char *format, ...)
{
    struct buffer reason = {0};
    va_list arguments;
    if (run->note_count == run->note_capacity) {
        run->note_capacity = run->note_capacity == 0 ? 16 : 2 * run->note_capacity;
        run->notes = memory_resize(run->notes, run->note_capacity * sizeof *run->notes);
    }
    va_start(arguments, format);
    buffer_add_va(&reason, format, arguments);
    va_end(arguments);
    run->notes[run->note_count++] = (struct import_note){
        .file = arena_copy(&run->arena, file),
        .line = line,
        .subject = arena_copy(&run->arena, subject),
        .reason = arena_copy(&run->arena, buffer_bytes(&reason))};
    buffer_free(&reason);
}

/* ---- files ---- */

bool import_file_read(struct import_run *run, const char *path, struct bytes *text, struct error *error)
{
    struct buffer content = {0};
    FILE *from = fopen(path, "re");
    if (from == NULL)
        return error_set_errno(error, EX_NOINPUT, "cannot read %s", path);
    size_t got = 0;
    do {
        char *room = buffer_reserve(&content, 64 * 1024);
        got = fread(room, 1, 64 * 1024, from);
        buffer_written(&content, got);
    } while (got > 0 && content.length <= IMPORT_FILE_MAX);
    bool done = ferror(from) == 0 || error_set_errno(error, EX_IOERR, "cannot read %s", path);
    if (done && content.length > IMPORT_FILE_MAX)
        done = error_set(error, EX_DATAERR, "%s is larger than %d MiB", path, IMPORT_FILE_MAX >> 20);
    struct bytes all = buffer_bytes(&content);
    bool marked = bytes_is(bytes_first(all, 3), "\xef\xbb\xbf"); /* by editors of Windows */
    if (done)
        *text = arena_copy(&run->arena, bytes_from(all, marked ? 3 : 0));
    fclose(from);
    buffer_wipe(&content);
    return done;
}

struct bytes import_address(struct import_run *run, struct bytes name)
{
    struct buffer canonical = {0};
    struct bytes address = bytes_none();
    bool rest = name.length > 0 && name.at[0] == '@';
    bool whole = bytes_find(name, '@') != SIZE_MAX;
    if (!whole && run->domain.length == 0)
        return bytes_none();
    if (!whole)
        name = bytes_of_text(arena_format(&run->arena, "%.*s@%.*s", BYTES_ARG(name), BYTES_ARG(run->domain)));
    if (rest)
        buffer_add_octet(&canonical, '@');
    if (rest ? accounts_domain(&canonical, bytes_from(name, 1)) : accounts_canonical_quoted(&canonical, name))
        address = arena_copy(&run->arena, buffer_bytes(&canonical));
    buffer_free(&canonical);
    return address;
}

/* ---- right-hand sides ---- */

/* The alias whose targets are read. */
struct import_alias {
    struct import_run *run;
    struct bytes name; /* canonical */
    struct bytes file;
    size_t line;
    unsigned depth;                   /* of lists in lists */
    const struct import_alias *outer; /* the list's own place, if `file` is a list */
    struct error *error;
};

static void add_targets(struct import_alias *alias, struct bytes rest);

static bool is_open(const struct import_alias *alias, struct bytes path)
{
    for (; alias != NULL; alias = alias->outer)
        if (bytes_equal(alias->file, path))
            return true;
    return false;
}

/* The lines of a file are right-hand sides too. */
static void add_list(struct import_alias *alias, struct bytes path)
{
    struct import_alias inner = *alias;
    struct table_text table;
    struct bytes text, line;
    struct error error = {0};
    char *file = arena_text(&alias->run->arena, path);
    if (is_open(alias, path) || ++inner.depth > IMPORT_LISTS_MAX) {
        import_note_add(alias->run, alias->file, alias->line, alias->name, ":include:%s: %s", file,
                        is_open(alias, path) ? "it includes itself" : "too many lists in lists");
        return;
    }
    if (!import_file_read(alias->run, file, &text, &error)) {
        import_note_add(alias->run, alias->file, alias->line, alias->name, ":include:%s: %s", file,
                        error.text);
        return;
    }
    inner.file = bytes_of_text(file);
    inner.outer = alias;
    table_text_start(&table, text);
    while (table_text_next(&table, &line, &inner.line))
        add_targets(&inner, line);
    table_text_free(&table);
}

static void add_address(struct import_alias *alias, struct bytes text)
{
    struct bytes target = import_address(alias->run, text);
    if (target.length == 0)
        import_note_add(alias->run, alias->file, alias->line, alias->name, "'%.*s' is not a mail address",
                        BYTES_ARG(bytes_first(text, 100)));
    else
        import_plan_add(&alias->run->plan, &(struct import_entry){.kind = IMPORT_ALIAS,
                                                                  .name = alias->name,
                                                                  .target = target,
                                                                  .file = alias->file,
                                                                  .line = alias->line});
}

static void add_targets(struct import_alias *alias, struct bytes rest)
{
    struct buffer room = {0};
    struct alias_target target;
    static const char *const reasons[] = {
        [ALIAS_TO_PROGRAM] = "goes to a program, which a mail server does not run here: |%.*s",
        [ALIAS_TO_FILE] = "goes to a file, which is not written here: %.*s",
        [ALIAS_TO_NOTHING] =
            "its mail is thrown away (%.*s), which is not done here: senders learn that there is "
            "no such address"};
    while (alias_target_next(&rest, &room, &target))
        switch (target.kind) {
        case ALIAS_TO_LIST: add_list(alias, target.text); break;
        case ALIAS_TO_PROGRAM:
        case ALIAS_TO_FILE:
        case ALIAS_TO_NOTHING:
            import_note_add(alias->run, alias->file, alias->line, alias->name, reasons[target.kind],
                            BYTES_ARG(bytes_first(target.text, 200)));
            break;
        case ALIAS_TO_ADDRESS:
        case ALIAS_TO_NAME:
        case ALIAS_TO_DOMAIN: add_address(alias, target.text); break;
        }
    buffer_free(&room);
}

static bool is_domain(struct bytes key)
{
    return bytes_find(key, '@') == SIZE_MAX && bytes_find(key, '.') != SIZE_MAX;
}

static void add_domain(struct import_run *run, struct bytes name, struct bytes file, size_t line)
{
    struct buffer domain = {0};
    if (accounts_domain(&domain, name))
        import_plan_add(&run->plan, &(struct import_entry){.kind = IMPORT_DOMAIN,
                                                           .name = buffer_bytes(&domain),
                                                           .file = file,
                                                           .line = line});
    else
        import_note_add(run, file, line, name, "is not a domain name");
    buffer_free(&domain);
}

/* Reads a file of aliases: "name: targets", or with `split` of tables "address targets". */
static bool read_aliases(struct import_run *run, const char *path, bool is_table, struct error *error)
{
    struct table_text table;
    struct bytes text, line, key, value;
    struct buffer room = {0};
    struct import_alias alias = {.run = run, .file = bytes_of_text(path), .error = error};
    if (!import_file_read(run, path, &text, error))
        return false;
    table_text_start(&table, text);
    while (table_text_next(&table, &line, &alias.line)) {
        if (!(is_table ? table_text_split : table_text_split_alias)(line, &key, &value)) {
            import_note_add(run, alias.file, alias.line, bytes_first(line, 100),
                            is_table ? "expected an address and its targets" : "expected NAME: TARGETS");
            continue;
        }
        key = table_text_unquoted(key, &room);
        if (is_table && is_domain(key)) { /* "example.org anything": a domain of virtual addresses */
            add_domain(run, key, alias.file, alias.line);
            continue;
        }
        alias.name = import_address(run, key);
        if (alias.name.length > 0)
            add_targets(&alias, value);
        else
            import_note_add(run, alias.file, alias.line, bytes_first(key, 100), "is not a mail address");
    }
    table_text_free(&table);
    buffer_free(&room);
    return true;
}

bool import_aliases(struct import_run *run, const char *path, struct error *error)
{
    return read_aliases(run, path, false, error);
}

bool import_virtual(struct import_run *run, const char *path, struct error *error)
{
    return read_aliases(run, path, true, error);
}

/* ---- users ---- */

static void add_user(struct import_run *run, const struct passwd_file_user *user, struct bytes file,
                     size_t line)
{
    struct bytes address = import_address(run, user->name);
    struct import_entry entry = {.kind = IMPORT_USER, .name = address, .file = file, .line = line};
    if (address.length == 0 || address.at[0] == '@') {
        import_note_add(run, file, line, bytes_first(user->name, 100),
                        run->domain.length == 0 ? "is not a mail address; name its domain: --domain"
                                                : "is not a mail address");
        return;
    }
    entry.scheme = user->has_password ? user->password.scheme : bytes_none();
    entry.secret = user->password.value;
    if (user->has_password && user->password.kind == STORED_PLAIN)
        entry.password = IMPORT_PASSWORD_PLAIN;
    else if (user->has_password && user->password.kind == STORED_HASH &&
             accounts_hash_is_usable(user->password.value))
        entry.password = IMPORT_PASSWORD_HASHED;
    if (entry.password == IMPORT_PASSWORD_PLAIN &&
        (entry.secret.length == 0 || entry.secret.length > PASSWORD_MAX)) {
        entry.password = IMPORT_PASSWORD_NONE;
        entry.scheme = BYTES("PLAIN");
    }
    if (entry.password == IMPORT_PASSWORD_NONE)
        entry.secret = bytes_none();
    import_plan_add(&run->plan, &entry);
}

bool import_passwd(struct import_run *run, const char *path, struct error *error)
{
    struct bytes text;
    struct passwd_file_user user;
    size_t line = 0;
    if (!import_file_read(run, path, &text, error))
        return false;
    while (passwd_file_next(&text, &line, &user))
        add_user(run, &user, bytes_of_text(path), line);
    return true;
}
