/*
 * ringback send FILE: posts the events of a file to the daemon with a gateway's own key, one after the other,
 * and says what became of each. What was not acknowledged is sent again with the same bytes, which is safe:
 * an event happens once.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/seal.h"
#include "tools/ringback/command.h"
#include "tools/ringback/daemon.h"
#include "tools/ringback/event_file.h"
#include "tools/ringback/say.h"
#include "tools/ringback/session.h"

#define FILE_CAP (256u << 20)
#define PATIENCE (60 * RB_SECOND) /* for one event that is not acknowledged */
#define LONGEST_PAUSE 10          /* seconds */
#define LINE_CAP 524288

enum { GATEWAY };

extern const char rb_sql_tool_gateway_key[];

struct sending {
    const struct call *call;
    struct rb_buf file;
    struct event_span *spans;
    size_t n;
    char *key;
    struct daemon daemon;
    unsigned refused; /* how many were */
    bool heard;       /* the daemon has answered at least once */
};

static enum rb_err read_file(const char *path, struct rb_buf *out)
{
    char piece[65536];
    size_t len;
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    while (file && (len = fread(piece, 1, sizeof(piece), file)) > 0)
        rb_buf_add(out, piece, len);
    bool failed = !file || ferror(file);
    if (failed)
        say("cannot read %s: %s", path, strerror(errno));
    else if (rb_buf_err(out) != RB_OK)
        say("%s is larger than 256 MiB", path);
    if (file && file != stdin)
        fclose(file);
    return failed ? RB_ERR_IO : rb_buf_err(out);
}

/* Everything is looked at before anything is sent. */
static enum rb_err read_events(struct sending *sending)
{
    const char *path = sending->call->args[0], *fault;
    char why[256];
    size_t line;
    enum rb_err err = read_file(path, &sending->file);
    if (err != RB_OK)
        return err;
    const char *text = sending->file.data ? sending->file.data : "";
    err = event_file_split(text, sending->file.len, &sending->spans, &sending->n, &line, &fault);
    if (err != RB_OK) {
        fprintf(stderr, "%s:%zu: %s\n", path, line, fault);
        return err;
    }
    for (size_t i = 0; i < sending->n; i++) {
        json_t *event = NULL;
        const struct event_span *span = &sending->spans[i];
        if (rb_json_parse(text + span->start, span->len, &event, why, sizeof(why)) != RB_OK) {
            fprintf(stderr, "%s:%zu: %s\n", path, span->line, why);
            err = RB_ERR_INVALID;
        }
        json_decref(event);
    }
    return err;
}

/* The row of the gateway to send as: the named one, else the only one. -1: said why not. */
static int choose_gateway(const PGresult *gateways, const char *name)
{
    if (PQntuples(gateways) == 1)
        return 0;
    if (name)
        say("there is no gateway \"%s\" in use", name);
    else if (PQntuples(gateways) == 0)
        say("there is no gateway in use; add one with: ringback gateway add NAME");
    else
        say("there are several gateways; name one with --gateway NAME (ringback gateway list shows them)");
    return -1;
}

static enum rb_err reveal_key(const struct call *call, const char *bytea, char **key)
{
    struct rb_seal *seal = NULL;
    size_t len = 0;
    unsigned char *box = PQunescapeBytea((const unsigned char *)bytea, &len);
    enum rb_err err = box ? rb_seal_open(call->config.secret_key_file, &seal) : RB_ERR_NOMEM;
    if (err == RB_OK)
        err = rb_seal_reveal(seal, box, len, key);
    if (err != RB_OK)
        say("the gateway's key cannot be opened with %s: is it this host's secret_key_file, and may you read "
            "it?",
            call->config.secret_key_file);
    rb_seal_free(seal);
    PQfreemem(box);
    return err;
}

static enum rb_err find_key(struct sending *sending)
{
    const struct call *call = sending->call;
    struct session session = {0};
    PGresult *gateways = NULL;
    enum rb_err err = session_open(&session, call);
    if (err == RB_OK) {
        const char *const values[] = {session.branch_id, call->option[GATEWAY]};
        gateways = session_query(&session, rb_sql_tool_gateway_key, 2, values);
    }
    int row = gateways ? choose_gateway(gateways, call->option[GATEWAY]) : -1;
    if (row < 0)
        err = RB_ERR_NOT_FOUND;
    else
        err = reveal_key(call, PQgetvalue(gateways, row, 1), &sending->key);
    PQclear(gateways);
    session_close(&session);
    return err;
}

