/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/word_place.h"

#include <assert.h>

#include "core/message/date.h"
#include "core/port/web_host.h"

void word_add_line(struct buffer *out, const char *text)
{
    struct bytes rest = bytes_of_text(text), line = bytes_split(&rest, '\n');
    buffer_add_clean(out, bytes_first(line, WORD_LINE_MAX), true);
    if (line.length > WORD_LINE_MAX)
        buffer_add_text(out, "...");
}

/* ---- lists of ports ---- */

static void add_number(struct buffer *out, uint16_t port, size_t left)
{
    buffer_add_format(out, "%u%s", (unsigned)port, left == 0 ? "" : left == 1 ? " and " : ", ");
}

/* "25, 465 and 587" */
static void add_set(const struct word_context *context, unsigned set, struct buffer *out)
{
    size_t left = 0;
    assert(context->seen.count <= PORTS_SEEN_MAX);
    for (size_t i = 0; i < context->seen.count; i++)
        left += (set & 1u << i) != 0;
    for (size_t i = 0; i < context->seen.count; i++)
        if ((set & 1u << i) != 0)
            add_number(out, context->seen.ports[i].port, --left);
}

static const struct {
    const char *place;
    enum finding findings[6]; /* the ports of all of them */
} port_places[] = {
    {"ready", {FINDING_READY}},
    {"silent", {FINDING_SILENT_SOME}},
    {"refused", {FINDING_REFUSED_SOME}},
    {"unreachable", {FINDING_UNREACHABLE_SOME}},
    {"blocked", {FINDING_BLOCKED_SUBMISSION}},
    {"rejected", {FINDING_REJECTED_BY_HOST, FINDING_REJECTED_ON_WAY}},
    {"connected", {FINDING_CONNECTED_SOME}},
    {"foreign", {FINDING_FOREIGN_CERTIFICATE}},
    {"untrusted", {FINDING_NOT_TRUSTED_HERE}},
    {"right", {FINDING_RIGHT_CERTIFICATE_TOO}},
    {"http", {FINDING_HTTP_ANSWERS}},
    {"no_starttls", {FINDING_STARTTLS_MISSING}},
    {"stripped",
     {FINDING_STARTTLS_MASKED, FINDING_STARTTLS_UNKNOWN, FINDING_STARTTLS_BROKEN, FINDING_STARTTLS_MISSING}},
    {"swapped", {FINDING_TLS_MODES_SWAPPED}},
    {"tls_cut", {FINDING_TLS_RESET}},
    {"tls_stalled", {FINDING_TLS_STALLED}},
    {"tls_broken", {FINDING_TLS_BROKEN, FINDING_TLS_RESET}},
    {"expired", {FINDING_CERTIFICATE_EXPIRED}},
    {"not_yet", {FINDING_CERTIFICATE_NOT_YET}},
    {"mute", {FINDING_MUTE}},
    {"closed", {FINDING_CLOSED_EARLY}},
    {"closed_later", {FINDING_CLOSED_LATER}},
    {"at_once", {FINDING_PROXY_AT_ONCE}},
    {"no_auth", {FINDING_NO_AUTH}},
    {"auth_foreign", {FINDING_AUTH_FOREIGN}},
    {"doubtful",
     {FINDING_FOREIGN_CERTIFICATE, FINDING_OTHER_GREETING, FINDING_EXIM_GREETING, FINDING_EHLO_OWN_ADDRESS,
      FINDING_HTTP_ANSWERS, FINDING_SCANNER_ON_MACHINE}},
};

static bool fill_ports(const struct word_context *context, struct bytes place, struct buffer *out)
{
    for (size_t i = 0; i < ARRAY_LENGTH(port_places); i++) {
        unsigned set = 0;
        if (!bytes_is(place, port_places[i].place))
            continue;
        for (size_t k = 0; k < 6 && port_places[i].findings[k] != FINDING_NONE; k++)
            set |= context->findings->ports[port_places[i].findings[k]];
        add_set(context, set, out);
        return true;
    }
    return false;
}

/* ---- the attempts that a text is about ---- */

/* The most telling attempt on a port of the finding; NULL: there is none. */
static const struct fact_attempt *attempt_of(const struct word_context *context, enum finding finding)
{
    for (size_t i = 0; i < context->seen.count; i++)
        if ((context->findings->ports[finding] & 1u << i) != 0)
            return context->seen.ports[i].attempt;
    return NULL;
}

