/* The words the sample branch is made of. No list holds a comma or a quotation mark, so the CSV needs no
 * quoting. */
#ifndef RB_TOOLS_SAMPLE_WORDS_H
#define RB_TOOLS_SAMPLE_WORDS_H

#include "tools/sample/random.h"

struct words {
    const char *const *word;
    unsigned n;
};

extern const struct words surnames, given_names, places, streets, villages, luck, families, brands,
    specifications;

const char *pick(struct dice *dice, const struct words *words);

#endif
