/*
 * ringback target add, move, test, list, retire: where notifications for a person go. An address is checked
 * for its form here; whether it may be reached is decided by the daemon each time it connects.
 */
#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/mail.h"
#include "tools/ringback/command.h"
#include "tools/ringback/output.h"
#include "tools/ringback/password.h"
#include "tools/ringback/say.h"
#include "tools/ringback/secret.h"
#include "tools/ringback/session.h"

#define LONGEST_ADDRESS 2000
#define LONGEST_SECRET 200

enum { POSITION, SECRET_STDIN };
enum { TEST_SECONDS = 30 };

extern const char rb_sql_tool_target_add[], rb_sql_tool_target_list[], rb_sql_tool_target_move[],
    rb_sql_tool_target_retire[], rb_sql_tool_target_test[], rb_sql_tool_target_test_end[];

/* What is kept of a target. */
struct place {
    char shown[LONGEST_ADDRESS + 32];              /* the address as lists show it */
    char sealed[LONGEST_ADDRESS + LONGEST_SECRET]; /* what is to be sealed, or empty */
    char bucket[300];                              /* or empty */
    bool makes_secret;
};

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

/* NULL: an address that can be posted to. */
static const char *url_fault(const char *address)
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

/* A robot's key, behind "key=" or "access_token=", to the end; NULL: there is none. */
static const char *key_of(const char *address, const char *name)
{
    const char *query = strchr(address, '?');
    const char *key = query ? strstr(query + 1, name) : NULL;
    if (!key || (key[-1] != '?' && key[-1] != '&'))
        return NULL;
    key += strlen(name);
    return *key && !strchr(key, '&') ? key : NULL;
}

/* Who knows its key can write to the group: it is shown by its last characters and a mark of the whole. */
static void mask_robot(const char *address, const char *key, struct place *place, const char *channel)
{
    unsigned char hash[16];
    char hex[2 * sizeof(hash) + 1];
    size_t shown = strlen(key) >= 16 ? 4 : 0;
    crypto_generichash(hash, sizeof(hash), (const unsigned char *)address, strlen(address), NULL, 0);
    sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    snprintf(place->shown, sizeof(place->shown), "%.*s…%s (%.8s)", (int)(key - address), address,
             key + strlen(key) - shown, hex);
    snprintf(place->bucket, sizeof(place->bucket), "%s:%s", channel, hex);
}

static const char *read_robot(const struct call *call, const char *name, struct place *place)
{
    const char *address = call->args[2], *key = key_of(address, name);
    const char *fault = url_fault(address);
    if (!fault && !key)
        return strcmp(name, "key=") == 0 ? "it must end with ?key= and the robot's key"
                                         : "it must end with ?access_token= and the robot's token";
    if (!fault)
        mask_robot(address, key, place, call->args[1]);
    return fault;
}

/* The secret of a signing robot, from standard input, on a second line behind its address. */
static const char *read_dingtalk(const struct call *call, struct place *place)
{
    char secret[PASSWORD_SIZE] = "";
    const char *fault = read_robot(call, "access_token=", place);
    snprintf(place->sealed, sizeof(place->sealed), "%s", call->args[2]);
    if (fault || !call->option[SECRET_STDIN])
        return fault;
    if (secret_read("signing secret", secret) != RB_OK || strncmp(secret, "SEC", 3) != 0 ||
        strlen(secret) > LONGEST_SECRET || strpbrk(secret, " \t\r\n"))
        fault = "the signing secret on standard input is none: it begins with SEC";
    else
        snprintf(place->sealed, sizeof(place->sealed), "%s\n%s", call->args[2], secret);
    sodium_memzero(secret, sizeof(secret));
    return fault;
}

static const char *read_wecom(const struct call *call, struct place *place)
{
    snprintf(place->sealed, sizeof(place->sealed), "%s", call->args[2]);
    return read_robot(call, "key=", place);
}

static const char *read_webhook(const struct call *call, struct place *place)
{
    place->makes_secret = true;
    snprintf(place->shown, sizeof(place->shown), "%s", call->args[2]);
    return url_fault(call->args[2]);
}

static const char *read_email(const struct call *call, struct place *place)
{
    const char *address = call->args[2];
    if (!rb_mail_address_valid(address))
        return "it is no e-mail address";
    if (!*call->config.smtp_relay)
        return "no mail goes out: set smtp_relay and smtp_from in the configuration first";
    snprintf(place->shown, sizeof(place->shown), "%s", address);
    int n = snprintf(place->bucket, sizeof(place->bucket), "email:");
    for (; *address; address++)
        place->bucket[n++] = *address >= 'A' && *address <= 'Z' ? (char)(*address - 'A' + 'a') : *address;
    return NULL;
}

static const char *read_console(const struct call *call, struct place *place)
{
    snprintf(place->shown, sizeof(place->shown), "console");
    return strcmp(call->args[2], "console") == 0 ? NULL : "the console's address is the word console";
}

static const struct channel {
    const char *name;
    /* Reads what the command line says; gives what is wrong with it, or NULL. */
    const char *(*read)(const struct call *call, struct place *place);
} channels[] = {{"webhook", read_webhook}, {"wecom", read_wecom},     {"dingtalk", read_dingtalk},
                {"email", read_email},     {"console", read_console}, {NULL, NULL}};

