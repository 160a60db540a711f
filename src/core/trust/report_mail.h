/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_mail: finds the report in the message that carries it (RFC 9990 3, RFC 8460 5.3): the first part of
 * its MIME structure that is packed, XML or JSON. The input is untrusted.
 */
#ifndef MAILBOAT_CORE_TRUST_REPORT_MAIL_H
#define MAILBOAT_CORE_TRUST_REPORT_MAIL_H

#include "base/arena.h"

enum report_mail_limit {
    REPORT_MAIL_DEPTH_MAX = 4,  /* of multiparts inside of each other */
    REPORT_MAIL_PARTS_MAX = 64, /* that are looked at */
};

enum report_form { REPORT_FORM_NONE, REPORT_FORM_GZIP, REPORT_FORM_ZIP, REPORT_FORM_XML, REPORT_FORM_JSON };

/* Tells the form of a report by how it begins. */
enum report_form report_mail_form(struct bytes content);
/* Finds the report in a message, and decodes it into `arena`; false if there is none. */
bool report_mail_find(struct bytes message, struct arena *arena, struct bytes *content);
/* Finds the first part of this media type ("message/feedback-report"), and decodes it. */
bool report_mail_part(struct bytes message, const char *type, struct arena *arena, struct bytes *content);
/* Returns the value of the first such field of a header, which may have a body after it; folded lines as they
 * are, empty if there is none. */
struct bytes report_mail_field(struct bytes message, const char *name);

#endif
