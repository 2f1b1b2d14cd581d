/*
 * The steps of a log-in, see login.h: the database says whether tries are due at all and which hash to check,
 * the hashing process checks it, the database counts the failure or makes the session. Passwords are in the
 * request's body and in that process's job, nowhere else; neither they nor names are logged.
 */
#include "server/console/login.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/utf8.h"
#include "server/console/answer.h"
#include "server/console/body.h"
#include "server/console/throttle.h"

#define STEP_US (4 * RB_SECOND)
enum { BODY_MOST = 8192, NAME_MOST = 100, AGENT_MOST = 300, ANSWER_MOST = 4096 };

extern const char rb_sql_log_in_look[], rb_sql_log_in_end[];
static const struct rb_statement look = {"log_in_look", rb_sql_log_in_look};
static const struct rb_statement end = {"log_in_end", rb_sql_log_in_end};

struct rb_login {
    struct rb_db *db;
    struct rb_hasher *hasher;
    const struct rb_guard *guard;
    struct rb_throttle *throttle;
    struct rb_metric *outcomes;
};

/* One try. */
struct attempt {
    struct rb_login *login;
    struct rb_request *req;
    json_t *body;
    const char *name;
    const char *password;
    char address[RB_ADDR_SIZE];
    char token[RB_TOKEN_SIZE];
    char *hash; /* what is checked; NULL: nobody's */
};

static void free_attempt(struct attempt *attempt)
{
    sodium_memzero((char *)attempt->password, strlen(attempt->password));
    sodium_memzero(attempt->token, sizeof(attempt->token));
    json_decref(attempt->body);
    free(attempt->hash);
    free(attempt);
}

static void count(struct attempt *attempt, const char *outcome)
{
    rb_count(rb_series(attempt->login->outcomes, outcome), 1);
}

/* --- answers; each ends the attempt --- */

static void end_unavailable(struct attempt *attempt, enum rb_err err)
{
    count(attempt, "unavailable");
    rb_answer_unavailable(attempt->req, err);
    free_attempt(attempt);
}

static void end_database(struct attempt *attempt, enum rb_err err)
{
    if (err == RB_ERR_INTERNAL || err == RB_ERR_DATA)
        rb_error("console", "a log-in failed sqlstate=%s message=\"%s\"", rb_db_sqlstate(attempt->login->db),
                 rb_db_message(attempt->login->db));
    end_unavailable(attempt, err);
}

static void end_throttled(struct attempt *attempt, int64_t wait)
{
    count(attempt, "throttled");
    rb_answer_throttled(attempt->req, wait);
    free_attempt(attempt);
}

/* Ends the attempt when the database says that it is not looked at. */
static bool is_throttled(struct attempt *attempt, const struct rb_result *result)
{
    struct rb_throttle *throttle = attempt->login->throttle;
    int64_t by_name = rb_result_int(result, 0, rb_result_column(result, "account_wait"));
    int64_t by_address = rb_result_int(result, 0, rb_result_column(result, "address_wait"));
    int64_t now = rb_clock_mono();
    if (by_name <= 0 && by_address <= 0)
        return false;
    rb_throttle_note_name(throttle, attempt->name, by_name, now);
    rb_throttle_note_address(throttle, rb_request_peer(attempt->req), by_address, now);
    end_throttled(attempt, by_name > by_address ? by_name : by_address);
    return true;
}

static void end_wrong(struct attempt *attempt)
{
    count(attempt, "wrong");
    rb_answer_problem(attempt->req, 401, "unauthorized", "name or password is wrong", NULL, NULL, 0);
    free_attempt(attempt);
}

static void end_logged_in(struct attempt *attempt, const struct rb_result *result)
{
    char csrf[RB_TOKEN_SIZE];
    char cookie[RB_COOKIE_SIZE];
    struct rb_header header = {"Set-Cookie", cookie};
    struct rb_buf body;
    rb_buf_init(&body, ANSWER_MOST);
    rb_token_csrf(attempt->token, csrf);
    rb_guard_cookie(attempt->login->guard, attempt->req, attempt->token, cookie);
    rb_buf_str(&body, "{\"name\": ");
    rb_buf_json(&body, rb_result_text(result, 0, rb_result_column(result, "account")));
    rb_buf_str(&body, ", \"role\": ");
    rb_buf_json(&body, rb_result_text(result, 0, rb_result_column(result, "role")));
    rb_buf_str(&body, ", \"person\": ");
    rb_buf_json(&body, rb_result_text(result, 0, rb_result_column(result, "person")));
    rb_buf_printf(&body, ", \"csrf\": \"%s\"}", csrf);
    RB_INVARIANT(rb_buf_err(&body) == RB_OK);
    count(attempt, "in");
    rb_answer(attempt->req, 200, "application/json", &header, 1, body.data, body.len);
    sodium_memzero(cookie, sizeof(cookie));
    rb_buf_deinit(&body);
    free_attempt(attempt);
}

/* --- the steps, the last one first --- */

static void on_end(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct attempt *attempt = ctx;
    if (err != RB_OK) {
        end_database(attempt, err);
        return;
    }
    if (is_throttled(attempt, result))
        return;
    if (rb_result_is_null(result, 0, rb_result_column(result, "account")))
        end_wrong(attempt);
    else
        end_logged_in(attempt, result);
}

