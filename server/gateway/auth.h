/*
 * Who may send events: the gateways of the database, held in memory and looked up anew twice a second, and at
 * once when a credential is not known. Three ways to show a key: Bearer, Basic, and a Standard Webhooks
 * signature over the body.
 */
#ifndef RB_SERVER_GATEWAY_AUTH_H
#define RB_SERVER_GATEWAY_AUTH_H

#include <event2/event.h>

#include "common/seal.h"
#include "server/db/db.h"
#include "server/http/http.h"

struct rb_auth;

struct rb_gateway {
    int branch_id;
    int gateway_id;
    const char *name;
    const char *area_code; /* the branch's, or NULL */
};

enum rb_auth_verdict {
    RB_AUTH_OK,
    RB_AUTH_MISSING, /* no credential: 401 */
    RB_AUTH_WRONG,   /* 401 */
    RB_AUTH_AWAY     /* a credential that cannot be looked up: 503 */
};

/* gateway: set when RB_AUTH_OK, borrowed until the callback returns. */
typedef void (*rb_auth_done_fn)(void *ctx, enum rb_auth_verdict verdict, const struct rb_gateway *gateway);

/* db: for look-ups, borrowed. seal: opens the stored keys, borrowed. */
struct rb_auth *rb_auth_new(struct event_base *base, struct rb_db *db, const struct rb_seal *seal);
void rb_auth_free(struct rb_auth *auth);

/*
 * Checks a request. When the answer is known at once *verdict is set, done is not called and RB_OK returned;
 * else RB_ERR_RETRY, and done is called once from the loop. req must stay until then, which it does until it
 * is answered.
 */
enum rb_err rb_auth_check(struct rb_auth *auth, const struct rb_request *req, enum rb_auth_verdict *verdict,
                          struct rb_gateway *gateway, rb_auth_done_fn done, void *ctx) RB_MUST_CHECK;

#endif
