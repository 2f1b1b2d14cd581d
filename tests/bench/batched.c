/*
 * What PostgreSQL takes of the batched write function without HTTP in front: a few libpq connections, on each
 * of them batches pipelined so that the server never waits for the client. The parameters are the daemon's
 * own (server/intake/batch). Run by tests/bench/run.mjs; prints one JSON object.
 */
#include <argp.h>
#include <err.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/db/internal.h"
#include "server/intake/batch.h"
#include "tests/bench/lib/histogram.h"
#include "tests/bench/lib/orders.h"

enum { BATCH_MOST = 256, CONNECTIONS_MOST = 16, DEPTH_MOST = 8 };

struct options {
    const char *database;
    const char *source;
    const char *retailers;
    const char *products;
    const char *ledger;
    double seconds;
    double warm;
    unsigned connections;
    unsigned batch;
    unsigned depth;
    int gateway;
};

struct sent {
    int64_t at;
    uint64_t first; /* id of its first event */
    bool failed;
};

struct connection {
    PGconn *pg;
    struct sent sent[DEPTH_MOST]; /* a ring */
    unsigned first, n;
};

struct bench {
    struct options options;
    struct codes retailers, products;
    uint64_t random, last_id;
    struct connection connection[CONNECTIONS_MOST];
    FILE *ledger;
    int64_t begun, end; /* of the measurement */
    struct histogram latency;
    uint64_t acknowledged, all_acknowledged, failed_batches;
};

/* One event with the room for its texts. */
struct made {
    struct rb_event event;
    struct rb_item item;
    struct rb_event_line lines[ORDER_LINES];
    char id[24];
    char data[ORDER_JSON_SIZE];
};

static void make_event(struct bench *bench, struct made *made)
{
    struct order order = order_next(&bench->random, &bench->retailers, &bench->products);
    uint64_t id = ++bench->last_id;
    snprintf(made->id, sizeof(made->id), "%ju", (uintmax_t)id);
    for (int i = 0; i < ORDER_LINES; i++)
        made->lines[i] = (struct rb_event_line){order.product[i], order.cartons[i]};
    made->event = (struct rb_event){.kind = RB_EVENT_ORDER,
                                    .type = "ringback.order.placed",
                                    .source = bench->options.source,
                                    .id = made->id,
                                    .has_time = true,
                                    .time = rb_clock_wall(),
                                    .data = made->data,
                                    .data_len = order_json(&order, made->data),
                                    .retailer = order.retailer,
                                    .order = {.lines = made->lines, .n = ORDER_LINES}};
    memcpy(made->event.hash, &id, sizeof(id));
    memcpy(made->event.hash + sizeof(id), &bench->random, sizeof(bench->random));
    made->item =
        (struct rb_item){.branch_id = 1, .gateway_id = bench->options.gateway, .event = &made->event};
}

static void flush(PGconn *pg)
{
    int left;
    while ((left = PQflush(pg)) > 0) {
        struct pollfd wait = {.fd = PQsocket(pg), .events = POLLIN | POLLOUT};
        poll(&wait, 1, -1);
        if (wait.revents & POLLIN && !PQconsumeInput(pg))
            errx(1, "%s", PQerrorMessage(pg));
    }
    if (left < 0)
        errx(1, "%s", PQerrorMessage(pg));
}

static void send_batch(struct bench *bench, struct connection *conn)
{
    static struct made made[BATCH_MOST];
    struct rb_item *items[BATCH_MOST];
    const char *values[RB_PARAMS_MOST];
    int lengths[RB_PARAMS_MOST], formats[RB_PARAMS_MOST];
    struct sent *sent = &conn->sent[(conn->first + conn->n++) % DEPTH_MOST];
    *sent = (struct sent){.at = rb_clock_mono(), .first = bench->last_id + 1};
    for (unsigned i = 0; i < bench->options.batch; i++) {
        make_event(bench, &made[i]);
        items[i] = &made[i].item;
    }
    struct rb_params *params = rb_batch_params(items, bench->options.batch);
    int n = rb_params_wire(params, values, lengths, formats);
    if (!PQsendQueryPrepared(conn->pg, rb_take_events.name, n, values, lengths, formats, 0) ||
        !PQpipelineSync(conn->pg))
        errx(1, "%s", PQerrorMessage(conn->pg));
    rb_params_free(params);
    flush(conn->pg);
}

