/* The dice of the sample generator: see random.h. Never used for anything that must be hard to guess. */
#include "tools/sample/random.h"

static uint64_t next(struct dice *dice)
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

struct dice dice_for(uint64_t seed, const char *what, uint64_t which)
{
    struct dice dice = {seed};

    for (; *what; what++) {
        dice.state = next(&dice) ^ (unsigned char)*what;
    }
    dice.state = next(&dice) ^ which;
    dice.state = next(&dice);
    return dice;
}

unsigned dice_below(struct dice *dice, unsigned n)
{
    return (unsigned)(((next(dice) >> 32) * n) >> 32);
}

unsigned dice_between(struct dice *dice, unsigned from, unsigned to)
{
    return from + dice_below(dice, to - from + 1);
}

bool dice_percent(struct dice *dice, unsigned percent)
{
    return dice_below(dice, 100) < percent;
}

size_t dice_weighted(struct dice *dice, const unsigned *weights, size_t n)
{
    unsigned sum = 0, at;
    size_t i;

    for (i = 0; i < n; i++) {
        sum += weights[i];
    }
    at = dice_below(dice, sum);
    for (i = 0; at >= weights[i]; i++) {
        at -= weights[i];
    }
    return i;
}
