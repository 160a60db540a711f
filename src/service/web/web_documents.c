/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web_documents: what the web process answers: the settings of a domain in the form that a mail program asks
 * for, the policy of MTA-STS, and a page for people (content: core/domain/published). Every address of a
 * domain gets the same answer, so that none reveals which addresses there are.
 */
#include "core/dns/dns_name.h"
#include "service/web/web.h"
#include "store/accounts.h"

/* ---- domains ---- */

/* Accepts any script; *domain becomes its A-label form. */
static bool is_hosted(struct web *web, struct bytes *domain)
{
    buffer_clear(&web->name);
    if (!accounts_domain(&web->name, *domain))
        return false;
    *domain = buffer_bytes(&web->name);
    for (size_t i = 0; i < web->domain_count; i++)
        if (bytes_equal(web->domains[i], *domain))
            return true;
    return false;
}

/* Fills in the facts for an address, or for a host name without its first label; false if its domain is
 * not hosted here. */
static bool facts_for(struct web *web, struct bytes address, struct bytes host, struct published *facts)
{
    static const char *const words[] = {"autoconfig.", "autodiscover.", "mail.", ""};
    *facts = web->facts;
    if (address.length > 0) {
        size_t at = bytes_find_last(address, '@');
        facts->address = address;
        facts->domain = at == SIZE_MAX ? address : bytes_from(address, at + 1);
        return address.length <= PUBLISHED_ADDRESS_MAX && at != 0 && is_hosted(web, &facts->domain);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        facts->domain = bytes_starts_nocase(host, words[i]) ? bytes_from(host, strlen(words[i]))
                                                            : bytes_none();
        if (facts->domain.length > 0 && is_hosted(web, &facts->domain))
            return true;
    }
    return false;
}

static bool is_own_name(const struct web *web, struct bytes host)
{
    return dns_name_equal(dns_name_without_dot(host), web->configured.hostname);
}

/* The policy is that of mta-sts.DOMAIN alone (RFC 8461 3.3). */
static bool has_policy(struct web *web, struct bytes host)
{
    static const char prefix[] = "mta-sts.";
    if (web->sts_policy.length == 0 || !bytes_starts_nocase(host, prefix))
        return false;
    struct bytes domain = bytes_from(host, strlen(prefix));
    return domain.length > 0 && is_hosted(web, &domain);
}

/* ---- forms ---- */

enum web_form { FORM_AUTOCONFIG, FORM_POX, FORM_JSON, FORM_APPLE, FORM_STS, FORM_PAGE };

static const struct web_page {
    const char *path; /* case does not count; FORM_JSON: also with segments below it */
    enum web_form form;
    const char *type;
} pages[] = {
    {"/.well-known/autoconfig/mail/config-v1.1.xml", FORM_AUTOCONFIG, "text/xml; charset=utf-8"},
    {"/mail/config-v1.1.xml", FORM_AUTOCONFIG, "text/xml; charset=utf-8"},
    {"/autodiscover/autodiscover.xml", FORM_POX, "text/xml; charset=utf-8"},
    {"/autodiscover/autodiscover.json", FORM_JSON, "application/json"},
    {"/mail/apple.mobileconfig", FORM_APPLE, "application/x-apple-aspen-config"},
    {"/.well-known/mta-sts.txt", FORM_STS, "text/plain; charset=utf-8"},
    {"/", FORM_PAGE, "text/html; charset=utf-8"},
};

static const struct web_page *page_of(struct bytes path)
{
    for (size_t i = 0; i < ARRAY_LENGTH(pages); i++) {
        bool below = pages[i].form == FORM_JSON && bytes_starts_nocase(path, pages[i].path);
        if (below || bytes_is_nocase(path, pages[i].path))
            return &pages[i];
    }
    return NULL;
}

static unsigned methods_of(const struct web_page *page)
{
    bool posts = page == NULL || page->form == FORM_POX;
    return HTTP_METHOD_GET | HTTP_METHOD_HEAD | (posts ? HTTP_METHOD_POST : 0);
}

