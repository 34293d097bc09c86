/*
 * ring - many producers, one consumer, records of any length, in order.
 *
 * A power of two of bytes, mapped twice in a row so that a record is always
 * contiguous, and free-running 64-bit positions (multiples of 8):
 *
 *        head             read                    tail
 *   ──────┼────────────────┼───────────────────────┼──────────────►
 *   free  │ being delivered │ published or claimed  │  free
 *
 * A record is an 8-byte stamp followed by its bytes. The stamp is keyed by the
 * position with a secret of the ring, so neither an earlier lap nor a hostile
 * payload can look like one:
 *
 *   reserve: compare-and-swap of tail   (nothing else is shared by producers)
 *   claim:   stamp CLAIMED with the length: the consumer can read past it
 *   publish: stamp PUBLISHED, a release store: the bytes are whole
 *   finish:  stamp FINISHED by the consumer, where head cannot follow yet
 *
 * Sleep. The consumer states in `wake_at` the position past which a producer
 * must wake it. Deep sleep is entered only with read == tail and nothing
 * stalled, so the race is between two words only, tail and wake_at: the
 * producer changes tail, then looks at wake_at; the consumer sets wake_at, then
 * looks at tail. All four accesses are sequentially consistent, so one of the
 * two sees the other (test/model/ proves it). On x86-64 that costs the producer
 * nothing: the compare-and-swap is the fence.
 */
#ifndef PHOS_QUEUE_RING_H
#define PHOS_QUEUE_RING_H

#include <assert.h>
#include <stdatomic.h>

#include "base/siphash.h"
#include "phos/base.h"

enum { PHOS__RING_STALLED_MAX = 64, PHOS__RING_STAMP_BYTES = 8 };

#define PHOS__RING_BYTES_MIN (UINT32_C(1) << 16)
#define PHOS__RING_BYTES_MAX (UINT32_C(1) << 30)
/* A ring is at least 16 times its largest record. */
#define PHOS__RING_RECORD_BYTES_MAX (PHOS__RING_BYTES_MAX / 16)

/*
 * A stamp, from its top: 38 bits keyed by the position, 24 bits of length in
 * units of 8 bytes, 2 bits of state. A word of zeros is no stamp.
 */
enum phos__ring_state {
    PHOS__RING_CLAIMED = 1,
    PHOS__RING_PUBLISHED = 2,
    PHOS__RING_FINISHED = 3
};

#define PHOS__RING_STATE_MASK UINT64_C(3)
#define PHOS__RING_LENGTH_MASK (((UINT64_C(1) << 24) - 1) << 2)
#define PHOS__RING_KEY_MASK (~(PHOS__RING_LENGTH_MASK | PHOS__RING_STATE_MASK))

/* Bit 0 of the tail word; positions are multiples of 8. */
#define PHOS__RING_CLOSED UINT64_C(1)
/* The value of wake_at that no position can have. */
#define PHOS__RING_NEVER UINT64_MAX

#define PHOS__RING_MAGIC UINT64_C(0x676e6972736f6870) /* "phosring" */
enum { PHOS__RING_VERSION = 1, PHOS__RING_BYTE_ORDER = 0x01020304 };

/*
 * What lies in the mapping in front of the records, with all that a process
 * needs which finds the ring after its owner's death. Lines of 128 bytes,
 * because processors fetch cache lines in pairs.
 */
struct phos__ring_shared {
    uint64_t magic;
    uint32_t version;
    uint32_t byte_order;
    uint64_t header_bytes; /* the records begin here; whole pages */
    uint64_t bytes;        /* of the records, once */
    uint64_t secret;
    struct phos__siphash_key id_key;
    uint64_t start_position;

    /* Producers' line. */
    _Alignas(128) _Atomic uint64_t tail; /* | PHOS__RING_CLOSED */
    _Atomic uint64_t head_cached;        /* some earlier head */

