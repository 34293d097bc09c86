#include "console.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "text.h"

enum { LINE_BYTES_MAX = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_terminal;
static char progress[LINE_BYTES_MAX];

void console_init(void)
{
    is_terminal = isatty(STDERR_FILENO) == 1;
}

bool console_is_terminal(void)
{
    return is_terminal;
}

size_t console_columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

/* Return to the first column and erase to the end of the line. */
static void erase_progress(void)
{
    if (progress[0] != '\0')
        fputs("\r\x1b[K", stderr);
}

void console_say(const char *format, ...)
{
    char line[LINE_BYTES_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);

    pthread_mutex_lock(&lock);
    erase_progress();
    fputs("phos: ", stderr);
    text_block(stderr, line, strlen(line), "      ");
    fputc('\n', stderr);
    fputs(progress, stderr);
    fflush(stderr);
    pthread_mutex_unlock(&lock);
}

void console_progress(const char *line)
{
    if (!is_terminal)
        return;
    pthread_mutex_lock(&lock);
    erase_progress();
    snprintf(progress, sizeof(progress), "%s", line);
    fputs(progress, stderr);
    fflush(stderr);
    pthread_mutex_unlock(&lock);
}
