/*
 * The comparator for notifications: what libcurl's multi interface delivers when there is nothing else to do.
 * Posts N bodies to the paths /0, /1, … of a sink in turn, over a fixed number of easy handles that take the
 * next one as soon as theirs was answered. Run by tests/bench/run.mjs; prints one JSON object.
 */
#include <argp.h>
#include <curl/curl.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

enum { URL_SIZE = 128, HANDLES_MOST = 1024 };

struct options {
    const char *address;
    unsigned long posts, targets, bytes, connections;
};

struct multi {
    struct options options;
    CURLM *curl;
    struct curl_slist *headers;
    char *body;
    unsigned long begun, ended;
};

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * n;
}

static void post_next(struct multi *multi, CURL *easy)
{
    char url[URL_SIZE];
    if (multi->begun == multi->options.posts)
        return;
    snprintf(url, sizeof(url), "http://%s/%lu", multi->options.address,
             multi->begun++ % multi->options.targets);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    if (curl_multi_add_handle(multi->curl, easy) != CURLM_OK)
        errx(1, "curl_multi_add_handle");
}

static CURL *new_handle(const struct multi *multi)
{
    CURL *easy = curl_easy_init();
    if (!easy)
        errx(1, "no memory");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, multi->body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)multi->options.bytes);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, multi->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    return easy;
}

/* Gives every handle whose transfer ended its next one. */
static void take_ended(struct multi *multi)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi->curl, &left))) {
        CURL *easy = message->easy_handle;
        long status = 0;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (code != CURLE_OK || status != 200)
            errx(1, "a post failed: %s, status %ld", curl_easy_strerror(code), status);
        curl_multi_remove_handle(multi->curl, easy);
        multi->ended++;
        post_next(multi, easy);
    }
}

static void run(struct multi *multi)
{
    CURL *handles[HANDLES_MOST] = {NULL};
    int running;
    for (unsigned long i = 0; i < multi->options.connections; i++)
        post_next(multi, handles[i] = new_handle(multi));
    while (multi->ended < multi->options.posts) {
        if (curl_multi_perform(multi->curl, &running) != CURLM_OK)
            errx(1, "curl_multi_perform");
        take_ended(multi);
        if (multi->ended < multi->options.posts &&
            curl_multi_poll(multi->curl, NULL, 0, 1000, NULL) != CURLM_OK)
            errx(1, "curl_multi_poll");
    }
    for (unsigned long i = 0; i < multi->options.connections; i++)
        curl_easy_cleanup(handles[i]);
}

/* What Ringback sends, with values of the same length. */
static struct curl_slist *webhook_headers(void)
{
    static const char *const lines[] = {"Content-Type: application/cloudevents+json",
                                        "Expect:", "webhook-id: 00000000-0000-4000-8000-000000000000",
                                        "webhook-timestamp: 1700000000",
                                        "webhook-signature: v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="};
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        list = curl_slist_append(list, lines[i]);
    return list;
}

static const struct argp_option argp_options[] = {{"address", 'a', "HOST:PORT", 0, "the sink", 0},
                                                  {"posts", 'n', "N", 0, "how many (20000)", 0},
                                                  {"targets", 'T', "N", 0, "different URLs (100)", 0},
                                                  {"bytes", 'b', "N", 0, "size of a body (800)", 0},
                                                  {"connections", 'c', "N", 0, "handles at once (64)", 0},
                                                  {0}};

static error_t on_option(int key, char *text, struct argp_state *state)
{
    struct options *o = state->input;
    unsigned long n = text ? strtoul(text, NULL, 10) : 0;
    switch (key) {
    case 'a':
        o->address = text;
        return 0;
    case 'n':
        o->posts = n;
        return 0;
    case 'T':
        o->targets = n;
        return 0;
    case 'b':
        o->bytes = n;
        return 0;
    case 'c':
        o->connections = n;
        return 0;
    case ARGP_KEY_END:
        if (!o->address || !o->targets || !o->connections || o->connections > HANDLES_MOST)
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp argp = {argp_options, on_option, NULL, "Posts with a bare libcurl-multi loop.",
                                     NULL,         NULL,      NULL};
    struct multi multi = {.options = {.posts = 20000, .targets = 100, .bytes = 800, .connections = 64}};
    argp_parse(&argp, argc, argv, 0, NULL, &multi.options);
    curl_global_init(CURL_GLOBAL_ALL);
    multi.curl = curl_multi_init();
    multi.headers = webhook_headers();
    multi.body = malloc(multi.options.bytes + 1);
    if (!multi.curl || !multi.headers || !multi.body)
        errx(1, "no memory");
    memset(multi.body, 'x', multi.options.bytes);
    int64_t begin = rb_clock_mono();
    run(&multi);
    double seconds = (double)(rb_clock_mono() - begin) / RB_SECOND;
    printf("{\"posts\":%lu,\"seconds\":%.3f,\"rate\":%.1f}\n", multi.ended, seconds,
           (double)multi.ended / seconds);
    curl_multi_cleanup(multi.curl);
    curl_slist_free_all(multi.headers);
    free(multi.body);
    return 0;
}
