/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/dsn.h"

#include "core/message/date.h"
#include "core/queue/queue_id.h"
#include "core/smtp/status.h"

enum { TEXT_LINE_MAX = 76 };

static const char *const action_words[] = {"failed", "delayed", "delivered", "relayed", "expanded"};

bool dsn_wanted(const struct recipient *recipient, enum dsn_action action)
{
    static const uint8_t asked_by[] = {NOTIFY_FAILURE, NOTIFY_DELAY, NOTIFY_SUCCESS, NOTIFY_SUCCESS,
                                       NOTIFY_SUCCESS};
    if (recipient->notify == NOTIFY_UNSAID)
        return action == DSN_FAILED || action == DSN_DELAYED;
    return (recipient->notify & asked_by[action]) != 0;
}

/* ---- untrusted text ---- */

/* Appends a long text wrapped at words, each line after `indent`. */
static void add_wrapped(struct buffer *out, struct bytes text, const char *indent, bool utf8)
{
    size_t column = 0;
    while (text.length > 0) {
        struct bytes word = bytes_split(&text, ' ');
        for (; word.length > 0; word = bytes_from(word, bytes_first(word, 512).length)) {
            struct bytes piece = bytes_first(word, 512);
            bool fits = column > 0 && column + piece.length < TEXT_LINE_MAX;
            buffer_add_text(out, fits ? " " : column > 0 ? "\r\n" : "");
            if (!fits) {
                buffer_add_text(out, indent);
                column = 0;
            }
            buffer_add_clean(out, piece, utf8);
            column += piece.length + 1;
        }
    }
    buffer_add_text(out, "\r\n");
}

