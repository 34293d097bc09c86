#include "options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

enum { WORD_BYTES_MAX = 40, NEAREST_MAX = 16 };

static size_t least(size_t a, size_t b, size_t c)
{
    size_t two = a < b ? a : b;

    return two < c ? two : c;
}

/* Single-character edits between two words, both shorter than the maximum. */
static size_t distance(const char *from, const char *to)
{
    size_t row[WORD_BYTES_MAX + 1];
    size_t to_length = strlen(to);

    for (size_t i = 0; i <= to_length; i++)
        row[i] = i;
    for (size_t i = 0; from[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 1; j <= to_length; j++) {
            size_t change = diagonal + (from[i] != to[j - 1]);

            diagonal = row[j];
            row[j] = least(change, row[j] + 1, row[j - 1] + 1);
        }
    }
    return row[to_length];
}

const char *options_nearest(const char *word, const char *const *candidates,
                            size_t count)
{
    const char *nearest = NULL;
    size_t nearest_edits = 3; /* further away it is a guess, not a hint */

    if (strlen(word) >= WORD_BYTES_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t edits;

        if (strlen(candidates[i]) >= WORD_BYTES_MAX)
            continue;
        /* A beginning such as --end is taken for the whole. */
        edits =
            strlen(word) >= 3 && strncmp(word, candidates[i], strlen(word)) == 0
                ? 1
                : distance(word, candidates[i]);
        if (edits < nearest_edits && edits < strlen(candidates[i])) {
            nearest = candidates[i];
            nearest_edits = edits;
        }
    }
    return nearest;
}

bool options_number(const char *text, uint64_t *ret_number)
{
    uint64_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');

        if (*text < '0' || *text > '9' || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_number = value;
    return true;
}

static struct option *find(struct option *options, size_t count,
                           const char *name, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(options[i].name) == length &&
            memcmp(options[i].name, name, length) == 0)
            return &options[i];
    return NULL;
}

static void say_see(const char *command)
{
    fprintf(stderr, "Try '%s --help'.\n", command);
}

static void say_unknown(const struct option *options, size_t count,
                        const char *command, const char *argument)
{
    const char *names[NEAREST_MAX * 2];
    const char *nearest = NULL;
    char word[WORD_BYTES_MAX];
    size_t known = 0;
    size_t length = strcspn(argument, "=");

    for (size_t i = 0; i < count && known < NEAREST_MAX * 2; i++)
        names[known++] = options[i].name;
    if (strncmp(argument, "--", 2) == 0 && length - 2 < sizeof(word)) {
        memcpy(word, argument + 2, length - 2);
        word[length - 2] = '\0';
        nearest = options_nearest(word, names, known);
    }
    /* Only the part before '=', which might begin a secret. */
    fprintf(stderr, "%s: unknown option %.*s", command, (int)length, argument);
    if (nearest != NULL)
        fprintf(stderr, "; did you mean --%s?", nearest);
    fputc('\n', stderr);
    say_see(command);
}

/* The copy lives as long as the process, and stays within reach, so that no
 * checker takes it for lost. */
static const char *take_secret(char *value)
{
    static char *copy;

    copy = strdup(value);
    if (copy == NULL) {
        fputs("phos: out of memory\n", stderr);
        exit(1);
    }
    memset(value, 'x', strlen(value));
    return copy;
}

static bool set(struct option *option, const char *command, char *value)
{
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)option->target = true;
        break;
    case OPTION_TEXT:
        *(const char **)option->target = value;
        break;
    case OPTION_SECRET:
        *(const char **)option->target = take_secret(value);
        break;
    case OPTION_NUMBER: {
        uint64_t number;

        if (!options_number(value, &number) || number < option->min ||
            number > option->max) {
            fprintf(stderr,
                    "%s: --%s takes a whole number from %" PRIu64 " to %" PRIu64
                    "\n",
                    command, option->name, option->min, option->max);
            say_see(command);
            return false;
        }
        *(uint64_t *)option->target = number;
        break;
    }
    }
    option->is_given = true;
    if (option->environment != NULL)
        unsetenv(option->environment);
    return true;
}

/* Reads argv[*at], and its value behind '=' or in the next argument. */
static bool read_option(struct option *options, size_t count,
                        const char *command, int argc, char **argv, int *at)
{
    char *name = argv[*at] + 2;
    size_t length = strcspn(name, "=");
    struct option *option = NULL;
    char *value = NULL;

    if (strncmp(argv[*at], "--", 2) == 0)
        option = find(options, count, name, length);
    if (option == NULL) {
        say_unknown(options, count, command, argv[*at]);
        return false;
    }
    if (name[length] == '=')
        value = name + length + 1;
    if (option->kind == OPTION_FLAG && value != NULL) {
        fprintf(stderr, "%s: --%s takes no value\n", command, option->name);
        say_see(command);
        return false;
    }
    if (option->kind != OPTION_FLAG && value == NULL) {
        if (*at + 1 >= argc) {
            fprintf(stderr, "%s: --%s needs a value: --%s %s\n", command,
                    option->name, option->name, option->value_name);
            say_see(command);
            return false;
        }
        value = argv[++*at];
    }
    return set(option, command, value);
}

enum options_result options_read(struct option *options, size_t count,
                                 const char *command, int argc, char **argv,
                                 size_t *ret_operands)
{
    size_t operands = 0;
    bool only_operands = false;

    for (int i = 1; i < argc; i++) {
        if (only_operands || argv[i][0] != '-' || argv[i][1] == '\0')
            argv[1 + operands++] = argv[i];
        else if (strcmp(argv[i], "--") == 0)
            only_operands = true;
        else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return OPTIONS_HELP;
        else if (!read_option(options, count, command, argc, argv, &i))
            return OPTIONS_WRONG;
    }
    *ret_operands = operands;
    return OPTIONS_OK;
}

enum { HELP_COLUMN = 26 };

static void help_option(FILE *out, const struct option *option)
{
    const char *text = option->help;
    int used = fprintf(out, "  --%s%s%s", option->name,
                       option->value_name != NULL ? " " : "",
                       option->value_name != NULL ? option->value_name : "");

    if (used >= HELP_COLUMN) {
        fputc('\n', out);
        used = 0;
    }
    for (;;) {
        size_t length = strcspn(text, "\n");

        fprintf(out, "%*s%.*s\n", HELP_COLUMN - used, "", (int)length, text);
        used = 0;
        text += length;
        if (*text == '\0')
            return;
        text++;
    }
}

void options_help(FILE *out, const struct manual *manual,
                  const struct option *options, size_t count)
{
    fprintf(out, "Usage: %s\n\n%s\n\nExamples:\n%s", manual->usage,
            manual->purpose, manual->examples);
    fputs("\nOptions:\n", out);
    for (size_t i = 0; i < count; i++)
        help_option(out, &options[i]);
    fprintf(out, "%-*s%s\n", HELP_COLUMN, "  --help", "this text");
    if (manual->notes != NULL)
        fprintf(out, "\n%s", manual->notes);
    fprintf(out, "\nNext: %s\n", manual->next);
}

bool options_begin(struct option *options, size_t count, const char *command,
                   const struct manual *manual, int argc, char **argv,
                   size_t *ret_operands, int *ret_code)
{
    switch (options_read(options, count, command, argc, argv, ret_operands)) {
    case OPTIONS_HELP:
        options_help(stdout, manual, options, count);
        *ret_code = EXIT_OK;
        return false;
    case OPTIONS_WRONG:
        *ret_code = EXIT_USAGE;
        return false;
    case OPTIONS_OK:
        break;
    }
    return true;
}
