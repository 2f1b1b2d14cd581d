/*
 * The pauses between attempts, see retry.h. A quarter of jitter either way keeps each pause longer than the
 * one before and spreads what failed together.
 */
#include "server/outbox/retry.h"

#include "common/clock.h"

#define FIRST_PAUSE (10 * RB_SECOND)
#define LONGEST_PAUSE (900 * RB_SECOND)

/* Part of us, between none and all of it. */
static int64_t part(int64_t us, uint32_t random)
{
    return (int64_t)((double)us * ((double)random / UINT32_MAX));
}

int64_t rb_retry_pause(unsigned attempt, int64_t rest_us, uint32_t random)
{
    int64_t pause = FIRST_PAUSE;
    for (unsigned i = 1; i < attempt && pause < LONGEST_PAUSE; i++)
        pause *= 2;
    if (pause > LONGEST_PAUSE)
        pause = LONGEST_PAUSE;
    pause = pause - pause / 4 + part(pause / 2, random);
    /* not all at the very moment that the rest is over */
    int64_t rested = rest_us + part(rest_us / 10, random);
    return pause > rested ? pause : rested;
}
