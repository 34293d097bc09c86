/*
 * seeded - bugs planted on purpose, to prove that the tests can find them. They
 * exist only in a build with -DPHOS_SEEDED_BUGS, where one at a time is chosen
 * at run time; elsewhere PHOS__BUG() is false and nothing of it is left.
 */
#ifndef PHOS_BASE_SEEDED_H
#define PHOS_BASE_SEEDED_H

#ifdef PHOS_SEEDED_BUGS

enum phos__bug {
    PHOS__BUG_NONE,
    PHOS__BUG_LOST_WAKE_UP,
    PHOS__BUG_EARLY_RELEASE,
    PHOS__BUG_WRONG_LAP_ACCEPTED,
    PHOS__BUG_PREFIX_RELEASED_TWICE,
    PHOS__BUG_JITTER_ZERO,
    PHOS__BUG_RETRY_AFTER_IGNORED,
    PHOS__BUG_RECEIPT_TWICE,
    PHOS__BUG_WRONG_HALF_BISECTED,
    PHOS__BUG_FEEDBACK_OVERTAKES,
    PHOS__BUG_COUNT
};

extern enum phos__bug phos__seeded_bug; /* set before anything runs */

#define PHOS__BUG(name) (phos__seeded_bug == PHOS__BUG_##name)

#else

#define PHOS__BUG(name) 0

#endif

#endif
