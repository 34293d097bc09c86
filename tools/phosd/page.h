/*
 * page - the files of the page, which are part of the program: page/ holds
 * them, embed.py makes a table of them when phosd is built.
 */
#ifndef PHOSD_PAGE_H
#define PHOSD_PAGE_H

#include <stddef.h>

struct phosd_page_file {
    const char *path; /* of the request; NULL ends the table */
    const char *content_type;
    const unsigned char *data;
    size_t bytes;
};

extern const struct phosd_page_file phosd_page_files[];

/* NULL when the page has no such file. */
const struct phosd_page_file *phosd_page_find(const char *path);

#endif