/* The browser's name of itself, as far as it is text. */
static const char *agent_of(const struct rb_request *req, char out[AGENT_MOST + 1])
{
    const char *agent = rb_request_header(req, "user-agent");
    size_t len = agent ? strlen(agent) : 0;
    if (!len || !rb_utf8_valid(agent, len))
        return NULL;
    len = len > AGENT_MOST ? AGENT_MOST : len;
    while (!rb_utf8_valid(agent, len))
        len--;
    memcpy(out, agent, len);
    out[len] = '\0';
    return out;
}

static void on_verified(void *ctx, enum rb_err err, bool matches, const char *fresh)
{
    struct attempt *attempt = ctx;
    uint8_t token_hash[RB_TOKEN_HASH];
    char agent[AGENT_MOST + 1];
    if (err != RB_OK) {
        end_unavailable(attempt, err);
        return;
    }
    rb_token_make(attempt->token);
    rb_token_hash(attempt->token, token_hash);
    struct rb_params *params = rb_params_new();
    rb_param_text(params, attempt->name);
    rb_param_text(params, attempt->address);
    rb_param_bool(params, matches);
    rb_param_text(params, attempt->hash);
    rb_param_text(params, fresh);
    rb_param_bytes(params, token_hash, sizeof(token_hash));
    rb_param_text(params, agent_of(attempt->req, agent));
    struct rb_db_step step = {.statement = &end, .params = params};
    err = rb_db_submit(attempt->login->db, &step, 1, STEP_US, on_end, attempt);
    if (err != RB_OK)
        end_unavailable(attempt, err);
}

static void on_looked(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct attempt *attempt = ctx;
    if (err != RB_OK) {
        end_database(attempt, err);
        return;
    }
    if (is_throttled(attempt, result))
        return;
    const char *hash = rb_result_text(result, 0, rb_result_column(result, "password_hash"));
    attempt->hash = hash ? strdup(hash) : NULL;
    err = rb_hasher_verify(attempt->login->hasher, hash, attempt->password, NULL, on_verified, attempt);
    if (err != RB_OK)
        end_unavailable(attempt, err);
}

static void ask_hash(struct attempt *attempt)
{
    struct rb_login *login = attempt->login;
    rb_addr_format(rb_request_peer(attempt->req), false, attempt->address);
    struct rb_params *params = rb_params_new();
    rb_param_text(params, attempt->name);
    rb_param_text(params, attempt->address);
    struct rb_db_step step = {.statement = &look, .params = params};
    enum rb_err err = RB_ERR_AWAY;
    if (rb_db_is_up(login->db))
        err = rb_db_submit(login->db, &step, 1, STEP_US, on_looked, attempt);
    else
        rb_params_free(params);
    if (err != RB_OK)
        end_unavailable(attempt, err);
}

/* Name and password of the body; false when they are not what they should be. */
static bool read_credentials(struct attempt *attempt)
{
    json_t *name = json_object_get(attempt->body, "name");
    json_t *password = json_object_get(attempt->body, "password");
    attempt->name = json_string_value(name);
    attempt->password = json_string_value(password);
    return attempt->name && attempt->password && *attempt->name &&
           rb_utf8_length(attempt->name, json_string_length(name)) <= NAME_MOST &&
           json_string_length(password) <= RB_PASSWORD_MOST && json_object_size(attempt->body) == 2;
}

static void refuse_body(struct rb_request *req, json_t *body)
{
    json_decref(body);
    rb_answer_problem(
        req, 422, "invalid-data",
        "the body is {\"name\": …, \"password\": …}, a name of 1 to 100 characters and a password "
        "of at most 1023 bytes",
        NULL, NULL, 0);
}

void rb_login_handle(struct rb_login *login, struct rb_request *req)
{
    json_t *body;
    if (!rb_guard_same_site(login->guard, req)) {
        rb_answer_problem(req, 403, "csrf", "another site's page sends this", NULL, NULL, 0);
        return;
    }
    if (!rb_body_read(req, &body))
        return;
    struct attempt *attempt = calloc(1, sizeof(*attempt));
    RB_INVARIANT(attempt != NULL);
    *attempt = (struct attempt){.login = login, .req = req, .body = body};
    if (!read_credentials(attempt)) {
        free(attempt);
        refuse_body(req, body);
        return;
    }
    int64_t wait = rb_throttle_wait(login->throttle, attempt->name, rb_request_peer(req), rb_clock_mono());
    if (wait > 0)
        end_throttled(attempt, wait);
    else
        ask_hash(attempt);
}

size_t rb_login_body_limit(const struct rb_request *req)
{
    (void)req;
    return BODY_MOST;
}

struct rb_login *rb_login_new(struct rb_db *db, struct rb_hasher *hasher, const struct rb_guard *guard)
{
    static struct rb_metric *outcomes;
    struct rb_login *login = calloc(1, sizeof(*login));
    RB_INVARIANT(login != NULL);
    if (!outcomes)
        outcomes = rb_counter("ringback_logins",
                              "Log-ins tried, by outcome: in, wrong, throttled, unavailable.", "outcome");
    *login = (struct rb_login){
        .db = db, .hasher = hasher, .guard = guard, .throttle = rb_throttle_new(), .outcomes = outcomes};
    return login;
}

void rb_login_free(struct rb_login *login)
{
    if (!login)
        return;
    rb_throttle_free(login->throttle);
    free(login);
}
