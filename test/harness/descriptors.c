#define _GNU_SOURCE

#include "harness/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_number(const void *a, const void *b)
{
    return ((const struct descriptor *)a)->fd -
           ((const struct descriptor *)b)->fd;
}

static void read_one(int directory, const char *name,
                     struct descriptor *ret_descriptor)
{
    ssize_t length = readlinkat(directory, name, ret_descriptor->what,
                                sizeof(ret_descriptor->what) - 1);

    ret_descriptor->what[length > 0 ? length : 0] = '\0';
    ret_descriptor->fd = atoi(name);
    ret_descriptor->closes_on_exec =
        (fcntl(ret_descriptor->fd, F_GETFD) & FD_CLOEXEC) != 0;
}

void descriptors_read(struct descriptors *descriptors)
{
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;

    descriptors->count = 0;
    if (!directory)
        return;
    while ((entry = readdir(directory)) != NULL &&
           descriptors->count < DESCRIPTORS_MAX) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(directory))
            continue;
        read_one(dirfd(directory), entry->d_name,
                 &descriptors->list[descriptors->count++]);
    }
    closedir(directory);
    qsort(descriptors->list, descriptors->count, sizeof(descriptors->list[0]),
          by_number);
}

static bool has(const struct descriptors *descriptors,
                const struct descriptor *one)
{
    for (size_t i = 0; i < descriptors->count; i++)
        if (descriptors->list[i].fd == one->fd &&
            strcmp(descriptors->list[i].what, one->what) == 0)
            return true;
    return false;
}

void descriptors_new(const struct descriptors *before,
                     const struct descriptors *after,
                     struct descriptors *ret_new)
{
    ret_new->count = 0;
    for (size_t i = 0; i < after->count; i++)
        if (!has(before, &after->list[i]))
            ret_new->list[ret_new->count++] = after->list[i];
}

const struct descriptor *
descriptors_inheritable(const struct descriptors *descriptors)
{
    for (size_t i = 0; i < descriptors->count; i++)
        if (!descriptors->list[i].closes_on_exec)
            return &descriptors->list[i];
    return NULL;
}
