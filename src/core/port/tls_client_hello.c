/* SPDX-License-Identifier: Apache-2.0 */
#include "core/port/tls_client_hello.h"

enum { CHANGE_CIPHER_SPEC = 0x14, HANDSHAKE = 0x16, APPLICATION_DATA = 0x17 }; /* types of records */
enum { RECORD_HEADER = 5, RECORD_MAX = 16 * 1024, CLIENT_HELLO = 1, RANDOM = 32, EXTENSION_ALPN = 16 };

/* Reads the handshake message across the records that contain it. */
struct hello_reader {
    struct bytes left;    /* of the input */
    size_t record;        /* octets left of the current record */
    bool short_of, wrong; /* more input is needed; it is not a ClientHello */
};

static unsigned octet_at(struct bytes b, size_t i)
{
    return (unsigned char)b.at[i];
}

/* Reads the next record's header: handshake, of some version 3.x, not empty. */
static void open_record(struct hello_reader *r)
{
    struct bytes h = r->left;
    if (h.length > 0 && octet_at(h, 0) != HANDSHAKE)
        r->wrong = true;
    else if (h.length > 1 && octet_at(h, 1) != 3)
        r->wrong = true;
    else if (h.length < RECORD_HEADER)
        r->short_of = true;
    if (r->wrong || r->short_of)
        return;
    r->record = octet_at(h, 3) << 8 | octet_at(h, 4);
    r->wrong = r->record == 0 || r->record > RECORD_MAX;
    r->left = bytes_from(r->left, RECORD_HEADER);
}

static bool goes_on(const struct hello_reader *r)
{
    return !r->wrong && !r->short_of;
}

/* True if an octet of the message is available. */
static bool is_ready(struct hello_reader *r)
{
    if (r->record == 0 && goes_on(r))
        open_record(r);
    if (!r->wrong && r->left.length == 0)
        r->short_of = true;
    return goes_on(r);
}

static unsigned take(struct hello_reader *r)
{
    if (!is_ready(r))
        return 0;
    unsigned value = octet_at(r->left, 0);
    r->left = bytes_from(r->left, 1);
    r->record--;
    return value;
}

static size_t take_number(struct hello_reader *r, int octets)
{
    size_t value = 0;
    while (octets-- > 0)
        value = value << 8 | take(r);
    return value;
}

/* Skips octets, as many at a time as the record has. */
static void skip(struct hello_reader *r, size_t count)
{
    while (count > 0 && is_ready(r)) {
        size_t there = r->left.length < r->record ? r->left.length : r->record,
               run = count < there ? count : there;
        r->left = bytes_from(r->left, run);
        r->record -= run;
        count -= run;
    }
}

/* True if the next name, of `length` octets, is this one. */
static bool take_name(struct hello_reader *r, size_t length, struct bytes name)
{
    bool same = length == name.length;
    for (size_t i = 0; i < length && goes_on(r); i++) {
        unsigned octet = take(r);
        same = same && octet == octet_at(name, i);
    }
    return same && goes_on(r);
}

/* Searches ALPN's list (RFC 7301 3.1), `size` octets. */
static bool offers(struct hello_reader *r, size_t size, struct bytes protocol)
{
    bool found = false;
    size_t list = size < 2 ? 0 : take_number(r, 2);
    r->wrong = r->wrong || size < 2 || (goes_on(r) && list + 2 != size);
    while (list > 0 && goes_on(r)) {
        size_t length = take_number(r, 1);
        r->wrong = r->wrong || (goes_on(r) && (length == 0 || length + 1 > list));
        if (!goes_on(r))
            break;
        found = take_name(r, length, protocol) || found;
        list -= length + 1;
    }
    return found && goes_on(r);
}

/* Consumes octets from `*body`; false if it has fewer. */
static bool spend(struct hello_reader *r, size_t *body, size_t count)
{
    r->wrong = r->wrong || (goes_on(r) && count > *body);
    *body -= count > *body ? *body : count;
    return goes_on(r);
}