/* Every event of the batch must have been taken; its reference goes to the ledger once the commit is known.
 */
static void take_rows(struct bench *bench, struct sent *sent, const PGresult *res)
{
    for (int row = 0; row < PQntuples(res); row++) {
        const char *answer = PQgetvalue(res, row, 2);
        if (strcmp(PQgetvalue(res, row, 1), "accepted"))
            errx(1, "not accepted: %s %s", PQgetvalue(res, row, 1), PQgetvalue(res, row, 4));
        if (bench->ledger)
            ledger_write(bench->ledger, sent->first + strtoull(PQgetvalue(res, row, 0), NULL, 10) - 1,
                         reference_in(answer, strlen(answer)));
    }
}

static void end_batch(struct bench *bench, struct connection *conn)
{
    struct sent *sent = &conn->sent[conn->first];
    int64_t now = rb_clock_mono();
    conn->first = (conn->first + 1) % DEPTH_MOST;
    conn->n--;
    if (sent->failed)
        return;
    bench->all_acknowledged += bench->options.batch;
    if (now >= bench->begun && now < bench->end) {
        bench->acknowledged += bench->options.batch;
        histogram_add(&bench->latency, now - sent->at);
    }
}

static void take_result(struct bench *bench, struct connection *conn, const PGresult *res)
{
    struct sent *sent = &conn->sent[conn->first];
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    switch (PQresultStatus(res)) {
    case PGRES_TUPLES_OK:
        take_rows(bench, sent, res);
        break;
    case PGRES_PIPELINE_SYNC:
        end_batch(bench, conn);
        break;
    default: /* two batches may meet at a counter; the daemon sends such a batch again */
        if (!state || strncmp(state, "40", 2))
            errx(1, "%s", PQresultErrorMessage(res));
        sent->failed = true;
        bench->failed_batches++;
    }
}

static void receive(struct bench *bench, struct connection *conn)
{
    if (!PQconsumeInput(conn->pg))
        errx(1, "%s", PQerrorMessage(conn->pg));
    while (conn->n && !PQisBusy(conn->pg)) {
        PGresult *res = PQgetResult(conn->pg);
        if (res)
            take_result(bench, conn, res);
        PQclear(res);
    }
}

static void command(PGconn *pg, const char *sql)
{
    PGresult *res = PQexec(pg, sql);
    if (PQresultStatus(res) != PGRES_COMMAND_OK)
        errx(1, "%s", PQerrorMessage(pg));
    PQclear(res);
}

static void connect_all(struct bench *bench)
{
    for (unsigned i = 0; i < bench->options.connections; i++) {
        PGconn *pg = bench->connection[i].pg = PQconnectdb(bench->options.database);
        if (PQstatus(pg) != CONNECTION_OK)
            errx(1, "%s", PQerrorMessage(pg));
        command(pg, "SET role = ringback_app");
        command(pg, "SET search_path = ringback, pg_temp");
        command(pg, "SET jit = off");
        command(pg, "SET plan_cache_mode = force_generic_plan");
        PGresult *res = PQprepare(pg, rb_take_events.name, rb_take_events.sql, 0, NULL);
        if (PQresultStatus(res) != PGRES_COMMAND_OK)
            errx(1, "%s", PQerrorMessage(pg));
        PQclear(res);
        PQsetnonblocking(pg, 1);
        if (!PQenterPipelineMode(pg))
            errx(1, "%s", PQerrorMessage(pg));
    }
}

