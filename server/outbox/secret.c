/*
 * A cache of opened secrets: one place for each hash, the latest wins. See secret.h.
 */
#include "server/outbox/secret.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES = 1024 };

struct place {
    char *sealed; /* as the database writes it; NULL: empty */
    char *plain;
};

struct rb_secrets {
    const struct rb_seal *seal;
    struct place places[PLACES];
};

static void clear(struct place *place)
{
    if (place->plain)
        sodium_memzero(place->plain, strlen(place->plain));
    free(place->plain);
    free(place->sealed);
    *place = (struct place){0};
}

struct rb_secrets *rb_secrets_new(const struct rb_seal *seal)
{
    struct rb_secrets *secrets = calloc(1, sizeof(*secrets));
    RB_INVARIANT(secrets != NULL);
    secrets->seal = seal;
    return secrets;
}

void rb_secrets_free(struct rb_secrets *secrets)
{
    if (!secrets)
        return;
    for (size_t i = 0; i < PLACES; i++)
        clear(&secrets->places[i]);
    free(secrets);
}

const char *rb_secrets_find(struct rb_secrets *secrets, int64_t branch, int64_t target,
                            const struct rb_result *result, int row, int column)
{
    uint64_t hash = ((uint64_t)branch << 32 ^ (uint64_t)target) * UINT64_C(0x9e3779b97f4a7c15);
    struct place *place = &secrets->places[hash >> 54];
    const char *sealed = rb_result_text(result, row, column);
    size_t len;
    if (!sealed)
        return "";
    if (place->sealed && strcmp(place->sealed, sealed) == 0)
        return place->plain;
    clear(place);
    uint8_t *box = rb_result_bytes(result, row, column, &len);
    enum rb_err err = rb_seal_reveal(secrets->seal, box, len, &place->plain);
    free(box);
    if (err != RB_OK) {
        place->plain = NULL;
        return NULL;
    }
    place->sealed = strdup(sealed);
    RB_INVARIANT(place->sealed != NULL);
    return place->plain;
}
