/*
 * The tool's voice of say.h. Never writes to stdout, never ends the process.
 */
#include "tools/ringback/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_SIZE 4096

/* A name from a file or a message of the database must not start a line of its own, nor move the cursor. */
static void RB_PRINTF(1, 0) say_line(const char *fmt, va_list args)
{
    char line[LINE_SIZE];
    vsnprintf(line, sizeof(line), fmt, args);
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    }
    fprintf(stderr, "ringback: %s\n", line);
}

void say(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say_line(fmt, args);
    va_end(args);
}

int refuse(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say_line(fmt, args);
    va_end(args);
    return ENDING_REFUSED;
}

int usage(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say_line(fmt, args);
    va_end(args);
    return ENDING_USAGE;
}

int end_output(int ending)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return ending;
    return refuse("cannot write the result: %s", strerror(errno));
}
