/*
 * ringback target add, list, retire: where notifications for a person go. An address is checked for its form
 * here; whether it may be reached is decided by the daemon each time it connects.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "tools/ringback/command.h"
#include "tools/ringback/output.h"
#include "tools/ringback/say.h"
#include "tools/ringback/secret.h"
#include "tools/ringback/session.h"

#define LONGEST_ADDRESS 2000

extern const char rb_sql_tool_target_add[], rb_sql_tool_target_list[], rb_sql_tool_target_retire[];

static bool part_is(CURLU *url, CURLUPart which, const char *wanted)
{
    char *part = NULL;
    bool is =
        curl_url_get(url, which, &part, 0) == CURLUE_OK && (wanted ? strcmp(part, wanted) == 0 : *part != 0);
    curl_free(part);
    return is;
}

static const char *fault_of_parts(CURLU *url)
{
    if (!part_is(url, CURLUPART_SCHEME, "http") && !part_is(url, CURLUPART_SCHEME, "https"))
        return "it must begin with http:// or https://";
    if (part_is(url, CURLUPART_USER, NULL) || part_is(url, CURLUPART_PASSWORD, NULL))
        return "it holds credentials: notifications are signed, the receiver checks the signature instead";
    if (part_is(url, CURLUPART_FRAGMENT, NULL))
        return "it has a fragment (#…), which is never sent";
    return NULL;
}

/* What libcurl would forgive: "http:/host", "http:///host" and the like. */
static bool begins_with_host(const char *address)
{
    const char *host = strstr(address, "://");
    return host && strchr("/?#", host[3]) == NULL;
}

/* NULL: an address that a webhook can be posted to. */
static const char *webhook_fault(const char *address)
{
    if (strlen(address) > LONGEST_ADDRESS)
        return "it is longer than 2,000 characters";
    for (const char *c = address; *c; c++) {
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 127)
            return "it holds a space or a character outside ASCII: write it percent-encoded";
    }
    if (!begins_with_host(address))
        return "it must begin with http:// or https:// and a host";
    CURLU *url = curl_url();
    if (!url)
        return "there is no memory to read it";
    const char *fault = "it is no URL";
    if (curl_url_set(url, CURLUPART_URL, address, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
        fault = fault_of_parts(url);
    curl_url_cleanup(url);
    return fault;
}

static int run_add(const struct call *call)
{
    struct session session = {0};
    struct secret secret = {0};
    PGresult *result = NULL;
    if (strcmp(call->args[1], "webhook") != 0)
        return refuse("there is no channel \"%s\"; there is: webhook", call->args[1]);
    const char *fault = webhook_fault(call->args[2]);
    if (fault)
        return refuse("\"%s\" is no address for a webhook: %s", call->args[2], fault);
    if (session_open(&session, call) == RB_OK && secret_make(call, &secret) == RB_OK) {
        const char *const values[] = {session.branch_id, call->args[0], call->args[1],
                                      call->args[2],     secret.sealed, session.actor};
        result = session_query(&session, rb_sql_tool_target_add, 6, values);
    }
    if (result)
        printf("%s\n", secret.text);
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    PQclear(result);
    secret_deinit(&secret);
    session_close(&session);
    return ending;
}

static int run_list(const struct call *call)
{
    struct session session = {0};
    PGresult *rows = NULL;
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id};
        rows = session_query(&session, rb_sql_tool_target_list, 1, values);
    }
    if (rows)
        output_rows(rows, call->json);
    int ending = rows ? ENDING_DONE : ENDING_REFUSED;
    PQclear(rows);
    session_close(&session);
    return ending;
}

static int run_retire(const struct call *call)
{
    struct session session = {0};
    PGresult *result = NULL;
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id, call->args[0], session.actor};
        result = session_query(&session, rb_sql_tool_target_retire, 3, values);
    }
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    PQclear(result);
    session_close(&session);
    return ending;
}

const struct command target_commands[] = {
    {.words = "target add",
     .args = "PERSON CHANNEL ADDRESS",
     .least_args = 3,
     .most_args = 3,
     .does = "Adds where a person is notified; prints its secret.",
     .more =
         "PERSON is a code; the only CHANNEL is webhook: notifications are posted to ADDRESS, signed by the "
         "Standard Webhooks scheme with the secret, which is shown only this once. Notifications that waited "
         "for a target go there at once.",
     .example = "ringback target add AM01 webhook https://hooks.example.com/am01",
     .run = run_add},
    {.words = "target list",
     .does = "Lists the targets of the branch, those in use first.",
     .example = "ringback target list",
     .json = true,
     .run = run_list},
    {.words = "target retire",
     .args = "TARGET",
     .least_args = 1,
     .most_args = 1,
     .does = "Takes a target, by its number in the list, out of use.",
     .example = "ringback target retire 7",
     .run = run_retire},
    {0}};