/* Of several addresses the most telling one may be right; then another one that is not. */
static const struct fact_attempt *foreign_one(const struct word_context *context)
{
    const struct diagnosis_facts *facts = context->facts;
    const struct fact_attempt *found = NULL;
    for (size_t i = 0; i < facts->attempt_count; i++) {
        const struct fact_attempt *attempt = &facts->attempts[i];
        if (fact_attempt_is_foreign(facts, attempt) &&
            (found == NULL || strcmp(attempt->address, found->address) < 0))
            found = attempt;
    }
    return found;
}

/* The one whose certificate is at fault. */
static const struct fact_attempt *faulty_certificate(const struct word_context *context)
{
    static const enum finding order[] = {
        FINDING_FOREIGN_CERTIFICATE,    FINDING_NOT_TRUSTED_HERE,    FINDING_SCANNER_ON_MACHINE,
        FINDING_SCANNER_ON_NETWORK,     FINDING_CERTIFICATE_EXPIRED, FINDING_CERTIFICATE_NOT_YET,
        FINDING_CERTIFICATE_OTHER_NAME, FINDING_CHAIN_SHORT,         FINDING_CERTIFICATE_SELF_SIGNED,
        FINDING_CERTIFICATE_UNKNOWN,    FINDING_CERTIFICATE_INVALID};
    const struct fact_attempt *found = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(order) && found == NULL; i++)
        found = attempt_of(context, order[i]);
    return found != NULL && fact_attempt_is_right(found) ? foreign_one(context) : found;
}

static const struct fact_attempt *telling_greeting(const struct word_context *context)
{
    static const enum finding order[] = {FINDING_CPANEL_GREETING,     FINDING_EXIM_GREETING,
                                         FINDING_OTHER_GREETING,      FINDING_EHLO_OWN_ADDRESS,
                                         FINDING_FOREIGN_CERTIFICATE, FINDING_STARTTLS_MASKED,
                                         FINDING_CONNECTED_SOME};
    for (size_t i = 0; i < ARRAY_LENGTH(order); i++) {
        const struct fact_attempt *attempt = attempt_of(context, order[i]);
        if (attempt != NULL && attempt->greeting[0] != '\0')
            return attempt;
    }
    return NULL;
}

static const struct fact_attempt *telling_words(const struct word_context *context)
{
    static const enum finding order[] = {
        FINDING_BLOCK_LISTED, FINDING_REVERSE_DNS,  FINDING_TOO_MANY,
        FINDING_HELO_REFUSED, FINDING_LATER,        FINDING_UNWILLING,
        FINDING_TLS_BROKEN,   FINDING_HTTP_ANSWERS, FINDING_CERTIFICATE_INVALID};
    for (size_t i = 0; i < ARRAY_LENGTH(order); i++) {
        const struct fact_attempt *attempt = attempt_of(context, order[i]);
        if (attempt != NULL && attempt->said[0] != '\0')
            return attempt;
    }
    return NULL;
}

/* ---- places that are one text ---- */

/* Where no host in particular was asked for: the one in whose place another answers, or that fails. */
static const char *telling_host(const struct word_context *context)
{
    static const enum finding order[] = {FINDING_FOREIGN_CERTIFICATE, FINDING_OTHER_GREETING,
                                         FINDING_EXIM_GREETING, FINDING_EHLO_OWN_ADDRESS,
                                         FINDING_HTTP_ANSWERS};
    const struct diagnosis_facts *facts = context->facts;
    for (size_t i = 0; i < ARRAY_LENGTH(order); i++) {
        const struct fact_attempt *attempt = attempt_of(context, order[i]);
        if (attempt != NULL && attempt->host[0] != '\0')
            return attempt->host;
    }
    for (size_t i = 0; i < facts->attempt_count; i++)
        if (facts->attempts[i].ready != KNOWN_YES && facts->attempts[i].reach == REACH_CONNECTED)
            return facts->attempts[i].host;
    return "";
}

static void add_host(const struct word_context *context, struct buffer *out)
{
    const char *host = context->facts->host[0] != '\0' ? context->facts->host : telling_host(context);
    word_add_line(out, host[0] != '\0' ? host : "the mail servers that were tried");
}

static void add_reply(const struct word_context *context, struct buffer *out)
{
    const struct fact_reply *reply = &context->facts->reply;
    if (reply->step == REPLY_NONE)
        return;
    buffer_add_format(out, "%u %s%s", (unsigned)reply->code, reply->enhanced,
                      reply->enhanced[0] != '\0' ? " " : "");
    word_add_line(out, reply->text);
}

static void add_said(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = telling_words(context);
    if (attempt != NULL)
        word_add_line(out, attempt->said);
}

/* Heard from a port, otherwise in the reply to the message. */
static void add_said_of(const struct word_context *context, enum finding finding, struct buffer *out)
{
    const struct fact_attempt *attempt = attempt_of(context, finding);
    if (attempt != NULL && attempt->said[0] != '\0')
        word_add_line(out, attempt->said);
    else
        add_reply(context, out);
}

