/* SPDX-License-Identifier: Apache-2.0 */
#include "core/domain/published.h"

#include <assert.h>

/* Appends text for XML and HTML, also in attributes; drops control octets. */
static void add_text(struct buffer *out, struct bytes text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.at[i];
        switch (c) {
        case '&': buffer_add_text(out, "&amp;"); break;
        case '<': buffer_add_text(out, "&lt;"); break;
        case '>': buffer_add_text(out, "&gt;"); break;
        case '"': buffer_add_text(out, "&quot;"); break;
        case '\'': buffer_add_text(out, "&#39;"); break;
        default: buffer_add_octet(out, c < ' ' || c == 127 ? '?' : (char)c);
        }
    }
}

static void add_element(struct buffer *out, const char *name, struct bytes text)
{
    buffer_add_format(out, "<%s>", name);
    add_text(out, text);
    buffer_add_format(out, "</%s>\n", name);
}

static void add_number(struct buffer *out, const char *name, unsigned number)
{
    buffer_add_format(out, "<%s>%u</%s>\n", name, number, name);
}

/* ---- servers, in order of preference ---- */

struct published_endpoint {
    const char *kind; /* "smtp", "imap", "pop3" */
    uint16_t port;
    bool implicit;
};
enum { ENDPOINTS_MAX = 10 };

static size_t endpoints_of(const struct published *p, struct published_endpoint *endpoints)
{
    const struct published_endpoint all[] = {
        {"imap", p->imaps, true},        {"imap", p->imap, false},        {"pop3", p->pop3s, true},
        {"pop3", p->pop3, false},        {"smtp", p->starttls[0], false}, {"smtp", p->implicit[0], true},
        {"smtp", p->starttls[1], false}, {"smtp", p->implicit[1], true},  {"smtp", p->starttls[2], false},
        {"smtp", p->starttls[3], false},
    };
    size_t count = 0;
    static_assert(ARRAY_LENGTH(all) <= ENDPOINTS_MAX, "room for all");
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        if (all[i].port != 0 && all[i].port != 25)
            endpoints[count++] = all[i];
    return count;
}

static const struct published_endpoint *first_of(const struct published_endpoint *endpoints, size_t count,
                                                 const char *kind)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(endpoints[i].kind, kind) == 0)
            return &endpoints[i];
    return NULL;
}

/* ---- Mozilla ---- */

void published_autoconfig(struct buffer *out, const struct published *p)
{
    struct published_endpoint endpoints[ENDPOINTS_MAX];
    size_t count = endpoints_of(p, endpoints);
    buffer_add_text(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n<emailProvider id=\"");
    add_text(out, p->domain);
    buffer_add_text(out, "\">\n");
    add_element(out, "domain", p->domain);
    add_element(out, "displayName", p->domain);
    add_element(out, "displayShortName", p->domain);
    for (size_t i = 0; i < count; i++) {
        const char *element = strcmp(endpoints[i].kind, "smtp") == 0 ? "outgoingServer" : "incomingServer";
        buffer_add_format(out, "<%s type=\"%s\">\n", element, endpoints[i].kind);
        add_element(out, "hostname", p->hostname);
        add_number(out, "port", endpoints[i].port);
        buffer_add_format(out,
                          "<socketType>%s</socketType>\n<username>%%EMAILADDRESS%%</"
                          "username>\n<authentication>password-cleartext</authentication>\n</%s>\n",
                          endpoints[i].implicit ? "SSL" : "STARTTLS", element);
    }
    buffer_add_text(out, "</emailProvider>\n</clientConfig>\n");
}

/* ---- Outlook ---- */

