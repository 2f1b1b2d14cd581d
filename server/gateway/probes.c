/*
 * The three probes; none of them knows more than the room it asks.
 */
#include "server/gateway/probes.h"

#include <string.h>

#include "common/clock.h"
#include "common/metrics.h"

enum { METRICS_BYTES = 1048576 };
#define READY_US (2 * RB_SECOND)
#define RENDER_US                                                                                            \
    (RB_SECOND / 10) /* a text serves everybody who asks meanwhile: whoever may ask may ask often */

extern const char rb_sql_ping[];
static const struct rb_statement ping = {"ping", rb_sql_ping};
static const char media_json[] = "application/json";

void rb_probe_health(struct rb_request *req)
{
    static const char alive[] = "{\"status\":\"alive\"}\n";
    rb_reply(req, 200, media_json, NULL, 0, alive, strlen(alive));
}

static void on_pong(void *ctx, enum rb_err err, const struct rb_result *result)
{
    static const char ready[] = "{\"status\":\"ready\"}\n";
    struct rb_request *req = ctx;
    (void)result;
    if (err == RB_OK)
        rb_reply(req, 200, media_json, NULL, 0, ready, strlen(ready));
    else
        rb_reply_problem(req, 503, "unavailable", "the database does not answer", NULL, NULL, 0);
}

void rb_probe_ready(struct rb_request *req, struct rb_db *db, const struct rb_db *intake)
{
    struct rb_db_step step = {.statement = &ping};
    if (!rb_db_is_up(intake) || !rb_db_is_up(db) ||
        rb_db_submit(db, &step, 1, READY_US, on_pong, req) != RB_OK)
        rb_reply_problem(req, 503, "unavailable", "the database is away", NULL, NULL, 0);
}

/* Prometheus text and OpenMetrics, as last rendered; for the process, like the metrics themselves. */
static struct {
    struct rb_buf text;
    int64_t until;
} rendered[2];

void rb_probe_metrics(struct rb_request *req)
{
    const char *accept = rb_request_header(req, "accept");
    bool openmetrics = accept && strstr(accept, "application/openmetrics-text");
    struct rb_buf *text = &rendered[openmetrics].text;
    if (rb_clock_mono() >= rendered[openmetrics].until) {
        rb_buf_deinit(text);
        rb_buf_init(text, METRICS_BYTES);
        rb_metrics_render(text, openmetrics);
        rendered[openmetrics].until = rb_clock_mono() + RENDER_US;
    }
    if (rb_buf_err(text) == RB_OK)
        rb_reply(req, 200,
                 openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                             : "text/plain; version=0.0.4; charset=utf-8",
                 NULL, 0, text->data, text->len);
    else
        rb_reply_problem(req, 500, "internal-error", "the metrics do not fit", NULL, NULL, 0);
}
