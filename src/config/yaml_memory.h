/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml_memory: libyaml leaves nothing behind of what it has read.
 *
 * A configuration can hold a command with a token in it. The supervisor, which
 * all processes are forked from, reads it, and libyaml keeps pieces of it in
 * buffers that it gives back as they are. Its allocator is four exported
 * functions (yaml_malloc and its kin); those here stand in front of them and
 * wipe what is given back. tests/unit/test_config.c shows that they do.
 */
#ifndef MAILBOAT_CONFIG_YAML_MEMORY_H
#define MAILBOAT_CONFIG_YAML_MEMORY_H

#include <yaml.h>

#include "base/bytes.h"

/* A parser over the text; false when there is no memory. yaml_parser_delete() ends it. */
bool yaml_memory_parser(yaml_parser_t *parser, struct bytes text);

#endif
