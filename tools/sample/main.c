/*
 * ringback-sample: writes a whole made-up branch as the four CSV files that `ringback import` takes.
 * ./tools/up, the flow tests and the benchmark start from it. The same numbers and seed give the same bytes.
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/sample/sample.h"

struct options {
    unsigned retailers;
    unsigned products;
    uint64_t seed;
    const char *folder;
};

static const char doc[] = "Writes a made-up branch to DIR: people.csv, retailers.csv, products.csv and "
                          "caps.csv, as `ringback import` "
                          "takes them. The same options give the same bytes."
                          "\v"
                          "By default: 4 areas, 16 account managers (AM01 to AM16) with about 190 retailers "
                          "each, who report to the market "
                          "manager of their area (MM1 to MM4) and stand in for each other within it; 2 "
                          "supervisors (SV1, SV2), 12 operators "
                          "(OP01 to OP12), 8 deliverers (DL1 to DL8), 4 inspectors (IN1 to IN4), 3,040 "
                          "retailers from 41000001 on and 300 "
                          "products, 1101 to 4010, brand and specification by two digits each. One product "
                          "in ten is scarce, one in thirty "
                          "controlled; caps.csv has rules for both.\n\n"
                          "Nobody's numbers: mobiles begin with 154, which is not assigned, landlines (0416) "
                          "have local numbers that begin "
                          "with 1, which are never given out. In the books of the first four account "
                          "managers the 11th and the 12th "
                          "retailer share a mobile, and the last retailer of all has that of 41000021, whose "
                          "manager is another.\n\n"
                          "More retailers bring more managers and areas in proportion.";

static const struct argp_option argp_options[] = {
    {"retailers", 'r', "N", 0, "how many retailers, up to 900,000 (3040)", 0},
    {"products", 'p', "N", 0, "how many products, up to 960 (300)", 0},
    {"seed", 's', "S", 0, "another branch for another number (1)", 0},
    {0}};

static uint64_t number(struct argp_state *state, const char *what, const char *text, uint64_t least,
                       uint64_t most)
{
    char *end;
    uint64_t n;

    errno = 0;
    n = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || n < least || n > most) {
        argp_error(state, "--%s wants a number from %ju to %ju, not '%s'", what, (uintmax_t)least,
                   (uintmax_t)most, text);
    }
    return n;
}

static error_t on_option(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case 'r':
        options->retailers = (unsigned)number(state, "retailers", text, 1, SAMPLE_MOST_RETAILERS);
        return 0;
    case 'p':
        options->products = (unsigned)number(state, "products", text, 1, SAMPLE_MOST_PRODUCTS);
        return 0;
    case 's':
        options->seed = number(state, "seed", text, 0, UINT64_MAX);
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_usage(state);
        }
        options->folder = text;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Writes one file; says why not and returns false when the disk does not take it. */
static bool write_file(const struct options *options, const struct plan *plan, const char *name,
                       void (*write)(const struct plan *plan, FILE *out))
{
    char path[4096];
    FILE *out = NULL;
    bool written = false;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", options->folder, name) >= sizeof(path)) {
        errno = ENAMETOOLONG;
    } else if ((out = fopen(path, "w"))) {
        write(plan, out);
        written = !ferror(out);
    }
    if (out && fclose(out)) {
        written = false;
    }
    if (!written) {
        fprintf(stderr, "ringback-sample: %s/%s: %s\n", options->folder, name, strerror(errno));
    }
    return written;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {argp_options, on_option, "DIR", doc, NULL, NULL, NULL};
    struct options options = {.retailers = 3040, .products = 300, .seed = 1};
    struct plan plan;

    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (mkdir(options.folder, 0777) && errno != EEXIST) {
        fprintf(stderr, "ringback-sample: %s: %s\n", options.folder, strerror(errno));
        return 1;
    }
    plan_init(&plan, options.retailers, options.products, options.seed);
    return write_file(&options, &plan, "people.csv", write_people) &&
                   write_file(&options, &plan, "retailers.csv", write_retailers) &&
                   write_file(&options, &plan, "products.csv", write_products) &&
                   write_file(&options, &plan, "caps.csv", write_caps)
               ? 0
               : 1;
}
