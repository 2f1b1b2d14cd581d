/*
 * ringback-receiver: what a manager's phone would show. It takes notifications as a webhook target does,
 * checks their signatures and prints each as a short text. ./tools/up runs it, so that a newcomer sees a
 * complaint arrive; whoever writes a receiver of his own can hold it against this one. It never keeps
 * anything.
 */
#include <argp.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/sign.h"
#include "server/http/http.h"

struct receiver {
    const char *listen;
    const char *secrets; /* folder of files named like the targets, or NULL */
    bool whole;          /* print the body as well */
};

static const char doc[] = "Takes Ringback's notifications as a webhook target and prints them."
                          "\v"
                          "A target's address is http://HOST:PORT/NAME. With --secrets, the signature is "
                          "checked with the secret in DIR/NAME "
                          "(what `ringback target add` printed), and a false one is answered with 401.";

static const struct argp_option argp_options[] = {
    {"listen", 'l', "HOST:PORT", 0, "where to listen (127.0.0.1:8082)", 0},
    {"secrets", 's', "DIR", 0, "check signatures with the secrets in DIR", 0},
    {"whole", 'w', NULL, 0, "print the whole body as well", 0},
    {0}};

/* A member's text, whatever is there: "–" for what is missing or null. */
static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "–";
}

/* Reads DIR/NAME. Names with a slash or a leading dot are nobody's. */
static bool read_secret(const struct receiver *receiver, const char *name, char secret[RB_SECRET_SIZE])
{
    char path[4096];
    FILE *file;
    bool read;

    if (strchr(name, '/') || name[0] == '.' ||
        (size_t)snprintf(path, sizeof(path), "%s/%s", receiver->secrets, name) >= sizeof(path)) {
        return false;
    }
    file = fopen(path, "r");
    if (!file) {
        return false;
    }
    read = fgets(secret, RB_SECRET_SIZE, file) != NULL;
    fclose(file);
    secret[strcspn(secret, "\r\n")] = 0;
    return read;
}

static bool signature_holds(const struct receiver *receiver, const struct rb_request *req, const char *body,
                            size_t len)
{
    const char *id = rb_request_header(req, "webhook-id");
    const char *timestamp = rb_request_header(req, "webhook-timestamp");
    const char *signatures = rb_request_header(req, "webhook-signature");
    char secret[RB_SECRET_SIZE];

    return id && timestamp && signatures && read_secret(receiver, rb_request_param(req, "name"), secret) &&
           rb_sign_verify(secret, id, timestamp, signatures, body, len, rb_clock_wall() / RB_SECOND);
}

/* What a caller said must not steer the terminal: control characters (C0, and C1 in UTF-8) become spaces. */
static void print_text(const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text, after = (unsigned char)text[1];
        bool c1 = c == 0xc2 && after >= 0x80 && after < 0xa0;

        putchar(c < 0x20 || c == 0x7f || c1 ? ' ' : c);
        text += c1;
    }
}

/* parts: texts that end with NULL. */
static void print_line(const char *const *parts)
{
    for (; *parts; parts++) {
        print_text(*parts);
    }
    putchar('\n');
}

static void print_notification(const struct receiver *receiver, const char *name, const json_t *event)
{
    const json_t *data = json_object_get(event, "data"), *retailer = json_object_get(data, "retailer");
    const char *type = text_of(event, "type"), *last = strrchr(type, '.');
    char now[RB_TIME_SIZE];

    rb_time_format(rb_clock_wall() / RB_SECOND * RB_SECOND, now);
    print_line((const char *const[]){now, "  ", last ? last + 1 : type, " for ", name, ": complaint ",
                                     text_of(data, "complaint"), ", step ", text_of(data, "step"), ", due ",
                                     text_of(data, "due_at"), NULL});
    print_line((const char *const[]){"    ", text_of(retailer, "code"), " ", text_of(retailer, "name"),
                                     ", called from ", text_of(data, "caller"), ": ", text_of(data, "text"),
                                     NULL});
    print_line((const char *const[]){"    signature ", receiver->secrets ? "holds" : "not checked", ", id ",
                                     text_of(event, "id"), NULL});
}

static void on_notification(struct rb_request *req, void *ctx)
{
    const struct receiver *receiver = ctx;
    json_t *event = NULL;
    char why[256];
    size_t len;
    const char *body = rb_request_body(req, &len);

    if (receiver->secrets && !signature_holds(receiver, req, body, len)) {
        print_line((const char *const[]){"refused for ", rb_request_param(req, "name"),
                                         ": no valid signature", NULL});
        rb_reply(req, 401, "text/plain", NULL, 0, "no valid signature\n", 19);
        return;
    }
    if (rb_json_parse(body, len, &event, why, sizeof(why)) != RB_OK) {
        print_line((const char *const[]){"refused for ", rb_request_param(req, "name"), ": ", why, NULL});
        rb_reply(req, 400, "text/plain", NULL, 0, why, strlen(why));
        return;
    }
    print_notification(receiver, rb_request_param(req, "name"), event);
    if (receiver->whole) {
        print_line((const char *const[]){body, NULL});
    }
    json_decref(event);
    rb_reply(req, 204, NULL, NULL, 0, NULL, 0);
}

static error_t on_option(int key, char *text, struct argp_state *state)
{
    struct receiver *receiver = state->input;

    switch (key) {
    case 'l':
        receiver->listen = text;
        return 0;
    case 's':
        receiver->secrets = text;
        return 0;
    case 'w':
        receiver->whole = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void on_signal(evutil_socket_t fd, short what, void *base)
{
    (void)fd, (void)what;
    event_base_loopbreak(base);
}

int main(int argc, char **argv)
{
    static const struct argp argp = {argp_options, on_option, NULL, doc, NULL, NULL, NULL};
    static const struct rb_route routes[] = {{"POST", "/{name}", on_notification, NULL}};
    struct receiver receiver = {.listen = "127.0.0.1:8082"};
    struct rb_http_limits limits;
    struct event_base *base;
    struct event *term, *interrupt;
    struct rb_http *http;
    char bound[RB_ADDR_SIZE], why[256];

    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, NULL, &receiver);
    setvbuf(stdout, NULL, _IOLBF, 0);
    base = event_base_new();
    rb_http_limits_default(&limits);
    http = rb_http_new(base, &limits, NULL);
    if (rb_http_listen(http, "receiver", receiver.listen, false, NULL, NULL, routes, 1, &receiver, bound, why,
                       sizeof(why)) != RB_OK) {
        fprintf(stderr, "ringback-receiver: %s\n", why);
        return 1;
    }
    printf("listening on http://%s/NAME\n", bound);
    term = evsignal_new(base, SIGTERM, on_signal, base);
    interrupt = evsignal_new(base, SIGINT, on_signal, base);
    event_add(term, NULL);
    event_add(interrupt, NULL);
    event_base_dispatch(base);
    event_free(term);
    event_free(interrupt);
    rb_http_free(http);
    event_base_free(base);
    return 0;
}