    _Alignas(128) _Atomic uint64_t head; /* consumer writes, once a turn */
    _Alignas(128) _Atomic uint64_t read; /* consumer writes, each record */
    _Alignas(128) _Atomic uint64_t wake_at;
};

static_assert(sizeof(struct phos__ring_shared) <= 4096,
              "the header fits the smallest page");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2,
              "signal handlers and other processes need lock-free words");

/* What producers use; fixed after open but for what `shared` points to. */
struct phos__ring {
    struct phos__ring_shared *shared;
    uint8_t *data;                   /* mapped twice */
    uint64_t bytes;                  /* a power of two */
    uint64_t secret;                 /* of the stamps */
    int wake_fd;                     /* eventfd, non-blocking, borrowed */
    struct phos__siphash_key id_key; /* of the event ids */
    size_t mapped_bytes;
};

/* The consumer's side; one thread at a time. */
struct phos__ring_reader {
    struct phos__ring *ring;
    uint64_t read; /* next position to look at */
    uint64_t tail; /* as last seen: spares the producers' line */
    uint64_t head; /* own copy; what is below is finished */
    uint32_t stalled_count;
    struct {
        uint64_t position;
        uint64_t since_ms;
    } stalled[PHOS__RING_STALLED_MAX]; /* in the order of positions */
};

struct phos__ring_item {
    uint64_t position; /* names the record until it is finished */
    uint8_t *record;   /* 8-byte aligned; the consumer's until finished */
    uint32_t bytes;
};

/*
 * Maps and pre-faults a ring in anonymous memory that a forked child does not
 * inherit. bytes is a power of two between the limits above. `secret` and
 * `id_key` are random. start_position: 0, or in tests any multiple of 8.
 * Returns PHOS_OK, PHOS_E_SYSTEM or PHOS_E_NO_MEMORY.
 */
phos_status phos__ring_open(struct phos__ring *ring, uint64_t bytes,
                            uint64_t secret,
                            const struct phos__siphash_key *id_key, int wake_fd,
                            uint64_t start_position);
void phos__ring_deinit(struct phos__ring *ring); /* takes a zeroed one */

/* ---- stamps ---- */

/* Two multiplications, so that every bit of the position reaches every bit of
 * the key; laps differ in high bits only. */
static inline uint64_t phos__ring_key(const struct phos__ring *ring,
                                      uint64_t position)
{
    uint64_t mix = (position ^ ring->secret) * UINT64_C(0x9e3779b97f4a7c15);

    mix = (mix ^ mix >> 32) * (ring->secret | 1);
    return (mix ^ mix >> 32) & PHOS__RING_KEY_MASK;
}

static inline uint64_t phos__ring_stamp(const struct phos__ring *ring,
                                        uint64_t position, uint32_t bytes,
                                        enum phos__ring_state state)
{
    return phos__ring_key(ring, position) | (uint64_t)bytes / 8 << 2 |
           (uint64_t)state;
}

static inline _Atomic uint64_t *
phos__ring_stamp_at(const struct phos__ring *ring, uint64_t position)
{
    return (_Atomic uint64_t *)(void *)(ring->data +
                                        (position & (ring->bytes - 1)));
}

/* ---- producers: any thread, signal handlers ---- */

/* What is reserved: where, and the claim to be made there. */
struct phos__ring_taken {
    uint64_t position;
    _Atomic uint64_t *at;
    uint64_t claim;
};

/*
 * The two halves of phos__ring_reserve(), apart only so that tests can stop a
 * producer between them: the consumer cannot pass such a record. All that can
 * be computed is computed before the exchange, so that little more than the
 * store of the claim comes behind it.
 */
static inline phos_status phos__ring_take(struct phos__ring *ring,
                                          uint32_t bytes,
                                          struct phos__ring_taken *ret_taken)
{
    struct phos__ring_shared *shared = ring->shared;
    uint64_t need = (uint64_t)bytes + PHOS__RING_STAMP_BYTES;
    /* Pairs with the release below, made by another producer: what it knows
     * to be free, the consumer has done with. */
    uint64_t head =
        atomic_load_explicit(&shared->head_cached, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&shared->tail, memory_order_relaxed);