static void pause_for(long seconds)
{
    struct timespec left = {.tv_sec = seconds > LONGEST_PAUSE ? LONGEST_PAUSE : seconds};
    if (seconds <= 0)
        left.tv_nsec = 500000000;
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

/* Posts one event until it has an answer that stays; 0: it has none. */
static long post_event(struct sending *sending, const char *event, size_t len)
{
    int64_t deadline = rb_clock_mono() + PATIENCE;
    for (;;) {
        bool refused = false;
        long status = daemon_post(&sending->daemon, "/v1/events", sending->key,
                                  "application/cloudevents+json", event, len, &refused);
        if (status != 0 && status != 503) {
            sending->heard = true;
            return status;
        }
        if ((refused && !sending->heard) || rb_clock_mono() >= deadline) {
            if (status == 503)
                snprintf(sending->daemon.why, sizeof(sending->daemon.why),
                         "it is too busy, or its database is away");
            return 0;
        }
        pause_for(status == 503 ? sending->daemon.retry_after : 1);
    }
}

/* The text of a member, or what to show instead of it. */
static const char *text_of(const json_t *object, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : otherwise;
}

/* "order 1234567895", "complaint …", "call …": what an accepted event made. */
static void add_result(const json_t *answer, struct rb_buf *out)
{
    static const char *const kinds[][2] = {
        {"order", "reference"}, {"complaint", "reference"}, {"call", "id"}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const json_t *made = json_object_get(answer, kinds[i][0]);
        if (made)
            rb_buf_printf(out, " %s %s", kinds[i][0], text_of(made, kinds[i][1], "?"));
    }
}

static void say_refused(const char *id, long status, const json_t *answer)
{
    const char *type = text_of(answer, "type", "");
    const char *code = strrchr(type, '/') ? strrchr(type, '/') + 1 : "no problem document";
    const json_t *fault;
    size_t i;
    say("%s: refused, %ld %s: %s", id, status, code, text_of(answer, "detail", ""));
    json_array_foreach(json_object_get(answer, "errors"), i, fault)
        say("%s:   %s: %s", id, text_of(fault, "pointer", "/"), text_of(fault, "detail", ""));
}

static void print_accepted(const struct sending *sending, const char *id, const json_t *answer)
{
    struct rb_buf line;
    rb_buf_init(&line, LINE_CAP);
    rb_buf_printf(&line, "%s: %s", id, sending->daemon.replayed ? "replayed" : "accepted");
    add_result(answer, &line);
    printf("%s\n", line.data ? line.data : "");
    rb_buf_deinit(&line);
}

static void print_json(const struct sending *sending, const char *id, long status, bool is_json)
{
    struct rb_buf line;
    rb_buf_init(&line, LINE_CAP);
    rb_buf_str(&line, "{\"event\": ");
    rb_buf_json(&line, id);
    rb_buf_printf(&line, ", \"status\": %ld, \"replayed\": %s, \"answer\": ", status,
                  sending->daemon.replayed ? "true" : "false");
    rb_buf_str(&line, is_json ? sending->daemon.body.data : "null");
    rb_buf_str(&line, "}");
    for (char *c = line.data; c && *c; c++) {
        if (*c == '\n')
            *c = ' '; /* one line an event, however the answer is laid out */
    }
    printf("%s\n", line.data ? line.data : "");
    rb_buf_deinit(&line);
}

/* RB_ERR_AWAY: the next ones need not be tried. */
static enum rb_err send_event(struct sending *sending, const struct event_span *span)
{
    const char *text = sending->file.data + span->start;
    json_t *event = NULL, *answer = NULL;
    char why[256], id[256];
    struct rb_buf *body = &sending->daemon.body;
    enum rb_err err = rb_json_parse(text, span->len, &event, why, sizeof(why));
    RB_INVARIANT(err == RB_OK);
    snprintf(id, sizeof(id), "%s", text_of(event, "id", "(no id)"));
    json_decref(event);
    long status = post_event(sending, text, span->len);
    if (status == 0) {
        say("%s: not acknowledged by %s: %s", id, sending->daemon.url, sending->daemon.why);
        if (!sending->heard)
            say("is ringbackd running, with this configuration?");
        return RB_ERR_AWAY;
    }
    bool is_json = body->data && rb_json_parse(body->data, body->len, &answer, why, sizeof(why)) == RB_OK;
    if (sending->call->json)
        print_json(sending, id, status, is_json);
    if (status == 200 && !sending->call->json)
        print_accepted(sending, id, answer);
    if (status != 200) {
        say_refused(id, status, answer);
        sending->refused++;
    }
    json_decref(answer);
    return status == 401 ? RB_ERR_REFUSED : RB_OK;
}

static int run_send(const struct call *call)
{
    struct sending sending = {.call = call};
    rb_buf_init(&sending.file, FILE_CAP);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    enum rb_err err = read_events(&sending);
    if (err == RB_OK)
        err = find_key(&sending);
    if (err == RB_OK && (err = daemon_open(&sending.daemon, &call->config)) != RB_OK)
        say("%s", sending.daemon.why);
    for (size_t i = 0; err == RB_OK && i < sending.n; i++)
        err = send_event(&sending, &sending.spans[i]);
    if (err == RB_OK && sending.refused > 0)
        say("%u of %zu events were refused", sending.refused, sending.n);
    daemon_close(&sending.daemon);
    curl_global_cleanup();
    free(sending.key);
    free(sending.spans);
    rb_buf_deinit(&sending.file);
    return err == RB_OK && sending.refused == 0 ? ENDING_DONE : ENDING_REFUSED;
}

const struct command send_commands[] = {
    {.words = "send",
     .args = "FILE",
     .least_args = 1,
     .most_args = 1,
     .json = true,
     .does = "Sends the events of a JSON or JSON-lines file.",
     .more =
         "FILE holds one CloudEvent, an array of them, or one a line; \"-\" is standard input. They go to "
         "listen_gateway with the gateway's own key, so this works on a host that has secret_key_file. "
         "Sending a "
         "file twice does nothing twice.",
     .example = "ringback send orders.jsonl --gateway kamailio",
     .options = {[GATEWAY] = {"gateway", "NAME", "Whose key to use (default: the only gateway's)", false}},
     .run = run_send},
    {0}};
