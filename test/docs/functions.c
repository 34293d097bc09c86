/* What surrounds fragments with `<!-- example: fragment functions -->`: they
 * hold whole functions, which are compiled. */
#define _GNU_SOURCE

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <phos/phos.h>

/* EXAMPLE */

int main(void)
{
    return 0;
}
