/*
 * Latencies as counts in buckets whose width grows with the value: every figure is right to 1 in 64, whatever
 * its size, and a million of them need no more room than ten.
 */
#ifndef RB_BENCH_HISTOGRAM_H
#define RB_BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum { HISTOGRAM_BUCKETS = 64 * 40 };

struct histogram {
    uint64_t count;
    int64_t max;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_reset(struct histogram *h);
void histogram_add(struct histogram *h, int64_t us);
/* The upper end of the bucket in which the share (0 to 1) of all values is reached; 0 when there are none. */
int64_t histogram_at(const struct histogram *h, double share);
/* Writes "p50_us":…,"p90_us":…,"p99_us":…,"p999_us":…,"max_us":… without braces. */
void histogram_write_json(const struct histogram *h, FILE *out);

#endif
