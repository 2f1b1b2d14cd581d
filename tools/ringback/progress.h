/*
 * A line on stderr that says how far a long job is. Silent when stderr is no terminal, and in the first
 * second.
 */
#ifndef RB_TOOLS_RINGBACK_PROGRESS_H
#define RB_TOOLS_RINGBACK_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool wanted;
    bool shown;
    int64_t started; /* monotonic, µs */
    int64_t last;
};

void progress_init(struct progress *progress);
/* what: "reading", "storing"; share: 0 to 1, or less than 0 when nobody knows. May be called often. */
void progress_show(struct progress *progress, const char *what, double share);
/* Takes the line away again, before anything else is written. */
void progress_clear(struct progress *progress);

#endif
