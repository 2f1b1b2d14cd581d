/*
 * Names of errors, and the end of the process when an invariant is broken.
 */
#include "common/err.h"

#include <stdio.h>
#include <stdlib.h>

const char *rb_err_name(enum rb_err err)
{
    static const char *const names[] = {
        [RB_OK] = "ok",
        [RB_ERR_NOMEM] = "no-memory",
        [RB_ERR_INVALID] = "invalid",
        [RB_ERR_NOT_FOUND] = "not-found",
        [RB_ERR_EXISTS] = "exists",
        [RB_ERR_FULL] = "full",
        [RB_ERR_TOO_LARGE] = "too-large",
        [RB_ERR_TIMEOUT] = "timeout",
        [RB_ERR_AWAY] = "away",
        [RB_ERR_UNKNOWN] = "unknown",
        [RB_ERR_RETRY] = "retry",
        [RB_ERR_DATA] = "data",
        [RB_ERR_REFUSED] = "refused",
        [RB_ERR_IO] = "io",
        [RB_ERR_INTERNAL] = "internal",
    };
    size_t count = sizeof(names) / sizeof(names[0]);
    return (size_t)err < count && names[err] ? names[err] : "undefined";
}

_Noreturn void rb_invariant_broken(const char *what, const char *file, int line)
{
    fprintf(stderr, "invariant broken: %s (%s:%d)\n", what, file, line);
    abort();
}