void published_autodiscover(struct buffer *out, const struct published *p)
{
    static const char *const kinds[][2] = {{"imap", "IMAP"}, {"pop3", "POP3"}, {"smtp", "SMTP"}};
    struct published_endpoint endpoints[ENDPOINTS_MAX];
    size_t count = endpoints_of(p, endpoints);
    buffer_add_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Autodiscover "
                         "xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006\">\n"
                         "<Response "
                         "xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/"
                         "2006a\">\n<User>\n");
    add_element(out, "DisplayName", p->address);
    buffer_add_text(out, "</User>\n<Account>\n<AccountType>email</AccountType>\n<Action>settings</Action>\n");
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) { /* one per kind: the format has no alternatives */
        const struct published_endpoint *endpoint = first_of(endpoints, count, kinds[i][0]);
        if (endpoint == NULL)
            continue;
        buffer_add_format(out, "<Protocol>\n<Type>%s</Type>\n", kinds[i][1]);
        add_element(out, "Server", p->hostname);
        add_number(out, "Port", endpoint->port);
        buffer_add_text(out, "<DomainRequired>off</DomainRequired>\n");
        add_element(out, "LoginName", p->address);
        buffer_add_format(
            out,
            "<SPA>off</SPA>\n<SSL>%s</SSL>\n<Encryption>%s</Encryption>\n<AuthRequired>on</AuthRequired>\n",
            endpoint->implicit ? "on" : "off", endpoint->implicit ? "SSL" : "TLS");
        if (strcmp(kinds[i][0], "smtp") == 0)
            buffer_add_text(out, "<UsePOPAuth>on</UsePOPAuth>\n<SMTPLast>off</SMTPLast>\n");
        buffer_add_text(out, "</Protocol>\n");
    }
    buffer_add_text(out, "</Account>\n</Response>\n</Autodiscover>\n");
}

void published_autodiscover_error(struct buffer *out)
{
    buffer_add_text(
        out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Autodiscover "
             "xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006\">\n"
             "<Response>\n<Error Time=\"00:00:00\" Id=\"0\">\n<ErrorCode>600</ErrorCode>\n<Message>Invalid "
             "request</Message>\n<DebugData/>\n</Error>\n</Response>\n"
             "</Autodiscover>\n");
}

void published_autodiscover_json(struct buffer *out, const struct published *p)
{
    buffer_add_format(out,
                      "{\"Protocol\":\"AutodiscoverV1\",\"Url\":\"https://autodiscover.%.*s/autodiscover/"
                      "autodiscover.xml\"}\n",
                      BYTES_ARG(p->domain));
}

bool published_pox_address(struct bytes request, char buffer[PUBLISHED_ADDRESS_MAX + 1])
{
    /* rejects DTDs, entities and CDATA */
    if (request.length > PUBLISHED_REQUEST_MAX || bytes_search(request, BYTES("<!")) != SIZE_MAX)
        return false;
    size_t start = bytes_search(request, BYTES("<EMailAddress>"));
    if (start == SIZE_MAX)
        return false;
    struct bytes address = bytes_from(request, start + strlen("<EMailAddress>"));
    size_t end = bytes_search(address, BYTES("</EMailAddress>"));
    if (end == SIZE_MAX)
        return false;
    address = bytes_trim(bytes_first(address, end));
    if (address.length == 0 || address.length > PUBLISHED_ADDRESS_MAX ||
        bytes_find(address, '&') != SIZE_MAX || bytes_has_control(address))
        return false;
    memcpy(buffer, address.at, address.length);
    buffer[address.length] = '\0';
    return true;
}

/* ---- Apple ---- */

bool published_is_read_here(const struct published *p)
{
    return p->imap != 0 || p->imaps != 0 || p->pop3 != 0 || p->pop3s != 0;
}

static void add_key(struct buffer *out, const char *key, struct bytes text)
{
    add_element(out, "key", bytes_of_text(key));
    add_element(out, "string", text);
}

static void add_flag(struct buffer *out, const char *key, bool value)
{
    add_element(out, "key", bytes_of_text(key));
    buffer_add_text(out, value ? "<true/>\n" : "<false/>\n");
}

static void add_port(struct buffer *out, const char *key, uint16_t port)
{
    add_element(out, "key", bytes_of_text(key));
    add_number(out, "integer", port);
}

