/*
 * The HTTP client of daemon.h, by libcurl. Called by send and status. Follows no redirects, uses no proxy,
 * and trusts a TLS listener only when it shows the configuration's own certificate: it may be issued for
 * another name than the address of the listener, or by nobody.
 */
#include "tools/ringback/daemon.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ANSWER_CAP 262144
#define PIN_SIZE 64
#define CONNECT_SECONDS 3L
#define ANSWER_SECONDS 15L

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    struct daemon *daemon = ctx;
    rb_buf_add(&daemon->body, data, size * n);
    return rb_buf_err(&daemon->body) == RB_OK ? size * n : 0;
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
    static const char replayed[] = "ringback-replayed: true";
    struct daemon *daemon = ctx;
    if (size * n >= sizeof(replayed) - 1 && strncasecmp(data, replayed, sizeof(replayed) - 1) == 0)
        daemon->replayed = true;
    return size * n;
}

/* Where to connect for a listener that may listen on every address. */
static enum rb_err make_url(struct daemon *daemon, const struct rb_config *config)
{
    const char *address = config->listen_gateway;
    const char *port = strrchr(address, ':');
    if (!port || strcmp(port, ":0") == 0) {
        snprintf(daemon->why, sizeof(daemon->why), "listen_gateway (%s) names no port to connect to",
                 address);
        return RB_ERR_INVALID;
    }
    char host[128];
    snprintf(host, sizeof(host), "%.*s", (int)(port - address), address);
    if (strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0)
        strcpy(host, "127.0.0.1");
    else if (strcmp(host, "[::]") == 0)
        strcpy(host, "[::1]");
    snprintf(daemon->url, sizeof(daemon->url), "%s://%s%s", *config->tls_certificate ? "https" : "http", host,
             port);
    return RB_OK;
}

/* libcurl's pin: the hash of the certificate's public key. */
static bool make_pin(const char *path, char pin[PIN_SIZE])
{
    FILE *file = fopen(path, "rb");
    X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    unsigned char *der = NULL, hash[crypto_hash_sha256_BYTES];
    int len = certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der) : 0;
    if (len > 0) {
        crypto_hash_sha256(hash, der, (unsigned long long)len);
        strcpy(pin, "sha256//");
        sodium_bin2base64(pin + 8, PIN_SIZE - 8, hash, sizeof(hash), sodium_base64_VARIANT_ORIGINAL);
    }
    OPENSSL_free(der);
    X509_free(certificate);
    if (file)
        fclose(file);
    return len > 0;
}

static enum rb_err trust_certificate(struct daemon *daemon, const char *path)
{
    char pin[PIN_SIZE];
    if (!make_pin(path, pin)) {
        snprintf(daemon->why, sizeof(daemon->why),
                 "tls_certificate (%s) holds no certificate that can be read", path);
        return RB_ERR_INVALID;
    }
    curl_easy_setopt(daemon->curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(daemon->curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(daemon->curl, CURLOPT_PINNEDPUBLICKEY, pin);
    return RB_OK;
}

enum rb_err daemon_open(struct daemon *daemon, const struct rb_config *config)
{
    rb_buf_init(&daemon->body, ANSWER_CAP);
    enum rb_err err = make_url(daemon, config);
    if (err != RB_OK)
        return err;
    daemon->curl = curl_easy_init();
    if (!daemon->curl)
        return RB_ERR_NOMEM;
    curl_easy_setopt(daemon->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(daemon->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(daemon->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(daemon->curl, CURLOPT_TIMEOUT, ANSWER_SECONDS);
    curl_easy_setopt(daemon->curl, CURLOPT_USERAGENT, "ringback/" RB_VERSION);
    curl_easy_setopt(daemon->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(daemon->curl, CURLOPT_WRITEDATA, daemon);
    curl_easy_setopt(daemon->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(daemon->curl, CURLOPT_HEADERDATA, daemon);
    return *config->tls_certificate ? trust_certificate(daemon, config->tls_certificate) : RB_OK;
}

void daemon_close(struct daemon *daemon)
{
    curl_easy_cleanup(daemon->curl);
    rb_buf_deinit(&daemon->body);
}

static long perform(struct daemon *daemon, const char *path, struct curl_slist *headers, bool *refused)
{
    char url[sizeof(daemon->url) + 64];
    long status = 0;
    curl_off_t wait = -1;
    snprintf(url, sizeof(url), "%s%s", daemon->url, path);
    curl_easy_setopt(daemon->curl, CURLOPT_URL, url);
    curl_easy_setopt(daemon->curl, CURLOPT_HTTPHEADER, headers);
    rb_buf_reset(&daemon->body);
    daemon->replayed = false;
    daemon->retry_after = -1;
    CURLcode code = curl_easy_perform(daemon->curl);
    *refused = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
    if (code != CURLE_OK) {
        snprintf(daemon->why, sizeof(daemon->why), "%s", curl_easy_strerror(code));
        return 0;
    }
    curl_easy_getinfo(daemon->curl, CURLINFO_RESPONSE_CODE, &status);
    if (curl_easy_getinfo(daemon->curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
        daemon->retry_after = (long)wait;
    return status;
}

long daemon_get(struct daemon *daemon, const char *path, bool *refused)
{
    curl_easy_setopt(daemon->curl, CURLOPT_HTTPGET, 1L);
    return perform(daemon, path, NULL, refused);
}

long daemon_post(struct daemon *daemon, const char *path, const char *key, const char *content_type,
                 const char *body, size_t len, bool *refused)
{
    char authorization[256], type[128];
    snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s", key);
    snprintf(type, sizeof(type), "Content-Type: %s", content_type);
    struct curl_slist *headers = curl_slist_append(NULL, authorization);
    headers = curl_slist_append(headers, type);
    headers = curl_slist_append(headers, "Expect:"); /* nothing is gained by asking first */
    curl_easy_setopt(daemon->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    curl_easy_setopt(daemon->curl, CURLOPT_POSTFIELDS, body);
    long status = perform(daemon, path, headers, refused);
    curl_slist_free_all(headers);
    sodium_memzero(authorization, sizeof(authorization));
    return status;
}
