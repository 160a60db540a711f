/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge: reads rows of the tables of mail authentication, one JSON object a line, and prints the verdict of
 * the pure core on each as a line of JSON, for tests/trust-tables: trust-judge [--shuffle SEED] < ROWS
 *
 * With a seed the fake DNS answers in random order, some questions at a time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kinds.h"

static const struct kind {
    const char *name;
    json_t *(*judge)(const json_t *row, struct world *world);
} KINDS[] = {
#define KIND(name) {#name, judge_##name},
#include "kinds.def"
#undef KIND
};

struct bytes row_text(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);
    return json_is_string(value) ? bytes_of(json_string_value(value), json_string_length(value))
                                 : bytes_none();
}

json_t *json_bytes(struct bytes text)
{
    if (text.length == 0)
        return json_string("");
    return bytes_is_utf8(text) ? json_stringn(text.at, text.length) : json_string("(not UTF-8)");
}

static json_t *judge(const json_t *row, uint64_t seed)
{
    struct world world = {.zone = {.names = json_object_get(row, "zone"), .seed = seed}};
    struct bytes kind = row_text(row, "kind");
    json_t *verdict = NULL;
    dns_facts_start(&world.facts, &world.arena);
    for (size_t i = 0; i < ARRAY_LENGTH(KINDS); i++)
        if (bytes_is(kind, KINDS[i].name))
            verdict = KINDS[i].judge(row, &world);
    arena_clear(&world.arena);
    return verdict != NULL ? verdict : json_pack("{s:s}", "unknown_kind", kind.length > 0 ? kind.at : "");
}

int main(int argc, char **argv)
{
    uint64_t seed = argc == 3 && strcmp(argv[1], "--shuffle") == 0 ? strtoull(argv[2], NULL, 10) : 0;
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, stdin)) > 0) {
        json_error_t error;
        json_t *row = json_loadb(line, (size_t)length, JSON_ALLOW_NUL, &error);
        if (row == NULL) {
            fprintf(stderr, "trust-judge: %s\n", error.text);
            return 65;
        }
        json_t *verdict = judge(row, seed);
        json_dumpf(verdict, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(verdict);
        json_decref(row);
    }
    free(line);
    return 0;
}
