/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script: parses and plays a transcript: the peer's input, and the expected output.
 *
 * # a comment
 *   key: value           applies to every dialogue of the file; after a title, to that one
 *   == a title           begins a dialogue
 *   * 5                  repeats the lines up to the next lone * five times
 *
 * In all lines \r \n \t \0 \\ and \xNN stand for octets, {x*100} for a hundred x. Each dialogue is played
 * twice: in one piece, and octet by octet (only the first with the key octets: no).
 */
#ifndef MAILBOAT_TESTS_SCRIPT_H
#define MAILBOAT_TESTS_SCRIPT_H

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buffer.h"

enum { SCRIPT_LINES_MAX = 20000, SCRIPT_KEYS_MAX = 24 };

struct script_line {
    unsigned number;   /* in the file */
    struct bytes mark; /* up to the first space: "C:", "S~", "?" */
    struct bytes text; /* the rest, expanded */
};

struct script_key {
    struct bytes name, value;
};

struct script {
    const char *path;
    struct arena arena;
    struct script_line *lines;
    size_t count, next;
    struct script_key common[SCRIPT_KEYS_MAX], own[SCRIPT_KEYS_MAX];
    size_t common_count, own_count;
    const char *title;
    bool octet_by_octet;
    unsigned failures, dialogues;
    bool failed; /* this dialogue */
};

static inline void script_fail(struct script *script, const struct script_line *line, const char *what,
                               struct bytes got)
{
    if (script->failed)
        return; /* the first is enough */
    script->failed = true;
    script->failures++;
    printf("%s:%u: %s%s\n  %s: %.*s\n", script->path, line->number, script->title,
           script->octet_by_octet ? " (octet by octet)" : "", what, BYTES_ARG(got));
    printf("  expected: %.*s %.*s\n", BYTES_ARG(line->mark), BYTES_ARG(line->text));
}

static inline int script_hex(char c)
{
    return ascii_is_digit(c) ? c - '0' : ascii_lower(c) - 'a' + 10;
}

static inline struct bytes script_expand(struct script *script, struct bytes raw)
{
    static const struct {
        char letter, octet;
    } escapes[] = {{'r', '\r'}, {'n', '\n'}, {'t', '\t'}, {'0', '\0'}, {'\\', '\\'}, {'s', ' '}, {'{', '{'}};
    struct buffer out = {0};
    for (size_t i = 0; i < raw.length; i++) {
        struct bytes left = bytes_from(raw, i);
        size_t close = bytes_find(left, '}');
        uint64_t count;
        if (left.at[0] == '{' && left.length > 4 && left.at[2] == '*' && close != SIZE_MAX &&
            bytes_to_u64(bytes_of(left.at + 3, close - 3), 100000000, &count)) {
            memset(buffer_reserve(&out, count), left.at[1], count);
            buffer_written(&out, count);
            i += close;
        } else if (left.at[0] == '\\' && left.length >= 4 && left.at[1] == 'x') {
            buffer_add_octet(&out, (char)(script_hex(left.at[2]) << 4 | script_hex(left.at[3])));
            i += 3;
        } else if (left.at[0] == '\\' && left.length >= 2) {
            for (size_t e = 0; e < ARRAY_LENGTH(escapes); e++)
                if (left.at[1] == escapes[e].letter)
                    buffer_add_octet(&out, escapes[e].octet);
            i++;
        } else {
            buffer_add_octet(&out, left.at[0]);
        }
    }
    struct bytes expanded = arena_copy(&script->arena, buffer_bytes(&out));
    buffer_free(&out);
    return expanded;
}

static inline void script_add(struct script *script, unsigned number, struct bytes line)
{
    struct bytes mark = bytes_split(&line, ' ');
    if (script->count == SCRIPT_LINES_MAX) {
        printf("%s: more than %d lines\n", script->path, SCRIPT_LINES_MAX);
        exit(2);
    }
    script->lines[script->count++] = (struct script_line){number, mark, script_expand(script, line)};
}

/* Reads the lines of the file; repeats those between "* N" and "*" N times. */
static inline void script_parse(struct script *script, struct bytes file)
{
    size_t repeat_from = 0;
    uint64_t repeat = 0;
    for (unsigned number = 1; file.length > 0; number++) {
        struct bytes line = bytes_split(&file, '\n');
        if (line.length == 0 || line.at[0] == '#')
            continue;
        if (bytes_is(line, "*")) {
            size_t length = script->count - repeat_from;
            for (uint64_t i = 1; i < repeat; i++)
                for (size_t k = 0; k < length && script->count < SCRIPT_LINES_MAX; k++)
                    script->lines[script->count++] = script->lines[repeat_from + k];
        } else if (bytes_starts_nocase(line, "* ") && bytes_to_u64(bytes_from(line, 2), 5000, &repeat)) {
            repeat_from = script->count;
        } else {
            script_add(script, number, line);
        }
    }
}

