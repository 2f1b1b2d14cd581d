/*
 * The desk of desk.h. Called by the HTTP room for every route that the OpenAPI document gives roles; asks the
 * database and nobody else. It never looks into a body beyond whether it is JSON, and never decides who may
 * see what: desk() does, under row-level security.
 */
#include "server/console/desk.h"

#include <jansson.h>
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

#define CALL_US (8 * RB_SECOND)
#define ASKED_MOST (1u << 20)
enum { TRIES = 3 };

extern const char rb_sql_desk[];
static const struct rb_statement statement = {"desk", rb_sql_desk};

struct rb_desk {
    struct rb_desk_options options;
    struct rb_route *routes;
    const struct rb_operation *operations; /* in the order of routes */
    size_t n;
};

/* One request on its way. */
struct call {
    struct rb_desk *desk;
    struct rb_request *req;
    const struct rb_operation *operation;
    uint8_t token_hash[RB_TOKEN_HASH];
    char *asked;
    int64_t deadline;
    int tries;
    bool leaves;
    rb_desk_then_fn then;
    void *then_ctx;
};

static struct rb_metric *seconds;

/* --- the request as the database is asked --- */

struct asked {
    struct rb_buf text;
    const struct rb_operation *operation;
    bool any;
    const char *unknown;
    const char *twice;
    const struct rb_request *req;
    unsigned seen;
};

static void add_member(struct asked *asked, const char *name, const char *value)
{
    rb_buf_str(&asked->text, asked->any ? ", " : "");
    rb_buf_json(&asked->text, name);
    rb_buf_str(&asked->text, ": ");
    rb_buf_json(&asked->text, value);
    asked->any = true;
}

static void on_query(void *ctx, const char *name, const char *value)
{
    struct asked *asked = ctx;
    char **known = asked->operation->queries;
    while (*known && strcmp(*known, name) != 0)
        known++;
    if (!*known)
        asked->unknown = name;
    else if (rb_request_query(asked->req, name) != value)
        asked->twice = name;
    else
        add_member(asked, name, value);
}

static void add_path(struct asked *asked)
{
    const char *at = asked->operation->path;
    while ((at = strchr(at, '{'))) {
        char name[64];
        size_t len = strcspn(++at, "}");
        snprintf(name, sizeof(name), "%.*s", (int)len, at);
        const char *value = rb_request_param(asked->req, name);
        RB_INVARIANT(len < sizeof(name) && value);
        add_member(asked, name, value);
    }
}

static char *write_asked(struct asked *asked, const char *token, const char *body, size_t len)
{
    char csrf[RB_TOKEN_SIZE];
    const char *match = rb_request_header(asked->req, "if-match");
    rb_buf_str(&asked->text, "{\"path\": {");
    add_path(asked);
    rb_buf_str(&asked->text, "}, \"query\": {");
    asked->any = false;
    rb_request_queries(asked->req, on_query, asked);
    rb_token_csrf(token, csrf);
    rb_buf_printf(&asked->text, "}, \"csrf\": \"%s\"", csrf);
    if (match) {
        rb_buf_str(&asked->text, ", \"if_match\": ");
        rb_buf_json(&asked->text, match);
    }
    if (len) {
        rb_buf_str(&asked->text, ", \"body\": ");
        rb_buf_add(&asked->text, body, len);
    }
    rb_buf_str(&asked->text, "}");
    return rb_buf_take(&asked->text, NULL);
}

static void refuse_query(struct rb_request *req, const struct asked *asked)
{
    struct rb_buf detail;
    rb_buf_init(&detail, 4096);
    if (asked->unknown) {
        rb_buf_printf(&detail, "there is no query parameter \"%.100s\" here;", asked->unknown);
        rb_buf_str(&detail, *asked->operation->queries ? " there are:" : " there are none");
        for (char **known = asked->operation->queries; *known; known++)
            rb_buf_printf(&detail, " %s", *known);
    } else
        rb_buf_printf(&detail, "the query parameter \"%s\" is given twice", asked->twice);
    rb_answer_problem(req, 400, "bad-request", detail.data, NULL, NULL, 0);
    rb_buf_deinit(&detail);
}

/* NULL: the request was answered. */
static char *read_request(struct rb_request *req, const struct rb_operation *operation, const char *token)
{
    struct asked asked = {.operation = operation, .req = req};
    json_t *json = NULL;
    size_t len;
    const char *body = rb_request_body(req, &len);
    const char *match = rb_request_header(req, "if-match");
    if (match && !rb_utf8_valid(match, strlen(match))) {
        rb_answer_problem(req, 400, "bad-request", "If-Match is no ETag", NULL, NULL, 0);
        return NULL;
    }
    if (!operation->takes_body)
        len = 0;
    if (operation->needs_body || len) {
        if (!rb_body_read(req, &json))
            return NULL;
        json_decref(json);
    }
    rb_buf_init(&asked.text, ASKED_MOST);
    char *text = write_asked(&asked, token, body, len);
    RB_INVARIANT(text != NULL);
    if (asked.unknown || asked.twice) {
        free(text);
        refuse_query(req, &asked);
        return NULL;
    }
    return text;
}