/* Derives the UUID from the address, so that a new profile replaces the old one. */
static void add_uuid(struct buffer *out, const struct published *p, uint64_t seed)
{
    uint64_t high = bytes_hash(p->address, seed), low = bytes_hash(p->hostname, seed + 1);
    buffer_add_format(out, "<key>PayloadUUID</key>\n<string>%08X-%04X-4%03X-8%03X-%012llX</string>\n",
                      (unsigned)(high >> 32), (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xfff),
                      (unsigned)(low >> 48 & 0xfff), (unsigned long long)(low & 0xffffffffffffULL));
}

static void add_account(struct buffer *out, const struct published *p)
{
    struct published_endpoint endpoints[ENDPOINTS_MAX];
    size_t count = endpoints_of(p, endpoints);
    const struct published_endpoint *in = first_of(endpoints, count, "imap"),
                                    *away = first_of(endpoints, count, "smtp");
    if (in == NULL)
        in = first_of(endpoints, count, "pop3");
    add_key(out, "EmailAddress", p->address);
    add_key(out, "EmailAccountDescription", p->domain);
    add_key(out, "EmailAccountType",
            in != NULL && strcmp(in->kind, "pop3") == 0 ? BYTES("EmailTypePOP") : BYTES("EmailTypeIMAP"));
    if (in != NULL) {
        add_key(out, "IncomingMailServerHostName", p->hostname);
        add_port(out, "IncomingMailServerPortNumber", in->port);
        add_flag(out, "IncomingMailServerUseSSL", true);
        add_key(out, "IncomingMailServerUsername", p->address);
        add_key(out, "IncomingMailServerAuthentication", BYTES("EmailAuthPassword"));
    }
    if (away != NULL) {
        add_key(out, "OutgoingMailServerHostName", p->hostname);
        add_port(out, "OutgoingMailServerPortNumber", away->port);
        add_flag(out, "OutgoingMailServerUseSSL", true);
        add_key(out, "OutgoingMailServerUsername", p->address);
        add_key(out, "OutgoingMailServerAuthentication", BYTES("EmailAuthPassword"));
        add_flag(out, "OutgoingPasswordSameAsIncomingPassword", true);
    }
}

void published_mobileconfig(struct buffer *out, const struct published *p)
{
    buffer_add_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD "
                         "PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
                         "<plist version=\"1.0\">\n<dict>\n<key>PayloadContent</key>\n<array>\n<dict>\n");
    add_account(out, p);
    add_key(out, "PayloadType", BYTES("com.apple.mail.managed"));
    add_key(out, "PayloadIdentifier", p->hostname);
    add_uuid(out, p, 1);
    buffer_add_text(out, "<key>PayloadVersion</key>\n<integer>1</integer>\n</dict>\n</array>\n");
    add_key(out, "PayloadDisplayName", p->address);
    add_key(out, "PayloadIdentifier", p->domain);
    add_key(out, "PayloadType", BYTES("Configuration"));
    add_uuid(out, p, 3);
    buffer_add_text(out, "<key>PayloadVersion</key>\n<integer>1</integer>\n</dict>\n</plist>\n");
}

/* ---- people ---- */

/* One tap selects each value; nothing is wider than a phone. */
static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:2rem auto;padding:0 "
    "1rem;color:#1b2733;background:#fff;overflow-wrap:anywhere}"
    "h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;"
    "width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.5rem .75rem .5rem 0;border-bottom:1px solid "
    "#d8e0e8;overflow-wrap:normal}"
    "thead th{color:#5b6b7b;font-size:.9rem}tbody th{font-weight:400}"
    "code{font:inherit;font-weight:600;overflow-wrap:anywhere;-webkit-user-select:all;user-select:all}p."
    "small{color:#5b6b7b;font-size:.9rem}"
    "input,button{font:inherit;padding:.5rem .75rem;border:1px solid "
    "#7b8a99;border-radius:.3rem;box-sizing:border-box;max-width:100%}"
    "input{width:18rem;margin:.25rem .5rem .5rem "
    "0;background:transparent;color:inherit}button{background:#1f5f99;border-color:#1f5f99;color:#fff}"
    "@media(prefers-color-scheme:dark){body{background:#10181f;color:#e3eaf0}th,td{border-color:#33424f}"
    "thead th,p.small{color:#9fb0c0}}";

