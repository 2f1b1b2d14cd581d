/*
 * The load generator of the benchmark: N keep-alive connections that place orders of five lines, each event
 * with an id of its own. Closed loop: a connection sends its next order when the last one was answered. Open
 * loop (--rate): orders fall due at a fixed rate whatever the answers do, and their latency counts from then.
 * Run by tests/bench/run.mjs, against Ringback and against its comparators. Prints one JSON object; --ledger
 * keeps what was acknowledged. Sockets by hand on libevent: as little of the machine as can be for itself.
 */
#include <argp.h>
#include <err.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/net.h"
#include "tests/bench/lib/histogram.h"
#include "tests/bench/lib/orders.h"

enum { HEAD_SIZE = 1024, IN_SIZE = 8192, KEY_SIZE = 256, DRAIN_SECONDS = 10, DUE_MOST = 1 << 16 };

struct options {
    const char *address;
    const char *key_file;
    const char *source;
    const char *retailers;
    const char *products;
    const char *ledger;
    double seconds;
    double warm;
    double rate; /* 0: closed loop */
    unsigned connections;
    bool structured;
};

struct connection {
    struct load *load;
    struct event *readable;
    int fd;
    bool busy;
    int64_t started; /* when the order was sent, or fell due */
    uint64_t id;
    size_t got;
    char in[IN_SIZE];
};

enum phase { WARMING, MEASURING, DRAINING };

struct load {
    struct options options;
    struct event_base *base;
    struct sockaddr_storage address;
    socklen_t address_len;
    char key[KEY_SIZE];
    struct codes retailers, products;
    uint64_t random;
    uint64_t last_id;
    FILE *ledger;
    struct connection *connections;
    struct event *phase_timer, *rate_timer;
    enum phase phase;
    unsigned busy;
    unsigned *idle; /* open loop: indexes of connections without an order */
    unsigned n_idle;
    int64_t next_due;
    int64_t due[DUE_MOST]; /* open loop: orders that wait for a connection, a ring */
    size_t due_first, due_n;
    int64_t begun, ended; /* of the measurement */
    struct histogram latency;
    uint64_t acknowledged, unavailable, refused, lost; /* in the measurement; lost: without an answer */
    uint64_t all_acknowledged;
};

/* --- one order --- */

static size_t build(struct load *load, struct connection *conn, char *out, size_t size)
{
    char data[ORDER_JSON_SIZE], time[RB_TIME_SIZE], id[24];
    struct order order = order_next(&load->random, &load->retailers, &load->products);
    size_t len = order_json(&order, data);
    const struct options *o = &load->options;
    int n;
    conn->id = ++load->last_id;
    snprintf(id, sizeof(id), "%ju", (uintmax_t)conn->id);
    rb_time_format(rb_clock_wall(), time);
    if (o->structured) {
        char event[HEAD_SIZE];
        int all = snprintf(event, sizeof(event),
                           "{\"specversion\":\"1.0\",\"type\":\"ringback.order.placed\",\"source\":\"%s\","
                           "\"id\":\"%s\",\"time\":\"%s\",\"data\":%s}",
                           o->source, id, time, data);
        n = snprintf(out, size,
                     "POST /v1/events HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
                     "Content-Type: application/cloudevents+json\r\nContent-Length: %d\r\n\r\n%s",
                     o->address, load->key, all, event);
    } else {
        n = snprintf(
            out, size,
            "POST /v1/events HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
            "Content-Type: application/json\r\nce-specversion: 1.0\r\nce-type: ringback.order.placed\r\n"
            "ce-source: %s\r\nce-id: %s\r\nce-time: %s\r\nContent-Length: %zu\r\n\r\n%s",
            o->address, load->key, o->source, id, time, len, data);
    }
    if (n < 0 || (size_t)n >= size)
        errx(1, "a request longer than %zu bytes", size);
    return (size_t)n;
}

/* An order is far smaller than a socket's buffer, so that waiting here is the exception. */
static bool write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, -1);
        } else if (n < 0) {
            return false;
        } else {
            data += n;
            len -= (size_t)n;
        }
    }
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg);

static void open_connection(struct load *load, struct connection *conn)
{
    int one = 1;
    conn->load = load;
    conn->got = 0;
    conn->busy = false;
    conn->fd = socket(load->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&load->address, load->address_len))
        err(1, "connect to %s", load->options.address);
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    evutil_make_socket_nonblocking(conn->fd);
    conn->readable = event_new(load->base, conn->fd, EV_READ | EV_PERSIST, on_readable, conn);
    if (!conn->readable || event_add(conn->readable, NULL))
        errx(1, "no memory");
}

static void send_order(struct load *load, struct connection *conn, int64_t started)
{
    char out[2 * HEAD_SIZE];
    size_t len = build(load, conn, out, sizeof(out));
    conn->started = started;
    conn->busy = true;
    load->busy++;
    if (!write_all(conn->fd, out, len))
        err(1, "send");
}

/* --- answers --- */

