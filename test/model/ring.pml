/*
 * ring - the protocol of lib/queue/ring.h, to be searched exhaustively.
 *
 * Every thread has a store buffer: a store waits there until it becomes visible
 * to the others, and stores to different words may pass each other. A release
 * store passes nothing; a sequentially consistent operation waits until the
 * buffer is empty. Spin alone would show every store at once, and then no fence
 * could be missed.
 *
 * A record takes one slot: a stamp and one word of data. Positions count slots;
 * the keyed stamp is the position itself, for the model has no accidents.
 *
 * Each NO_... below takes one part of the protocol away; test/model/check.py
 * sees to it that the whole one passes and that every other one fails.
 */
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef EVENTS
#define EVENTS 1 /* of each producer */
#endif
#ifndef MORE_EVENTS
#define MORE_EVENTS 0 /* of the first one */
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef FREEZE
#define FREEZE 0 /* 1: one producer may stop for ever inside its call */
#endif
#ifndef CLOSE
#define CLOSE 0 /* 1: somebody closes the ring, at any time */
#endif
#ifndef SETTLED
#define SETTLED 0 /* 1: between turns, in the kernel, the consumer's stores */
#endif            /* become visible; fewer states */
#define STALLED_MAX 2
#define POSITIONS (PRODUCERS * EVENTS + MORE_EVENTS)

/* ---- memory ---- */

#define TAIL 0 /* twice the position, plus 1 when closed */
#define HEAD_CACHED 1
#define HEAD 2
#define WAKE_AT 3
#define STAMP(position) (4 + (position) % SLOTS)
#define DATA(position) (4 + SLOTS + (position) % SLOTS)
#define WORDS (4 + 2 * SLOTS)

#define NEVER 255
#define CLAIMED 1
#define PUBLISHED 2
#define FINISHED 3
#define MAKE_STAMP(position, state) (4 * (position) + (state))
#define WHOLE(position) ((position) + 1) /* the data of a record */

#define CONSUMER PRODUCERS
#define THREADS (PRODUCERS + 1)
#define DEPTH 4

typedef store_buffer {
    byte count;
    byte word[DEPTH];
    byte value[DEPTH];
    bit release[DEPTH]
}

byte memory[WORDS];
store_buffer buffer[THREADS];
byte tail;         /* what an exchange sees: always the newest */
byte eventfd;      /* the kernel's: visible at once; 0 or 1 */

/* ---- what is proved with ---- */

byte accepted;              /* reservations that succeeded */
bit held[SLOTS];            /* from the reservation until the verdict */
bit completed[POSITIONS];   /* the log call has returned */
bit seen[POSITIONS];        /* the consumer has read it */
byte owner[POSITIONS];      /* the producer, plus 1 */
byte running = PRODUCERS + CLOSE;
bit frozen;
bit left;                   /* the consumer has closed its account */
#ifdef NO_CLOSED_BIT_IN_TAIL
bit closed_apart;
#endif

/* ---- loads and stores ---- */

inline load(thread, from, into)
{
    d_step {
        into = memory[from];
        for (slot : 0 .. DEPTH - 1) {
            if
            :: slot < buffer[thread].count &&
               buffer[thread].word[slot] == from ->
                into = buffer[thread].value[slot]
            :: else
            fi
        }
        slot = 0
    }
}

inline store(thread, to, what, is_release)
{
    d_step {
        buffer[thread].count < DEPTH ->
        buffer[thread].word[buffer[thread].count] = to;
        buffer[thread].value[buffer[thread].count] = what;
        buffer[thread].release[buffer[thread].count] = is_release;
        buffer[thread].count++
    }
}

#define FENCED(thread) (buffer[thread].count == 0)

/* Whether the store at `i` may become visible now: the oldest always, another
 * one if it is no release and nothing older goes to the same word. */
#define OLDER_ELSEWHERE(i, j)                                                  \
    (buffer[thread].word[j] != buffer[thread].word[i])
#define READY_1 (buffer[thread].count > 1 && !buffer[thread].release[1] &&     \
                 OLDER_ELSEWHERE(1, 0))
#define READY_2 (buffer[thread].count > 2 && !buffer[thread].release[2] &&     \
                 OLDER_ELSEWHERE(2, 0) && OLDER_ELSEWHERE(2, 1))
#define READY_3 (buffer[thread].count > 3 && !buffer[thread].release[3] &&     \
                 OLDER_ELSEWHERE(3, 0) && OLDER_ELSEWHERE(3, 1) &&             \
                 OLDER_ELSEWHERE(3, 2))