static const struct channel *channel_of(const char *name)
{
    const struct channel *channel = channels;
    while (channel->name && strcmp(channel->name, name) != 0)
        channel++;
    return channel->name ? channel : NULL;
}

/* Seals what must be: sealed is then bytea, or NULL; printed is the secret that was made, or empty. */
static enum rb_err seal(const struct call *call, struct place *place, struct secret *made)
{
    if (place->makes_secret)
        return secret_make(call, made);
    return *place->sealed ? secret_seal(call, place->sealed, &made->sealed) : RB_OK;
}

static int run_add(const struct call *call)
{
    struct session session = {0};
    struct secret secret = {0};
    struct place place = {0};
    PGresult *result = NULL;
    const struct channel *channel = channel_of(call->args[1]);
    if (!channel)
        return refuse("there is no channel \"%s\"; there are: webhook, wecom, dingtalk, email, console",
                      call->args[1]);
    if (call->option[SECRET_STDIN] && strcmp(channel->name, "dingtalk") != 0)
        return usage("--secret-stdin is for dingtalk only");
    const char *fault = channel->read(call, &place);
    if (fault)
        refuse("%s is no target by %s: %s", *place.bucket || *place.sealed ? "this" : call->args[2],
               channel->name, fault);
    else if (session_open(&session, call) == RB_OK && seal(call, &place, &secret) == RB_OK) {
        const char *const values[] = {session.branch_id,
                                      call->args[0],
                                      channel->name,
                                      place.shown,
                                      secret.sealed,
                                      session.actor,
                                      *place.bucket ? place.bucket : NULL,
                                      call->option[POSITION]};
        result = session_query(&session, rb_sql_tool_target_add, 8, values);
    }
    if (result && place.makes_secret)
        printf("%s\n", secret.text);
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    PQclear(result);
    sodium_memzero(&place, sizeof(place));
    secret_deinit(&secret);
    session_close(&session);
    return ending;
}

static int run_move(const struct call *call)
{
    struct session session = {0};
    PGresult *result = NULL;
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id, call->args[0], call->args[1], session.actor};
        result = session_query(&session, rb_sql_tool_target_move, 4, values);
    }
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    PQclear(result);
    session_close(&session);
    return ending;
}

/* Looks for the end of a test for as long as a daemon may need; NULL: it has none yet. */
static PGresult *await_test(struct session *session, const char *id)
{
    const char *const values[] = {session->branch_id, id};
    for (int i = 0; i < TEST_SECONDS * 5; i++) {
        PGresult *result = session_query(session, rb_sql_tool_target_test_end, 2, values);
        if (!result || PQntuples(result))
            return result;
        PQclear(result);
        usleep(200000);
    }
    say("no daemon has tried it within %d seconds: is ringbackd running, or does the target rest? It will be "
        "tried within ten minutes",
        TEST_SECONDS);
    return NULL;
}

static int run_test(const struct call *call)
{
    struct session session = {0};
    PGresult *asked = NULL, *end = NULL;
    int ending = ENDING_REFUSED;
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id, call->args[0], session.actor};
        asked = session_query(&session, rb_sql_tool_target_test, 3, values);
    }
    if (asked)
        end = await_test(&session, PQgetvalue(asked, 0, 0));
    if (end && strcmp(PQgetvalue(end, 0, 0), "delivered") == 0) {
        printf("delivered\n");
        ending = ENDING_DONE;
    } else if (end) {
        const char *status = session_value(end, 0, 1), *error = session_value(end, 0, 2);
        refuse("not delivered: %s%s%s%s", *status ? "status " : "", status, *status && *error ? ", " : "",
               error);
    }
    PQclear(end);
    PQclear(asked);
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
     .does = "Adds where a person is notified; prints the secret of a webhook.",
     .more = "PERSON is a code. CHANNEL and ADDRESS are: webhook and a URL, to which notifications are "
             "posted, signed "
             "by the Standard Webhooks scheme with the secret that is printed only this once; wecom or "
             "dingtalk and "
             "the URL of a group's robot with its key, which is kept sealed; email and an address; console "
             "and the "
             "word console. All but webhook print nothing. Notifications that waited for a target go there "
             "at once.",
     .example = "ringback target add AM01 webhook https://hooks.example.com/am01",
     .options = {[POSITION] = {"position", "N", "Its place among the person's targets, 1 is used first",
                               false},
                 [SECRET_STDIN] = {"secret-stdin", NULL,
                                   "The signing secret of a DingTalk robot (SEC…) comes on standard input",
                                   false}},
     .run = run_add},
    {.words = "target move",
     .args = "TARGET N",
     .least_args = 2,
     .most_args = 2,
     .does = "Puts a target, by its number in the list, at place N among its person's; 1 is used first.",
     .example = "ringback target move 7 1",
     .run = run_move},
    {.words = "target test",
     .args = "TARGET",
     .least_args = 1,
     .most_args = 1,
     .does = "Has the daemon send a message there now, and says whether it was taken.",
     .example = "ringback target test 7",
     .run = run_test},
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
