/*
 * backup_command - `phosd backup TO`: a copy of the database as it is at one
 * moment, also while a phosd runs on it.
 */
#ifndef PHOSD_BACKUP_COMMAND_H
#define PHOSD_BACKUP_COMMAND_H

/* argv[0] is "backup". Returns the exit status. */
int phosd_backup_command(int argc, char **argv);

#endif