inline reveal(i)
{
    if
    :: buffer[thread].word[i] == TAIL &&
       memory[TAIL] > buffer[thread].value[i] /* a newer exchange is out */
    :: else -> memory[buffer[thread].word[i]] = buffer[thread].value[i]
    fi;
    for (slot : i .. DEPTH - 2) {
        buffer[thread].word[slot] = buffer[thread].word[slot + 1];
        buffer[thread].value[slot] = buffer[thread].value[slot + 1];
        buffer[thread].release[slot] = buffer[thread].release[slot + 1]
    }
    buffer[thread].word[DEPTH - 1] = 0;
    buffer[thread].value[DEPTH - 1] = 0;
    buffer[thread].release[DEPTH - 1] = 0;
    buffer[thread].count--;
    slot = 0
}

/* The hardware behind one thread; goes on when the thread is frozen. */
proctype drain_of(byte thread)
{
    byte slot;

end:
    do
    :: d_step { buffer[thread].count > 0 -> reveal(0) }
    :: d_step { READY_1 -> reveal(1) }
    :: d_step { READY_2 -> reveal(2) }
    :: d_step { READY_3 -> reveal(3) }
    od
}

/* ---- producers ---- */

#define MAY_FREEZE                                                             \
    if                                                                         \
    :: FREEZE && !frozen -> frozen = 1; goto stopped                           \
    :: skip                                                                    \
    fi

#ifdef NO_RELEASE_AT_PUBLISH
#define PUBLISH_RELEASE 0
#else
#define PUBLISH_RELEASE 1
#endif

/* Whether a record at that tail would reach into what is not free. */
#ifdef NO_FULL_CHECK
#define FULL 0
#else
#define FULL (at / 2 + 1 > head + SLOTS)
#endif

#ifdef NO_CLOSED_BIT_IN_TAIL
#define CLOSED closed_apart
#else
#define CLOSED (at % 2 == 1)
#endif

/* Where phos__ring_take() goes on with that tail and head. */
inline go_on()
{
    if
    :: CLOSED -> goto stopped
    :: !CLOSED && !FULL -> goto exchange
    :: else
    fi
}

inline exchange_tail()
{
#ifdef NO_ATOMIC_EXCHANGE
    won = 1;
    tail = at + 2;
    memory[TAIL] = tail
#else
    if
    :: tail == at ->
        won = 1;
        tail = tail + 2;
#ifdef NO_FENCE_IN_PRODUCER
        store(me, TAIL, tail, 0)
#else
        memory[TAIL] = tail
#endif
    :: else -> at = tail
    fi
#endif
}

/*
 * One step is one access to what others see. What a thread does beside, its
 * own variables and what it puts into its own buffer, belongs to that step.
 */
proctype producer(byte me)
{
    byte event, head, wake_at, slot;
    byte at; /* the tail word; once it is exchanged, the position */
    bit won;

next:
    atomic {
        wake_at = 0; /* equal states shall look equal */
        at = 0;
        head = 0;
        if
        :: event == EVENTS + (me == 0 -> MORE_EVENTS : 0) -> goto stopped
        :: else -> event++
        fi;
        load(me, HEAD_CACHED, head)
    }
    atomic {
        load(me, TAIL, at);
        go_on()
    }
look_at_head:
    atomic {
        load(me, HEAD, head);
        if
        :: FULL -> goto next /* PHOS_E_FULL: the caller gives it up */
        :: else -> store(me, HEAD_CACHED, head, 1)
        fi
    }
exchange:
    atomic {
        FENCED(me) ->
        exchange_tail();
        if
        :: !won ->
            go_on();
            goto look_at_head
        :: else
        fi;
        won = 0;
        head = 0;
        at = at / 2;
        accepted++;
        assert(!left);             /* closing cuts exactly */
        assert(!held[at % SLOTS]); /* the space is free */
        held[at % SLOTS] = 1;
        owner[at] = me + 1;
#ifdef FREEZE_BEFORE_CLAIM
        MAY_FREEZE;
#endif
#ifndef NO_CLAIM
        store(me, STAMP(at), MAKE_STAMP(at, CLAIMED), 0);
#endif
        MAY_FREEZE;
        store(me, DATA(at), WHOLE(at), 0);
        MAY_FREEZE;
        store(me, STAMP(at), MAKE_STAMP(at, PUBLISHED), PUBLISH_RELEASE);
        MAY_FREEZE
    }
    atomic {
        load(me, WAKE_AT, wake_at);
        MAY_FREEZE;
        if
        :: wake_at == NEVER || at + 1 <= wake_at ->
            completed[at] = 1;
            goto next
        :: else
        fi
    }
#ifndef EXCHANGE_BEFORE_WRITE
    atomic {
        eventfd = 1;
        MAY_FREEZE
    }
#endif
    atomic {
        if
#ifdef NO_COMPARE_AT_WAKE
        :: memory[WAKE_AT] = NEVER
#else
        :: memory[WAKE_AT] == wake_at -> memory[WAKE_AT] = NEVER
        :: else -> won = 1 /* by another */
#endif
        fi;
        MAY_FREEZE
    }
#ifdef EXCHANGE_BEFORE_WRITE
    atomic {
        if
        :: !won -> eventfd = 1
        :: else
        fi
    }
#endif
    atomic {
        won = 0;
        completed[at] = 1;
        goto next
    }
stopped:
    running--
}

