/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/words.h"

#include "base/count.h"
#include "core/diagnosis/word_place.h"

static void find_context(struct word_context *context, const struct diagnosis_facts *facts,
                         const struct diagnosis *diagnosis)
{
    context->facts = facts;
    context->diagnosis = diagnosis;
    context->findings = &diagnosis->findings;
    ports_seen_make(&context->seen, facts, FAMILY_BOTH);
}

/* The name between braces at the front of the text; empty where there is none. */
static struct bytes place_at(struct bytes text)
{
    size_t end = text.length > 0 && text.at[0] == '{' ? bytes_find(text, '}') : SIZE_MAX;
    return end == SIZE_MAX ? bytes_none() : bytes_of(text.at + 1, end - 1);
}

/* Appends it filled; false where a place is not known. */
static bool fill(const struct word_context *context, struct bytes text, struct buffer *out)
{
    bool known = true;
    while (text.length > 0) {
        struct bytes place = place_at(text);
        size_t before = out->length;
        if (place.length == 0) {
            buffer_add_octet(out, text.at[0]);
            text = bytes_from(text, 1);
            continue;
        }
        bool optional = word_place_fill(context, place, out);
        if (out->length == before && !optional) {
            buffer_add_octet(out, '?');
            known = false;
        }
        text = bytes_from(text, place.length + 2);
    }
    return known;
}

void words_fill(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis, const char *text,
                struct buffer *out)
{
    struct word_context context;
    find_context(&context, facts, diagnosis);
    fill(&context, bytes_of_text(text), out);
}

bool words_are_known(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis, const char *text)
{
    struct word_context context;
    struct buffer ignored = {0};
    find_context(&context, facts, diagnosis);
    bool known = fill(&context, bytes_of_text(text), &ignored);
    buffer_free(&ignored);
    return known;
}

/* ---- one line an attempt ---- */

static const char *reach_words(const struct fact_attempt *attempt)
{
    switch (attempt->reach) {
    case REACH_UNKNOWN: return "not tried";
    case REACH_SILENT: return "no answer to the connection request";
    case REACH_REFUSED: return "connection refused";
    case REACH_UNREACHABLE:
        return attempt->unreachable == UNREACHABLE_PROHIBITED ? "rejected by a firewall"
               : attempt->unreachable == UNREACHABLE_NO_ROUTE ? "no route"
                                                              : "unreachable";
    case REACH_CONNECTED: break;
    }
    return "connected";
}

static void add_icmp(const struct fact_attempt *attempt, struct buffer *out)
{
    static const char *const words[] = {[FACT_ICMP_UNKNOWN] = "",
                                        [FACT_ICMP_NONE] = "",
                                        [FACT_ICMP_PORT] = "port unreachable",
                                        [FACT_ICMP_HOST] = "host unreachable",
                                        [FACT_ICMP_PROHIBITED] = "prohibited",
                                        [FACT_ICMP_OTHER] = "another message"};
    if (attempt->icmp > FACT_ICMP_NONE)
        buffer_add_format(out, " (ICMP: %s, from %s)", words[attempt->icmp], attempt->icmp_from);
}

static void add_voice(const struct fact_attempt *attempt, struct buffer *out)
{
    static const char *const words[] = {[VOICE_UNKNOWN] = "",
                                        [VOICE_MUTE] = ", then silence",
                                        [VOICE_CLOSED] = ", then closed",
                                        [VOICE_RESET] = ", then reset",
                                        [VOICE_SMTP] = "",
                                        [VOICE_TLS] = "",
                                        [VOICE_HTTP] = ", a web server",
                                        [VOICE_SSH] = ", an SSH server",
                                        [VOICE_IMAP] = ", an IMAP server",
                                        [VOICE_POP3] = ", a POP3 server",
                                        [VOICE_FTP] = ", an FTP server",
                                        [VOICE_OTHER] = ", not a mail server"};
    buffer_add_text(out, words[attempt->voice]);
    if (attempt->greeting[0] != '\0') {
        buffer_add_text(out, ", greeting \"");
        word_add_line(out, attempt->greeting);
        buffer_add_text(out, "\"");
    }
}

static void add_tls(const struct fact_attempt *attempt, struct buffer *out)
{
    if (attempt->starttls_offered == KNOWN_NO)
        buffer_add_text(out, ", no STARTTLS");
    if (attempt->tls == FACT_TLS_NOT_BEGUN)
        return;
    if (attempt->tls == FACT_TLS_DONE)
        buffer_add_format(out, ", TLS, certificate %s",
                          attempt->certificate.state == FACT_CERTIFICATE_VALID ? "valid" : "not valid");
    else
        buffer_add_format(out, ", TLS failed after %s sent and %u received",
                          COUNT_OF(attempt->tls_sent, "byte"), (unsigned)attempt->tls_received);
    if (attempt->tls == FACT_TLS_DONE && attempt->certificate.state != FACT_CERTIFICATE_VALID) {
        buffer_add_text(out, " (for ");
        word_add_line(out, attempt->certificate.names);
        buffer_add_text(out, ", issued by ");
        word_add_line(out, attempt->certificate.issuer);
        buffer_add_text(out, ")");
    }
}

static void add_attempt(const struct diagnosis_facts *facts, const struct fact_attempt *attempt,
                        struct buffer *out)
{
    buffer_add_format(out, "  %u %s (%s): %s", (unsigned)attempt->port, fact_attempt_host(facts, attempt),
                      attempt->address, reach_words(attempt));
    add_icmp(attempt, out);
    if (attempt->reach == REACH_CONNECTED) {
        add_voice(attempt, out);
        add_tls(attempt, out);
    }
    buffer_add_text(out, "\n");
}

void words_add_ports(const struct diagnosis_facts *facts, struct buffer *out)
{
    for (size_t i = 0; i < facts->attempt_count; i++)
        if (facts->attempts[i].reach != REACH_UNKNOWN)
            add_attempt(facts, &facts->attempts[i], out);
    for (size_t i = 0; i < facts->control_count; i++)
        if (facts->controls[i].reach != REACH_UNKNOWN)
            add_attempt(facts, &facts->controls[i], out);
}
