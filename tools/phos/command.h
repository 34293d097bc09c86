/*
 * command - the table of what `phos` can do, and its exit codes.
 */
#ifndef PHOS_TOOL_COMMAND_H
#define PHOS_TOOL_COMMAND_H

/* Part of the interface: scripts depend on them. */
enum exit_code {
    EXIT_OK = 0,      /* all delivered, duplicates included */
    EXIT_SOME = 1,    /* something was not delivered, or not found */
    EXIT_USAGE = 2,   /* the command line is wrong; nothing was done */
    EXIT_CONFIG = 3,  /* the service refuses the configuration, or it is
                         incomplete */
    EXIT_SIGNAL = 128 /* and the signal's number: interrupted */
};

/* argv[0] is the command's own name. Return an exit code. */
typedef int command_fn(int argc, char **argv);

command_fn send_command;
command_fn events_command;
command_fn sessions_command;
command_fn feedback_command;
command_fn doctor_command;
command_fn tail_command;

#endif
