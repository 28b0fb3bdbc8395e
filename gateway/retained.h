/* SPDX-License-Identifier: BSD-2-Clause */
/* The log of retained writes: what the server has acknowledged, but has not
 * proven to be on stable storage. If the server or a session is lost, it is
 * sent again out of here.
 *
 * Pure: no system call, no clock, no thread primitive inside; the caller holds
 * its lock. The simulator links this very object.
 *
 * A proof is a FLUSH whose completion carries the stability token of the
 * write, and that was sent after the write had been acknowledged. Tokens are
 * compared, never understood: a file server's write verifier, one session's
 * name, whatever changes when data may have been lost. An all-zero token says
 * that the protocol cannot prove anything: such a write is not retained.
 *
 * Life of an entry: retained_reserve (before the write is sent; its payload is
 * copied then) → retained_acknowledged → retained_prove, or overwritten. In
 * between it may come into doubt; then retained_replay → retained_again.
 *
 * Invariants
 *   L1  Entries do not overlap: whatever is acknowledged takes the overlapped
 *       part out of older ones. So their order does not matter to what is on
 *       the server after they were all sent again; they are kept in it all the
 *       same.
 *   L2  An acknowledged write never fails for want of memory: all that it may
 *       need was reserved before it was sent.
 *   L3  What is in use and what is kept for use again are at most limit_bytes
 *       together; entries are at most RETAINED_ENTRIES.
 *   L4  Only a proof, a newer acknowledged write or retained_clear takes
 *       anything out.
 */
#ifndef BH_GATEWAY_RETAINED_H
#define BH_GATEWAY_RETAINED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/copy.h"
#include "common/err.h"
#include "common/io.h"
#include "ipc/channel.h"

#define RETAINED_ENTRIES 32768u
#define RETAINED_PAYLOAD_MAX CHANNEL_CHUNK_BYTES
/* Payload lies in buffers of 4 KiB << class. */
#define RETAINED_BUFFER_MIN 4096u
#define RETAINED_CLASSES 9u
/* Some of the largest: one alone would wait until nobody else has any. */
#define RETAINED_LIMIT_MIN (4 * RETAINED_PAYLOAD_MAX)

/* Payload of one write, shared by the parts that are left of it. */
struct retained_buffer {
  struct retained_buffer *next; /* of the free ones */
  uint32_t users;
  uint32_t class_index;
  _Alignas (COPY_ASIDE_ALIGN) uint8_t data[];
};

struct retained_entry {
  uint64_t offset, end; /* bytes of the volume */
  uint64_t order;       /* when it was acknowledged first */
  uint64_t stamp;       /* … and last */
  uint8_t token[IO_TOKEN_BYTES];
  enum io_op op;  /* WRITE, TRIM, ZERO */
  uint32_t flags; /* IO_NO_HOLE */
  bool doubt;     /* the server may have lost it */
  bool replaying; /* on its way to the server again */
  struct retained_buffer *buffer; /* WRITE */
  uint32_t buffer_at;             /* where offset's byte is in it */
  uint32_t priority;
  struct retained_entry *left, *right; /* a treap by offset */
  struct retained_entry *next, *prev;  /* by order; next: of the free ones */
};

struct retained_slab;

struct retained {
  uint64_t limit_bytes; /* 0: nothing is ever retained */
  uint64_t used_bytes;  /* of buffers with users */
  uint64_t spare_bytes; /* of free buffers */
  uint32_t entries;
  uint32_t reserved; /* entries that writes under way may need */
  uint32_t spare_entries;
  _Atomic uint32_t doubts; /* entries in doubt; to be read without the lock,
                              too */
  uint64_t clock;  /* the last stamp */
  uint64_t random;
  struct retained_entry *root;
  struct retained_entry list; /* head */
  struct retained_entry *spare;
  struct retained_slab *slabs;
  struct retained_buffer *free_buffer[RETAINED_CLASSES];
};