/* Skips a field preceded by its length in `octets` octets. */
static void skip_field(struct hello_reader *r, size_t *body, int octets)
{
    size_t length = spend(r, body, (size_t)octets) ? take_number(r, octets) : 0;
    if (spend(r, body, length))
        skip(r, length);
}

static bool extensions_offer(struct hello_reader *r, size_t *body, struct bytes protocol)
{
    bool found = false;
    size_t all = spend(r, body, 2) ? take_number(r, 2) : 0;
    r->wrong = r->wrong || (goes_on(r) && all != *body);
    while (*body > 0 && goes_on(r)) {
        size_t kind = spend(r, body, 4) ? take_number(r, 2) : 0, size = take_number(r, 2);
        if (!spend(r, body, size))
            break;
        if (kind == EXTENSION_ALPN)
            found = offers(r, size, protocol) || found;
        else
            skip(r, size);
    }
    return found;
}

enum tls_client_hello_verdict tls_client_hello_check(struct bytes octets, struct bytes protocol)
{
    struct hello_reader r = {.left = bytes_first(octets, TLS_CLIENT_HELLO_MAX)};
    bool found = false;
    unsigned kind = take(&r);
    r.wrong = r.wrong || (goes_on(&r) && kind != CLIENT_HELLO);
    size_t body = take_number(&r, 3);
    r.wrong = r.wrong || (goes_on(&r) && body > TLS_CLIENT_HELLO_MAX);
    if (spend(&r, &body, 2 + RANDOM))
        skip(&r, 2 + RANDOM);
    skip_field(&r, &body, 1);    /* session id */
    skip_field(&r, &body, 2);    /* cipher suites */
    skip_field(&r, &body, 1);    /* compression */
    if (body > 0 && goes_on(&r)) /* old versions have no extensions */
        found = extensions_offer(&r, &body, protocol);
    if (r.wrong || (r.short_of && octets.length >= TLS_CLIENT_HELLO_MAX))
        return TLS_CLIENT_HELLO_NO_HELLO;
    return r.short_of ? TLS_CLIENT_HELLO_MORE : found ? TLS_CLIENT_HELLO_OFFERS : TLS_CLIENT_HELLO_LACKS;
}

/* ---- incremental reading ---- */

static void follow_header(struct tls_client_hello_flow *flow, unsigned octet, bool before_1_3)
{
    flow->header[flow->header_has++] = (unsigned char)octet;
    if (flow->header_has < RECORD_HEADER)
        return;
    flow->header_has = 0;
    flow->record_left = (size_t)flow->header[3] << 8 | flow->header[4];
    unsigned kind = flow->header[0];
    flow->over = kind == APPLICATION_DATA || (kind == CHANGE_CIPHER_SPEC && before_1_3);
}

/* False if a ClientHello that is too long begins. */
static bool follow_message(struct tls_client_hello_flow *flow, unsigned octet)
{
    if (flow->message_left > 0) {
        flow->message_left--;
        return true;
    }
    flow->beginning[flow->beginning_has++] = (unsigned char)octet;
    if (flow->beginning_has < sizeof flow->beginning)
        return true;
    flow->beginning_has = 0;
    const unsigned char *b = flow->beginning;
    flow->message_left = (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
    flow->over = flow->beginning[0] != CLIENT_HELLO;
    return flow->over || flow->message_left <= TLS_CLIENT_HELLO_MAX;
}

bool tls_client_hello_goes_on(struct tls_client_hello_flow *flow, struct bytes octets, bool before_1_3)
{
    for (size_t i = 0; i < octets.length && !flow->over; i++) {
        if (flow->record_left == 0) {
            follow_header(flow, octet_at(octets, i), before_1_3);
            continue;
        }
        flow->record_left--;
        if (flow->header[0] == HANDSHAKE && !follow_message(flow, octet_at(octets, i)))
            return false;
    }
    return true;
}