/* phos__ring_close(), and the wake-up that its callers add. */
proctype closer()
{
#ifdef NO_CLOSED_BIT_IN_TAIL
    closed_apart = 1;
#else
    d_step {
        tail = tail | 1;
        memory[TAIL] = memory[TAIL] | 1
    }
#endif
    eventfd = 1;
    running--
}

/* ---- the consumer ---- */

#ifdef NO_RELEASE_AT_HEAD
#define HEAD_RELEASE 0
#else
#define HEAD_RELEASE 1
#endif

#ifdef NO_KEY_IN_STAMP
#define HAS_STATE(stamp, position, state) ((stamp) % 4 == (state))
#else
#define HAS_STATE(stamp, position, state)                                      \
    ((stamp) == MAKE_STAMP(position, state))
#endif

/* The record at `at` has been found published. */
inline take_in(it)
{
    load(CONSUMER, DATA(it), stamp);
    d_step {
        assert(stamp == WHOLE(it)); /* whole bytes */
        assert(!seen[it]);          /* once */
        for (slot : 0 .. POSITIONS - 1) { /* in its producer's order */
            assert(slot >= it || owner[slot] != owner[it] || seen[slot])
        }
        slot = 0;
        seen[it] = 1;
        delivering[it] = 1;
        stamp = 0
    }
}

/* phos__ring_finish() */
inline finish(it)
{
    load(CONSUMER, DATA(it), stamp);
    d_step {
        assert(stamp == WHOLE(it)); /* untouched until now */
        delivering[it] = 0;
        held[it % SLOTS] = 0;
        stamp = 0
    }
#ifdef NO_PREFIX_CHECK
    head = it + 1;
#else
    if
    :: it == head ->
        head++;
        do
        :: head != read ->
            load(CONSUMER, STAMP(head), stamp);
            if
            :: HAS_STATE(stamp, head, FINISHED) -> head++
            :: else -> break
            fi
        :: else -> break
        od
    :: else ->
        store(CONSUMER, STAMP(it), MAKE_STAMP(it, FINISHED), 0)
    fi;
    stamp = 0
#endif
}

/* All that completed calls have put in has come out. */
inline check_all_read()
{
    d_step {
        for (slot : 0 .. POSITIONS - 1) {
            assert(!completed[slot] || seen[slot])
        }
        slot = 0
    }
}

#define QUIET                                                                  \
    (running == 0 && FENCED(0) && FENCED(PRODUCERS - 1) && FENCED(CONSUMER))

#ifdef NO_CLOSED_BIT_IN_TAIL
#define CLOSING closing
#else
#define CLOSING (seen_tail % 2 == 1)
#endif

#ifdef NO_LOOK_AT_STALLED
#define STALLED_PUBLISHED 0
#else
#define STALLED_PUBLISHED HAS_STATE(stamp, stalled[i], PUBLISHED)
#endif

#ifdef NO_REFUSAL_WHEN_STALLED
#define MAY_SLEEP 1
#else
#define MAY_SLEEP (stalled_count == 0)
#endif

