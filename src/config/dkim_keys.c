/* SPDX-License-Identifier: Apache-2.0 */
/* dkim_keys: the keys of dkim: which keys the domains get. */
#include <string.h>

#include "config/config_reader.h"
#include "core/dns/host.h"
#include "core/trust/key_state.h"

enum { SELECTOR_MAX = KEY_SELECTOR_MAX - 4 }; /* octets; room for a number */

static bool check_algorithms(const struct config_reader *reader)
{
    struct config *config = reader->config;
    const yaml_node_t *said = config_read_said_at(reader, "dkim.algorithms");
    bool had[DKIM_ALGORITHMS] = {false};
    if (said == NULL) {
        config->dkim.algorithms = ARENA_ARRAY(&config->arena, const char *, 1);
        config->dkim.algorithms[0] = key_record_algorithm(DKIM_RSA_SHA256);
        config->dkim.algorithm_count = 1;
    }
    for (size_t i = 0; i < config->dkim.algorithm_count; i++) {
        enum dkim_algorithm algorithm;
        const char *text = config->dkim.algorithms[i];
        if (!key_record_algorithm_named(bytes_of_text(text), &algorithm))
            return config_read_fail(reader, said,
                                    "dkim.algorithms: '%.80s' is none; use [rsa], or [rsa, ed25519]", text);
        if (had[algorithm])
            return config_read_fail(reader, said, "dkim.algorithms: duplicate %s", text);
        had[algorithm] = true;
        config->dkim.algorithms[i] = key_record_algorithm(algorithm);
    }
    /* most receivers verify no Ed25519 yet (RFC 8463 5) */
    return !had[DKIM_ED25519_SHA256] || had[DKIM_RSA_SHA256] ||
           config_read_fail(reader, said,
                            "dkim.algorithms: ed25519 is only a second one, since Gmail and others do not "
                            "verify it; use [rsa, ed25519]");
}

static bool check_selector(const struct config_reader *reader)
{
    struct config *config = reader->config;
    char *selector = arena_text(&config->arena, bytes_of_text(config->dkim.selector));
    for (char *c = selector; *c != '\0'; c++)
        *c = ascii_lower(*c);
    config->dkim.selector = selector;
    return (host_is_name(bytes_of_text(selector), false) && strlen(selector) <= SELECTOR_MAX) ||
           config_read_fail(
               reader, config_read_said_at(reader, "dkim.selector"),
               "dkim.selector: '%.80s' is not a selector; use auto, or at most %d letters, digits "
               "and hyphens",
               selector, SELECTOR_MAX);
}

bool config_complete_dkim(const struct config_reader *reader)
{
    return check_algorithms(reader) && check_selector(reader);
}

bool config_has_algorithm(const struct config *config, enum dkim_algorithm algorithm)
{
    for (size_t i = 0; i < config->dkim.algorithm_count; i++)
        if (strcmp(config->dkim.algorithms[i], key_record_algorithm(algorithm)) == 0)
            return true;
    return false;
}
