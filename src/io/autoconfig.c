/* SPDX-License-Identifier: Apache-2.0 */
#include "io/autoconfig.h"

#include <expat.h>
#include <string.h>

#include "base/white_space.h"
#include "core/port/port_facts.h"

enum { HOST, USER };

struct autoconfig_reader {
    struct autoconfig *to;
    XML_Parser parser;
    bool is_config, in_outgoing;
    bool of_port; /* socketType does not tell which way TLS begins */
    struct buffer text;
};

static struct published_server *server_now(struct autoconfig_reader *reading)
{
    return &reading->to->servers[reading->to->count];
}

static void on_doctype(void *owner, const XML_Char *name, const XML_Char *system, const XML_Char *public,
                       int internal)
{
    struct autoconfig_reader *reading = owner;
    XML_StopParser(reading->parser, XML_FALSE);
}

/* The single-octet sets of Windows and ISO are ASCII in what matters here; others are not read. */
static int on_unknown_encoding(void *owner, const XML_Char *name, XML_Encoding *encoding)
{
    struct bytes set = bytes_of_text(name);
    if (!bytes_starts_nocase(set, "windows-125") && !bytes_starts_nocase(set, "iso-8859-"))
        return XML_STATUS_ERROR;
    for (int octet = 0; octet < 256; octet++)
        encoding->map[octet] = octet < 128 ? octet : 0xfffd;
    encoding->data = NULL;
    encoding->convert = NULL;
    encoding->release = NULL;
    return XML_STATUS_OK;
}

static bool is_smtp(const XML_Char **attributes)
{
    for (size_t i = 0; attributes[i] != NULL; i += 2)
        if (strcmp(attributes[i], "type") == 0)
            return bytes_is_nocase(white_space_trim(bytes_of_text(attributes[i + 1])), "smtp");
    return false;
}

/* As people write the two modes, without what separates the words ("START-TLS", "SSL/TLS"). "TLS" alone is
 * said of either: the port tells which. What is anything else, "plain" first, is clear text, and such a
 * server is passed over. */
static const struct {
    const char *name;
    enum client_tls tls;
    bool of_port;
} socket_types[] = {
    {"ssl", CLIENT_TLS_IMPLICIT, false},         {"ssltls", CLIENT_TLS_IMPLICIT, false},
    {"tlsssl", CLIENT_TLS_IMPLICIT, false},      {"smtps", CLIENT_TLS_IMPLICIT, false},
    {"implicit", CLIENT_TLS_IMPLICIT, false},    {"implicittls", CLIENT_TLS_IMPLICIT, false},
    {"implicitssl", CLIENT_TLS_IMPLICIT, false}, {"starttls", CLIENT_TLS_REQUIRED, false},
    {"explicit", CLIENT_TLS_REQUIRED, false},    {"explicittls", CLIENT_TLS_REQUIRED, false},
    {"tlsstarttls", CLIENT_TLS_REQUIRED, false}, {"tls", CLIENT_TLS_REQUIRED, true},
};

static void take_socket_type(struct autoconfig_reader *reading, struct bytes text)
{
    char word[16];
    size_t length = 0;
    for (size_t i = 0; i < text.length && length < sizeof word; i++)
        if (strchr(" \t\r\n-_/", text.at[i]) == NULL)
            word[length++] = text.at[i];
    server_now(reading)->tls = CLIENT_TLS_NEVER;
    reading->of_port = false;
    for (size_t i = 0; i < ARRAY_LENGTH(socket_types); i++)
        if (bytes_is_nocase(bytes_of(word, length), socket_types[i].name)) {
            server_now(reading)->tls = socket_types[i].tls;
            reading->of_port = socket_types[i].of_port;
        }
}

/* Names can have a prefix: <m:hostname>. */
static const char *without_prefix(const XML_Char *name)
{
    const char *colon = strrchr(name, ':');
    return colon == NULL ? name : colon + 1;
}

