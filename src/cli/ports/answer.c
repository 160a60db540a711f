/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/answer.h"

static const char *place_words(enum cause_place place)
{
    static const char *const words[] = {[PLACE_UNKNOWN] = "unknown",
                                        [PLACE_PROGRAM] = "this program or its settings",
                                        [PLACE_MACHINE] = "this machine",
                                        [PLACE_NETWORK] = "this network",
                                        [PLACE_PROVIDER] = "this network's provider",
                                        [PLACE_PATH] = "the path in between",
                                        [PLACE_SERVER] = "the server",
                                        [PLACE_ACCOUNT] = "the account"};
    return words[place];
}

static const char *place_name(enum cause_place place)
{
    static const char *const names[] = {
        [PLACE_UNKNOWN] = "unknown", [PLACE_PROGRAM] = "program",   [PLACE_MACHINE] = "machine",
        [PLACE_NETWORK] = "network", [PLACE_PROVIDER] = "provider", [PLACE_PATH] = "path",
        [PLACE_SERVER] = "server",   [PLACE_ACCOUNT] = "account"};
    return names[place];
}

static const char *confidence_name(enum diagnosis_confidence confidence)
{
    static const char *const names[] = {
        [CONFIDENCE_POSSIBLE] = "possible", [CONFIDENCE_LIKELY] = "likely", [CONFIDENCE_CERTAIN] = "certain"};
    return names[confidence];
}

/* ---- for people ---- */

static void print_cause(FILE *out, const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                        size_t i)
{
    const struct diagnosis_cause *cause = &diagnosis->causes[i];
    struct buffer words = {0};
    diagnosis_cause_sentence(facts, diagnosis, cause, &words);
    fprintf(out, "  %s %s\n", i > 0 || diagnosis->works ? "also: " : "cause:", buffer_text(&words));
    buffer_clear(&words);
    if (cause->cause != CAUSE_UNKNOWN)
        buffer_add_format(&words, "%s; where: %s; seen: ", confidence_name(cause->confidence),
                          place_words(cause_row(cause->cause)->place));
    diagnosis_evidence(facts, diagnosis, cause, &words);
    if (words.length > 0)
        fprintf(out, "         %s\n", buffer_text(&words));
    buffer_free(&words);
}

/* Which port to use is the report's own line. */
static void print_steps(FILE *out, const struct diagnosis_facts *facts, const struct diagnosis *diagnosis)
{
    struct buffer words = {0};
    bool first = true;
    for (size_t i = 0; i < diagnosis->step_count; i++) {
        if (diagnosis->steps[i] == STEP_USE_PORT)
            continue;
        buffer_clear(&words);
        diagnosis_step_sentence(facts, diagnosis, diagnosis->steps[i], &words);
        fprintf(out, "  %s %s\n", first ? "do:    " : "       ", buffer_text(&words));
        first = false;
    }
    buffer_free(&words);
}

static void print_ticket(FILE *out, const struct diagnosis_facts *facts, const struct diagnosis *diagnosis)
{
    struct buffer words = {0};
    diagnosis_ticket(facts, diagnosis, &words);
    for (struct bytes rest = buffer_bytes(&words); rest.length > 0;) {
        struct bytes line = bytes_split(&rest, '\n');
        fprintf(out, "  | %.*s\n", (int)line.length, line.at);
    }
    buffer_free(&words);
}

void answer_print(FILE *out, const struct diagnosis_facts *facts, const struct diagnosis *diagnosis)
{
    if (diagnosis->cause_count == 0)
        return;
    for (size_t i = 0; i < diagnosis->cause_count; i++)
        print_cause(out, facts, diagnosis, i);
    print_steps(out, facts, diagnosis);
    if (!diagnosis->works)
        print_ticket(out, facts, diagnosis);
}

void answer_print_short(FILE *out, const struct diagnosis_facts *facts, const struct diagnosis *diagnosis)
{
    struct buffer words = {0};
    if (diagnosis->cause_count == 0)
        return;
    diagnosis_cause_sentence(facts, diagnosis, &diagnosis->causes[0], &words);
    fprintf(out, "  cause:  %s\n", buffer_text(&words));
    buffer_free(&words);
    print_steps(out, facts, diagnosis);
}

/* ---- for programs ---- */

/* A sentence can quote another party, whose words need not be UTF-8. */
static json_t *text_json(struct buffer *words)
{
    struct buffer clean = {0};
    for (struct bytes rest = buffer_bytes(words); rest.length > 0;) {
        buffer_add_clean(&clean, bytes_split(&rest, '\n'), true);
        if (rest.length > 0)
            buffer_add_octet(&clean, '\n');
    }
    json_t *text = json_stringn(buffer_text(&clean), clean.length);
    buffer_free(&clean);
    buffer_clear(words);
    return text;
}

static json_t *cause_json(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis,
                          const struct diagnosis_cause *cause)
{
    static const char *const families[] = {[FAMILY_BOTH] = "both", [FAMILY_4] = "ipv4", [FAMILY_6] = "ipv6"};
    const struct cause_row *row = cause_row(cause->cause);
    struct buffer words = {0};
    json_t *findings = json_array();
    for (size_t i = 0; i < DIAGNOSIS_EVIDENCE_MAX && cause->evidence[i] != FINDING_NONE; i++)
        json_array_append_new(findings, json_string(finding_name(cause->evidence[i])));
    diagnosis_cause_sentence(facts, diagnosis, cause, &words);
    json_t *sentence = text_json(&words);
    diagnosis_evidence(facts, diagnosis, cause, &words);
    json_t *evidence = text_json(&words);
    buffer_free(&words);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "cause", row->name, "place",
                     place_name(row->place), "confidence", confidence_name(cause->confidence), "family",
                     families[cause->family], "sentence", sentence, "evidence", evidence, "findings",
                     findings);
}

json_t *answer_json(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis)
{
    struct buffer words = {0};
    json_t *causes = json_array(), *steps = json_array();
    for (size_t i = 0; i < diagnosis->cause_count; i++)
        json_array_append_new(causes, cause_json(facts, diagnosis, &diagnosis->causes[i]));
    for (size_t i = 0; i < diagnosis->step_count; i++) {
        diagnosis_step_sentence(facts, diagnosis, diagnosis->steps[i], &words);
        json_array_append_new(steps, json_pack("{s:s, s:o}", "step", step_name(diagnosis->steps[i]), "text",
                                               text_json(&words)));
    }
    diagnosis_sentence(facts, diagnosis, &words);
    json_t *sentence = text_json(&words);
    diagnosis_ticket(facts, diagnosis, &words);
    json_t *ticket = text_json(&words);
    buffer_free(&words);
    return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o}", "works", diagnosis->works, "use",
                     diagnosis->works ? json_integer(diagnosis->use_port) : json_null(), "sentence", sentence,
                     "causes", causes, "steps", steps, "ticket", ticket);
}