/* The length of the whole answer in the buffer, or 0 when more is to come. */
static size_t answer_length(const struct connection *conn, const char **body)
{
    const char *end = memmem(conn->in, conn->got, "\r\n\r\n", 4);
    if (!end)
        return 0;
    const char *at = strcasestr(conn->in, "\r\ncontent-length:");
    if (!at || at > end)
        errx(1, "an answer without Content-Length: %.300s", conn->in);
    size_t len = (size_t)(end + 4 - conn->in) + strtoul(at + sizeof("\r\ncontent-length:") - 1, NULL, 10);
    if (len >= IN_SIZE)
        errx(1, "an answer of %zu bytes", len);
    *body = end + 4;
    return conn->got >= len ? len : 0;
}

static void count(struct load *load, struct connection *conn, int status, uint64_t reference)
{
    bool counts = load->phase == MEASURING;
    if (status == 200 && reference) {
        load->all_acknowledged++;
        if (load->ledger)
            ledger_write(load->ledger, conn->id, reference);
        if (counts) {
            load->acknowledged++;
            histogram_add(&load->latency, rb_clock_mono() - conn->started);
        }
    } else if (status == 503 || status == 0) {
        if (load->ledger)
            ledger_write(load->ledger, conn->id, 0);
        *(status ? &load->unavailable : &load->lost) += counts;
    } else {
        if (!load->refused++)
            warnx("refused with %d: %.500s", status, conn->in);
    }
}

static void give_next(struct load *load, struct connection *conn)
{
    if (load->phase == DRAINING) {
        if (!load->busy)
            event_base_loopexit(load->base, NULL);
    } else if (!load->options.rate) {
        send_order(load, conn, rb_clock_mono());
    } else if (load->due_n) {
        int64_t due = load->due[load->due_first];
        load->due_first = (load->due_first + 1) % DUE_MOST;
        load->due_n--;
        send_order(load, conn, due);
    } else {
        load->idle[load->n_idle++] = (unsigned)(conn - load->connections);
    }
}

static void end_order(struct load *load, struct connection *conn, int status, uint64_t reference)
{
    conn->busy = false;
    load->busy--;
    count(load, conn, status, reference);
    give_next(load, conn);
}

/* A connection that was closed on us is opened again; what it carried has an unknown fate. */
static void reopen(struct load *load, struct connection *conn)
{
    bool busy = conn->busy;
    event_free(conn->readable);
    close(conn->fd);
    open_connection(load, conn);
    conn->busy = busy;
    if (busy)
        end_order(load, conn, 0, 0);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct connection *conn = arg;
    const char *body = NULL;
    ssize_t n = read(fd, conn->in + conn->got, IN_SIZE - 1 - conn->got);
    (void)what;
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        reopen(conn->load, conn);
        return;
    }
    conn->got += (size_t)n;
    conn->in[conn->got] = '\0';
    size_t len = answer_length(conn, &body);
    if (!len)
        return;
    if (conn->got != len || !conn->busy || memcmp(conn->in, "HTTP/1.1 ", 9))
        errx(1, "not the answer to one request: %.300s", conn->in);
    conn->got = 0;
    end_order(conn->load, conn, atoi(conn->in + 9), reference_in(body, (size_t)(conn->in + len - body)));
}

/* --- the clock --- */

static struct timeval in_seconds(double seconds)
{
    int64_t us = (int64_t)(seconds * RB_SECOND);
    us = us < 0 ? 0 : us;
    return (struct timeval){.tv_sec = us / RB_SECOND, .tv_usec = us % RB_SECOND};
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    struct load *load = arg;
    int64_t now = rb_clock_mono();
    int64_t step = (int64_t)(RB_SECOND / load->options.rate);
    (void)fd;
    (void)what;
    if (load->phase == DRAINING)
        return;
    for (; load->next_due <= now; load->next_due += step) {
        if (load->n_idle)
            send_order(load, &load->connections[load->idle[--load->n_idle]], load->next_due);
        else if (load->due_n < DUE_MOST)
            load->due[(load->due_first + load->due_n++) % DUE_MOST] = load->next_due;
        else
            errx(1, "%d orders wait: the rate is more than is taken", DUE_MOST);
    }
    struct timeval tv = in_seconds((double)(load->next_due - rb_clock_mono()) / RB_SECOND);
    evtimer_add(load->rate_timer, &tv);
}

static void on_phase(evutil_socket_t fd, short what, void *arg)
{
    struct load *load = arg;
    struct timeval tv = in_seconds(load->phase == WARMING ? load->options.seconds : DRAIN_SECONDS);
    (void)fd;
    (void)what;
    if (load->phase == WARMING) {
        load->phase = MEASURING;
        load->begun = rb_clock_mono();
    } else if (load->phase == MEASURING) {
        load->phase = DRAINING;
        load->ended = rb_clock_mono();
        if (!load->busy)
            event_base_loopexit(load->base, NULL);
    } else {
        warnx("%u orders without an answer after %d s", load->busy, DRAIN_SECONDS);
        for (unsigned i = 0; i < load->options.connections; i++)
            if (load->connections[i].busy)
                count(load, &load->connections[i], 0, 0);
        event_base_loopbreak(load->base);
        return;
    }
    evtimer_add(load->phase_timer, &tv);
}