/* --- the answer --- */

static void answer(struct rb_request *req, const struct rb_result *result, const struct rb_header *headers,
                   size_t n)
{
    struct rb_header all[RB_ANSWER_HEADERS];
    char etag[128];
    int status = (int)rb_result_int(result, 0, rb_result_column(result, "status"));
    const char *media = rb_result_text(result, 0, rb_result_column(result, "media"));
    const char *tag = rb_result_text(result, 0, rb_result_column(result, "etag"));
    const char *location = rb_result_text(result, 0, rb_result_column(result, "location"));
    const char *body = rb_result_text(result, 0, rb_result_column(result, "body"));
    const char *code = rb_result_text(result, 0, rb_result_column(result, "code"));
    const char *detail = rb_result_text(result, 0, rb_result_column(result, "detail"));
    RB_INVARIANT(n + 2 <= RB_ANSWER_HEADERS);
    if (n)
        memcpy(all, headers, n * sizeof(*headers));
    if (code) {
        rb_answer_problem(req, status, code, detail, body, all, n);
        return;
    }
    if (tag) {
        snprintf(etag, sizeof(etag), "\"%s\"", tag);
        all[n++] = (struct rb_header){"ETag", etag};
    }
    if (location)
        all[n++] = (struct rb_header){"Location", location};
    rb_answer(req, status,
              !body   ? NULL
              : media ? media
                      : "application/json",
              all, n, body ? body : "", body ? strlen(body) : 0);
}

static void answer_result(struct call *call, const struct rb_result *result)
{
    char cookie[RB_COOKIE_SIZE];
    struct rb_header header = {"Set-Cookie", cookie};
    rb_guard_cookie(call->desk->options.guard, call->req, NULL, cookie);
    answer(call->req, result, &header, call->leaves ? 1 : 0);
}

static void answer_fault(struct call *call, enum rb_err err)
{
    struct rb_db *db = call->desk->options.db;
    const char *state = rb_db_sqlstate(db);
    if (err == RB_ERR_DATA && strncmp(state, "23", 2) == 0) {
        rb_answer_problem(call->req, 409, "conflict", "what is there does not allow this: read it again",
                          NULL, NULL, 0);
    } else if (err == RB_ERR_DATA) {
        rb_answer_problem(call->req, 400, "bad-request", "a value of the request cannot be taken", NULL, NULL,
                          0);
    } else if (err == RB_ERR_INTERNAL) {
        rb_error("console", "an operation failed operation=%s sqlstate=%s message=\"%s\"",
                 call->operation->id, state, rb_db_message(db));
        rb_answer_problem(call->req, 500, "internal", "the server is at fault; its log says more", NULL, NULL,
                          0);
    } else
        rb_answer_unavailable(call->req, err);
}

static void end_call(struct call *call)
{
    double took = (double)(rb_clock_mono() - rb_request_started(call->req)) / RB_SECOND;
    rb_observe(rb_series(seconds, call->operation->id), took);
}

static void free_call(struct call *call)
{
    free(call->asked);
    free(call);
}

/* --- asking --- */

static void on_done(void *ctx, enum rb_err err, const struct rb_result *result);

static enum rb_err ask(struct call *call)
{
    struct rb_params *params = rb_params_new();
    rb_param_bytes(params, call->token_hash, RB_TOKEN_HASH);
    rb_param_array(params, RB_ARRAY_TEXT);
    for (char **role = call->operation->roles; *role; role++)
        rb_item_text(params, *role);
    rb_param_text(params, call->operation->id);
    rb_param_text(params, call->asked);
    struct rb_db_step step = {.statement = &statement, .params = params};
    call->tries++;
    return rb_db_submit(call->desk->options.db, &step, 1, call->deadline - rb_clock_mono(), on_done, call);
}

static bool worth_another_try(const struct call *call, enum rb_err err)
{
    return err == RB_ERR_RETRY && call->tries < TRIES && call->deadline > rb_clock_mono() &&
           strncmp(rb_db_sqlstate(call->desk->options.db), "40", 2) == 0;
}

static void on_done(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct call *call = ctx;
    if (worth_another_try(call, err) && ask(call) == RB_OK)
        return;
    end_call(call);
    if (err == RB_OK && call->then && rb_result_is_null(result, 0, rb_result_column(result, "code")))
        call->then(call->then_ctx, call->req, rb_result_text(result, 0, rb_result_column(result, "body")));
    else if (err == RB_OK)
        answer_result(call, result);
    else
        answer_fault(call, err);
    free_call(call);
}

