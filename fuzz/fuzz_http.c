/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server side of an HTTP connection: any cut of the octets gives the same requests, bodies and answers;
 * there are never more answers than requests, and nothing after the close. Where a request is accepted, a
 * second and slow reading of its framing, which shares no code with the first, finds the same body.
 */
#include "choices.h"
#include "core/http/http_session.h"

enum { BODY_MAX = 300 };

struct http_world {
    struct choices choices;
    struct http_session session;
    struct buffer story; /* what happened, for comparison */
    struct buffer body, sent;
    uint64_t requests, answers, consumed, body_from;
    bool in_request, closed;
};

/* ---- a second reading ---- */

static int hex_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c == '\0' ? NULL : strchr(digits, ascii_lower(c));
    return found == NULL ? -1 : (int)(found - digits);
}

/* Reads chunks that were accepted; returns the octets after them. */
static struct bytes read_chunks(struct bytes stream, struct buffer *body)
{
    for (;;) {
        size_t end = bytes_search(stream, BYTES("\r\n")), size = 0;
        INSIST(end != SIZE_MAX && end > 0 && hex_of(stream.at[0]) >= 0);
        for (size_t i = 0; i < end && hex_of(stream.at[i]) >= 0; i++)
            size = size * 16 + (size_t)hex_of(stream.at[i]);
        stream = bytes_from(stream, end + 2);
        if (size == 0)
            break;
        INSIST(stream.length >= size + 2);
        buffer_add(body, bytes_first(stream, size));
        stream = bytes_from(stream, size + 2);
    }
    for (size_t end; (end = bytes_search(stream, BYTES("\r\n"))) != 0; stream = bytes_from(stream, end + 2))
        INSIST(end != SIZE_MAX);
    return bytes_from(stream, 2);
}

static void check_body(struct http_world *world, const struct http_request *request, struct bytes stream)
{
    struct buffer again = {0};
    struct bytes octets = bytes_from(bytes_first(stream, (size_t)world->consumed), (size_t)world->body_from);
    if (request->framing == HTTP_BODY_IN_CHUNKS)
        INSIST(read_chunks(octets, &again).length == 0);
    else
        buffer_add(&again, octets);
    INSIST(request->framing != HTTP_BODY_BY_LENGTH || request->length == octets.length);
    INSIST(bytes_equal(buffer_bytes(&again), buffer_bytes(&world->body)));
    INSIST(world->body.length <= BODY_MAX);
    buffer_free(&again);
}

/* ---- requests ---- */

static void check_request(const struct http_request *request)
{
    INSIST(request->path.length <= HTTP_LINE_MAX && bytes_find(request->path, '\0') == SIZE_MAX);
    INSIST(!bytes_has_control(request->path) && !bytes_has_control(request->query));
    INSIST(request->method == HTTP_METHOD_CONNECT || bytes_is(request->path, "*") ||
           request->path.at[0] == '/');
    INSIST(bytes_search(request->path, BYTES("/../")) == SIZE_MAX &&
           !bytes_ends_nocase(request->path, "/.."));
    INSIST(bytes_find(request->path, '\\') == SIZE_MAX);
    INSIST(!bytes_has_control(request->host) && bytes_find(request->host, ',') == SIZE_MAX);
    INSIST((request->framing == HTTP_BODY_BY_LENGTH) == (request->length > 0));
    struct buffer value = {0};
    http_target_query_value(request->query, "x", &value);
    INSIST(!bytes_has_control(buffer_bytes(&value)));
    buffer_free(&value);
}

static void give_answer(struct http_world *world, const struct http_request *request)
{
    struct http_answer answer = {.status = HTTP_OK, .type = BYTES("text/plain"), .body = BYTES("it")};
    buffer_add_format(&world->story, "%u %.*s?%.*s of %.*s: ", (unsigned)request->method,
                      BYTES_ARG(request->path), BYTES_ARG(request->query), BYTES_ARG(request->host));
    buffer_add(&world->story, buffer_bytes(&world->body));
    buffer_add_octet(&world->story, '\n');
    http_session_answer(&world->session, &answer, 0);
    buffer_clear(&world->body);
    world->answers++;
    world->in_request = false;
}

static void take_action(struct http_world *world, const struct http_action *action, struct bytes stream)
{
    INSIST(!world->closed);
    switch (action->kind) {
    case HTTP_NOTHING: abort();
    case HTTP_SEND: buffer_add(&world->sent, action->bytes); break;
    case HTTP_ASK_HEAD:
        INSIST(!world->in_request);
        world->in_request = true;
        world->requests++;
        world->body_from = world->consumed;
        check_request(action->request);
        /* the resource decides: never the cut */
        if (action->request->path.length % 2 == 0)
            http_session_take_body(&world->session, BODY_MAX, 0);
        else
            give_answer(world, action->request);
        break;
    case HTTP_BODY:
        INSIST(world->in_request && action->bytes.length > 0);
        buffer_add(&world->body, action->bytes);
        break;
    case HTTP_ASK_ANSWER:
        INSIST(world->in_request);
        check_body(world, action->request, stream);
        give_answer(world, action->request);
        break;
    case HTTP_CLOSE:
        world->closed = true;
        buffer_add_format(&world->story, "closed after %u, lingers %d\n", (unsigned)world->requests,
                          action->lingers);
        break;
    }
}

/* True if something changed. */
static bool step(struct http_world *world, struct bytes stream, size_t there)
{
    struct http_action action;
    size_t used = http_session_feed(&world->session, bytes_from(bytes_first(stream, there), world->consumed),
                                    0);
    bool acted = false;
    world->consumed += used;
    INSIST(used == 0 || !world->closed);
    while (http_session_action(&world->session, &action)) {
        take_action(world, &action, stream);
        acted = true;
    }
    return used > 0 || acted;
}

static void run(struct http_world *world, struct bytes stream, bool in_pieces)
{
    size_t there = 0;
    http_session_start(&world->session);
    for (;;) {
        while (step(world, stream, there))
            continue;
        INSIST(world->closed || there - world->consumed <= HTTP_FIELDS_MAX + 2);
        INSIST((http_session_timeout_ms(&world->session) == 0) == world->closed);
        if (there == stream.length)
            break;
        there += in_pieces ? arrival(&world->choices, bytes_from(stream, there)).length : stream.length;
    }
    INSIST(world->answers <= world->requests);
    INSIST(world->requests - world->answers <= 1);
    buffer_add(&world->story, buffer_bytes(&world->sent));
    http_session_timed_out(&world->session, 0);
    for (struct http_action action; http_session_action(&world->session, &action);)
        if (action.kind == HTTP_CLOSE)
            world->closed = true;
    INSIST(world->closed);
    http_session_free(&world->session);
    buffer_free(&world->body);
    buffer_free(&world->sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_world whole = {0}, cut = {0}, octets = {0};
    struct bytes stream = choices_start(&whole.choices, data, size);
    cut.choices = whole.choices;
    memset(octets.choices.octets, 128, sizeof octets.choices.octets); /* one octet at a time */
    run(&whole, stream, false);
    run(&cut, stream, true);
    run(&octets, stream, true);
    INSIST(bytes_equal(buffer_bytes(&whole.story), buffer_bytes(&cut.story)));
    INSIST(bytes_equal(buffer_bytes(&whole.story), buffer_bytes(&octets.story)));
    buffer_free(&whole.story);
    buffer_free(&cut.story);
    buffer_free(&octets.story);
    return 0;
}
