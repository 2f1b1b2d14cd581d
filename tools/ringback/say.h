/*
 * What the administrator's tool says on stderr, and how its commands end. Results go to stdout, everything
 * else is said here, so that a script can take stdout as it is.
 */
#ifndef RB_TOOLS_RINGBACK_SAY_H
#define RB_TOOLS_RINGBACK_SAY_H

#include "common/err.h"

enum ending { ENDING_DONE = 0, ENDING_REFUSED = 1, ENDING_USAGE = 2 };

/* One line, "ringback: " before it; control characters of what is printed are shown as "?". */
void say(const char *fmt, ...) RB_PRINTF(1, 2);
/* The same; returns ENDING_REFUSED, so that a command can end with it. */
int refuse(const char *fmt, ...) RB_PRINTF(1, 2);
/* The same for a wrong command line; returns ENDING_USAGE. */
int usage(const char *fmt, ...) RB_PRINTF(1, 2);
/* Flushes stdout: a result that nobody could read is no success. Gives ending, or ENDING_REFUSED. */
int end_output(int ending);

#endif
