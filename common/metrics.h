/*
 * Counters, gauges and histograms of one process, rendered as Prometheus text 0.0.4 or OpenMetrics 1.0. A
 * metric is a static object that registers itself once; a label set is fixed when it is made.
 */
#ifndef RB_COMMON_METRICS_H
#define RB_COMMON_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

struct rb_metric; /* one family */
struct rb_series; /* one label set of a family */

/* name: with unit, without "_total" ("ringback_intake_events"); counters get the suffix when rendered. help:
 * one sentence. label: the one label's name or NULL. Families live until the process ends; the same name
 * twice is a broken invariant. */
struct rb_metric *rb_counter(const char *name, const char *help, const char *label);
struct rb_metric *rb_gauge(const char *name, const char *help, const char *label);
/* bounds: upper bounds in ascending order, n of them, copied. */
struct rb_metric *rb_histogram(const char *name, const char *help, const char *label, const double *bounds,
                               size_t n);

/* The series for a label value (NULL when the family has no label), made on first use. Keep the pointer on
 * hot paths. */
struct rb_series *rb_series(struct rb_metric *metric, const char *value);

void rb_count(struct rb_series *series, double n);
void rb_set(struct rb_series *series, double value);
void rb_observe(struct rb_series *series, double value);
double rb_value(const struct rb_series *series); /* counter or gauge; a histogram's count */

/* Appends all families; openmetrics adds "# EOF" and its naming of counters. */
void rb_metrics_render(struct rb_buf *out, bool openmetrics);
/* For tests: frees every family. */
void rb_metrics_reset(void);

#endif
