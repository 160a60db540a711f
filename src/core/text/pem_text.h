/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pem_text: what is wrong with a file of PEM blocks (RFC 7468) that a person prepared: joined without a line
 * break, indented, cut off, damaged, or of another kind than it has to be. OpenSSL passes over some of these,
 * and takes the next block for the first; of others it says only that there is no block.
 *
 * io/tls calls pem_text_check() with the whole file, and pem_text_add_words() for its sentence.
 */
#ifndef MAILBOAT_CORE_TEXT_PEM_TEXT_H
#define MAILBOAT_CORE_TEXT_PEM_TEXT_H

#include "base/buffer.h"

enum pem_fault {
    PEM_FINE,
    /* OpenSSL passes over the block, or ends there without a sentence */
    PEM_JOINED,   /* END and BEGIN on one line */
    PEM_INDENTED, /* spaces before BEGIN */
    PEM_ESCAPED,  /* the two characters \n in place of line breaks */
    PEM_OLD_MAC,  /* CR alone as line end */
    PEM_QUOTED,   /* a quotation mark before BEGIN */
    /* OpenSSL rejects the file */
    PEM_EMPTY,
    PEM_NO_BLOCK,
    PEM_OTHER,   /* blocks, but none of the wanted kind: see `label` */
    PEM_CUT,     /* a block without its end */
    PEM_DAMAGED, /* a line that is not Base64 */
    PEM_FAULTS
};

enum pem_wanted { PEM_CERTIFICATES, PEM_KEY };

struct pem_finding {
    enum pem_fault fault;
    size_t line;        /* where it is, from 1; 0: in all of the file */
    struct bytes label; /* PEM_OTHER: of the first block: "CERTIFICATE REQUEST"; lives in the text */
};

/* Finds the first fault of the text; for PEM_KEY of the blocks that are keys. */
struct pem_finding pem_text_check(struct bytes text, enum pem_wanted wanted);

/* True for faults that OpenSSL can pass over, so that it would serve another certificate. */
bool pem_fault_is_silent(enum pem_fault fault);

/* Appends what is wrong and what to do, after the file's name: "has two blocks on line 12; ...". */
void pem_text_add_words(struct buffer *out, const struct pem_finding *finding);

#endif
