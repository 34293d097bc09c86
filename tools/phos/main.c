/*
 * phos - the command line of libphos. Everything it does goes through the
 * public headers.
 */
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../standard.h"
#include "command.h"
#include "console.h"
#include "options.h"
#include "phos/base.h"

struct command {
    const char *name;
    const char *summary;
    command_fn *run;
};

static const struct command commands[] = {
    { "send", "send events from files or standard input", send_command },
    { "tail", "show events as they arrive", tail_command },
    { "events", "list events, show one", events_command },
    { "sessions", "list sessions, show one with its events", sessions_command },
    { "feedback", "say whether an answer was a success", feedback_command },
    { "doctor", "find out what keeps events from arriving", doctor_command }
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static void print_help(FILE *out)
{
    fputs("Usage: phos COMMAND [ARGUMENT...]\n\n"
          "Records AI interactions at an ingestion service and shows what is "
          "there.\n\nCommands:\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-10s%s\n", commands[i].name, commands[i].summary);
    fputs("\nOptions:\n"
          "  --help    this text; 'phos COMMAND --help' tells more\n"
          "  --version versions of phos and of what it stands on\n"
          "\n"
          "Examples:\n"
          "  export PHOS_ENDPOINT=http://127.0.0.1:8787 "
          "PHOSPHO_API_KEY=ph_...\n"
          "  phos send events.ndjson\n"
          "  phos sessions list\n"
          "\n"
          "Exit codes: 0 all well, 1 something was not delivered or not "
          "found,\n2 wrong usage, 3 wrong configuration (key, endpoint), "
          "128+n ended by signal n.\n"
          "\nNext: phos send --help\n",
          out);
}

static void print_version(void)
{
    printf("phos %s\nlibphos %s\njansson %s\n%s\n", PHOS_VERSION_TEXT,
           phos_version(), jansson_version_str(), curl_version());
}

static int say_unknown(const char *word)
{
    const char *names[COMMAND_COUNT];
    const char *nearest;

    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    nearest = options_nearest(word, names, COMMAND_COUNT);
    fprintf(stderr, "phos: unknown %s %.*s",
            word[0] == '-' ? "option" : "command", (int)strcspn(word, "="),
            word);
    if (nearest != NULL)
        fprintf(stderr, "; did you mean %s?", nearest);
    fputs("\nTry 'phos --help'.\n", stderr);
    return EXIT_USAGE;
}

/* Output that did not reach its place, such as a full disk, is no success. */
static int with_output(int code)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return code;
    fputs("phos: cannot write to standard output\n", stderr);
    return code == EXIT_OK ? EXIT_SOME : code;
}

static int run(int argc, char **argv)
{
    static char help_option[] = "--help";

    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        (strcmp(argv[1], "help") == 0 && argc == 2)) {
        print_help(stdout);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        print_version();
        return EXIT_OK;
    }
    if (strcmp(argv[1], "help") == 0) { /* phos help send */
        argv[1] = argv[2];
        argv[2] = help_option;
        argc = 3;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return say_unknown(argv[1]);
}

int main(int argc, char **argv)
{
    standard_hold();
    console_init();
    return with_output(run(argc, argv));
}
