/* SPDX-License-Identifier: Apache-2.0 */
#include "io/resolver_list.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "core/dns/host.h"

bool resolver_list_add(struct resolver_list *list, struct bytes text)
{
    char address[RESOLVER_TEXT_MAX], port[8] = "53";
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    size_t colon = bytes_find_last(text, ':');
    /* "192.0.2.1:53" has a port; "2001:db8::1" and "fe80::1%eth0" have none */
    bool has_port = colon != SIZE_MAX && host_is_ipv4(bytes_first(text, colon));
    struct bytes host = has_port ? bytes_first(text, colon) : text;
    if (list->count == RESOLVER_LIST_MAX || host.length == 0 || text.length >= sizeof address)
        return false;
    snprintf(address, sizeof address, "%.*s", BYTES_ARG(host));
    if (has_port)
        snprintf(port, sizeof port, "%.*s", BYTES_ARG(bytes_from(text, colon + 1)));
    if (getaddrinfo(address, port, &hints, &found) != 0)
        return false;
    struct resolver *resolver = &list->at[list->count++];
    memcpy(&resolver->address, found->ai_addr, found->ai_addrlen);
    resolver->length = found->ai_addrlen;
    snprintf(resolver->text, sizeof resolver->text, "%.*s", BYTES_ARG(text));
    freeaddrinfo(found);
    return true;
}

void resolver_list_read(struct resolver_list *list, const char *path)
{
    char line[512];
    FILE *file = fopen(path, "re");
    *list = (struct resolver_list){0};
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        struct bytes rest = bytes_trim(bytes_first(bytes_of_text(line), strcspn(line, "\r\n#;")));
        size_t end = 0;
        if (!bytes_starts_nocase(rest, "nameserver") || rest.length <= 10 ||
            (rest.at[10] != ' ' && rest.at[10] != '\t'))
            continue;
        rest = bytes_trim(bytes_from(rest, 10));
        while (end < rest.length && rest.at[end] != ' ' && rest.at[end] != '\t')
            end++;
        resolver_list_add(list, bytes_first(rest, end));
    }
    if (file != NULL)
        fclose(file);
}

bool resolver_list_equals(const struct resolver_list *a, const struct resolver_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->at[i].text, b->at[i].text) != 0)
            return false;
    return true;
}

void resolver_list_text(const struct resolver_list *list, char *buffer, size_t size)
{
    size_t length = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < list->count && length < size; i++)
        length += (size_t)snprintf(buffer + length, size - length, "%s%s", i == 0 ? "" : ", ",
                                   list->at[i].text);
}
