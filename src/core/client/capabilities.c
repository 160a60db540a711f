/* SPDX-License-Identifier: Apache-2.0 */
/* capabilities: parses the peer's EHLO reply. */
#include "core/client/client_state.h"

#define FLAG(name, member)                                 \
    {                                                      \
        name, offsetof(struct client_capabilities, member) \
    }
static const struct {
    const char *name;
    size_t offset; /* of a bool member */
} flags[] = {
    FLAG("PIPELINING", pipelining),
    FLAG("STARTTLS", starttls),
    FLAG("8BITMIME", eightbitmime),
    FLAG("BINARYMIME", binarymime),
    FLAG("CHUNKING", chunking),
    FLAG("SMTPUTF8", smtputf8),
    FLAG("DSN", dsn),
    FLAG("REQUIRETLS", requiretls),
    FLAG("ENHANCEDSTATUSCODES", enhanced),
};

static const struct {
    const char *name;
    uint32_t flag;
} mechanisms[] = {
    {"PLAIN", MECHANISM_PLAIN},
    {"LOGIN", MECHANISM_LOGIN},
    {"SCRAM-SHA-256", MECHANISM_SCRAM_SHA_256},
    {"SCRAM-SHA-256-PLUS", MECHANISM_SCRAM_SHA_256_PLUS},
    {"XOAUTH2", MECHANISM_XOAUTH2},
    {"OAUTHBEARER", MECHANISM_OAUTHBEARER},
    {"NTLM", MECHANISM_NTLM},
    {"GSSAPI", MECHANISM_GSSAPI},
    {"CRAM-MD5", MECHANISM_CRAM_MD5},
    {"DIGEST-MD5", MECHANISM_DIGEST_MD5},
    {"EXTERNAL", MECHANISM_EXTERNAL},
    {"unknown", MECHANISM_OTHER},
};

void client_mechanism_names(uint32_t set, struct buffer *out)
{
    bool first = true;
    if (set != MECHANISM_OTHER)
        set &= ~(uint32_t)MECHANISM_OTHER;
    for (size_t i = 0; i < ARRAY_LENGTH(mechanisms); i++) {
        if ((set & mechanisms[i].flag) == 0)
            continue;
        buffer_add_format(out, "%s%s", first ? "" : " ", mechanisms[i].name);
        first = false;
    }
}

static uint32_t mechanism_of(struct bytes word)
{
    for (size_t i = 0; i < ARRAY_LENGTH(mechanisms); i++)
        if (bytes_is_nocase(word, mechanisms[i].name))
            return mechanisms[i].flag;
    return word.length > 0 ? MECHANISM_OTHER : 0;
}

static void read_mechanisms(struct client_capabilities *capabilities, struct bytes list)
{
    capabilities->auth = true;
    while (list.length > 0)
        capabilities->mechanisms |= mechanism_of(bytes_split(&list, ' '));
}

static void read_limits(struct client_capabilities *capabilities, struct bytes list)
{
    while (list.length > 0) {
        struct bytes value = bytes_split(&list, ' ');
        struct bytes name = bytes_split(&value, '=');
        uint64_t number;
        if (bytes_is_nocase(name, "RCPTMAX") && bytes_to_u64(value, UINT32_MAX, &number))
            capabilities->recipients_max = (uint32_t)number;
    }
}

/* True for a masked keyword: firewalls that inspect mail overwrite unwanted keywords with X or *, keeping
 * the length: "XXXXXXXA" (Cisco) replaces STARTTLS. */
static bool is_masked(struct bytes word)
{
    size_t covered = 0;
    for (size_t i = 0; i < word.length; i++)
        covered += word.at[i] == 'X' || word.at[i] == '*';
    return word.length == strlen("STARTTLS") && covered >= word.length - 1;
}

static void read_line(struct client_capabilities *capabilities, struct bytes line)
{
    if (bytes_starts_nocase(line, "AUTH=")) { /* form used by old servers */
        read_mechanisms(capabilities, bytes_from(line, 5));
        return;
    }
    struct bytes rest = line;
    struct bytes word = bytes_split(&rest, ' ');
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++)
        if (bytes_is_nocase(word, flags[i].name))
            *(bool *)((char *)capabilities + flags[i].offset) = true;
    capabilities->masked = capabilities->masked || is_masked(word);
    if (bytes_is_nocase(word, "AUTH"))
        read_mechanisms(capabilities, rest);
    else if (bytes_is_nocase(word, "LIMITS"))
        read_limits(capabilities, rest);
    else if (bytes_is_nocase(word, "SIZE"))
        capabilities->size_known = bytes_trim(rest).length == 0 ||
                                   bytes_to_u64(bytes_trim(rest), UINT64_MAX, &capabilities->size_max);
}

void capabilities_read(struct client_capabilities *capabilities, const struct smtp_reply *reply)
{
    struct bytes raw = reply->raw, line;
    *capabilities = (struct client_capabilities){.esmtp = true};
    reply_next_line(&raw, &line); /* the first line names the server */
    while (reply_next_line(&raw, &line))
        read_line(capabilities, bytes_trim(line));
}
