/*
 * The metrics of common/metrics.h: filled by every room, rendered by the room that serves /metrics. Never
 * removes a series: labels must come from a short list, not from what clients send.
 */
#include "common/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

enum kind { COUNTER, GAUGE, HISTOGRAM };

struct rb_series {
    struct rb_metric *metric;
    struct rb_series *next;
    char *label;      /* the value, NULL in a family without label */
    double value;     /* of a counter or gauge; a histogram's sum */
    uint64_t *counts; /* of a histogram: one for each bound, one for beyond; not added up */
};

struct rb_metric {
    struct rb_metric *next;
    enum kind kind;
    char *name;
    char *help;
    char *label;
    double *bounds;
    size_t n_bounds;
    struct rb_series *first;
    struct rb_series **last;
};

static struct rb_metric *first_metric;
static struct rb_metric **last_metric = &first_metric;

/* There is no answer to give when the few bytes of a metric cannot be had. */
static void *have(void *memory)
{
    RB_INVARIANT(memory && "memory for a metric");
    return memory;
}

static bool is_name(const char *text)
{
    if (!*text || (*text >= '0' && *text <= '9'))
        return false;
    for (; *text; text++)
        if (!(*text >= 'a' && *text <= 'z') && !(*text >= '0' && *text <= '9') && *text != '_')
            return false;
    return true;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static struct rb_metric *find(const char *name)
{
    for (struct rb_metric *metric = first_metric; metric; metric = metric->next)
        if (strcmp(metric->name, name) == 0)
            return metric;
    return NULL;
}

static struct rb_series *series_new(struct rb_metric *metric, const char *value)
{
    struct rb_series *series = have(calloc(1, sizeof(*series)));
    series->metric = metric;
    if (value)
        series->label = have(strdup(value));
    if (metric->kind == HISTOGRAM)
        series->counts = have(calloc(metric->n_bounds + 1, sizeof(series->counts[0])));
    *metric->last = series;
    metric->last = &series->next;
    return series;
}

static struct rb_metric *metric_new(enum kind kind, const char *name, const char *help, const char *label,
                                    const double *bounds, size_t n)
{
    RB_INVARIANT(is_name(name) && !ends_with(name, "_total"));
    RB_INVARIANT(!find(name));
    RB_INVARIANT(!label || (is_name(label) && strcmp(label, "le") != 0));
    struct rb_metric *metric = have(calloc(1, sizeof(*metric)));
    metric->kind = kind;
    metric->name = have(strdup(name));
    metric->help = have(strdup(help));
    if (label)
        metric->label = have(strdup(label));
    if (n) {
        metric->bounds = have(malloc(n * sizeof(bounds[0])));
        memcpy(metric->bounds, bounds, n * sizeof(bounds[0]));
        metric->n_bounds = n;
        for (size_t i = 0; i < n; i++)
            RB_INVARIANT(isfinite(bounds[i]) && (i == 0 || bounds[i] > bounds[i - 1]));
    }
    metric->last = &metric->first;
    if (!label) /* so that a counter that never moved is seen as 0 */
        series_new(metric, NULL);
    *last_metric = metric;
    last_metric = &metric->next;
    return metric;
}

static void metric_free(struct rb_metric *metric)
{
    while (metric->first) {
        struct rb_series *series = metric->first;
        metric->first = series->next;
        free(series->label);
        free(series->counts);
        free(series);
    }
    free(metric->name);
    free(metric->help);
    free(metric->label);
    free(metric->bounds);
    free(metric);
}

/* --- rendering --- */

/* The shortest decimal that reads back as the same double. */
static void write_number(struct rb_buf *out, double value)
{
    char text[32];
    if (isnan(value)) {
        rb_buf_str(out, "NaN");
    } else if (isinf(value)) {
        rb_buf_str(out, value < 0 ? "-Inf" : "+Inf");
    } else if (value == floor(value) && fabs(value) < 9007199254740992.0) {
        rb_buf_int(out, (int64_t)value);
    } else {
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(text, sizeof(text), "%.*g", digits, value);
            if (strtod(text, NULL) == value)
                break;
        }
        rb_buf_str(out, text);
    }
}

/* quote: in 0.0.4 a help text keeps its double quotes as they are. */
static void write_escaped(struct rb_buf *out, const char *text, bool quote)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len;) {
        uint32_t code;
        size_t n = rb_utf8_decode(text + i, len - i, &code);
        if (!n) {
            rb_buf_str(out, "\xef\xbf\xbd"); /* the replacement character */
            i++;
            continue;
        }
        if (code == '\n')
            rb_buf_str(out, "\\n");
        else if (code == '\\')
            rb_buf_str(out, "\\\\");
        else if (code == '"' && quote)
            rb_buf_str(out, "\\\"");
        else
            rb_buf_add(out, text + i, n);
        i += n;
    }
}

