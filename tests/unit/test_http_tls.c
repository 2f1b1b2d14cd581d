/* Tests of server/http over TLS: requests as without, reload for new connections, handshakes that never end.
 */
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include "tests/unit/http.h"

static char folder[] = "/tmp/ringback-tls-XXXXXX";
static char certificate[64], key[64], other_certificate[64], other_key[64];

struct tls_client {
    struct client *c;
    SSL_CTX *ctx;
    SSL *ssl;
};

static void make_pair(const char *name, const char *cert_path, const char *key_path)
{
    char command[512];
    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-subj /CN=%s -keyout %s -out %s 2>/dev/null",
             name, key_path, cert_path);
    assert_int_equal(system(command), 0);
}

static int make_certificates(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(certificate, sizeof(certificate), "%s/a.pem", folder);
    snprintf(key, sizeof(key), "%s/a.key", folder);
    snprintf(other_certificate, sizeof(other_certificate), "%s/b.pem", folder);
    snprintf(other_key, sizeof(other_key), "%s/b.key", folder);
    make_pair("first", certificate, key);
    make_pair("second", other_certificate, other_key);
    return 0;
}

static int remove_certificates(void **state)
{
    (void)state;
    unlink(certificate);
    unlink(key);
    unlink(other_certificate);
    unlink(other_key);
    return rmdir(folder);
}

/* True when an operation is done; false when it wants the loop to turn. */
static bool done(struct tls_client *t, int result, int *out)
{
    int error = SSL_get_error(t->ssl, result);
    *out = result;
    return result > 0 || (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE);
}

static struct tls_client *tls_new(struct fixture *f, int max_version)
{
    struct tls_client *t = calloc(1, sizeof(*t));
    int result = 0;
    if (!f->http) {
        fixture_start(f);
        fixture_listen(f, certificate, key);
    }
    t->c = client_new(f);
    evutil_make_socket_nonblocking(t->c->fd);
    t->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(t->ctx, 0);
    SSL_CTX_set_max_proto_version(t->ctx, max_version);
    t->ssl = SSL_new(t->ctx);
    SSL_set_fd(t->ssl, t->c->fd);
    WAIT_FOR(f, done(t, SSL_connect(t->ssl), &result));
    if (result != 1) {
        ERR_clear_error();
    }
    return t;
}

static void tls_free(struct tls_client *t)
{
    SSL_free(t->ssl);
    SSL_CTX_free(t->ctx);
    client_free(t->c);
    free(t);
}

static void tls_send(struct fixture *f, struct tls_client *t, const char *text)
{
    int result = 0;
    WAIT_FOR(f, done(t, SSL_write(t->ssl, text, (int)strlen(text)), &result));
    assert_int_equal(result, strlen(text));
}

static bool tls_has_answer(struct tls_client *t)
{
    struct client *c = t->c;
    size_t head;
    int n = 0;
    do {
        c->len += (size_t)n;
        if (c->size - c->len < 32768) {
            c->size = c->size * 2 + 65536;
            c->in = realloc(c->in, c->size);
        }
        c->in[c->len] = '\0';
        n = SSL_read(t->ssl, c->in + c->len, (int)(c->size - c->len - 1));
    } while (n > 0);
    c->eof |= SSL_get_error(t->ssl, n) != SSL_ERROR_WANT_READ;
    return c->eof || answer_size(c, false, &head) > 0;
}

/* Status of the next answer; its body stays in t->c->in behind *head. */
static int tls_answer(struct fixture *f, struct tls_client *t, size_t *size, size_t *head)
{
    int status = 0;
    WAIT_FOR(f, tls_has_answer(t));
    *size = answer_size(t->c, false, head);
    if (*size) {
        sscanf(t->c->in, "HTTP/1.1 %d ", &status);
    }
    return status;
}

static int tls_ask(struct fixture *f, struct tls_client *t, const char *request)
{
    size_t size, head;
    tls_send(f, t, request);
    int status = tls_answer(f, t, &size, &head);
    t->c->len -= size;
    memmove(t->c->in, t->c->in + size, t->c->len + 1);
    return status;
}

static void assert_common_name(struct tls_client *t, const char *name)
{
    char text[64] = "";
    X509 *cert = SSL_get1_peer_certificate(t->ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, text, sizeof(text));
    X509_free(cert);
    assert_string_equal(text, name);
}

