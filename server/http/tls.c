/*
 * TLS contexts: made from two PEM files, replaced as a whole on reload, so that connections under way keep
 * theirs. Called by the listener and, to say goodbye, by the connection. TLS 1.2 and later, no renegotiation,
 * HTTP/1.1 only.
 */
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/internal.h"

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                   unsigned int in_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void explain(const char *file, char *why, size_t size)
{
    char text[160];
    ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
    snprintf(why, size, "%s: %s", file, text);
    ERR_clear_error();
}

static SSL_CTX *load(const char *certificate, const char *key, char *why, size_t size)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) {
        explain("TLS", why, size);
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* an idle connection keeps no record buffers */
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"ringback", 8);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    const char *file = certificate;
    bool good = SSL_CTX_use_certificate_chain_file(ctx, certificate) == 1;
    if (good) {
        file = key;
        good = SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1 &&
               SSL_CTX_check_private_key(ctx) == 1;
    }
    if (!good) {
        explain(file, why, size);
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

struct rb_tls *rb_tls_new(const char *certificate, const char *key, char *why, size_t size)
{
    struct rb_tls *tls = calloc(1, sizeof(*tls));
    if (!tls) {
        snprintf(why, size, "no memory");
        return NULL;
    }
    tls->certificate = strdup(certificate);
    tls->key = strdup(key);
    if (!tls->certificate || !tls->key) {
        snprintf(why, size, "no memory");
    } else if ((tls->ctx = load(certificate, key, why, size))) {
        return tls;
    }
    rb_tls_free(tls);
    return NULL;
}

void rb_tls_free(struct rb_tls *tls)
{
    if (tls) {
        SSL_CTX_free(tls->ctx);
        free(tls->certificate);
        free(tls->key);
        free(tls);
    }
}

enum rb_err rb_tls_prepare(struct rb_tls *tls, char *why, size_t size)
{
    tls->next = load(tls->certificate, tls->key, why, size);
    return tls->next ? RB_OK : RB_ERR_INVALID;
}

void rb_tls_decide(struct rb_tls *tls, bool take)
{
    SSL_CTX *dropped = tls->next;
    if (take && tls->next) {
        dropped = tls->ctx; /* connections under way hold it on their own */
        tls->ctx = tls->next;
    }
    tls->next = NULL;
    SSL_CTX_free(dropped);
}

struct bufferevent *rb_tls_accept(struct rb_tls *tls, struct event_base *base, int fd)
{
    SSL *ssl = SSL_new(tls->ctx);
    if (!ssl) {
        ERR_clear_error();
        return NULL;
    }
    struct bufferevent *bev =
        bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (!bev) {
        SSL_free(ssl);
        return NULL;
    }
    bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

void rb_tls_say_goodbye(struct bufferevent *bev)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    if (ssl && SSL_is_init_finished(ssl)) {
        SSL_shutdown(ssl);
        ERR_clear_error();
    }
}
