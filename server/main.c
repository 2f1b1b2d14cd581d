/*
 * ringbackd: command line and configuration; the rest is app.c's.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/log.h"
#include "server/app.h"

const char *argp_program_version = "ringbackd " RB_VERSION;
enum { OPTION_PRINT = 'p', OPTION_MARKDOWN = 1000, WHY_BYTES = 8192 };

struct arguments {
    const char *config;
    int print;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'c':
        arguments->config = arg;
        return 0;
    case OPTION_PRINT:
    case OPTION_MARKDOWN:
        arguments->print = key;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "takes no arguments");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"config", 'c', "FILE", 0, "Read FILE instead of /etc/ringback/ringback.conf", 0},
        {"print-config", OPTION_PRINT, NULL, 0, "Print every setting with its value and meaning, and exit",
         0},
        {"config-markdown", OPTION_MARKDOWN, NULL, OPTION_HIDDEN, "Print docs/configuration.md, and exit", 0},
        {0}};
    static const struct argp argp = {
        options,
        parse,
        NULL,
        "The telephone order desk's daemon: takes order, complaint and call events, and keeps the promise to "
        "call back.\v"
        "SIGTERM ends it once everything taken is answered; SIGHUP reads the log level and the TLS files "
        "again. "
        "Every setting can be given as RINGBACK_<KEY> in the environment, which wins.",
        NULL,
        NULL,
        NULL};
    struct arguments arguments = {0};
    struct rb_config config;
    char why[WHY_BYTES];
    enum rb_log_level level;

    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    if (arguments.print == OPTION_MARKDOWN) {
        rb_config_print_markdown(stdout);
        return 0;
    }
    if (rb_config_load(arguments.config, &config, why, sizeof(why)) != RB_OK) {
        fprintf(stderr, "%s", why);
        if (!*why || why[strlen(why) - 1] != '\n')
            fputc('\n', stderr);
        return 1;
    }
    if (arguments.print == OPTION_PRINT) {
        rb_config_print(&config, stdout);
        rb_config_deinit(&config);
        return 0;
    }
    if (rb_log_level_parse(config.log_level, &level) == RB_OK)
        rb_log_set_level(level);
    int status = rb_app_run(&config, arguments.config);
    rb_config_deinit(&config);
    return status;
}