static void test_requests_over_tls(void **state)
{
    struct fixture *f = *state;
    size_t size, head;
    struct tls_client *t = tls_new(f, 0);
    assert_string_equal(SSL_get_version(t->ssl), "TLSv1.3");
    tls_send(f, t, GET("/seen/1") GET("/hello"));
    assert_int_equal(tls_answer(f, t, &size, &head), 200);
    assert_non_null(strstr(t->c->in + head, "tls=1"));
    t->c->len -= size;
    memmove(t->c->in, t->c->in + size, t->c->len + 1);
    assert_int_equal(tls_answer(f, t, &size, &head), 200);
    t->c->len = 0;
    assert_int_equal(tls_ask(f, t, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"), 200);
    assert_int_equal(tls_ask(f, t, "nonsense\r\n\r\n"), 400);
    WAIT_FOR(f, tls_has_answer(t));
    assert_int_equal(SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    tls_free(t);
}

static void test_large_answer_and_body(void **state)
{
    struct fixture *f = *state;
    size_t size, head;
    struct tls_client *t = tls_new(f, 0);
    tls_send(f, t, GET("/big"));
    assert_int_equal(tls_answer(f, t, &size, &head), 200);
    assert_int_equal(size - head, BIG_BODY);
    t->c->len = 0;
    char *text = malloc(70000);
    int len = sprintf(text, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n");
    memset(text + len, 'y', 65536);
    text[len + 65536] = '\0';
    tls_send(f, t, text);
    assert_int_equal(tls_answer(f, t, &size, &head), 200);
    assert_memory_equal(t->c->in + head, text + len, 65536);
    free(text);
    tls_free(t);
}

static void test_handlers_may_answer_later(void **state)
{
    struct fixture *f = *state;
    size_t size, head;
    struct tls_client *t = tls_new(f, 0);
    tls_send(f, t, GET("/later") GET("/hello"));
    WAIT_FOR(f, f->pending_count == 1);
    rb_reply(f->pending[--f->pending_count], 200, NULL, NULL, 0, "late", 4);
    assert_int_equal(tls_answer(f, t, &size, &head), 200);
    assert_memory_equal(t->c->in + head, "late", 4);
    WAIT_FOR(f, f->handled == 1);
    tls_send(f, t, GET("/later"));
    WAIT_FOR(f, f->pending_count == 1);
    tls_free(t); /* gone before the answer */
    rb_reply(f->pending[--f->pending_count], 200, NULL, NULL, 0, "late", 4);
    WAIT_FOR(f, rb_http_connections(f->http) == 0);
}

static void test_old_versions_are_refused(void **state)
{
    struct fixture *f = *state;
    struct tls_client *t = tls_new(f, TLS1_1_VERSION);
    assert_false(SSL_is_init_finished(t->ssl));
    tls_free(t);
    t = tls_new(f, TLS1_2_VERSION);
    assert_int_equal(tls_ask(f, t, GET("/hello")), 200);
    tls_free(t);
}

static void test_reload_is_for_new_connections(void **state)
{
    struct fixture *f = *state;
    char why[256] = "";
    struct tls_client *old = tls_new(f, 0);
    assert_common_name(old, "first");
    assert_int_equal(rename(other_certificate, certificate), 0);
    assert_err(rb_http_reload_tls(f->http, why, sizeof(why)), RB_ERR_INVALID); /* the key is another's */
    assert_non_null(strstr(why, key));
    struct tls_client *t = tls_new(f, 0);
    assert_common_name(t, "first");
    tls_free(t);
    assert_int_equal(rename(other_key, key), 0);
    assert_ok(rb_http_reload_tls(f->http, why, sizeof(why)));
    t = tls_new(f, 0);
    assert_common_name(t, "second");
    assert_int_equal(tls_ask(f, t, GET("/hello")), 200);
    assert_int_equal(tls_ask(f, old, GET("/hello")), 200);
    tls_free(t);
    tls_free(old);
}

static void test_bad_files_are_explained(void **state)
{
    struct fixture *f = *state;
    char bound[RB_ADDR_SIZE];
    char why[256] = "";
    fixture_start(f);
    assert_err(rb_http_listen(f->http, "tls", "127.0.0.1:0", false, "/nowhere/cert.pem", key, NULL, 0, f,
                              bound, why, sizeof(why)),
               RB_ERR_INVALID);
    assert_non_null(strstr(why, "/nowhere/cert.pem"));
    assert_err(rb_http_listen(f->http, "tls", "127.0.0.1:0", false, certificate, NULL, NULL, 0, f, bound, why,
                              sizeof(why)),
               RB_ERR_INVALID);
}

static void test_plain_bytes_and_silence(void **state)
{
    struct fixture *f = *state;
    f->limits.request_us = RB_SECOND / 10;
    fixture_start(f);
    fixture_listen(f, certificate, key);
    struct client *plain = client_new(f);
    struct client *silent = client_new(f);
    client_send(f, plain, GET("/hello"));
    WAIT_FOR(f, client_is_closed(plain));
    client_expect_closed(f, silent);
    WAIT_FOR(f, rb_http_connections(f->http) == 0);
    client_free(plain);
    client_free(silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        http_test(test_requests_over_tls),
        http_test(test_large_answer_and_body),
        http_test(test_handlers_may_answer_later),
        http_test(test_old_versions_are_refused),
        http_test(test_bad_files_are_explained),
        http_test(test_plain_bytes_and_silence),
        http_test(test_reload_is_for_new_connections), /* last: it moves the files */
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
