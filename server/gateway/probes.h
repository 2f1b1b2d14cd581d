/*
 * What an administrator's watchers ask the gateway listener without credentials: /healthz, /readyz, /metrics.
 */
#ifndef RB_SERVER_GATEWAY_PROBES_H
#define RB_SERVER_GATEWAY_PROBES_H

#include "server/db/db.h"
#include "server/http/http.h"

/* 200 as long as the loop turns. */
void rb_probe_health(struct rb_request *req);
/* 200 when the database answers a question within two seconds and intake is connected to it, else 503. */
void rb_probe_ready(struct rb_request *req, struct rb_db *db, const struct rb_db *intake);
/* OpenMetrics when the client asks for it, else Prometheus text. */
void rb_probe_metrics(struct rb_request *req);

#endif
