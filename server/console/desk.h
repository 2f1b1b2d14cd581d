/*
 * The console's desk: every operation of the OpenAPI document is one request to the database, where the
 * function api_NAME decides (schema/functions/80-desk.sql). C checks what the request shows, carries it in
 * and the answer out.
 */
#ifndef RB_SERVER_CONSOLE_DESK_H
#define RB_SERVER_CONSOLE_DESK_H

#include "server/console/document.h"
#include "server/console/guard.h"
#include "server/db/db.h"
#include "server/http/http.h"

struct rb_desk;

/* An operation that C handles itself: it has a handler of its own. */
struct rb_special {
    const char *operation;
    rb_handler_fn handler;
    size_t (*body_limit)(const struct rb_request *req); /* as in struct rb_route */
};

struct rb_desk_options {
    struct rb_db *db;
    const struct rb_document *document;
    const struct rb_guard *guard;
    const struct rb_special *specials; /* ends with a NULL operation */
    rb_handler_fn handler;             /* of all others; hands the request to rb_desk_handle */
};

/* Makes the routing table. RB_ERR_INVALID: an operation has neither a handler nor roles, or a special is in
 * no document; why says which. All that options name outlives the desk. */
enum rb_err rb_desk_new(const struct rb_desk_options *options, struct rb_desk **out, char *why,
                        size_t size) RB_MUST_CHECK;
void rb_desk_free(struct rb_desk *desk);
const struct rb_route *rb_desk_routes(const struct rb_desk *desk, size_t *n);

void rb_desk_handle(struct rb_desk *desk, struct rb_request *req);
/* The same for an operation that ends the session: the browser forgets its cookie. */
void rb_desk_leave(struct rb_desk *desk, struct rb_request *req);

/* The same for an operation that the database only allows: then goes on with what it answered (JSON,
 * borrowed) and answers the request. */
typedef void (*rb_desk_then_fn)(void *ctx, struct rb_request *req, const char *answer);
void rb_desk_handle_then(struct rb_desk *desk, struct rb_request *req, rb_desk_then_fn then, void *ctx);

/* The session's token of a request; without one, or when a change does not come from the console's own pages,
 * the request was answered (401, 403) and false comes back. */
bool rb_desk_enter(const struct rb_guard *guard, struct rb_request *req, char token[RB_TOKEN_SIZE]);

#endif