/* Decodes xtext of RFC 3461 4; malformed sequences stay as they are. */
static int hex_digit(char c)
{
    return ascii_is_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void add_xtext(struct buffer *out, struct bytes xtext, bool utf8)
{
    struct buffer plain = {0};
    for (size_t i = 0; i < xtext.length; i++) {
        bool coded = xtext.at[i] == '+' && i + 2 < xtext.length && hex_digit(xtext.at[i + 1]) >= 0 &&
                     hex_digit(xtext.at[i + 2]) >= 0;
        buffer_add_octet(&plain, coded ? (char)(hex_digit(xtext.at[i + 1]) * 16 + hex_digit(xtext.at[i + 2]))
                                       : xtext.at[i]);
        i += coded ? 2 : 0;
    }
    buffer_add_clean(out, buffer_bytes(&plain), utf8);
    buffer_free(&plain);
}

/* ---- the parts ---- */

struct dsn_writer {
    struct buffer *out;
    const struct dsn *dsn;
    char boundary[QUEUE_ID_TEXT_LENGTH + 16];
    bool utf8; /* UTF-8 is allowed by the sender's address or by SMTPUTF8 at submission (RFC 6533) */
};

static bool tells_of(const struct dsn *dsn, size_t i)
{
    return dsn_wanted(dsn->recipients[i].recipient, dsn->recipients[i].action);
}

static struct bytes address_said(const struct recipient *recipient)
{
    return recipient->original.length > 0 ? recipient->original : recipient->address;
}

static const char *subject_of(const struct dsn *dsn)
{
    static const char *const subjects[] = {"Your message could not be delivered", "Your message is delayed",
                                           "Your message was delivered", "Your message was relayed",
                                           "Your message was expanded to several recipients"};
    enum dsn_action worst = DSN_EXPANDED;
    for (size_t i = 0; i < dsn->recipient_count; i++)
        if (tells_of(dsn, i) && dsn->recipients[i].action < worst)
            worst = dsn->recipients[i].action;
    return subjects[worst];
}

static void add_header(struct dsn_writer *w)
{
    const struct dsn *dsn = w->dsn;
    char id[QUEUE_ID_TEXT_LENGTH + 1];
    queue_id_text(dsn->id, id);
    buffer_add_text(w->out, "Date: ");
    date_add(w->out, dsn->now_ms);
    buffer_add_format(w->out, "\r\nFrom: Mail Delivery System <mailer-daemon@%.*s>\r\nTo: <",
                      BYTES_ARG(dsn->hostname));
    buffer_add_clean(w->out, dsn->envelope->sender, w->utf8);
    buffer_add_format(
        w->out,
        ">\r\nSubject: %s\r\nMessage-ID: <%s@%.*s>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n",
        subject_of(dsn), id, BYTES_ARG(dsn->hostname));
    buffer_add_format(w->out, "Content-Type: multipart/report; report-type=%s;\r\n\tboundary=\"%s\"\r\n\r\n",
                      w->utf8 ? "global-delivery-status" : "delivery-status", w->boundary);
}

/* Returns the class of the Status field: a deferred recipient is temporary (RFC 3464 2.3.4), even after a
 * 5xx; a failed one keeps the last reply's class. */
static char class_of(const struct dsn_recipient *r)
{
    switch (r->action) {
    case DSN_DELAYED: return '4';
    case DSN_DELIVERED:
    case DSN_RELAYED:
    case DSN_EXPANDED: return '2';
    case DSN_FAILED: break;
    }
    if (r->code == 0)
        return r->enhanced.length > 0 ? r->enhanced.at[0] : '5';
    return r->code >= 500 ? '5' : '4';
}

/* Returns the sender's next step after a failure whose reply is not known. */
static const char *hint_on(const struct dsn_recipient *r)
{
    struct bytes detail = r->enhanced.length > 1 ? bytes_from(r->enhanced, 1) : bytes_none();
    if (class_of(r) == '5' && bytes_starts_nocase(detail, ".1."))
        return "Check the address for typing errors, and send the message again.";
    if (class_of(r) == '5' && (bytes_is(detail, ".3.4") || bytes_is(detail, ".2.3")))
        return "Send a smaller message, or a link to the attached files.";
    return "Contact the recipient in another way, or ask the recipient's mail administrator.";
}

/* Ends the advice on a delay: until when, and what comes then. */
static void add_delay(struct buffer *out, const struct dsn *dsn)
{
    if (dsn->expires_ms != 0) {
        buffer_add_text(out, " until ");
        date_add(out, dsn->expires_ms);
    }
    buffer_add_text(out, ". If they do not succeed, another report will tell you.");
}

/* Appends what the reply means, and the sender's next step. */
static void add_advice(struct dsn_writer *w, const struct dsn_recipient *r)
{
    struct buffer advice = {0};
    bool failed = r->action == DSN_FAILED || r->action == DSN_DELAYED;
    if (failed && r->meaning != NULL)
        buffer_add_format(&advice, "%s ", r->meaning->reason);
    switch (r->action) {
    case DSN_FAILED:
        buffer_add_format(&advice, "No further attempts will be made. %s",
                          r->meaning != NULL ? r->meaning->sender_hint : hint_on(r));
        break;
    case DSN_DELAYED:
        buffer_add_text(&advice, "You do not need to do anything, and please do not resend the message: "
                                 "delivery attempts continue");
        add_delay(&advice, w->dsn);
        break;
    case DSN_DELIVERED:
    case DSN_RELAYED:
    case DSN_EXPANDED: buffer_add_text(&advice, "You requested this report; no action is required."); break;
    }
    add_wrapped(w->out, buffer_bytes(&advice), "", false);
    buffer_free(&advice);
}

static bool reads_alike(const struct dsn_recipient *a, const struct dsn_recipient *b)
{
    return a->action == b->action && a->code == b->code &&
           bytes_equal(address_said(a->recipient), address_said(b->recipient)) &&
           bytes_equal(a->enhanced, b->enhanced) && bytes_equal(a->text, b->text) &&
           bytes_equal(a->peer, b->peer);
}

/* True if an earlier recipient has the same name and outcome: members of one alias share its name, which
 * is listed once. */
static bool is_told_already(const struct dsn *dsn, size_t which)
{
    for (size_t i = 0; i < which; i++)
        if (tells_of(dsn, i) && reads_alike(&dsn->recipients[i], &dsn->recipients[which]))
            return true;
    return false;
}

/* Appends the outcome for one recipient as a sentence. */
static void add_sentence(struct dsn_writer *w, const struct dsn_recipient *r)
{
    static const char *const fates[] = {
        "could not be delivered", "has not been delivered yet; delivery will be retried", "was delivered",
        "was relayed to a server that does not send delivery reports",
        "was expanded to several recipients; delivery to each is in progress"};
    buffer_add_text(w->out, "\r\n<");
    buffer_add_clean(w->out, address_said(r->recipient), w->utf8);
    buffer_add_format(w->out, ">: %s%s\r\n", fates[r->action], r->text.length > 0 || r->code > 0 ? ":" : ".");
    if (r->peer.length > 0 && (r->text.length > 0 || r->code > 0)) {
        buffer_add_text(w->out, "    ");
        buffer_add_clean(w->out, r->peer, false);
        buffer_add_text(w->out, r->code > 0 ? " said:\r\n" : ":\r\n");
    }
    struct buffer said = {0};
    status_add_said(&said, r->code, r->code > 0 ? r->enhanced : bytes_none(), r->text);
    if (said.length > 0)
        add_wrapped(w->out, buffer_bytes(&said), "    ", w->utf8);
    buffer_free(&said);
    add_advice(w, r);
}

static void add_words(struct dsn_writer *w)
{
    const struct dsn *dsn = w->dsn;
    buffer_add_format(
        w->out, "--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n",
        w->boundary, w->utf8 ? "8bit" : "7bit");
    buffer_add_format(
        w->out, "This is the mail server %.*s.\r\n\r\nThis report concerns the message that you sent on ",
        BYTES_ARG(dsn->hostname));
    date_add(w->out, dsn->arrived_ms);
    buffer_add_text(w->out, "\r\nand lists the status for each recipient below.\r\n");
    for (size_t i = 0; i < dsn->recipient_count; i++)
        if (tells_of(dsn, i) && !is_told_already(dsn, i))
            add_sentence(w, &dsn->recipients[i]);
    buffer_add_text(w->out, "\r\n");
}

static void add_status(struct dsn_writer *w, const struct dsn_recipient *r)
{
    struct buffer status = {0};
    status_add(&status, class_of(r), r->code, r->enhanced);
    buffer_add_clean(w->out, buffer_bytes(&status), false);
    buffer_add_text(w->out, "\r\n");
    buffer_free(&status);
}

/* Appends the diagnostic (RFC 3464 2.3.5, 2.3.6): a server's reply verbatim, or this server's own reason
 * as such. */
static void add_diagnosis(struct dsn_writer *w, const struct dsn_recipient *r)
{
    enum { DIAGNOSIS_TEXT_MAX = 512 };      /* octets: the field stays one line */
    size_t host = bytes_find(r->peer, '['); /* host[address]:port; other peers are not hosts */
    bool by_server = r->code > 0 && r->peer.length > 0;
    bool failed = r->action == DSN_FAILED || r->action == DSN_DELAYED;
    struct bytes text = bytes_first(r->text, DIAGNOSIS_TEXT_MAX);
    struct buffer said = {0};
    if (host != SIZE_MAX && r->code > 0) {
        buffer_add_text(w->out, "Remote-MTA: dns; ");
        buffer_add_clean(w->out, bytes_first(r->peer, host), false);
        buffer_add_text(w->out, "\r\n");
    }
    status_add_said(&said, by_server ? r->code : 0, by_server ? r->enhanced : bytes_none(), text);
    if (said.length > 0 && (by_server || failed)) {
        buffer_add_format(w->out, "Diagnostic-Code: %s; ", by_server ? "smtp" : "X-Mailboat");
        buffer_add_clean(w->out, buffer_bytes(&said), false);
        buffer_add_text(w->out, "\r\n");
    }
    buffer_free(&said);
}

static void add_recipient_facts(struct dsn_writer *w, const struct dsn_recipient *r)
{
    const char *type = w->utf8 ? "utf-8" : "rfc822";
    buffer_add_text(w->out, "\r\n");
    if (r->recipient->orcpt.length > 0) {
        struct bytes rest = r->recipient->orcpt;
        struct bytes orcpt_type = bytes_split(&rest, ';');
        buffer_add_text(w->out, "Original-Recipient: ");
        buffer_add_clean(w->out, orcpt_type, false);
        buffer_add_text(w->out, "; ");
        add_xtext(w->out, rest, w->utf8);
        buffer_add_text(w->out, "\r\n");
    }
    buffer_add_format(w->out, "Final-Recipient: %s; ", type);
    buffer_add_clean(w->out, r->recipient->address, w->utf8);
    buffer_add_format(w->out, "\r\nAction: %s\r\nStatus: ", action_words[r->action]);
    add_status(w, r);
    add_diagnosis(w, r);
    buffer_add_text(w->out, "Last-Attempt-Date: ");
    date_add(w->out, w->dsn->now_ms);
    buffer_add_text(w->out, "\r\n");
    if (r->action != DSN_DELAYED || w->dsn->expires_ms == 0)
        return;
    buffer_add_text(w->out, "Will-Retry-Until: ");
    date_add(w->out, w->dsn->expires_ms);
    buffer_add_text(w->out, "\r\n");
}

static void add_facts(struct dsn_writer *w)
{
    const struct dsn *dsn = w->dsn;
    char id[QUEUE_ID_TEXT_LENGTH + 1];
    queue_id_text(dsn->about_id, id);
    buffer_add_format(w->out, "--%s\r\nContent-Type: message/%s\r\n\r\n", w->boundary,
                      w->utf8 ? "global-delivery-status" : "delivery-status");
    buffer_add_format(w->out, "Reporting-MTA: dns; %.*s\r\n", BYTES_ARG(dsn->hostname));
    if (dsn->about_id != 0)
        buffer_add_format(w->out, "X-Mailboat-Queue-Id: %s\r\n", id);
    if (dsn->envelope->envid.length > 0) {
        buffer_add_text(w->out, "Original-Envelope-Id: ");
        add_xtext(w->out, dsn->envelope->envid, false);
        buffer_add_text(w->out, "\r\n");
    }
    buffer_add_text(w->out, "Arrival-Date: ");
    date_add(w->out, dsn->arrived_ms);
    buffer_add_text(w->out, "\r\n");
    for (size_t i = 0; i < dsn->recipient_count; i++)
        if (tells_of(dsn, i))
            add_recipient_facts(w, &dsn->recipients[i]);
}

/* Returns the header with its last CRLF: everything before the first empty line. */
static struct bytes header_of(struct bytes content)
{
    if (content.length >= 2 && content.at[0] == '\r')
        return bytes_none();
    size_t end = bytes_search(content, BYTES("\r\n\r\n"));
    if (end != SIZE_MAX)
        return bytes_first(content, end + 2);
    /* Truncated content: up to the last complete line. */
    size_t last = bytes_find_last(content, '\n');
    return last == SIZE_MAX ? bytes_none() : bytes_first(content, last + 1);
}

static bool occurs(struct bytes content, const char *boundary)
{
    return bytes_search(content, bytes_of_text(boundary)) != SIZE_MAX;
}

static void add_returned(struct dsn_writer *w)
{
    const struct dsn *dsn = w->dsn;
    bool full = dsn->envelope->ret == RET_FULL && dsn->content_is_whole &&
                dsn->content.length <= DSN_RETURNED_MAX && dsn->envelope->body != BODY_BINARYMIME &&
                !occurs(dsn->content, w->boundary);
    struct bytes given = full ? dsn->content : header_of(bytes_first(dsn->content, DSN_RETURNED_MAX));
    if (occurs(given, w->boundary)) /* senders cannot predict the boundary, but may try */
        given = bytes_none();
    const char *kind = full ? (w->utf8 ? "message/global" : "message/rfc822")
                            : (w->utf8 ? "message/global-headers" : "text/rfc822-headers");
    buffer_add_format(w->out, "\r\n--%s\r\nContent-Type: %s\r\n", w->boundary, kind);
    if (!bytes_is_ascii(given))
        buffer_add_text(w->out, "Content-Transfer-Encoding: 8bit\r\n");
    buffer_add_text(w->out, "\r\n");
    buffer_add(w->out, given);
    if (given.length >= 2 && given.at[given.length - 1] != '\n')
        buffer_add_text(w->out, "\r\n");
    buffer_add_format(w->out, "\r\n--%s--\r\n", w->boundary);
}

/* True if it contains addresses or a header beyond ASCII (RFC 6533). */
static bool is_international(const struct dsn *dsn)
{
    bool found = dsn->envelope->smtputf8 || !bytes_is_ascii(dsn->envelope->sender);
    for (size_t i = 0; i < dsn->recipient_count && !found; i++)
        found = !bytes_is_ascii(dsn->recipients[i].recipient->address) ||
                !bytes_is_ascii(dsn->recipients[i].recipient->original) ||
                !bytes_is_ascii(dsn->recipients[i].recipient->orcpt);
    return found;
}

bool dsn_add(struct buffer *out, const struct dsn *dsn)
{
    struct dsn_writer w = {.out = out, .dsn = dsn, .utf8 = is_international(dsn)};
    size_t told = 0;
    char id[QUEUE_ID_TEXT_LENGTH + 1];
    for (size_t i = 0; i < dsn->recipient_count; i++)
        told += tells_of(dsn, i);
    if (dsn->envelope->sender.length == 0 || told == 0)
        return false;
    queue_id_text(dsn->id, id);
    memcpy(w.boundary, "report-", 7);
    memcpy(w.boundary + 7, id, sizeof id);
    add_header(&w);
    add_words(&w);
    add_facts(&w);
    add_returned(&w);
    return true;
}
