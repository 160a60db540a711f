/* SPDX-License-Identifier: Apache-2.0 */
#include "io/report_xml.h"

#include <expat.h>
#include <sysexits.h>

struct xml_reading {
    XML_Parser parser;
    struct report_aggregate *report;
};

static void on_doctype(void *owner, const XML_Char *name, const XML_Char *system, const XML_Char *public,
                       int internal)
{
    struct xml_reading *reading = owner;
    XML_StopParser(reading->parser, XML_FALSE);
}

/* Reports in windows-1252 and its like have ASCII in all that counts: other octets become one character. */
static int on_encoding(void *owner, const XML_Char *name, XML_Encoding *encoding)
{
    if (!bytes_starts_nocase(bytes_of_text(name), "windows-125"))
        return XML_STATUS_ERROR;
    for (int i = 0; i < 256; i++)
        encoding->map[i] = i;
    encoding->data = NULL;
    encoding->convert = NULL;
    encoding->release = NULL;
    return XML_STATUS_OK;
}

static void on_open(void *owner, const XML_Char *name, const XML_Char **attributes)
{
    struct xml_reading *reading = owner;
    report_aggregate_open(reading->report, bytes_of_text(name));
    if (reading->report->too_deep)
        XML_StopParser(reading->parser, XML_FALSE);
}

static void on_text(void *owner, const XML_Char *text, int length)
{
    struct xml_reading *reading = owner;
    report_aggregate_text(reading->report, bytes_of(text, (size_t)length));
}

static void on_close(void *owner, const XML_Char *name)
{
    struct xml_reading *reading = owner;
    report_aggregate_close(reading->report);
}

bool report_xml_read(struct bytes document, struct arena *arena, struct report_aggregate *report,
                     struct error *error)
{
    struct xml_reading reading = {.parser = XML_ParserCreate(NULL), .report = report};
    if (reading.parser == NULL)
        return error_set(error, EX_OSERR, "cannot read XML: out of memory");
    report_aggregate_start(report, arena);
    XML_SetUserData(reading.parser, &reading);
    XML_SetUnknownEncodingHandler(reading.parser, on_encoding, NULL);
    XML_SetStartDoctypeDeclHandler(reading.parser, on_doctype);
    XML_SetElementHandler(reading.parser, on_open, on_close);
    XML_SetCharacterDataHandler(reading.parser, on_text);
    bool parsed = document.length <= INT32_MAX &&
                  XML_Parse(reading.parser, document.at == NULL ? "" : document.at, (int)document.length,
                            XML_TRUE) == XML_STATUS_OK;
    unsigned long line = XML_GetCurrentLineNumber(reading.parser);
    XML_ParserFree(reading.parser);
    bool finished = report_aggregate_finish(report);
    if (!parsed)
        return error_set(error, EX_DATAERR, "line %lu: the XML is damaged, or has a DTD", line);
    return finished || error_set(error, EX_DATAERR, "the XML is not a DMARC aggregate report");
}
