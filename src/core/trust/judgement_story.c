/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/judgement_story.h"

#include <assert.h>

#include "base/count.h"

static void add_text(struct buffer *out, struct bytes text)
{
    buffer_add_clean(out, text, true);
}

/* A story as it is written. */
struct story {
    enum story_form form;
    struct buffer *out;
};

/* Ends a check; `words` are what was found. */
static void add_check(const struct story *story, const char *what, struct buffer *words)
{
    assert(words->length > 0);
    if (story->form == STORY_LINES)
        buffer_add_format(story->out, "%-6s ", what);
    else
        buffer_add_format(story->out, "%s%s ", story->out->length > 0 ? " " : "", what);
    buffer_add(story->out, buffer_bytes(words));
    buffer_add_text(story->out, story->form == STORY_LINES ? "\n" : ".");
    buffer_clear(words);
}

static void describe_spf(const struct spf_verdict *spf, struct buffer *out)
{
    buffer_add_text(out, spf_result_name(spf->result));
    if (spf->term.length > 0) {
        buffer_add_text(out, ": ");
        add_text(out, spf->term);
    }
    if (spf->link_count > 0) {
        buffer_add_text(out, " in the record of ");
        add_text(out, spf->links[spf->link_count - 1].domain);
    }
    if (spf->problem != SPF_NO_PROBLEM)
        buffer_add_format(out, ": %s", spf_problem_sentence(spf->problem));
    buffer_add_text(out, "; the domain is ");
    add_text(out, spf->domain);
    buffer_add_format(out, "; %u of %d look-ups", spf->lookups, SPF_LOOKUPS_MAX);
}

static void add_dkim(const struct story *story, const struct dkim *dkim, struct buffer *out)
{
    for (size_t i = 0; i < dkim->count; i++) {
        const struct dkim_signature *signature = &dkim->signatures[i];
        buffer_add_format(out, "%zu of %zu: %s: d=", i + 1, dkim->count, dkim_result_word(signature->result));
        add_text(out, signature->field.domain);
        buffer_add_text(out, " s=");
        add_text(out, signature->field.selector);
        if (signature->reason != NULL)
            buffer_add_format(out, ": %s", signature->reason);
        add_check(story, "DKIM", out);
    }
    if (dkim->count == 0) {
        buffer_add_text(out, "none: the message has no signature");
        add_check(story, "DKIM", out);
    }
}

static void add_arc(const struct story *story, const struct judgement *j, struct buffer *out)
{
    if (j->arc.result == ARC_NONE)
        return;
    buffer_add_format(out, "%s: %s", arc_result_word(j->arc.result), COUNT_OF(j->arc.count, "set"));
    if (j->arc.count > 0) {
        buffer_add_text(out, ", the last one sealed by ");
        add_text(out, j->arc.sets[j->arc.count - 1].seal.domain);
    }
    if (j->arc.reason != NULL)
        buffer_add_format(out, ": %s", j->arc.reason);
    if (j->arc_believed > 0)
        buffer_add_format(out, "; set %u is believed, and says that DMARC passed there", j->arc_believed);
    add_check(story, "ARC", out);
}

static void describe_dmarc(const struct dmarc_verdict *dmarc, struct buffer *out)
{
    buffer_add_text(out, dmarc_result_name(dmarc->result));
    if (dmarc->author.length > 0) {
        buffer_add_text(out, ": From is of ");
        add_text(out, dmarc->author);
    }
    if (dmarc->policy != DMARC_POLICY_UNSET && dmarc->record_domain.length > 0) {
        buffer_add_format(out, "; policy %s, from _dmarc.", dmarc_policy_name(dmarc->policy));
        add_text(out, dmarc->record_domain);
    }
}

static void add_verdict(const struct story *story, const struct verdict *verdict, struct buffer *out)
{
    buffer_add_format(out, "%s: %s", verdict_disposition_name(verdict->disposition),
                      verdict_finding_sentence(verdict->finding));
    if (verdict->proposed != verdict->disposition && story->form == STORY_SENTENCES)
        buffer_add_format(out, "; with trust.mode enforce: %s", verdict_disposition_name(verdict->proposed));
    add_check(story, "so", out);
    if (verdict->code == 0 || story->form != STORY_LINES)
        return;
    buffer_add_format(out, "%u %s %s", verdict->code, verdict->enhanced, verdict->text);
    add_check(story, "reply", out);
}

void judgement_story(const struct judgement *j, enum story_form form, struct buffer *out)
{
    static const char *const iprev[] = {[IPREV_PASS] = "",
                                        [IPREV_FAIL] = "the reverse name does not lead back to the client",
                                        [IPREV_TEMPERROR] = "DNS did not answer",
                                        [IPREV_PERMERROR] = "the client has no reverse name"};
    const struct story story = {form, out};
    struct buffer words = {0};
    assert(j->arena != NULL);
    describe_spf(&j->spf, &words);
    add_check(&story, "SPF", &words);
    add_dkim(&story, &j->dkim, &words);
    add_arc(&story, j, &words);
    describe_dmarc(&j->dmarc, &words);
    add_check(&story, "DMARC", &words);
    buffer_add_format(&words, "%s: %s", iprev_result_name(j->iprev.result), iprev[j->iprev.result]);
    add_text(&words, j->iprev.name);
    add_check(&story, "iprev", &words);
    add_verdict(&story, &j->verdict, &words);
    buffer_free(&words);
}