static void add_reverse_said(const struct word_context *context, struct buffer *out)
{
    add_said_of(context, FINDING_REVERSE_DNS, out);
}

static void add_helo_said(const struct word_context *context, struct buffer *out)
{
    add_said_of(context, FINDING_HELO_REFUSED, out);
}

/* The family whose server is not the one that was meant. */
static bool is_wrong_over_six(const struct word_context *context)
{
    const struct diagnosis_facts *facts = context->facts;
    for (size_t i = 0; i < facts->attempt_count; i++)
        if (facts->attempts[i].six && fact_attempt_is_right(&facts->attempts[i]))
            return false;
    return true;
}

static void add_wrong_family(const struct word_context *context, struct buffer *out)
{
    buffer_add_text(out, is_wrong_over_six(context) ? "IPv6" : "IPv4");
}

static void add_wrong_record(const struct word_context *context, struct buffer *out)
{
    buffer_add_text(out, is_wrong_over_six(context) ? "AAAA" : "A");
}

static void add_greeting(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = telling_greeting(context);
    if (attempt != NULL)
        word_add_line(out, attempt->greeting);
}

static void add_masked(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = attempt_of(context, FINDING_STARTTLS_MASKED);
    if (attempt != NULL)
        word_add_line(out, attempt->greeting_masked == KNOWN_YES ? attempt->greeting : attempt->ehlo);
}

static void add_issuer(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = faulty_certificate(context);
    if (attempt != NULL)
        word_add_line(out, attempt->certificate.issuer);
}

static void add_subject(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = faulty_certificate(context);
    if (attempt != NULL)
        word_add_line(out, attempt->certificate.subject);
}

static void add_names(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = faulty_certificate(context);
    if (attempt != NULL)
        word_add_line(out, attempt->certificate.names[0] != '\0' ? attempt->certificate.names
                                                                 : attempt->certificate.subject);
}

/* "its certificate is for host.example" or its greeting */
static void add_who_answers(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *wrong = attempt_of(context, FINDING_FOREIGN_CERTIFICATE),
                              *greeting = telling_greeting(context);
    if (wrong != NULL && wrong->certificate.names_host == KNOWN_YES) {
        buffer_add_text(out, "its certificate was issued by ");
        word_add_line(out, wrong->certificate.issuer);
        buffer_add_text(out, ", which no one here trusts");
    } else if (wrong != NULL) {
        buffer_add_text(out, "its certificate is for ");
        word_add_line(out, wrong->certificate.names[0] != '\0' ? wrong->certificate.names
                                                               : wrong->certificate.subject);
    } else if (greeting != NULL) {
        buffer_add_text(out, "it greets \"");
        word_add_line(out, greeting->greeting);
        buffer_add_text(out, "\"");
    } else {
        buffer_add_text(out, "it does not prove its name");
    }
}

static void add_not_after(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = attempt_of(context, FINDING_CERTIFICATE_EXPIRED);
    if (attempt != NULL && attempt->certificate.not_after_s != 0)
        date_add_day(out, attempt->certificate.not_after_s * 1000);
}

static void add_not_before(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = attempt_of(context, FINDING_CERTIFICATE_NOT_YET);
    if (attempt != NULL && attempt->certificate.not_before_s != 0)
        date_add_day(out, attempt->certificate.not_before_s * 1000);
}

static void add_starttls_said(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = attempt_of(context, FINDING_STARTTLS_REFUSED);
    attempt = attempt != NULL ? attempt : attempt_of(context, FINDING_STARTTLS_UNKNOWN);
    if (attempt != NULL)
        word_add_line(out, attempt->starttls_said);
}

/* Of several attempts on a port another one may tell more, about something else. */
static void add_other_protocol(const struct word_context *context, struct buffer *out)
{
    static const char *const names[] = {
        [VOICE_SSH] = "an SSH server",   [VOICE_HTTP] = "a web server",
        [VOICE_IMAP] = "an IMAP server", [VOICE_POP3] = "a POP3 server",
        [VOICE_FTP] = "an FTP server",   [VOICE_OTHER] = "something that is not SMTP"};
    unsigned set = context->findings->ports[FINDING_OTHER_PROTOCOL];
    set = set != 0 ? set : context->findings->ports[FINDING_HTTP_ANSWERS];
    for (size_t i = 0; i < context->seen.count; i++)
        for (size_t k = 0; k < context->facts->attempt_count && (set & 1u << i) != 0; k++) {
            const struct fact_attempt *attempt = &context->facts->attempts[k];
            if (attempt->port != context->seen.ports[i].port || names[attempt->voice] == NULL)
                continue;
            buffer_add_format(out, "%s answers on %u", names[attempt->voice], (unsigned)attempt->port);
            return;
        }
}

