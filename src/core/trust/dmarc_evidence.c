/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/dmarc_evidence.h"

#include "base/white_space.h"
#include "core/dns/host.h"

/* ---- writing ---- */

static struct bytes field_of(const struct judgement *j, struct bytes name)
{
    const struct field_index *index = &j->dkim.index;
    uint16_t at = field_index_lowest(index, name);
    return at == FIELD_INDEX_NONE ? bytes_none() : white_space_trim(index->fields[at].value);
}

/* Reports of other servers, which reports never tell of (RFC 8460 5.3, RFC 9990 4.2: how they begin). */
static bool is_report(const struct judgement *j)
{
    return bytes_starts_nocase(field_of(j, BYTES("Subject")), "Report Domain:") ||
           field_of(j, BYTES("TLS-Report-Domain")).length > 0;
}

static bool is_wanted(const struct judgement *j)
{
    const struct dmarc_verdict *dmarc = &j->dmarc;
    return (dmarc->result == DMARC_PASS || dmarc->result == DMARC_FAIL) && dmarc->record_domain.length > 0 &&
           dmarc->record.usable && dmarc->record.rua.count > 0 && j->question.mail_from.length > 0 &&
           !is_report(j);
}

static bool is_word(struct bytes text)
{
    bool fine = text.length > 0;
    for (size_t i = 0; fine && i < text.length; i++)
        fine = text.at[i] > ' ' && text.at[i] <= '~' && text.at[i] != ':';
    return fine;
}

static void add_word(struct buffer *out, struct bytes text)
{
    struct bytes word = is_word(text) ? text : BYTES("-");
    buffer_add_octet(out, ' ');
    for (size_t i = 0; i < word.length; i++)
        buffer_add_octet(out, ascii_lower(word.at[i]));
}

static void add_policy(struct buffer *out, enum dmarc_policy policy)
{
    add_word(out, bytes_of_text(dmarc_policy_name(policy)));
}

static bool any_dkim_aligned(const struct judgement *j)
{
    bool any = false;
    for (size_t i = 0; i < j->identifiers.dkim_count; i++)
        any = any || j->dmarc.dkim_aligned[i];
    return any;
}

static void add_signatures(const struct judgement *j, struct buffer *out, size_t start)
{
    for (size_t i = 0; i < j->identifiers.dkim_count && i < DMARC_EVIDENCE_DKIM_MAX; i++) {
        const struct dkim_signature *signature = &j->dkim.signatures[j->compared[i]];
        struct bytes domain = signature->field.domain, selector = signature->field.selector;
        bool fits = out->length - start + domain.length + selector.length + 16 <= DMARC_EVIDENCE_MAX;
        if (!fits || !is_word(domain) || !is_word(selector))
            continue;
        add_word(out, domain);
        buffer_add_format(out, ":%.*s:%s", BYTES_ARG(selector), dkim_result_word(signature->result));
    }
}

void dmarc_evidence_write(const struct judgement *j, struct buffer *out)
{
    const struct dmarc_verdict *dmarc = &j->dmarc;
    size_t start = out->length, at = bytes_find_last(j->question.mail_from, '@');
    if (!is_wanted(j))
        return;
    buffer_add_octet(out, '1');
    add_word(out, dmarc->record_domain);
    add_policy(out, dmarc->record.p);
    add_policy(out, dmarc->record.sp);
    add_policy(out, dmarc->record.np);
    buffer_add_format(out, " %c %c %c %d %d", dmarc->record.strict_dkim ? 's' : 'r',
                      dmarc->record.strict_spf ? 's' : 'r', dmarc->record.testing ? 'y' : 'n',
                      any_dkim_aligned(j), dmarc->spf_aligned);
    add_word(out, dmarc->author);
    add_word(out, at == SIZE_MAX ? bytes_none() : bytes_from(j->question.mail_from, at + 1));
    add_word(out, j->spf.domain);
    add_word(out, bytes_of_text(spf_result_name(j->spf.result)));
    add_signatures(j, out, start);
}

/* ---- reading ---- */

static bool read_word(struct bytes *rest, struct bytes *word)
{
    *word = bytes_split(rest, ' ');
    bool fine = is_word(*word);
    if (bytes_is(*word, "-"))
        *word = bytes_none();
    return fine;
}

static bool read_policy(struct bytes *rest, enum dmarc_policy *policy)
{
    static const enum dmarc_policy policies[] = {DMARC_POLICY_NONE, DMARC_POLICY_QUARANTINE,
                                                 DMARC_POLICY_REJECT};
    struct bytes word;
    *policy = DMARC_POLICY_UNSET;
    if (!read_word(rest, &word))
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(policies); i++)
        if (bytes_is(word, dmarc_policy_name(policies[i])))
            *policy = policies[i];
    return word.length == 0 || *policy != DMARC_POLICY_UNSET;
}

static bool read_flag(struct bytes *rest, const char *yes, const char *no, bool *flag)
{
    struct bytes word = bytes_split(rest, ' ');
    *flag = bytes_is(word, yes);
    return *flag || bytes_is(word, no);
}

static bool read_signature(struct bytes word, struct dmarc_evidence_dkim *dkim)
{
    dkim->domain = bytes_split(&word, ':');
    dkim->selector = bytes_split(&word, ':');
    dkim->result = word;
    return is_word(dkim->domain) && is_word(dkim->selector) && is_word(dkim->result);
}

bool dmarc_evidence_read(struct bytes line, struct dmarc_evidence *e)
{
    *e = (struct dmarc_evidence){.dkim_count = 0};
    if (line.length > DMARC_EVIDENCE_MAX || !bytes_is(bytes_split(&line, ' '), "1") ||
        !read_word(&line, &e->domain) || !host_is_name(e->domain, false) || !read_policy(&line, &e->p) ||
        !read_policy(&line, &e->sp) || !read_policy(&line, &e->np) ||
        !read_flag(&line, "s", "r", &e->strict_dkim) || !read_flag(&line, "s", "r", &e->strict_spf) ||
        !read_flag(&line, "y", "n", &e->testing) || !read_flag(&line, "1", "0", &e->dkim_aligned) ||
        !read_flag(&line, "1", "0", &e->spf_aligned) || !read_word(&line, &e->from) ||
        !read_word(&line, &e->envelope) || !read_word(&line, &e->spf_domain) ||
        !read_word(&line, &e->spf_result))
        return false;
    while (line.length > 0) {
        if (e->dkim_count == DMARC_EVIDENCE_DKIM_MAX ||
            !read_signature(bytes_split(&line, ' '), &e->dkim[e->dkim_count++]))
            return false;
    }
    return true;
}