/* One sample's name and labels; le: a histogram's bound or NULL. */
static void write_head(struct rb_buf *out, const struct rb_series *series, const char *suffix,
                       const double *le)
{
    rb_buf_str(out, series->metric->name);
    rb_buf_str(out, suffix);
    if (series->label || le) {
        rb_buf_char(out, '{');
        if (series->label) {
            rb_buf_printf(out, "%s=\"", series->metric->label);
            write_escaped(out, series->label, true);
            rb_buf_str(out, le ? "\"," : "\"");
        }
        if (le) {
            rb_buf_str(out, "le=\"");
            write_number(out, *le);
            /* OpenMetrics wants "1.0" where Prometheus takes both: one spelling, one series */
            if (isfinite(*le) && *le == floor(*le))
                rb_buf_str(out, ".0");
            rb_buf_char(out, '"');
        }
        rb_buf_char(out, '}');
    }
    rb_buf_char(out, ' ');
}

static void write_sample(struct rb_buf *out, const struct rb_series *series, const char *suffix, double value)
{
    write_head(out, series, suffix, NULL);
    write_number(out, value);
    rb_buf_char(out, '\n');
}

static void write_histogram(struct rb_buf *out, const struct rb_series *series)
{
    const struct rb_metric *metric = series->metric;
    uint64_t sum = 0;
    for (size_t i = 0; i <= metric->n_bounds; i++) {
        double le = i < metric->n_bounds ? metric->bounds[i] : INFINITY;
        sum += series->counts[i];
        write_head(out, series, "_bucket", &le);
        rb_buf_int(out, (int64_t)sum);
        rb_buf_char(out, '\n');
    }
    write_sample(out, series, "_sum", series->value);
    write_sample(out, series, "_count", (double)sum);
}

static void write_family(struct rb_buf *out, const struct rb_metric *metric, bool openmetrics)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const char *total = metric->kind == COUNTER ? "_total" : "";
    const char *suffix = openmetrics ? "" : total; /* OpenMetrics names the family without it */
    rb_buf_printf(out, "# HELP %s%s ", metric->name, suffix);
    write_escaped(out, metric->help, openmetrics);
    rb_buf_printf(out, "\n# TYPE %s%s %s\n", metric->name, suffix, types[metric->kind]);
    for (const struct rb_series *series = metric->first; series; series = series->next) {
        if (metric->kind == HISTOGRAM)
            write_histogram(out, series);
        else
            write_sample(out, series, total, series->value);
    }
}

struct rb_metric *rb_counter(const char *name, const char *help, const char *label)
{
    return metric_new(COUNTER, name, help, label, NULL, 0);
}

struct rb_metric *rb_gauge(const char *name, const char *help, const char *label)
{
    return metric_new(GAUGE, name, help, label, NULL, 0);
}

struct rb_metric *rb_histogram(const char *name, const char *help, const char *label, const double *bounds,
                               size_t n)
{
    return metric_new(HISTOGRAM, name, help, label, bounds, n);
}

struct rb_series *rb_series(struct rb_metric *metric, const char *value)
{
    RB_INVARIANT((metric->label != NULL) == (value != NULL));
    for (struct rb_series *series = metric->first; series; series = series->next)
        if (!value || strcmp(series->label, value) == 0)
            return series;
    return series_new(metric, value);
}

void rb_count(struct rb_series *series, double n)
{
    RB_INVARIANT(series->metric->kind == COUNTER && n >= 0);
    series->value += n;
}

void rb_set(struct rb_series *series, double value)
{
    RB_INVARIANT(series->metric->kind == GAUGE);
    series->value = value;
}

void rb_observe(struct rb_series *series, double value)
{
    const struct rb_metric *metric = series->metric;
    RB_INVARIANT(metric->kind == HISTOGRAM);
    size_t i = 0;
    while (i < metric->n_bounds && !(value <= metric->bounds[i]))
        i++;
    series->counts[i]++;
    series->value += value;
}

double rb_value(const struct rb_series *series)
{
    if (series->metric->kind != HISTOGRAM)
        return series->value;
    uint64_t sum = 0;
    for (size_t i = 0; i <= series->metric->n_bounds; i++)
        sum += series->counts[i];
    return (double)sum;
}

void rb_metrics_render(struct rb_buf *out, bool openmetrics)
{
    for (const struct rb_metric *metric = first_metric; metric; metric = metric->next)
        write_family(out, metric, openmetrics);
    if (openmetrics)
        rb_buf_str(out, "# EOF\n");
}

void rb_metrics_reset(void)
{
    while (first_metric) {
        struct rb_metric *metric = first_metric;
        first_metric = metric->next;
        metric_free(metric);
    }
    last_metric = &first_metric;
}