static void add_heading(struct buffer *out, const struct published *p)
{
    buffer_add_text(out, p->domain.length > 0 ? "Mail settings for " : "Mail server ");
    add_text(out, p->domain.length > 0 ? p->domain : p->hostname);
}

static void add_head(struct buffer *out, const struct published *p)
{
    buffer_add_text(out, "<!doctype html>\n"
                         "<html lang=\"en\">\n"
                         "<head>\n"
                         "<meta charset=\"utf-8\">\n"
                         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                         "<meta name=\"color-scheme\" content=\"light dark\">\n"
                         "<title>");
    add_heading(out, p);
    buffer_add_format(out, "</title>\n<style>%s</style>\n</head>\n", style);
}

static void add_endpoints(struct buffer *out, const struct published *p)
{
    static const struct {
        const char *kind, *words;
    } kinds[] = {{"imap", "Read mail (IMAP)"}, {"pop3", "Read mail (POP3)"}, {"smtp", "Send mail (SMTP)"}};
    struct published_endpoint endpoints[ENDPOINTS_MAX];
    size_t count = endpoints_of(p, endpoints);
    buffer_add_text(out, "<table>\n<thead><tr><th scope=\"col\">For</th><th scope=\"col\">Port</th><th "
                         "scope=\"col\">Security</th></tr></thead>\n<tbody>\n");
    for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++)
        for (size_t i = 0; i < count; i++)
            if (strcmp(endpoints[i].kind, kinds[k].kind) == 0)
                buffer_add_format(out,
                                  "<tr><th scope=\"row\">%s</th><td><code>%u</code></td><td>%s</td></tr>\n",
                                  kinds[k].words, (unsigned)endpoints[i].port,
                                  endpoints[i].implicit ? "SSL/TLS" : "STARTTLS");
    buffer_add_text(out, "</tbody>\n</table>\n");
}

static void add_apple(struct buffer *out, const struct published *p)
{
    buffer_add_text(
        out,
        "<h2>iPhone, iPad and Mac</h2>\n<form action=\"/mail/apple.mobileconfig\">\n"
        "<label>Mail address<br><input type=\"email\" name=\"emailaddress\" required placeholder=\"you@");
    add_text(out, p->domain.length > 0 ? p->domain : BYTES("your.domain"));
    buffer_add_text(out, "\"></label>\n<button>Set up Apple Mail</button>\n</form>\n");
}

void published_page(struct buffer *out, const struct published *p)
{
    add_head(out, p);
    buffer_add_text(out, "<body>\n<main>\n<h1>");
    add_heading(out, p);
    buffer_add_text(out,
                    "</h1>\n"
                    "<p>Most mail programs find these settings automatically. If yours asks, enter:</p>\n"
                    "<table>\n"
                    "<tbody>\n"
                    "<tr><th scope=\"row\">Server</th><td><code>");
    add_text(out, p->hostname);
    buffer_add_text(out, "</code></td></tr>\n"
                         "<tr><th scope=\"row\">User name</th><td>the full mail address</td></tr>\n"
                         "</tbody>\n"
                         "</table>\n"
                         "<h2>Ports</h2>\n");
    add_endpoints(out, p);
    buffer_add_text(
        out,
        "<p>If a port is blocked where you are, use the next one for the same purpose; never port 25.</p>\n");
    if (published_is_read_here(p))
        add_apple(out, p);
    if (p->domain.length == 0)
        buffer_add_text(out, "<h2>Mail does not arrive?</h2>\n<p>This server accepts mail for its users on "
                             "port 25, and never relays for others. Its reports, and its replies to the "
                             "sending server, say why a message was refused.</p>\n");
    buffer_add_text(
        out, "<p class=\"small\">This page never asks for your password.</p>\n</main>\n</body>\n</html>\n");
}
