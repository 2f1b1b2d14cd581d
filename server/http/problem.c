/*
 * Problem documents (RFC 9457), and the names of statuses. Used by replies and by those who put a problem
 * into an item of a batch; knows nothing of requests.
 */
#include "server/http/problem.h"

#include <string.h>

#include "server/http/internal.h"

static const struct {
    const char *code;
    const char *title;
} titles[] = {
    {"ambiguous-retailer", "More than one retailer has this number"},
    {"bad-reference", "Reference not known"},
    {"bad-request", "Request cannot be read"},
    {"busy", "Too busy"},
    {"changed-meanwhile", "Somebody changed it meanwhile"},
    {"conflict", "Not possible as things are"},
    {"csrf", "Request is not from this console"},
    {"event-conflict", "Event was sent before with another content"},
    {"expectation-failed", "Expectation cannot be met"},
    {"forbidden", "Not allowed"},
    {"headers-too-large", "Headers too large"},
    {"illegal-move", "Move not allowed from this state"},
    {"internal", "Fault of the server"},
    {"invalid-data", "Data is not valid"},
    {"method-not-allowed", "Method not allowed"},
    {"not-found", "Not found"},
    {"precondition-required", "Version to change is missing"},
    {"request-timeout", "Request took too long"},
    {"too-large", "Content too large"},
    {"too-many-tries", "Too many tries"},
    {"unauthorized", "Credentials missing or wrong"},
    {"unavailable", "Not available at the moment"},
    {"unknown-product", "Product not known"},
    {"unknown-retailer", "Retailer not known"},
    {"unknown-type", "Event type not known"},
    {"unsupported-encoding", "Encoding not supported"},
    {"unsupported-media-type", "Media type not supported"},
    {"unsupported-version", "HTTP version not supported"},
    {"uri-too-long", "Request target too long"},
};

static const struct {
    int status;
    const char *title;
} statuses[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *rb_status_title(int status)
{
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i].status == status) {
            return statuses[i].title;
        }
    }
    return "Other";
}

static const char *title_of(const char *code, int status)
{
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        if (strcmp(titles[i].code, code) == 0) {
            return titles[i].title;
        }
    }
    return rb_status_title(status);
}

void rb_problem_write(struct rb_buf *out, int status, const char *code, const char *detail,
                      const char *errors)
{
    rb_buf_str(out, "{\"type\": \"/problems/");
    rb_buf_str(out, code);
    rb_buf_str(out, "\", \"title\": ");
    rb_buf_json(out, title_of(code, status));
    rb_buf_str(out, ", \"status\": ");
    rb_buf_int(out, status);
    if (detail) {
        rb_buf_str(out, ", \"detail\": ");
        rb_buf_json(out, detail);
    }
    if (errors) {
        rb_buf_str(out, ", \"errors\": ");
        rb_buf_str(out, errors);
    }
    rb_buf_char(out, '}');
}