static bool is_safe(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

bool rb_desk_enter(const struct rb_guard *guard, struct rb_request *req, char token[RB_TOKEN_SIZE])
{
    if (!rb_guard_token(guard, req, token)) {
        rb_answer_problem(req, 401, "unauthorized", "log in first: there is no session, or it has ended",
                          NULL, NULL, 0);
        return false;
    }
    if (is_safe(rb_request_method(req)))
        return true;
    const char *why = !rb_guard_same_site(guard, req) ? "another site's page sends this"
                      : !rb_guard_csrf(req, token)
                          ? "the header X-CSRF-Token must hold what GET /api/v1/session calls csrf"
                          : NULL;
    if (why)
        rb_answer_problem(req, 403, "csrf", why, NULL, NULL, 0);
    return !why;
}

static void handle(struct rb_desk *desk, struct rb_request *req, bool leaves, rb_desk_then_fn then,
                   void *then_ctx)
{
    char token[RB_TOKEN_SIZE];
    const struct rb_operation *operation = &desk->operations[rb_request_route(req) - desk->routes];
    if (!rb_desk_enter(desk->options.guard, req, token))
        return;
    char *asked = read_request(req, operation, token);
    if (!asked)
        return;
    struct call *call = calloc(1, sizeof(*call));
    RB_INVARIANT(call != NULL);
    *call = (struct call){.desk = desk,
                          .req = req,
                          .operation = operation,
                          .asked = asked,
                          .leaves = leaves,
                          .then = then,
                          .then_ctx = then_ctx,
                          .deadline = rb_clock_mono() + CALL_US};
    rb_token_hash(token, call->token_hash);
    enum rb_err err = rb_db_is_up(desk->options.db) ? ask(call) : RB_ERR_AWAY;
    if (err != RB_OK) {
        rb_answer_unavailable(req, err);
        free_call(call);
    }
}

void rb_desk_handle(struct rb_desk *desk, struct rb_request *req)
{
    handle(desk, req, false, NULL, NULL);
}

void rb_desk_leave(struct rb_desk *desk, struct rb_request *req)
{
    handle(desk, req, true, NULL, NULL);
}

void rb_desk_handle_then(struct rb_desk *desk, struct rb_request *req, rb_desk_then_fn then, void *ctx)
{
    handle(desk, req, false, then, ctx);
}

/* --- the routing table --- */

static struct rb_route route_of(const struct rb_desk_options *options, const struct rb_operation *operation)
{
    struct rb_route route = {.method = operation->method,
                             .path = operation->path,
                             .handler = operation->roles ? options->handler : NULL};
    for (const struct rb_special *special = options->specials; special->operation; special++)
        if (strcmp(special->operation, operation->id) == 0) {
            route.handler = special->handler;
            route.body_limit = special->body_limit;
        }
    return route;
}

static bool has_operation(const struct rb_desk *desk, const char *id)
{
    for (size_t i = 0; i < desk->n; i++)
        if (strcmp(desk->operations[i].id, id) == 0)
            return true;
    return false;
}

static const char *missing_special(const struct rb_desk *desk)
{
    const struct rb_special *special = desk->options.specials;
    while (special->operation && has_operation(desk, special->operation))
        special++;
    return special->operation;
}

static bool make_routes(struct rb_desk *desk, char *why, size_t size)
{
    desk->operations = rb_document_operations(desk->options.document, &desk->n);
    desk->routes = calloc(desk->n + 1, sizeof(*desk->routes));
    RB_INVARIANT(desk->routes != NULL);
    for (size_t i = 0; i < desk->n; i++) {
        const struct rb_operation *operation = &desk->operations[i];
        desk->routes[i] = route_of(&desk->options, operation);
        if (!desk->routes[i].handler) {
            snprintf(why, size, "%s: x-roles says nobody", operation->id);
            return false;
        }
    }
    const char *missing = missing_special(desk);
    if (missing)
        snprintf(why, size, "%s is not described", missing);
    return !missing;
}

enum rb_err rb_desk_new(const struct rb_desk_options *options, struct rb_desk **out, char *why, size_t size)
{
    static const double bounds[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10};
    struct rb_desk *desk = calloc(1, sizeof(*desk));
    RB_INVARIANT(desk != NULL);
    desk->options = *options;
    if (!make_routes(desk, why, size)) {
        rb_desk_free(desk);
        return RB_ERR_INVALID;
    }
    if (!seconds)
        seconds = rb_histogram("ringback_console_seconds",
                               "From a console request's first byte to its answer, by operation.",
                               "operation", bounds, sizeof(bounds) / sizeof(bounds[0]));
    *out = desk;
    return RB_OK;
}

void rb_desk_free(struct rb_desk *desk)
{
    if (!desk)
        return;
    free(desk->routes);
    free(desk);
}

const struct rb_route *rb_desk_routes(const struct rb_desk *desk, size_t *n)
{
    *n = desk->n;
    return desk->routes;
}