    assert(bytes % 8 == 0);
    assert(bytes <= PHOS__RING_RECORD_BYTES_MAX);
    do {
        if (tail & PHOS__RING_CLOSED)
            return PHOS_E_CLOSED;
        /* Signed: `tail` may be older than `head`, and then below it. The
         * exchange will see to that. */
        if ((int64_t)(tail + need - head) > (int64_t)ring->bytes) {
            /* Pairs with the release in phos__ring_release(). */
            head = atomic_load_explicit(&shared->head, memory_order_acquire);
            if ((int64_t)(tail + need - head) > (int64_t)ring->bytes)
                return PHOS_E_FULL;
            atomic_store_explicit(&shared->head_cached, head,
                                  memory_order_release);
        }
        ret_taken->position = tail;
        ret_taken->at = phos__ring_stamp_at(ring, tail);
        ret_taken->claim =
            phos__ring_stamp(ring, tail, bytes, PHOS__RING_CLAIMED);
        /* No instruction, but compilers would put off until after the exchange
         * what is not used before. */
        __asm__("" : "+r"(ret_taken->at), "+r"(ret_taken->claim));
        /* Sequentially consistent: before the look at wake_at in
         * phos__ring_publish(), for the look at tail in phos__ring_sleep(). */
    } while (!atomic_compare_exchange_weak_explicit(
        &shared->tail, &tail, tail + need, memory_order_seq_cst,
        memory_order_relaxed));
    return PHOS_OK;
}

/* Returns where the record's bytes go. */
static inline uint8_t *phos__ring_claim(const struct phos__ring_taken *taken)
{
    /* Relaxed: it tells a length and hands over no bytes. */
    atomic_store_explicit(taken->at, taken->claim, memory_order_relaxed);
    /* Keeps the compiler from moving the claim behind the copy, where a
     * stalled thread would hold up the consumer. No instruction. */
    atomic_signal_fence(memory_order_seq_cst);
    return (uint8_t *)(taken->at + 1);
}

/*
 * Reserves and claims room for a record of `bytes`, a multiple of 8 and at most
 * PHOS__RING_RECORD_BYTES_MAX. Returns PHOS_OK, PHOS_E_FULL or PHOS_E_CLOSED.
 * After PHOS_OK the caller writes the record and calls phos__ring_publish().
 */
static inline phos_status phos__ring_reserve(struct phos__ring *ring,
                                             uint32_t bytes,
                                             uint64_t *ret_position,
                                             uint8_t **ret_record)
{
    struct phos__ring_taken taken;
    phos_status status = phos__ring_take(ring, bytes, &taken);

    if (status)
        return status;
    *ret_record = phos__ring_claim(&taken);
    *ret_position = taken.position;
    return PHOS_OK;
}

/* The rare end of phos__ring_publish(): wakes a consumer that stated
 * `wake_at`. Keeps errno. */
void phos__ring_wake_asked(struct phos__ring *ring, uint64_t wake_at);

/* Publishes, and wakes the consumer if it asked for that. Keeps errno. */
static inline void phos__ring_publish(struct phos__ring *ring,
                                      uint64_t position, uint32_t bytes)
{
    _Atomic uint64_t *stamp = phos__ring_stamp_at(ring, position);
    uint64_t end = position + PHOS__RING_STAMP_BYTES + bytes;
    uint64_t wake_at;

    /* Pairs with the acquire in phos__ring_read(): the bytes come first. The
     * claimed stamp is our own, so only its state changes. */
    atomic_store_explicit(stamp,
                          atomic_load_explicit(stamp, memory_order_relaxed) ^
                              (PHOS__RING_CLAIMED ^ PHOS__RING_PUBLISHED),
                          memory_order_release);
    /* Sequentially consistent: after the exchange of tail. */
    wake_at =
        atomic_load_explicit(&ring->shared->wake_at, memory_order_seq_cst);
    if (wake_at != PHOS__RING_NEVER && (int64_t)(end - wake_at) > 0)
        phos__ring_wake_asked(ring, wake_at);
}

