/*
 * ringback: the administrator's tool. Finds the command that the line names, parses its options with argp,
 * loads the configuration and runs it. Knows neither the database nor what a command does.
 */
#include <argp.h>
#include <locale.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "tools/ringback/command.h"
#include "tools/ringback/say.h"

#define FIRST_KEY 256 /* of a command's own options; beyond any character, so they have no short form */
#define HELP_CAP 65536
#define DOC_SIZE 2048

const char *argp_program_version = "ringback " RB_VERSION;

static const struct command *const tables[] = {
    migrate_commands, branch_commands, gateway_commands, target_commands, import_commands,      user_commands,
    reports_commands, retire_commands, send_commands,    status_commands, notification_commands};

static const struct argp_option common_options[] = {
    {"config", 'c', "FILE", 0, "Configuration (default: RINGBACK_CONFIG, else /etc/ringback/ringback.conf)",
     0},
    {"branch", 'b', "CODE", 0, "The branch to work in (default: the only one)", 0},
    {0}};

static error_t on_common_option(int key, char *arg, struct argp_state *state)
{
    struct call *call = state->input;
    switch (key) {
    case 'c':
        call->config_path = arg;
        return 0;
    case 'b':
        call->branch = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp common_argp = {.options = common_options, .parser = on_common_option};

static const char *missing_option(const struct call *call)
{
    for (unsigned i = 0; i < COMMAND_OPTIONS && call->command->options[i].name; i++) {
        if (call->command->options[i].required && !call->option[i])
            return call->command->options[i].name;
    }
    return NULL;
}

static error_t on_command_option(int key, char *arg, struct argp_state *state)
{
    struct call *call = state->input;
    if (key >= FIRST_KEY && key < FIRST_KEY + COMMAND_OPTIONS) {
        call->option[key - FIRST_KEY] = arg ? arg : "";
        return 0;
    }
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = call;
        return 0;
    case 'j':
        call->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (call->n_args == call->command->most_args)
            argp_error(state, "what is \"%s\" for?", arg);
        call->args[call->n_args++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (call->n_args < call->command->least_args)
            argp_error(state, "it wants %s", call->command->args);
        if (missing_option(call))
            argp_error(state, "--%s is missing", missing_option(call));
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Ends the process on a fault (2) and after --help (0), as argp does. */
static void parse_command(struct call *call, int argc, char **argv)
{
    const struct command *command = call->command;
    struct argp_option options[COMMAND_OPTIONS + 2] = {{0}};
    int i;
    for (i = 0; i < COMMAND_OPTIONS && command->options[i].name; i++) {
        options[i].name = command->options[i].name;
        options[i].key = FIRST_KEY + i;
        options[i].arg = command->options[i].value;
        options[i].doc = command->options[i].help;
    }
    if (command->json)
        options[i] = (struct argp_option){"json", 'j', 0, 0, "Print the result as JSON", 0};
    const struct argp_child children[] = {{&common_argp, 0, "Every command takes:", 1}, {0}};
    char doc[DOC_SIZE];
    snprintf(doc, sizeof(doc), "%s\v%s%sExample:\n  %s", command->does, command->more ? command->more : "",
             command->more ? "\n\n" : "", command->example);
    /* An empty table, unlike none at all, would leak in glibc's help. */
    const struct argp argp = {.options = options[0].name ? options : NULL,
                              .parser = on_command_option,
                              .args_doc = command->args,
                              .doc = doc,
                              .children = children};
    argp_parse(&argp, argc, argv, 0, NULL, call);
}

/* Does the line continue with these words? Gives how many there are, else 0. */
static int match_words(const char *words, int argc, char **argv)
{
    int n = 0;
    for (const char *word = words; *word; n++) {
        size_t len = strcspn(word, " ");
        if (n == argc || strlen(argv[n]) != len || strncmp(argv[n], word, len) != 0)
            return 0;
        word += len + (word[len] == ' ');
    }
    return n;
}

static const struct command *find_command(int argc, char **argv, int *n_words)
{
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (const struct command *command = tables[t]; command->words; command++) {
            if ((*n_words = match_words(command->words, argc, argv)) > 0)
                return command;
        }
    }
    return NULL;
}

/* Lists the commands whose first word is this one; all for NULL. Gives how many. */
static unsigned list_commands(const char *first, struct rb_buf *out)
{
    unsigned n = 0;
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (const struct command *command = tables[t]; command->words; command++) {
            size_t len = strcspn(command->words, " ");
            if (first && (strlen(first) != len || strncmp(first, command->words, len) != 0))
                continue;
            rb_buf_printf(out, "  %-20s  %s\n", command->words, command->does);
            n++;
        }
    }
    return n;
}

struct line {
    struct call *call;
    int first; /* index of the command's first word; 0: none */
};

static char *on_help(int key, const char *text, void *input)
{
    struct rb_buf list;
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)text;
    rb_buf_init(&list, HELP_CAP);
    rb_buf_str(&list, "Commands (each has its own --help):\n");
    list_commands(NULL, &list);
    return rb_buf_take(&list, NULL);
}

static error_t on_line(int key, char *arg, struct argp_state *state)
{
    struct line *line = state->input;
    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = line->call;
        return 0;
    case ARGP_KEY_ARG:
        line->first = state->next - 1;
        state->next = state->argc; /* what follows is the command's own */
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A line that names no command: its first word may be the beginning of some. */
static int list_similar(const char *word, const char *next)
{
    struct rb_buf list;
    bool asked = next && strcmp(next, "--help") == 0;
    rb_buf_init(&list, HELP_CAP);
    unsigned n = list_commands(word, &list);
    if (n == 0)
        say("there is no command \"%s\"; ringback --help lists them", word);
    else if (asked)
        fputs(list.data, stdout);
    else
        fprintf(stderr, "ringback: \"%s\" wants one more word:\n%s", word, list.data);
    rb_buf_deinit(&list);
    return n > 0 && asked ? end_output(ENDING_DONE) : ENDING_USAGE;
}

static int run(struct call *call)
{
    char why[4096];
    if (rb_config_load(call->config_path, &call->config, why, sizeof(why)) != RB_OK) {
        fprintf(stderr, "%s%s", why, why[0] && why[strlen(why) - 1] == '\n' ? "" : "\n");
        return ENDING_REFUSED;
    }
    int ending = call->command->run(call);
    rb_config_deinit(&call->config);
    return end_output(ending);
}

int main(int argc, char **argv)
{
    struct call call = {0};
    struct line line = {.call = &call};
    const struct argp_child children[] = {{&common_argp, 0, "Every command takes:", 1}, {0}};
    const struct argp argp = {.parser = on_line,
                              .args_doc = "COMMAND [ARGUMENT...]",
                              .doc = "The administrator's tool of Ringback.\v",
                              .children = children,
                              .help_filter = on_help};
    setlocale(LC_CTYPE, "C.UTF-8"); /* for the width of what is printed in columns */
    argp_err_exit_status = ENDING_USAGE;
    if (sodium_init() < 0)
        return refuse("the system gives no random numbers");
    char name[] = "ringback";
    argv[0] = name;
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &line);
    if (line.first == 0)
        return usage("which command? ringback --help lists them");
    int n_words = 0;
    call.command = find_command(argc - line.first, argv + line.first, &n_words);
    if (!call.command)
        return list_similar(argv[line.first], argv[line.first + 1]);
    char words[64];
    snprintf(words, sizeof(words), "ringback %s", call.command->words);
    argv[line.first + n_words - 1] = words;
    parse_command(&call, argc - line.first - n_words + 1, argv + line.first + n_words - 1);
    return run(&call);
}
