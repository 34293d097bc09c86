/*
 * standard - keeps the places of standard input, output and error.
 *
 * A program may be started with one of them closed. The next file or socket
 * that it opens would get that number, and what is printed would go into it:
 * into a database, for one.
 */
#ifndef PHOS_TOOL_STANDARD_H
#define PHOS_TOOL_STANDARD_H

/* Gives descriptors 0 to 2, where they are closed, to /dev/null, opened in the
 * direction that nobody uses: reading and printing fail as before. The first
 * thing that main() does. */
void standard_hold(void);

#endif
