/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text/pem_text.h"

#include <assert.h>

#include "base/white_space.h"

#define DASHES "-----"
#define BEGIN DASHES "BEGIN "
#define END DASHES "END "

/* Returns the label of "-----BEGIN LABEL-----", which is all of the line; empty if it is none. */
static struct bytes label_of(struct bytes line, const char *opening)
{
    size_t before = strlen(opening), after = strlen(DASHES);
    line = white_space_trim(line);
    if (line.length <= before + after || !bytes_equal(bytes_first(line, before), bytes_of_text(opening)) ||
        !bytes_is(bytes_from(line, line.length - after), DASHES))
        return bytes_none();
    struct bytes label = bytes_of(line.at + before, line.length - before - after);
    return bytes_find(label, '-') == SIZE_MAX ? label : bytes_none();
}

static bool is_wanted(struct bytes label, enum pem_wanted wanted)
{
    if (wanted == PEM_KEY)
        return bytes_ends_nocase(label, "PRIVATE KEY") && !bytes_is(label, "OPENSSH PRIVATE KEY");
    return bytes_is(label, "CERTIFICATE") || bytes_is(label, "X509 CERTIFICATE") ||
           bytes_is(label, "TRUSTED CERTIFICATE");
}

/* Judges a line in which BEGIN stands, but not as OpenSSL needs it. A comment may hold it. */
static enum pem_fault check_begin(struct bytes line)
{
    size_t at = bytes_search(line, BYTES(BEGIN));
    if (at == SIZE_MAX)
        return PEM_FINE;
    if (bytes_search(line, BYTES("\\n")) != SIZE_MAX)
        return PEM_ESCAPED;
    if (bytes_search(bytes_first(line, at), BYTES(END)) != SIZE_MAX)
        return PEM_JOINED;
    struct bytes before = bytes_first(line, at), mark = white_space_trim(before);
    if (at > 0 && mark.length == 0)
        return PEM_INDENTED;
    return mark.length == 1 && (mark.at[0] == '"' || mark.at[0] == '\'') ? PEM_QUOTED : PEM_FINE;
}

/* Base64, as OpenSSL reads it; an old key has fields before it ("Proc-Type: 4,ENCRYPTED"). */
static bool is_content(struct bytes line)
{
    line = white_space_trim(line);
    if (bytes_find(line, ':') != SIZE_MAX)
        return true;
    for (size_t i = 0; i < line.length; i++)
        if (!ascii_is_alnum(line.at[i]) && line.at[i] != '+' && line.at[i] != '/' && line.at[i] != '=')
            return false;
    return true;
}

struct pem_reader {
    enum pem_wanted wanted;
    bool inside, any_wanted; /* inside: a block of the wanted kind */
    struct bytes first;      /* label of the first block */
    size_t began;            /* its line */
};

/* Judges one line; the fault, if it has one, is in that line. */
static enum pem_fault check_line(struct pem_reader *r, struct bytes line, size_t number)
{
    struct bytes begins = label_of(line, BEGIN);
    enum pem_fault fault = line.length > 0 && line.at[0] == '-' && begins.length > 0 ? PEM_FINE
                                                                                     : check_begin(line);
    if (fault != PEM_FINE)
        return fault;
    if (begins.length > 0) {
        if (r->inside)
            return PEM_CUT;
        r->first = r->first.length == 0 ? begins : r->first;
        r->inside = is_wanted(begins, r->wanted);
        r->any_wanted = r->any_wanted || r->inside;
        r->began = number;
    } else if (label_of(line, END).length > 0) {
        r->inside = false;
    } else if (r->inside && !is_content(line)) {
        return PEM_DAMAGED;
    }
    return PEM_FINE;
}

static struct pem_finding check_whole(const struct pem_reader *r, struct bytes text)
{
    if (white_space_trim(text).length == 0)
        return (struct pem_finding){.fault = PEM_EMPTY};
    if (r->inside)
        return (struct pem_finding){.fault = PEM_CUT, .line = r->began};
    if (r->first.length == 0)
        return (struct pem_finding){.fault = PEM_NO_BLOCK};
    if (!r->any_wanted)
        return (struct pem_finding){.fault = PEM_OTHER, .label = r->first};
    return (struct pem_finding){.fault = PEM_FINE};
}