/* --- beginning and end --- */

static void start(struct load *load)
{
    const struct options *o = &load->options;
    struct timeval tv = in_seconds(o->warm);
    for (unsigned i = 0; i < o->connections; i++)
        open_connection(load, &load->connections[i]);
    load->next_due = rb_clock_mono();
    for (unsigned i = 0; i < o->connections; i++)
        give_next(load, &load->connections[i]);
    evtimer_add(load->phase_timer, &tv);
    if (o->rate)
        on_due(-1, 0, load);
}

static void report(const struct load *load)
{
    struct rusage usage;
    double seconds = (double)(load->ended - load->begun) / RB_SECOND;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"rate\":%.1f,\"acknowledged\":%ju,\"unavailable\":%ju,\"refused\":%ju,\"lost\":%ju,"
           "\"all_acknowledged\":%ju,\"seconds\":%.3f,\"cpu_seconds\":%.3f,",
           (double)load->acknowledged / seconds, (uintmax_t)load->acknowledged, (uintmax_t)load->unavailable,
           (uintmax_t)load->refused, (uintmax_t)load->lost, (uintmax_t)load->all_acknowledged, seconds,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / RB_SECOND);
    histogram_write_json(&load->latency, stdout);
    puts("}");
}

static void read_key(struct load *load)
{
    FILE *in = fopen(load->options.key_file, "r");
    if (!in || !fgets(load->key, sizeof(load->key), in))
        err(1, "%s", load->options.key_file);
    load->key[strcspn(load->key, "\n")] = '\0';
    fclose(in);
}

static void prepare(struct load *load)
{
    const struct options *o = &load->options;
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    load->base = event_base_new_with_config(config);
    event_config_free(config);
    load->connections = calloc(o->connections, sizeof(*load->connections));
    load->idle = calloc(o->connections, sizeof(*load->idle));
    load->phase_timer = evtimer_new(load->base, on_phase, load);
    load->rate_timer = evtimer_new(load->base, on_due, load);
    if (!load->connections || !load->idle || !load->phase_timer || !load->rate_timer)
        errx(1, "no memory");
    if (rb_addr_parse(o->address, &load->address, &load->address_len) != RB_OK)
        errx(1, "no address: %s", o->address);
    read_key(load);
    codes_read(&load->retailers, o->retailers, 1);
    codes_read(&load->products, o->products, ORDER_LINES);
    load->random = order_seed(o->source);
    if (o->ledger && !(load->ledger = fopen(o->ledger, "w")))
        err(1, "%s", o->ledger);
}

static const struct argp_option argp_options[] = {
    {"address", 'a', "HOST:PORT", 0, "where to send", 0},
    {"key-file", 'k', "FILE", 0, "the gateway's key", 0},
    {"source", 's', "TEXT", 0, "the events' source; names the run and seeds its orders", 0},
    {"retailers", 'R', "FILE", 0, "codes to choose from, one a line", 0},
    {"products", 'P', "FILE", 0, "codes to choose from, one a line", 0},
    {"connections", 'c', "N", 0, "connections (256)", 0},
    {"seconds", 't', "S", 0, "how long to measure (10)", 0},
    {"warm", 'w', "S", 0, "how long to run before it counts (2)", 0},
    {"rate", 'r', "N", 0, "orders a second, open loop", 0},
    {"ledger", 'l', "FILE", 0, "writes id and reference of what was acknowledged", 0},
    {"structured", 'S', NULL, 0, "events in structured mode instead of binary", 0},
    {0}};

static error_t on_option(int key, char *text, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case 'a':
        o->address = text;
        return 0;
    case 'k':
        o->key_file = text;
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
        o->connections = (unsigned)strtoul(text, NULL, 10);
        return 0;
    case 't':
        o->seconds = strtod(text, NULL);
        return 0;
    case 'w':
        o->warm = strtod(text, NULL);
        return 0;
    case 'r':
        o->rate = strtod(text, NULL);
        return 0;
    case 'l':
        o->ledger = text;
        return 0;
    case 'S':
        o->structured = true;
        return 0;
    case ARGP_KEY_END:
        if (!o->address || !o->key_file || !o->source || !o->retailers || !o->products || !o->connections)
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp argp = {argp_options, on_option, NULL, "Places orders and measures the answers.",
                                     NULL,         NULL,      NULL};
    struct load *load = calloc(1, sizeof(*load));
    if (!load)
        err(1, "load");
    load->options = (struct options){.connections = 256, .seconds = 10, .warm = 2};
    argp_parse(&argp, argc, argv, 0, NULL, &load->options);
    prepare(load);
    start(load);
    event_base_dispatch(load->base);
    if (load->ledger && fclose(load->ledger))
        err(1, "%s", load->options.ledger);
    report(load);
    return load->refused ? 1 : 0;
}