static void add_mechanisms(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = attempt_of(context, FINDING_AUTH_FOREIGN);
    if (attempt != NULL)
        word_add_line(out, attempt->mechanisms);
}

static void add_hoster(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = attempt_of(context, FINDING_HOSTER_NAMED);
    if (attempt == NULL)
        return;
    const struct web_host *host = web_host_by_answer(bytes_of_text(attempt->greeting));
    host = host != NULL ? host : web_host_by_answer(bytes_of_text(attempt->certificate.names));
    buffer_add_text(out, host != NULL ? host->name : "");
}

static void add_tls_received(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = attempt_of(context, FINDING_TLS_STALLED);
    if (attempt != NULL)
        buffer_add_format(out, "%u", (unsigned)attempt->tls_received);
}

static void add_why(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = attempt_of(context, FINDING_UNREACHABLE_SOME);
    if (attempt != NULL)
        buffer_add_text(out, findings_say(context->findings, FINDING_PROHIBITED) ? "a firewall prohibits it"
                             : attempt->unreachable == UNREACHABLE_NO_ROUTE      ? "no route"
                                                                                 : "host unreachable");
}

static void add_icmp_from(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = attempt_of(context, FINDING_REJECTED_BY_HOST);
    attempt = attempt != NULL ? attempt : attempt_of(context, FINDING_REJECTED_ON_WAY);
    if (attempt != NULL)
        buffer_add_text(out, attempt->icmp_from);
}

static void add_blocked_how(const struct word_context *context, struct buffer *out)
{
    buffer_add_text(out, findings_say(context->findings, FINDING_SILENT_ALL)    ? "no answer on"
                         : findings_say(context->findings, FINDING_REFUSED_ALL) ? "connection refused on"
                                                                                : "no connection on");
}

static void add_tried(const struct word_context *context, struct buffer *out)
{
    unsigned set = 0;
    for (size_t i = 0; i < context->seen.count; i++)
        if (context->seen.ports[i].state != PORT_SEEN_UNTRIED && context->seen.ports[i].port != 25)
            set |= 1u << i;
    add_set(context, set, out);
}

static void add_use(const struct word_context *context, struct buffer *out)
{
    if (context->diagnosis->use_port != 0)
        buffer_add_format(out, "%u with %s", (unsigned)context->diagnosis->use_port,
                          context->diagnosis->use_implicit ? "implicit TLS" : "STARTTLS");
}

static void add_swap(const struct word_context *context, struct buffer *out)
{
    const struct fact_attempt *attempt = attempt_of(context, FINDING_TLS_MODES_SWAPPED);
    if (attempt == NULL)
        return;
    bool implicit = attempt->tls == FACT_TLS_DONE ? attempt->implicit_tls : !attempt->implicit_tls;
    buffer_add_format(out, "the program's encryption for %u to %s", (unsigned)attempt->port,
                      implicit ? "SSL/TLS (implicit TLS)" : "STARTTLS");
}

static const struct word_writer writers[] = {
    {"host", add_host},
    {"reply", add_reply},
    {"said", add_said},
    {"reverse_said", add_reverse_said},
    {"helo_said", add_helo_said},
    {"wrong_family", add_wrong_family},
    {"wrong_record", add_wrong_record},
    {"greeting", add_greeting},
    {"masked", add_masked},
    {"issuer", add_issuer},
    {"subject", add_subject},
    {"names", add_names},
    {"who_answers", add_who_answers},
    {"not_after", add_not_after},
    {"not_before", add_not_before},
    {"starttls_said", add_starttls_said},
    {"other_protocol", add_other_protocol},
    {"mechanisms", add_mechanisms},
    {"hoster", add_hoster},
    {"tls_received", add_tls_received},
    {"why", add_why},
    {"icmp_from", add_icmp_from},
    {"blocked_how", add_blocked_how},
    {"tried", add_tried},
    {"use", add_use},
    {"swap", add_swap},
};

bool word_place_write(const struct word_context *context, struct bytes place, const struct word_writer *list,
                      size_t count, struct buffer *out)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_is(place, list[i].place)) {
            list[i].write(context, out);
            return true;
        }
    return false;
}

bool word_place_fill(const struct word_context *context, struct bytes place, struct buffer *out)
{
    assert(place.length > 0 && context->findings != NULL);
    if (!fill_ports(context, place, out) &&
        !word_place_write(context, place, writers, ARRAY_LENGTH(writers), out))
        word_place_of_surroundings(context, place, out);
    return bytes_is(place, "dns_said"); /* which need not be known */
}
