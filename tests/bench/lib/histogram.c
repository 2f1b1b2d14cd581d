/*
 * Buckets: 0 to 127 µs one each; from there every doubling has 64 of them.
 */
#include "tests/bench/lib/histogram.h"

#include <string.h>

enum { SUB_BITS = 6, SUB = 1 << SUB_BITS };

static size_t bucket_of(int64_t us)
{
    uint64_t value = us < 0 ? 0 : (uint64_t)us;
    if (value < 2 * SUB)
        return value;
    int shift = 63 - __builtin_clzll(value) - SUB_BITS;
    size_t index = (size_t)shift * SUB + (value >> shift);
    return index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1;
}

static int64_t top_of(size_t index)
{
    if (index < 2 * SUB)
        return (int64_t)index;
    size_t shift = index / SUB - 1;
    return (int64_t)(((index % SUB + SUB + 1) << shift) - 1);
}

void histogram_reset(struct histogram *h)
{
    memset(h, 0, sizeof(*h));
}

void histogram_add(struct histogram *h, int64_t us)
{
    h->count++;
    h->bucket[bucket_of(us)]++;
    if (us > h->max)
        h->max = us;
}

int64_t histogram_at(const struct histogram *h, double share)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen && (double)seen >= share * (double)h->count)
            return top_of(i) < h->max ? top_of(i) : h->max;
    }
    return h->max;
}

void histogram_write_json(const struct histogram *h, FILE *out)
{
    fprintf(out, "\"p50_us\":%jd,\"p90_us\":%jd,\"p99_us\":%jd,\"p999_us\":%jd,\"max_us\":%jd",
            (intmax_t)histogram_at(h, .5), (intmax_t)histogram_at(h, .9), (intmax_t)histogram_at(h, .99),
            (intmax_t)histogram_at(h, .999), (intmax_t)h->max);
}
