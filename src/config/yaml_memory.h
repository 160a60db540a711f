/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml_memory: makes libyaml wipe the memory that it frees.
 *
 * A configuration can contain a command with a token. The supervisor, from which all processes are forked,
 * parses it, and libyaml frees buffers with parts of it without wiping. Its allocator is four exported
 * functions (yaml_malloc and others); the replacements here wipe memory before freeing it.
 * tests/unit/test_config.c verifies that.
 */
#ifndef MAILBOAT_CONFIG_YAML_MEMORY_H
#define MAILBOAT_CONFIG_YAML_MEMORY_H

#include <yaml.h>

#include "base/bytes.h"

/* Creates a parser over the text; false if out of memory. yaml_parser_delete() frees it. */
bool yaml_memory_parser(yaml_parser_t *parser, struct bytes text);

#endif