static void run(struct bench *bench)
{
    const struct options *o = &bench->options;
    struct pollfd fds[CONNECTIONS_MOST];
    unsigned under_way = 0;
    int64_t now = rb_clock_mono();
    bench->begun = now + (int64_t)(o->warm * RB_SECOND);
    bench->end = bench->begun + (int64_t)(o->seconds * RB_SECOND);
    do {
        under_way = 0;
        for (unsigned i = 0; i < o->connections; i++) {
            struct connection *conn = &bench->connection[i];
            while (now < bench->end && conn->n < o->depth)
                send_batch(bench, conn);
            fds[i] = (struct pollfd){.fd = PQsocket(conn->pg), .events = POLLIN};
            under_way += conn->n;
        }
        if (under_way)
            poll(fds, o->connections, -1);
        for (unsigned i = 0; i < o->connections; i++)
            if (fds[i].revents)
                receive(bench, &bench->connection[i]);
        now = rb_clock_mono();
    } while (under_way);
}

static const struct argp_option argp_options[] = {
    {"database", 'd', "CONNINFO", 0, "libpq connection string", 0},
    {"source", 's', "TEXT", 0, "the events' source; names the run and seeds its orders", 0},
    {"retailers", 'R', "FILE", 0, "codes to choose from, one a line", 0},
    {"products", 'P', "FILE", 0, "codes to choose from, one a line", 0},
    {"connections", 'c', "N", 0, "connections (2)", 0},
    {"batch", 'b', "N", 0, "events in a batch (64)", 0},
    {"depth", 'p', "N", 0, "batches under way on a connection (2)", 0},
    {"gateway", 'g', "ID", 0, "gateway_id of the events (1)", 0},
    {"seconds", 't', "S", 0, "how long to measure (10)", 0},
    {"warm", 'w', "S", 0, "how long to run before it counts (2)", 0},
    {"ledger", 'l', "FILE", 0, "writes id and reference of what was committed", 0},
    {0}};

static unsigned number(const char *text, unsigned most)
{
    unsigned long n = strtoul(text, NULL, 10);
    if (n < 1 || n > most)
        errx(2, "a number from 1 to %u, not %s", most, text);
    return (unsigned)n;
}

static error_t on_option(int key, char *text, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case 'd':
        o->database = text;
        return 0;
    case 's':
        o->source = text;
        return 0;
    case 'R':
        o->retailers = text;
        return 0;
    case 'P':
        o->products = text;
        return 0;
    case 'c':
        o->connections = number(text, CONNECTIONS_MOST);
        return 0;
    case 'b':
        o->batch = number(text, BATCH_MOST);
        return 0;
    case 'p':
        o->depth = number(text, DEPTH_MOST);
        return 0;
    case 'g':
        o->gateway = (int)strtol(text, NULL, 10);
        return 0;
    case 't':
        o->seconds = strtod(text, NULL);
        return 0;
    case 'w':
        o->warm = strtod(text, NULL);
        return 0;
    case 'l':
        o->ledger = text;
        return 0;
    case ARGP_KEY_END:
        if (!o->database || !o->source || !o->retailers || !o->products)
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        argp_options, on_option, NULL, "Orders in batches, straight to PostgreSQL.", NULL, NULL, NULL};
    static struct bench bench = {
        .options = {.connections = 2, .batch = 64, .depth = 2, .gateway = 1, .seconds = 10, .warm = 2}};
    argp_parse(&argp, argc, argv, 0, NULL, &bench.options);
    codes_read(&bench.retailers, bench.options.retailers, 1);
    codes_read(&bench.products, bench.options.products, ORDER_LINES);
    bench.random = order_seed(bench.options.source);
    if (bench.options.ledger && !(bench.ledger = fopen(bench.options.ledger, "w")))
        err(1, "%s", bench.options.ledger);
    connect_all(&bench);
    run(&bench);
    for (unsigned i = 0; i < bench.options.connections; i++)
        PQfinish(bench.connection[i].pg);
    if (bench.ledger && fclose(bench.ledger))
        err(1, "%s", bench.options.ledger);
    printf("{\"rate\":%.1f,\"acknowledged\":%ju,\"all_acknowledged\":%ju,\"failed_batches\":%ju,",
           (double)bench.acknowledged / bench.options.seconds, (uintmax_t)bench.acknowledged,
           (uintmax_t)bench.all_acknowledged, (uintmax_t)bench.failed_batches);
    histogram_write_json(&bench.latency, stdout);
    puts("}");
    return 0;
}