/* What a write under way has reserved. Zeroed: nothing. */
struct retained_room {
  bool reserved;
  struct retained_buffer *buffer; /* NULL: it will not be retained */
};

/* limit_bytes of payload buffers: 0, or at least RETAINED_LIMIT_MIN. */
void retained_init (struct retained *r, uint64_t limit_bytes);
void retained_fini (struct retained *r);

/* Before a WRITE, TRIM or ZERO is sent. If (*ret).buffer is not NULL the
 * caller copies the payload there. length_bytes of a WRITE is at most
 * RETAINED_PAYLOAD_MAX. ERR_AGAIN: past the limit, something must be proven
 * first; ERR_NOMEM.
 */
enum err retained_reserve (struct retained *r, enum io_op op, uint32_t flags,
                           uint32_t length_bytes, struct retained_room *ret);
/* It failed, or its outcome will never be known. */
void retained_release (struct retained *r, struct retained_room *room);
/* The server has carried it out. */
void retained_acknowledged (struct retained *r, struct retained_room *room,
                            enum io_op op, uint32_t flags, uint64_t offset,
                            uint32_t length_bytes,
                            const uint8_t token[IO_TOKEN_BYTES]);

/* The mark of now: all that is acknowledged has stamps and orders up to it. */
static inline uint64_t
retained_mark (const struct retained *r)
{
  return r->clock;
}

/* A FLUSH that was sent at mark was answered with token. Returns how many
 * entries that has proven.
 */
uint32_t retained_prove (struct retained *r,
                         const uint8_t token[IO_TOKEN_BYTES], uint64_t mark);
/* A FLUSH, or what is one to the server, failed: nobody knows what that has
 * done with what was acknowledged at mark (many keep it in memory no longer,
 * and answer the next FLUSH as if nothing were missing). Only what is sent
 * again can still be proven.
 */
void retained_not_proven (struct retained *r, uint64_t mark);
/* Whether anything is left that had been acknowledged at mark. */
bool retained_left (const struct retained *r, uint64_t mark);
/* A session was lost, or flushes that should have proven what was acknowledged
 * at mark did not: what is left of that is in doubt.
 */
void retained_doubt (struct retained *r, uint64_t mark);

/* The oldest entry in doubt that is not on its way again, of those that had
 * been acknowledged at mark; NULL if there is none. It is now replaying; it
 * does not change as long as nothing that overlaps is acknowledged or proven.
 */
const struct retained_entry *retained_replay (struct retained *r,
                                              uint64_t mark);
static inline const uint8_t *
retained_payload (const struct retained_entry *e)
{
  return e->buffer ? e->buffer->data + e->buffer_at : NULL;
}
/* It was carried out again. */
void retained_again (struct retained *r, uint64_t offset,
                     uint32_t length_bytes,
                     const uint8_t token[IO_TOKEN_BYTES]);
/* It was not sent after all, or is lost. One that the server refuses is left as
 * it is until the others had their turn: then retained_turn_over.
 */
void retained_not_again (struct retained *r, uint64_t offset,
                         uint32_t length_bytes);
/* None is on its way any more. */
void retained_turn_over (struct retained *r);

/* Whether an entry in doubt overlaps. */
bool retained_in_doubt (const struct retained *r, uint64_t offset,
                        uint64_t length_bytes);
/* buf holds what the server gave for [offset, offset + length_bytes): puts over
 * it what is in doubt.
 */
void retained_overlay (const struct retained *r, void *buf, uint64_t offset,
                       uint32_t length_bytes);
/* Copies from the front of the range what is in doubt, up to the first byte
 * that is not (or was trimmed). Returns how many bytes.
 */
uint32_t retained_front (const struct retained *r, void *buf, uint64_t offset,
                         uint32_t length_bytes);

/* So much is in the log that it should be proven before writers must wait. */
static inline bool
retained_high (const struct retained *r)
{
  return r->used_bytes > r->limit_bytes / 2
         || r->entries > RETAINED_ENTRIES / 2;
}

/* The volume is given up. */
void retained_clear (struct retained *r);

#endif
