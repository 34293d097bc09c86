#define _GNU_SOURCE

#include "io/entropy.h"

#include <errno.h>
#include <sys/random.h>

phos_status phos__entropy_fill(void *to, size_t bytes)
{
    uint8_t *next = to;

    while (bytes > 0) {
        ssize_t got = getrandom(next, bytes, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return PHOS_E_SYSTEM;
        next += got;
        bytes -= (size_t)got;
    }
    return PHOS_OK;
}

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

/* xoshiro256**. Source: Blackman and Vigna, "Scrambled linear pseudorandom
 * number generators", 2021. */
static uint64_t random_next(void *self)
{
    uint64_t *s = self;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

phos_status phos__random_port_seed(uint64_t state[4],
                                   struct phos__random_port *ret_port)
{
    phos_status status = phos__entropy_fill(state, 4 * sizeof(state[0]));

    if (status)
        return status;
    state[0] |= 1; /* all zero is the one state it never leaves */
    ret_port->self = state;
    ret_port->next = random_next;
    return PHOS_OK;
}
