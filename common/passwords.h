/*
 * How passwords are hashed (argon2id), by the administrator's tool and by the daemon: were they to differ,
 * every log-in would hash anew.
 */
#ifndef RB_COMMON_PASSWORDS_H
#define RB_COMMON_PASSWORDS_H

#include <stddef.h>

#define RB_ARGON_PASSES 2
#define RB_ARGON_MEMORY ((size_t)19 << 20) /* bytes */

#endif
