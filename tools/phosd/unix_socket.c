#define _GNU_SOURCE /* SOCK_NONBLOCK, flock() */
#include "unix_socket.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

enum {
    BACKLOG = 511,
    LOCK_MS_MAX = 2000,
    LOCK_STEP_MS = 20,
    SHOWN_BYTES_MAX = 120, /* so that the reason has room beside it */
};

static const char prefix[] = "unix:";

/* What an address ends with: 107 bytes and a NUL on Linux. */
enum { PATH_BYTES_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

static_assert(sizeof(prefix) + PATH_BYTES_MAX <= PHOSD_ADDRESS_BYTES,
              "a name holds any address");

static bool refuse(const char *address, const char *why, phos_error *error)
{
    phos__error_set(error, PHOS_E_INVALID, PHOS_ORIGIN_PHOS, PHOS_E_INVALID,
                    "%.*s: %s", SHOWN_BYTES_MAX, address, why);
    return false;
}

static bool system_error(const char *what, phos_error *error)
{
    int code = errno;

    phos__error_set(error, PHOS_E_SYSTEM, PHOS_ORIGIN_SYSTEM, code, "%s: %s",
                    what, strerror(code));
    return false;
}

const char *phosd_unix_path(const char *address)
{
    return strncmp(address, prefix, sizeof(prefix) - 1) == 0
               ? address + sizeof(prefix) - 1
               : NULL;
}

static bool check_path(const char *address, phos_error *error)
{
    const char *path = phosd_unix_path(address);
    size_t bytes = strlen(path);
    char why[96];

    if (path[0] != '/' || path[bytes - 1] == '/')
        return refuse(address,
                      "expected unix: and the absolute path of a file, such "
                      "as unix:/run/phosd/phosd.sock",
                      error);
    if (bytes <= PATH_BYTES_MAX)
        return true;
    snprintf(why, sizeof(why),
             "the path has %zu bytes; a socket's may have %d at most", bytes,
             (int)PATH_BYTES_MAX);
    return refuse(address, why, error);
}

/* A number stands for itself, as in chown(1). */
static bool read_number(const char *text, unsigned *ret_number)
{
    unsigned long number;
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    number = strtoul(text, &end, 10);
    if (*end || errno || number >= UINT32_MAX)
        return false;
    *ret_number = (unsigned)number;
    return true;
}

static bool find_user(const char *name, uid_t *ret_user, phos_error *error)
{
    const struct passwd *found;
    unsigned number;

    if (read_number(name, &number)) {
        *ret_user = number;
        return true;
    }
    found = getpwnam(name);
    if (!found)
        return refuse(name, "there is no user of this name", error);
    *ret_user = found->pw_uid;
    return true;
}

static bool find_group(const char *name, gid_t *ret_group, phos_error *error)
{
    const struct group *found;
    unsigned number;

    if (read_number(name, &number)) {
        *ret_group = number;
        return true;
    }
    found = getgrnam(name);
    if (!found)
        return refuse(name, "there is no group of this name", error);
    *ret_group = found->gr_gid;
    return true;
}

struct owners {
    uid_t user;
    gid_t group;
};

static bool find_owners(const struct phosd_unix_access *access,
                        struct owners *ret_owners, phos_error *error)
{
    ret_owners->user = (uid_t)-1;
    ret_owners->group = (gid_t)-1;
    return (!access->owner ||
            find_user(access->owner, &ret_owners->user, error)) &&
           (!access->group ||
            find_group(access->group, &ret_owners->group, error));
}

static int open_folder(const char *path)
{
    char copy[PATH_BYTES_MAX + 1];

    snprintf(copy, sizeof(copy), "%s", path);
    return open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Whoever holds the lock has it for a moment. */
static bool lock_folder(int folder)
{
    const struct timespec step = { .tv_nsec = LOCK_STEP_MS * 1000000L };

    for (int waited_ms = 0; flock(folder, LOCK_EX | LOCK_NB);
         waited_ms += LOCK_STEP_MS) {
        if (errno != EWOULDBLOCK || waited_ms >= LOCK_MS_MAX)
            return false;
        nanosleep(&step, NULL);
    }
    return true;
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    memcpy(address.sun_path, path, strlen(path));
    return address;
}

static int make_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* 0: somebody answers, or is too busy to; else what is in the way. */
static int try_to_connect(const char *path)
{
    const struct sockaddr_un address = address_of(path);
    int fd = make_socket();
    int code = 0;

    if (fd < 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) &&
        errno != EAGAIN)
        code = errno;
    close(fd);
    return code;
}

/* Nothing is there, or a socket's file that nobody listens on. */
static bool look_at_file(const char *address, bool *ret_stale,
                         phos_error *error)
{
    const char *path = phosd_unix_path(address);
    struct stat found;
    int code;

    *ret_stale = false;
    if (lstat(path, &found))
        return errno == ENOENT || system_error(address, error);
    if (!S_ISSOCK(found.st_mode))
        return refuse(address,
                      "a file that is no socket has this name; it is left "
                      "as it is",
                      error);
    code = try_to_connect(path);
    if (code == 0)
        return refuse(address,
                      "another program listens there; stop it, or name "
                      "another path with --listen",
                      error);
    errno = code;
    *ret_stale = code == ECONNREFUSED;
    return *ret_stale || code == ENOENT || system_error(address, error);
}

bool phosd_unix_check(const char *address,
                      const struct phosd_unix_access *access, phos_error *error)
{
    struct owners owners;
    struct stat found;
    char copy[PATH_BYTES_MAX + 1];

    if (!check_path(address, error) || !find_owners(access, &owners, error))
        return false;
    snprintf(copy, sizeof(copy), "%s", phosd_unix_path(address));
    if (lstat(copy, &found) == 0 && !S_ISSOCK(found.st_mode))
        return refuse(address, "a file that is no socket has this name", error);
    if (faccessat(AT_FDCWD, dirname(copy), W_OK | X_OK, AT_EACCESS))
        return system_error(copy, error);
    return true;
}

/* The file has the mode of the descriptor when it is made, less the umask;
 * nobody else can connect before it is whose it is to be. */
static bool bind_to(int fd, const char *path,
                    const struct phosd_unix_access *access,
                    const struct owners *owners)
{
    const struct sockaddr_un address = address_of(path);

    if (fchmod(fd, 0600) ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)))
        return false;
    return ((owners->user == (uid_t)-1 && owners->group == (gid_t)-1) ||
            lchown(path, owners->user, owners->group) == 0) &&
           chmod(path, access->mode) == 0 && listen(fd, BACKLOG) == 0;
}

