/*
 * unix_socket - a listening socket that has a name in the file system.
 *
 * A file that a collector left behind when it was killed is replaced; one that
 * somebody listens on is not. Both are found out, and the new file is made,
 * while the folder is locked, so that of two collectors that start at once one
 * gets the name.
 */
#ifndef PHOSD_UNIX_SOCKET_H
#define PHOSD_UNIX_SOCKET_H

#include "address.h"

/* Who may connect; a key is asked for all the same. */
struct phosd_unix_access {
    mode_t mode;
    const char *owner, *group; /* names or numbers; NULL: as they come */
};

/* The path in "unix:/path"; NULL: it is no such address. */
const char *phosd_unix_path(const char *address);

/* Whether the address and those who may connect make sense; changes nothing.
 * false: *error says why not. */
bool phosd_unix_check(const char *address,
                      const struct phosd_unix_access *access,
                      phos_error *error);

bool phosd_unix_open(const char *address,
                     const struct phosd_unix_access *access,
                     struct phosd_socket *ret_socket, phos_error *error);

/* Removes the file, if it is still the one that was made for this socket.
 * Before ->fd is closed: until then no other file gets its inode. */
void phosd_unix_remove(const struct phosd_socket *socket);

#endif
