/*
 * The steps of a change of password, see password.h: the database gives the hash of who asks, the hashing
 * process checks the old password and hashes the new one, the database takes it and ends the other sessions.
 * A wrong old password counts as a failed log-in.
 */
#include "server/console/password.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/utf8.h"
#include "server/console/answer.h"
#include "server/console/body.h"
#include "server/console/desk.h"

#define STEP_US (4 * RB_SECOND)
enum { LEAST = 8 /* characters, as the administrator's tool has it */ };

extern const char rb_sql_password_look[], rb_sql_password_change[];
static const struct rb_statement look = {"password_look", rb_sql_password_look};
static const struct rb_statement change = {"password_change", rb_sql_password_change};

struct rb_password {
    struct rb_db *db;
    struct rb_hasher *hasher;
    const struct rb_guard *guard;
};

/* One change on its way. */
struct renewal {
    struct rb_password *room;
    struct rb_request *req;
    json_t *body;
    uint8_t token_hash[RB_TOKEN_HASH];
    char address[RB_ADDR_SIZE];
    char *hash; /* of the old password */
};

static const char *member(const json_t *body, const char *name)
{
    return json_string_value(json_object_get(body, name));
}

static void wipe(json_t *body)
{
    const char *key;
    json_t *value;
    json_object_foreach(body, key, value)
    {
        if (json_is_string(value))
            sodium_memzero((char *)json_string_value(value), json_string_length(value));
    }
    json_decref(body);
}

static void free_renewal(struct renewal *renewal)
{
    wipe(renewal->body);
    free(renewal->hash);
    free(renewal);
}

/* --- answers; each ends the renewal --- */

static void end_unavailable(struct renewal *renewal, enum rb_err err)
{
    rb_answer_unavailable(renewal->req, err);
    free_renewal(renewal);
}

static void end_database(struct renewal *renewal, enum rb_err err)
{
    if (err == RB_ERR_INTERNAL || err == RB_ERR_DATA)
        rb_error("console", "a change of password failed sqlstate=%s message=\"%s\"",
                 rb_db_sqlstate(renewal->room->db), rb_db_message(renewal->room->db));
    end_unavailable(renewal, err);
}

static void end_refused(struct renewal *renewal, int status, const char *code, const char *detail,
                        const char *errors)
{
    rb_answer_problem(renewal->req, status, code, detail, errors, NULL, 0);
    free_renewal(renewal);
}

static void end_gone(struct renewal *renewal)
{
    end_refused(renewal, 401, "unauthorized", "log in first: there is no session, or it has ended", NULL);
}

static void end_throttled(struct renewal *renewal, int64_t wait)
{
    rb_answer_throttled(renewal->req, wait);
    free_renewal(renewal);
}

/* --- the steps, the last one first --- */

static void on_changed(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct renewal *renewal = ctx;
    if (err != RB_OK) {
        end_database(renewal, err);
        return;
    }
    int changed = rb_result_column(result, "changed");
    int64_t wait = rb_result_int(result, 0, rb_result_column(result, "wait_seconds"));
    if (rb_result_is_null(result, 0, changed))
        end_gone(renewal);
    else if (wait > 0)
        end_throttled(renewal, wait);
    else if (!rb_result_bool(result, 0, changed))
        end_refused(
            renewal, 422, "invalid-data", "the old password is wrong",
            "[{\"pointer\": \"/old\", \"code\": \"wrong-password\", \"detail\": \"it is another one\"}]");
    else {
        rb_answer(renewal->req, 204, NULL, NULL, 0, "", 0);
        free_renewal(renewal);
    }
}

static void on_verified(void *ctx, enum rb_err err, bool matches, const char *fresh)
{
    struct renewal *renewal = ctx;
    if (err == RB_OK && matches && !fresh)
        err = RB_ERR_NOMEM;
    if (err != RB_OK) {
        end_unavailable(renewal, err);
        return;
    }
    struct rb_params *params = rb_params_new();
    rb_param_bytes(params, renewal->token_hash, RB_TOKEN_HASH);
    rb_param_text(params, renewal->address);
    rb_param_bool(params, matches);
    rb_param_text(params, renewal->hash);
    rb_param_text(params, fresh);
    struct rb_db_step step = {.statement = &change, .params = params};
    err = rb_db_submit(renewal->room->db, &step, 1, STEP_US, on_changed, renewal);
    if (err != RB_OK)
        end_unavailable(renewal, err);
}

