/*
 * options - reads a command's arguments by a table, from which its help is
 * printed too, so that the two cannot differ.
 */
#ifndef PHOS_TOOL_OPTIONS_H
#define PHOS_TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
    OPTION_FLAG,   /* target: bool * */
    OPTION_TEXT,   /* target: const char ** */
    OPTION_SECRET, /* the same, copied and wiped from the command line */
    OPTION_NUMBER  /* target: uint64_t *, min to max */
};

struct option {
    const char *name;       /* without dashes */
    const char *value_name; /* in help; NULL for a flag */
    const char *help;       /* short; '\n' breaks the line */
    enum option_kind kind;
    void *target;
    uint64_t min, max;       /* OPTION_NUMBER */
    const char *environment; /* variable that this option overrides; NULL */
    bool is_given;
};

/* Rows of a table. */
#define FLAG_OPTION(name, target, help)                          \
    {                                                            \
        name, NULL, help, OPTION_FLAG, target, 0, 0, NULL, false \
    }
#define TEXT_OPTION(name, value_name, target, environment, help)              \
    {                                                                         \
        name, value_name, help, OPTION_TEXT, target, 0, 0, environment, false \
    }
#define SECRET_OPTION(name, value_name, target, environment, help)        \
    {                                                                     \
        name, value_name, help, OPTION_SECRET, target, 0, 0, environment, \
            false                                                         \
    }
#define NUMBER_OPTION(name, min, max, target, environment, help)             \
    {                                                                        \
        name, "N", help, OPTION_NUMBER, target, min, max, environment, false \
    }

/* What `phos` and its commands tell of themselves. */
struct manual {
    const char *usage; /* "phos send [FILE...]" */
    const char *purpose;
    const char *examples; /* whole lines */
    const char *notes;    /* whole lines; NULL */
    const char *next;     /* the next command to try */
};

enum options_result {
    OPTIONS_OK,
    OPTIONS_HELP, /* --help or -h was given */
    OPTIONS_WRONG /* said on standard error, with a hint */
};

/*
 * Reads argv[1..]. What is no option is moved to the front of argv + 1, and
 * *ret_operands tells how many those are. A variable of the environment whose
 * option is given is removed, so that the command line wins in the library
 * too. Ends the process when there is no memory for a secret.
 */
enum options_result options_read(struct option *options, size_t count,
                                 const char *command, int argc, char **argv,
                                 size_t *ret_operands);

/* Prints the manual with the table of options. */
void options_help(FILE *out, const struct manual *manual,
                  const struct option *options, size_t count);

/* The candidate that `word` most likely meant; NULL when none is near. */
const char *options_nearest(const char *word, const char *const *candidates,
                            size_t count);

/* Reads decimal digits, nothing else. */
bool options_number(const char *text, uint64_t *ret_number);

/*
 * How a command begins: reads its arguments, or prints its help. false: that
 * was all, and it ends with *ret_code.
 */
bool options_begin(struct option *options, size_t count, const char *command,
                   const struct manual *manual, int argc, char **argv,
                   size_t *ret_operands, int *ret_code);

#endif
