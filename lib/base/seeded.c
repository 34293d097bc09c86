#include "base/seeded.h"

#ifdef PHOS_SEEDED_BUGS
enum phos__bug phos__seeded_bug = PHOS__BUG_NONE;
#else
/* A file without any declaration is not C. */
typedef int phos__seeded_none;
#endif