static void write_form(const struct web *web, enum web_form form, const struct published *facts,
                       struct buffer *out)
{
    struct buffer profile = {0};
    switch (form) {
    case FORM_AUTOCONFIG: published_autoconfig(out, facts); break;
    case FORM_POX: published_autodiscover(out, facts); break;
    case FORM_JSON: published_autodiscover_json(out, facts); break;
    case FORM_STS: buffer_add(out, web->sts_policy); break;
    case FORM_PAGE: published_page(out, facts); break;
    case FORM_APPLE:
        published_mobileconfig(&profile, facts);
        if (!tls_sign(&web->signer, buffer_bytes(&profile), out))
            buffer_add(out, buffer_bytes(&profile));
        break;
    }
    buffer_free(&profile);
}

/* ---- requests ---- */

/* Returns the last part of /autodiscover/autodiscover.json/v1.0/ADDRESS. */
static struct bytes address_in_path(struct bytes path)
{
    size_t slash = bytes_find_last(path, '/');
    struct bytes last = slash == SIZE_MAX ? bytes_none() : bytes_from(path, slash + 1);
    return bytes_find(last, '@') == SIZE_MAX ? bytes_none() : last;
}

/* Appends the address that a request is about; nothing if it names none. */
static void add_address(enum web_form form, const struct http_request *request, struct bytes body,
                        struct buffer *address)
{
    char text[PUBLISHED_ADDRESS_MAX + 1];
    http_target_query_value(request->query, form == FORM_JSON ? "Email" : "emailaddress", address);
    if (form == FORM_JSON && address->length == 0)
        buffer_add(address, address_in_path(request->path));
    if (form == FORM_POX && address->length == 0 && published_pox_address(body, text))
        buffer_add_text(address, text);
}

/* Finds what a document is about; false if there is nothing of it here. */
static bool find_subject(struct web *web, enum web_form form, struct bytes address, struct bytes host,
                         struct published *facts)
{
    bool needs_address = form == FORM_POX || form == FORM_APPLE;
    host = bytes_first(host, bytes_find(host, ':'));
    if (form == FORM_STS)
        return has_policy(web, host);
    if (needs_address && bytes_find(address, '@') == SIZE_MAX)
        return false;
    if (facts_for(web, address, host, facts))
        return true;
    facts->domain = bytes_none();
    return form == FORM_PAGE && address.length == 0 && is_own_name(web, host);
}

static void set_text(struct web_document *document, enum http_status status, const char *text)
{
    document->answer.status = status;
    document->answer.type = BYTES("text/plain; charset=utf-8");
    document->answer.body = bytes_of_text(text);
}

static void write_page(struct web *web, const struct web_page *page, const struct http_request *request,
                       struct bytes body, struct web_document *document)
{
    struct published facts;
    struct buffer address = {0};
    bool needs_address = page->form == FORM_POX || page->form == FORM_APPLE;
    add_address(page->form, request, body, &address);
    if (find_subject(web, page->form, buffer_bytes(&address), request->host, &facts))
        write_form(web, page->form, &facts, &document->text);
    else if (page->form == FORM_POX)
        published_autodiscover_error(&document->text);
    document->answer.status = HTTP_OK;
    document->answer.type = bytes_of_text(page->type);
    document->answer.body = buffer_bytes(&document->text);
    if (document->text.length == 0)
        set_text(document, HTTP_NOT_FOUND,
                 needs_address && address.length == 0 ? "Use ?emailaddress=you@your.domain\n"
                                                      : "This server does not host that domain.\n");
    buffer_free(&address);
}

uint64_t web_document_body_max(const struct http_request *request)
{
    const struct web_page *page = page_of(request->path);
    bool posts = request->method == HTTP_METHOD_POST && page != NULL;
    return posts && (methods_of(page) & HTTP_METHOD_POST) != 0 ? PUBLISHED_REQUEST_MAX : 0;
}

void web_document_write(struct web *web, const struct http_request *request, struct bytes body,
                        struct web_document *document)
{
    const struct web_page *page = page_of(request->path);
    unsigned methods = methods_of(page);
    document->answer.fields = BYTES(
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'\r\n");
    if ((request->method & methods) == 0) {
        set_text(document, HTTP_METHOD_NOT_ALLOWED, "The resource does not know this method.\n");
        document->answer.allow = methods;
    } else if (page == NULL) {
        set_text(document, HTTP_NOT_FOUND, "Not found.\n");
    } else if (page->form == FORM_APPLE && !published_is_read_here(&web->facts)) {
        set_text(document, HTTP_NOT_FOUND,
                 "A profile for Apple Mail needs IMAP or POP3, which this server does not offer yet.\n");
    } else {
        write_page(web, page, request, body, document);
    }
}