static inline bool script_open(struct script *script, const char *path)
{
    struct buffer file = {0};
    FILE *stream = fopen(path, "rb");
    size_t length;
    *script = (struct script){.path = path};
    if (stream == NULL) {
        perror(path);
        return false;
    }
    while ((length = fread(buffer_reserve(&file, 65536), 1, 65536, stream)) > 0)
        buffer_written(&file, length);
    fclose(stream);
    script->lines = memory_new(SCRIPT_LINES_MAX * sizeof *script->lines);
    struct bytes text = arena_copy(&script->arena, buffer_bytes(&file));
    buffer_free(&file);
    script_parse(script, text);
    return true;
}

static inline void script_close(struct script *script)
{
    free(script->lines);
    arena_clear(&script->arena);
}

static inline bool script_is_key(const struct script_line *line)
{
    return line->mark.length > 2 && line->mark.at[line->mark.length - 1] == ':' && line->mark.at[0] >= 'a' &&
           line->mark.at[0] <= 'z';
}

static inline bool script_is_title(const struct script_line *line)
{
    return bytes_is(line->mark, "==");
}

static inline void script_keys(struct script *script, struct script_key *keys, size_t *count)
{
    for (*count = 0; script->next < script->count && script_is_key(&script->lines[script->next]) &&
                     *count < SCRIPT_KEYS_MAX;
         script->next++) {
        const struct script_line *line = &script->lines[script->next];
        keys[(*count)++] = (struct script_key){bytes_first(line->mark, line->mark.length - 1), line->text};
    }
}

/* Starts the next dialogue: reads its title and keys. */
static inline bool script_next_dialogue(struct script *script)
{
    if (script->next == 0)
        script_keys(script, script->common, &script->common_count);
    if (script->next >= script->count)
        return false;
    if (!script_is_title(&script->lines[script->next])) {
        printf("%s:%u: a title is missing\n", script->path, script->lines[script->next].number);
        exit(2);
    }
    script->title = arena_text(&script->arena, script->lines[script->next++].text);
    script_keys(script, script->own, &script->own_count);
    script->failed = false;
    script->dialogues++;
    return true;
}

/* Returns the next line of this dialogue, or NULL. */
static inline const struct script_line *script_next_line(struct script *script)
{
    if (script->next == script->count || script_is_title(&script->lines[script->next]))
        return NULL;
    return &script->lines[script->next++];
}

/* Returns the value of a key, `other` if it is not set. With `nth`, the key may be repeated. */
static inline struct bytes script_nth(const struct script *script, const char *name, size_t nth,
                                      const char *other)
{
    bool own = false; /* then the file's are not used */
    for (size_t i = 0; i < script->own_count; i++) {
        bool found = bytes_is(script->own[i].name, name);
        own = own || found;
        if (found && nth-- == 0)
            return script->own[i].value;
    }
    for (size_t i = 0; !own && i < script->common_count; i++)
        if (bytes_is(script->common[i].name, name) && nth-- == 0)
            return script->common[i].value;
    return bytes_of_text(other);
}

static inline struct bytes script_value(const struct script *script, const char *name, const char *other)
{
    return script_nth(script, name, 0, other);
}

static inline uint64_t script_number(const struct script *script, const char *name, uint64_t other)
{
    bytes_to_u64(script_value(script, name, ""), UINT64_MAX, &other);
    return other;
}

/* Returns the index of the value in a list of words; exits if it is missing. */
static inline unsigned script_word(const struct script *script, struct bytes value, const char *const *words)
{
    for (unsigned i = 0; words[i] != NULL; i++)
        if (bytes_is(value, words[i]))
            return i;
    printf("%s: what is \"%.*s\"?\n", script->path, BYTES_ARG(value));
    exit(2);
}

/* Plays every dialogue of the given files, in both ways. */
static inline int script_play_all(int argc, char **argv, void (*play)(struct script *))
{
    unsigned failures = 0, dialogues = 0;
    for (int i = 1; i < argc; i++) {
        struct script script;
        if (!script_open(&script, argv[i]))
            return 2;
        for (int mode = 0; mode < 2; mode++) {
            script.octet_by_octet = mode == 1;
            script.next = 0;
            while (script_next_dialogue(&script)) {
                if (mode == 0 || !bytes_is(script_value(&script, "octets", ""), "no"))
                    play(&script);
                while (script_next_line(&script) != NULL)
                    continue;
            }
        }
        failures += script.failures;
        dialogues += script.dialogues;
        script_close(&script);
    }
    printf("%u dialogues, %u failed\n", dialogues, failures);
    return failures == 0 && dialogues > 0 ? 0 : 1;
}

#endif
