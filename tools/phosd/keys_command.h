/*
 * keys_command - `phosd keys create NAME | list | revoke NAME`.
 */
#ifndef PHOSD_KEYS_COMMAND_H
#define PHOSD_KEYS_COMMAND_H

/* argv[0] is "keys". Returns the exit status. */
int phosd_keys_command(int argc, char **argv);

#endif
