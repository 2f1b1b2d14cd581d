/*
 * A file of events: one JSON object, an array of them, one a line (JSON lines), or several of these after one
 * another. Finds where each event begins and ends, so that it is sent as it stands in the file.
 */
#ifndef RB_TOOLS_RINGBACK_EVENT_FILE_H
#define RB_TOOLS_RINGBACK_EVENT_FILE_H

#include <stddef.h>

#include "common/err.h"

struct event_span {
    size_t start, len; /* bytes */
    size_t line;       /* where it begins; the first is 1 */
};

/*
 * *spans: n of them, the caller frees. RB_ERR_INVALID: *line and *why say what is wrong; whether an event is
 * valid JSON is not looked at.
 */
enum rb_err event_file_split(const char *text, size_t len, struct event_span **spans, size_t *n, size_t *line,
                             const char **why) RB_MUST_CHECK;

#endif