static bool describe(const char *address, struct phosd_socket *found)
{
    struct stat file;

    snprintf(found->name, sizeof(found->name), "%s", address);
    if (lstat(phosd_unix_path(address), &file))
        return false;
    found->loopback = true;
    found->is_ours = true;
    found->device = file.st_dev;
    found->inode = file.st_ino;
    return true;
}

/* Under the folder's lock. */
static bool open_locked(const char *address,
                        const struct phosd_unix_access *access,
                        const struct owners *owners, struct phosd_socket *found,
                        phos_error *error)
{
    const char *path = phosd_unix_path(address);
    bool stale;

    if (!look_at_file(address, &stale, error))
        return false;
    if (stale && unlink(path))
        return system_error(address, error);
    found->fd = make_socket();
    if (found->fd < 0)
        return system_error(address, error);
    if (bind_to(found->fd, path, access, owners) && describe(address, found))
        return true;
    system_error(address, error);
    if (errno != EADDRINUSE) /* else it is not the one made here */
        unlink(path);
    close(found->fd);
    return false;
}

bool phosd_unix_open(const char *address,
                     const struct phosd_unix_access *access,
                     struct phosd_socket *ret_socket, phos_error *error)
{
    struct phosd_socket found;
    struct owners owners;
    int folder;
    bool opened = false;

    memset(&found, 0, sizeof(found));
    if (!check_path(address, error) || !find_owners(access, &owners, error))
        return false;
    folder = open_folder(phosd_unix_path(address));
    if (folder < 0)
        return system_error(address, error);
    if (!lock_folder(folder))
        refuse(address, "another program holds a lock on the folder", error);
    else
        opened = open_locked(address, access, &owners, &found, error);
    close(folder); /* and with it goes the lock */
    if (opened)
        *ret_socket = found;
    return opened;
}

void phosd_unix_remove(const struct phosd_socket *socket)
{
    const char *path = phosd_unix_path(socket->name);
    struct stat file;
    int folder;

    if (!socket->is_ours || !path)
        return;
    folder = open_folder(path);
    if (folder >= 0 && lock_folder(folder) && lstat(path, &file) == 0 &&
        file.st_dev == socket->device && file.st_ino == socket->inode)
        unlink(path);
    if (folder >= 0)
        close(folder);
}