proctype consumer()
{
    byte read, seen_tail, head, stamp, slot, i;
    byte stalled[STALLED_MAX];
    byte stalled_count;
    bit published; /* the record at `read` */
    bit delivering[POSITIONS];
    bit last;
    byte released; /* head as others know it */
#ifdef NO_CLOSED_BIT_IN_TAIL
    bit closing;
#endif

turn:
    atomic {
#if SETTLED
        FENCED(CONSUMER);
#endif
        if
        :: QUIET -> last = 1 /* nothing else will ever happen */
        :: else
        fi;
        /* phos__ring_awake() */
        load(CONSUMER, WAKE_AT, stamp);
        if
        :: stamp != NEVER -> store(CONSUMER, WAKE_AT, NEVER, 0)
        :: else
        fi;
        stamp = 0
    }

    /* phos__ring_read() until nothing comes: first the look ahead ... */
more:
    atomic {
        published = 0;
        if
        :: read == seen_tail / 2 -> load(CONSUMER, TAIL, seen_tail)
        :: else
        fi;
        if
        :: read == seen_tail / 2 -> goto look_at_stalled
        :: else
        fi
    }
    atomic {
        load(CONSUMER, STAMP(read), stamp);
        if
        :: HAS_STATE(stamp, read, PUBLISHED) -> published = 1
#ifdef NO_DIFFERENCE_OF_CLAIMED
        :: HAS_STATE(stamp, read, CLAIMED) -> published = 1
#endif
#ifndef NO_PASSING_OF_CLAIMED
        :: HAS_STATE(stamp, read, CLAIMED) && stalled_count < STALLED_MAX ->
            stalled[stalled_count] = read;
            stalled_count++;
            read++;
            stamp = 0;
            goto more
#endif
        :: else
        fi;
        stamp = 0;
#ifdef NO_LOOK_AHEAD_FIRST
        if
        :: published ->
            take_in(read);
            read++;
            goto more
        :: else
        fi
#endif
    }

    /* ... then those passed earlier, then what was found ahead. */
look_at_stalled:
    atomic {
        if
        :: i == stalled_count ->
            i = 0;
            if
            :: published ->
                take_in(read);
                read++;
                goto more
            :: else -> goto verdicts
            fi
        :: else
        fi;
        load(CONSUMER, STAMP(stalled[i]), stamp);
        if
        :: STALLED_PUBLISHED ->
            take_in(stalled[i]);
            stalled_count--;
            if
            :: i == 0 -> stalled[0] = stalled[1]
            :: else
            fi;
            stalled[1] = 0;
            i = 0;
            goto more
        :: else -> i++
        fi;
        stamp = 0;
        goto look_at_stalled
    }

verdicts:
    atomic {
        do /* in any order and any number */
        :: i == POSITIONS -> i = 0; break
        :: i < POSITIONS && delivering[i] -> finish(i); i++
        :: i < POSITIONS -> i++
        od;
        /* phos__ring_release() */
        if
        :: head != released ->
            store(CONSUMER, HEAD, head, HEAD_RELEASE);
            released = head
        :: else
        fi;
        if
        :: last -> check_all_read(); goto gone
        :: else
        fi
    }
#ifdef NO_CLOSED_BIT_IN_TAIL
    closing = closed_apart;
    load(CONSUMER, TAIL, seen_tail);
#endif
    atomic {
        if /* The account is closed when nothing can come any more. */
        :: CLOSING && seen_tail / 2 == read && stalled_count == 0 ->
            left = 1;
            assert(read == accepted);
            goto gone
        :: else
        fi;
        if
        :: /* phos__ring_nap(): its timer may run out at once */
            store(CONSUMER, WAKE_AT, read + 1, 0);
            goto turn
        :: MAY_SLEEP -> /* phos__ring_sleep() */
            store(CONSUMER, WAKE_AT, read, 0)
        fi
    }
#ifndef NO_SECOND_LOOK_AT_TAIL
    atomic {
#ifndef NO_FENCE_IN_CONSUMER
        FENCED(CONSUMER) ->
#endif
        load(CONSUMER, TAIL, seen_tail);
        if
        :: seen_tail / 2 != read -> goto turn
        :: else
        fi
    }
#endif
    if
    :: atomic { eventfd > 0 -> eventfd = 0 }
        goto turn
    :: timeout -> /* it sleeps for ever */
        check_all_read()
    fi;
gone:
    skip
}

init
{
    byte i;

    atomic {
        memory[WAKE_AT] = NEVER;
        for (i : 0 .. THREADS - 1) {
            run drain_of(i)
        }
        run consumer();
        for (i : 0 .. PRODUCERS - 1) {
            run producer(i)
        }
#if CLOSE
        run closer()
#endif
    }
}