/* After it, every reserve answers PHOS_E_CLOSED. */
void phos__ring_close(struct phos__ring *ring);
/* Writes to the eventfd whatever wake_at says. Keeps errno. */
void phos__ring_wake(struct phos__ring *ring);
/* The position behind the last reservation. */
uint64_t phos__ring_tail(const struct phos__ring *ring);
/* The consumer has looked at everything below. Any thread. */
uint64_t phos__ring_read_position(const struct phos__ring *ring);
/* Everything below has its verdict or has moved. Any thread. */
uint64_t phos__ring_head(const struct phos__ring *ring);
/* The id of the record at a position: UUID v4, a keyed function of it. */
void phos__ring_event_id(const struct phos__ring *ring, uint64_t position,
                         uint8_t ret_id[16]);

/* ---- the consumer ---- */

void phos__ring_reader_init(struct phos__ring_reader *reader,
                            struct phos__ring *ring);

/*
 * The next record that is published: a stalled one that has been finished
 * meanwhile comes first, then those from `read` on, past records that are
 * claimed only (at most PHOS__RING_STALLED_MAX of them). The records of one
 * producer come in its order. false: none now.
 */
bool phos__ring_read(struct phos__ring_reader *reader, uint64_t now_ms,
                     struct phos__ring_item *ret_item);

/* All that is published below this position has been read: `read`, or the place
 * of a stalled record that has been finished since the last look. */
uint64_t phos__ring_read_below(const struct phos__ring_reader *reader);

/* The record has its verdict or has moved: its space is free once everything
 * before it is. Each position once. */
void phos__ring_finish(struct phos__ring_reader *reader, uint64_t position);

/* Makes the space below reader->head known to producers. Cheap when nothing
 * has changed; once a turn is enough. */
void phos__ring_release(struct phos__ring_reader *reader);

/* Time since the oldest record that is claimed and not published was first
 * seen so; 0: none. */
uint64_t phos__ring_stalled_age_ms(const struct phos__ring_reader *reader,
                                   uint64_t now_ms);
/*
 * At close: a record that is still not published is given up. Takes off the
 * oldest stalled one or, when there is none, passes what is reserved and not
 * yet claimed, up to the next stamp, and returns its position; false when there
 * is nothing to give up. Its space stays taken: its producer may yet write.
 */
bool phos__ring_give_up_stalled(struct phos__ring_reader *reader,
                                uint64_t *ret_position);

/* No producer need wake the consumer: it is awake. */
void phos__ring_awake(struct phos__ring_reader *reader);
/* A nap with a timer, or for an answer: producers wake it past `position`. */
void phos__ring_nap(struct phos__ring_reader *reader, uint64_t position);
/*
 * Deep sleep, without a timer. Returns false, leaving wake_at at "never", when
 * there is something to read or stalled: the caller stays awake.
 */
bool phos__ring_sleep(struct phos__ring_reader *reader);

/* Whether a record is of a kind of its own; of its bytes it looks only at what
 * the consumer never writes. */
typedef bool phos__ring_kind_fn(const uint8_t *record, size_t bytes);

/* Counts records between `read` and tail that are published or claimed, from
 * any thread, once the ring is closed and its consumer is known to be stuck:
 * published ones of the kind in *ret_of_kind, all others in the result. What is
 * reserved and not yet claimed is stepped over. */
uint64_t phos__ring_count_from(const struct phos__ring *ring, uint64_t read,
                               phos__ring_kind_fn *is_of_kind,
                               uint64_t *ret_of_kind);

#endif