struct pem_finding pem_text_check(struct bytes text, enum pem_wanted wanted)
{
    struct pem_reader r = {.wanted = wanted};
    size_t number = 0;
    if (bytes_find(text, '\n') == SIZE_MAX && bytes_find(text, '\r') != SIZE_MAX)
        return (struct pem_finding){.fault = PEM_OLD_MAC};
    for (struct bytes rest = text; rest.length > 0;) {
        enum pem_fault fault = check_line(&r, bytes_split(&rest, '\n'), ++number);
        if (fault != PEM_FINE)
            return (struct pem_finding){.fault = fault, .line = fault == PEM_CUT ? r.began : number};
    }
    struct pem_finding whole = check_whole(&r, text);
    assert(whole.line <= number && (whole.fault == PEM_OTHER) == (whole.label.length > 0));
    return whole;
}

bool pem_fault_is_silent(enum pem_fault fault)
{
    return fault >= PEM_JOINED && fault <= PEM_QUOTED;
}

static const struct {
    const char *label, *words;
} others[] = {
    {"CERTIFICATE REQUEST",
     "a request for a certificate (CSR); use the certificate that the authority issued for it"},
    {"NEW CERTIFICATE REQUEST",
     "a request for a certificate (CSR); use the certificate that the authority issued for it"},
    {"PKCS7", "certificates in a PKCS #7 bundle; convert it with openssl pkcs7 -print_certs"},
    {"CMS", "certificates in a PKCS #7 bundle; convert it with openssl pkcs7 -print_certs"},
    {"PUBLIC KEY", "a public key; use the private one that it was made with"},
    {"RSA PUBLIC KEY", "a public key; use the private one that it was made with"},
    {"OPENSSH PRIVATE KEY", "a key of OpenSSH; use the key that the certificate was requested with"},
    {"CERTIFICATE", "a certificate; were certificate and key swapped?"},
    {"EC PARAMETERS", "parameters alone; use the key that was made with them"},
    {"DH PARAMETERS", "parameters for a key exchange, which are not needed"},
};

static void add_other(struct buffer *out, struct bytes label)
{
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        if (bytes_is(label, others[i].label)) {
            buffer_add_format(out, "holds %s", others[i].words);
            return;
        }
    if (bytes_ends_nocase(label, "PRIVATE KEY"))
        buffer_add_text(out, "holds a private key; were certificate and key swapped?");
    else
        buffer_add_format(out, "holds a block of another kind (%.*s)", BYTES_ARG(bytes_first(label, 40)));
}

void pem_text_add_words(struct buffer *out, const struct pem_finding *finding)
{
    static const char *const words[PEM_FAULTS] = {
        [PEM_FINE] = "is in order",
        [PEM_JOINED] = "has two blocks joined on one line; put a line break between " END "... and " BEGIN
                       "... (files without a line break at their end were joined)",
        [PEM_INDENTED] = "has spaces before " BEGIN "...; remove the indentation",
        [PEM_ESCAPED] = "has \\n in place of line breaks; write it with real ones (printf '%b')",
        [PEM_OLD_MAC] = "has CR alone as line ends; save it with LF",
        [PEM_QUOTED] = "has a quotation mark before " BEGIN "...; remove the quotation marks",
        [PEM_EMPTY] = "is empty",
        [PEM_NO_BLOCK] = "has no PEM block (" BEGIN "...)",
        [PEM_CUT] = "has a block without its end (" END "...): the file was cut; copy it again",
        [PEM_DAMAGED] = "is damaged: this is not Base64; copy it again",
    };
    assert(finding->fault < PEM_FAULTS);
    if (finding->fault == PEM_OTHER) {
        add_other(out, finding->label);
        return;
    }
    if (finding->line > 0)
        buffer_add_format(out, "(line %zu) ", finding->line);
    buffer_add_text(out, words[finding->fault]);
}
