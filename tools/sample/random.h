/*
 * The generator's own chance: splitmix64, so that the same seed gives the same bytes on every machine. Each
 * thing draws from a stream of its own (what it is, which one), so that more retailers do not change those
 * before them.
 */
#ifndef RB_TOOLS_SAMPLE_RANDOM_H
#define RB_TOOLS_SAMPLE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

struct dice dice_for(uint64_t seed, const char *what, uint64_t which);
/* 0 … n - 1; n is not 0. */
unsigned dice_below(struct dice *dice, unsigned n);
/* from … to, both included. */
unsigned dice_between(struct dice *dice, unsigned from, unsigned to);
bool dice_percent(struct dice *dice, unsigned percent);
/* An index into weights, each as often as its share of their sum. */
size_t dice_weighted(struct dice *dice, const unsigned *weights, size_t n);

#endif
