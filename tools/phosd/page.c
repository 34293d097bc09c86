#include "page.h"

#include <string.h>

const struct phosd_page_file *phosd_page_find(const char *path)
{
    for (const struct phosd_page_file *file = phosd_page_files; file->path;
         file++)
        if (strcmp(file->path, path) == 0)
            return file;
    return NULL;
}
