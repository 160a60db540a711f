/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void strip_controls(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 32 || *text == 127)
            *text = '?';
}

/* Sets all of it; `number` is an errno, whose text follows, or 0. */
static void set(struct error *error, int exit_code, int number, const char *format, va_list arguments)
{
    vsnprintf(error->text, sizeof error->text, format, arguments);
    size_t used = strlen(error->text);
    if (number != 0)
        snprintf(error->text + used, sizeof error->text - used, ": %s", strerror(number));
    strip_controls(error->text);
    error->exit_code = exit_code;
    error->number = number;
}

bool error_set(struct error *error, int exit_code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (error != NULL)
        set(error, exit_code, 0, format, arguments);
    va_end(arguments);
    return false;
}

bool error_set_errno(struct error *error, int exit_code, const char *format, ...)
{
    int number = errno;
    va_list arguments;
    va_start(arguments, format);
    if (error != NULL)
        set(error, exit_code, number, format, arguments);
    va_end(arguments);
    return false;
}

bool error_prefix(struct error *error, const char *format, ...)
{
    if (error == NULL)
        return false;
    char context[ERROR_TEXT_MAX], whole[2 * ERROR_TEXT_MAX + 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    snprintf(whole, sizeof whole, "%s: %s", context, error->text);
    whole[sizeof error->text - 1] = '\0';
    memcpy(error->text, whole, sizeof error->text);
    strip_controls(error->text);
    return false;
}
