/* SPDX-License-Identifier: Apache-2.0 */
/* report_xml: parses DMARC aggregate reports with expat. Documents with a DTD are rejected, so that no entity
 * is expanded. */
#ifndef MAILBOAT_IO_REPORT_XML_H
#define MAILBOAT_IO_REPORT_XML_H

#include "base/error.h"
#include "core/trust/report_aggregate.h"

/* False with the reason (65) if it is not such a report. Texts are in `arena`. */
bool report_xml_read(struct bytes document, struct arena *arena, struct report_aggregate *report,
                     struct error *error);

#endif
