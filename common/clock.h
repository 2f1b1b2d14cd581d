/*
 * The only source of time, so that tests can move it. Wall times are microseconds since 1970 UTC; monotonic
 * ones are microseconds since an unspecified start. Deadlines of promises are never decided here: the
 * database's clock is.
 */
#ifndef RB_COMMON_CLOCK_H
#define RB_COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define RB_SECOND INT64_C(1000000)
#define RB_TIME_SIZE 40 /* bytes for rb_time_format, the final NUL included */

int64_t rb_clock_wall(void);
int64_t rb_clock_mono(void);

/* For tests: adds us to what rb_clock_wall returns from now on. */
void rb_clock_shift_wall(int64_t us);

/*
 * RFC 3339 date-time with "T" or "t", optional fraction (beyond microseconds cut), "Z" or numeric offset; the
 * leap second :60 counts as :59. Years 0001 to 9999; the day must exist in its month. RB_ERR_INVALID
 * otherwise.
 */
enum rb_err rb_time_parse(const char *text, size_t len, int64_t *wall_us) RB_MUST_CHECK;

/* Writes "2026-11-21T22:34:54.123456Z" (fraction left out when 0). */
void rb_time_format(int64_t wall_us, char out[RB_TIME_SIZE]);

#endif
