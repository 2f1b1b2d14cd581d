/*
 * The open streams of GET /api/v1/stream: who opens one, what he is told, and when his stream ends. One
 * reading of the feed serves them all; each is told what its owner may see.
 */
#ifndef RB_SERVER_CONSOLE_STREAMS_H
#define RB_SERVER_CONSOLE_STREAMS_H

#include "server/console/desk.h"
#include "server/db/db.h"
#include "server/http/http.h"

struct rb_streams;

/* db: the pool that reads the feed, as ringback_app. Both outlive it; it is freed after the listeners and db.
 */
struct rb_streams *rb_streams_new(struct event_base *base, struct rb_db *db);
void rb_streams_free(struct rb_streams *streams);

void rb_streams_open(struct rb_streams *streams, struct rb_desk *desk, struct rb_request *req);

#endif
