#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t count;
static volatile sig_atomic_t first;
static int ends[2] = { -1, -1 };

static void on_signal(int number)
{
    int saved = errno;

    if (first == 0)
        first = number;
    count++;
    /* A full pipe is readable already. */
    if (write(ends[1], "", 1) < 0)
        errno = 0;
    errno = saved;
}

static bool catch_one(int number)
{
    struct sigaction action;
    struct sigaction before;

    if (sigaction(number, NULL, &before) != 0)
        return false;
    if (before.sa_handler == SIG_IGN)
        return true;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    return sigaction(number, &action, NULL) == 0;
}

bool signals_catch(void)
{
    struct sigaction ignore;

    if (pipe(ends) != 0)
        return false;
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
    memset(&ignore, 0, sizeof(ignore));
    ignore.sa_handler = SIG_IGN;
    return catch_one(SIGINT) && catch_one(SIGTERM) && catch_one(SIGHUP) &&
           sigaction(SIGPIPE, &ignore, NULL) == 0;
}

unsigned signals_count(void)
{
    return (unsigned)count;
}

int signals_first(void)
{
    return (int)first;
}

int signals_fd(void)
{
    return ends[0];
}

void signals_take(void)
{
    char bytes[16];

    while (read(ends[0], bytes, sizeof(bytes)) > 0) {
    }
}