static void on_looked(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct renewal *renewal = ctx;
    if (err != RB_OK) {
        end_database(renewal, err);
        return;
    }
    int64_t wait = rb_result_int(result, 0, rb_result_column(result, "wait_seconds"));
    const char *hash = rb_result_text(result, 0, rb_result_column(result, "password_hash"));
    if (wait > 0) {
        end_throttled(renewal, wait);
        return;
    }
    if (!hash) {
        end_gone(renewal);
        return;
    }
    renewal->hash = strdup(hash);
    RB_INVARIANT(renewal->hash != NULL);
    err = rb_hasher_verify(renewal->room->hasher, hash, member(renewal->body, "old"),
                           member(renewal->body, "new"), on_verified, renewal);
    if (err != RB_OK)
        end_unavailable(renewal, err);
}

/* What is wrong with the body, as errors of the problem; NULL: nothing. */
static const char *fault_of(const json_t *body)
{
    json_t *new = json_object_get(body, "new");
    json_t *old = json_object_get(body, "old");
    if (json_object_size(body) != 2 || !json_is_string(old) || json_string_length(old) == 0 ||
        json_string_length(old) > RB_PASSWORD_MOST)
        return "[{\"pointer\": \"/old\", \"code\": \"invalid\", \"detail\": \"the body is {old, new}, two "
               "texts\"}]";
    if (!json_is_string(new) || rb_utf8_length(json_string_value(new), json_string_length(new)) < LEAST)
        return "[{\"pointer\": \"/new\", \"code\": \"too-short\", \"detail\": \"it has at least 8 "
               "characters\"}]";
    if (json_string_length(new) > RB_PASSWORD_MOST)
        return "[{\"pointer\": \"/new\", \"code\": \"too-long\", \"detail\": \"it has at most 1023 bytes\"}]";
    return NULL;
}

static void begin(struct renewal *renewal)
{
    struct rb_params *params = rb_params_new();
    rb_param_bytes(params, renewal->token_hash, RB_TOKEN_HASH);
    rb_param_text(params, renewal->address);
    struct rb_db_step step = {.statement = &look, .params = params};
    enum rb_err err = RB_ERR_AWAY;
    if (rb_db_is_up(renewal->room->db))
        err = rb_db_submit(renewal->room->db, &step, 1, STEP_US, on_looked, renewal);
    else
        rb_params_free(params);
    if (err != RB_OK)
        end_unavailable(renewal, err);
}

void rb_password_handle(struct rb_password *room, struct rb_request *req)
{
    char token[RB_TOKEN_SIZE];
    json_t *body;
    if (!rb_desk_enter(room->guard, req, token) || !rb_body_read(req, &body))
        return;
    struct renewal *renewal = calloc(1, sizeof(*renewal));
    RB_INVARIANT(renewal != NULL);
    *renewal = (struct renewal){.room = room, .req = req, .body = body};
    rb_token_hash(token, renewal->token_hash);
    sodium_memzero(token, sizeof(token));
    rb_addr_format(rb_request_peer(req), false, renewal->address);
    const char *fault = fault_of(body);
    if (fault)
        end_refused(renewal, 422, "invalid-data", "this cannot be the new password, or the body is another",
                    fault);
    else
        begin(renewal);
}

struct rb_password *rb_password_new(struct rb_db *db, struct rb_hasher *hasher, const struct rb_guard *guard)
{
    struct rb_password *room = calloc(1, sizeof(*room));
    RB_INVARIANT(room != NULL);
    *room = (struct rb_password){.db = db, .hasher = hasher, .guard = guard};
    return room;
}

void rb_password_free(struct rb_password *room)
{
    free(room);
}