static void on_start(void *owner, const XML_Char *name, const XML_Char **attributes)
{
    struct autoconfig_reader *reading = owner;
    name = without_prefix(name);
    buffer_clear(&reading->text);
    reading->is_config = reading->is_config || strcmp(name, "clientConfig") == 0;
    if (!reading->is_config)
        XML_StopParser(reading->parser, XML_FALSE);
    if (strcmp(name, "outgoingServer") == 0 && is_smtp(attributes) &&
        reading->to->count < AUTOCONFIG_SERVERS_MAX) {
        reading->in_outgoing = true;
        reading->of_port = false;
        *server_now(reading) = (struct published_server){.tls = CLIENT_TLS_NEVER};
    }
}

static void on_text(void *owner, const XML_Char *octets, int length)
{
    struct autoconfig_reader *reading = owner;
    struct bytes text = bytes_of(octets, (size_t)length);
    while (reading->text.length == 0 && text.length > 0 && (unsigned char)text.at[0] <= ' ')
        text = bytes_from(text, 1);
    buffer_add(&reading->text, bytes_first(text, AUTOCONFIG_TEXT_MAX + 1 - reading->text.length));
}

static struct bytes keep(struct autoconfig_reader *reading, int which, struct bytes text)
{
    char *buffer = reading->to->texts[reading->to->count][which];
    if (text.length > AUTOCONFIG_TEXT_MAX)
        return bytes_none();
    if (text.length > 0)
        memcpy(buffer, text.at, text.length);
    return bytes_of(buffer, text.length);
}

/* Removes white space, also the kinds that pages and editors put there: no-break and zero-width spaces. */
static struct bytes trim(struct bytes text)
{
    static const char *const spaces[] = {"\xc2\xa0", "\xe2\x80\x8b", "\xef\xbb\xbf"};
    for (bool more = true; more;) {
        more = false;
        text = white_space_trim(text);
        for (size_t i = 0; i < ARRAY_LENGTH(spaces); i++) {
            size_t length = strlen(spaces[i]);
            bool before = bytes_is(bytes_first(text, length), spaces[i]);
            bool after = !before && text.length >= length &&
                         bytes_is(bytes_from(text, text.length - length), spaces[i]);
            text = before ? bytes_from(text, length) : after ? bytes_first(text, text.length - length) : text;
            more = more || before || after;
        }
    }
    return text;
}

static void take_value(struct autoconfig_reader *reading, const XML_Char *name)
{
    struct published_server *server = server_now(reading);
    struct bytes text = trim(buffer_bytes(&reading->text));
    uint64_t port;
    if (strcmp(name, "hostname") == 0)
        server->host = keep(reading, HOST, text);
    else if (strcmp(name, "username") == 0)
        server->user = keep(reading, USER, text);
    else if (strcmp(name, "port") == 0 && bytes_to_u64(text, 65535, &port))
        server->port = (uint16_t)port;
    else if (strcmp(name, "socketType") == 0)
        take_socket_type(reading, text);
}

static void on_end(void *owner, const XML_Char *name)
{
    struct autoconfig_reader *reading = owner;
    name = without_prefix(name);
    if (reading->in_outgoing && strcmp(name, "outgoingServer") == 0) {
        if (reading->of_port)
            server_now(reading)->tls = port_tls(server_now(reading)->port);
        reading->in_outgoing = false;
        reading->to->count++;
    } else if (reading->in_outgoing) {
        take_value(reading, name);
    }
    buffer_clear(&reading->text);
}

bool autoconfig_read(struct autoconfig *autoconfig, struct bytes document)
{
    autoconfig->count = 0;
    if (document.length > AUTOCONFIG_SIZE_MAX)
        return false;
    /* scripts print an empty line before the declaration, which XML does not allow */
    document = trim(document);
    struct autoconfig_reader reading = {.to = autoconfig, .parser = XML_ParserCreate(NULL)};
    XML_SetUserData(reading.parser, &reading);
    XML_SetElementHandler(reading.parser, on_start, on_end);
    XML_SetCharacterDataHandler(reading.parser, on_text);
    XML_SetStartDoctypeDeclHandler(reading.parser, on_doctype);
    XML_SetUnknownEncodingHandler(reading.parser, on_unknown_encoding, NULL);
    bool fine = XML_Parse(reading.parser, document.at == NULL ? "" : document.at, (int)document.length, 1) ==
                XML_STATUS_OK;
    XML_ParserFree(reading.parser);
    buffer_free(&reading.text);
    return fine && reading.is_config;
}
