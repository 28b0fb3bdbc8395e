/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether somebody else has written to the object, told from what the server
 * says of it: whenever a session begins, and every revalidate=SECONDS.
 *
 * What makes our own writes and those of others look alike is that both change
 * the answer. So only answers are compared between which this host has written
 * nothing: writes are counted (ipc/stripes.h: begun, ended), by every gateway
 * process of the volume.
 *
 * Invariants
 *   V1  An answer counts only if no write of this host was under way when it
 *       was asked for, and none has begun since. Else it is asked for again,
 *       soon.
 *   V2  An answer that counts differs from the last one, and no write of this
 *       host lies between them: somebody else has written. With such a write in
 *       between, or where the server does not tell of changes, nothing is
 *       known, but for the size, which no write of ours changes; the answer is
 *       what the next one is compared with.
 *   V3  After a change of others the cache is dropped once more, when more than
 *       a second has passed: servers tell whole seconds, and what was written
 *       in the rest of that second would not show.
 *
 *   V4  What a new session finds counts if no write of this host was under way
 *       when the session before it was lost, and none has begun since.
 *   V5  Without an interval the server is asked when our own writes have come
 * to rest, and what V3 wants: so that a new session's answer has something to
 *       be compared with.
 *
 * Pure: time and counters are handed in. One thread at a time.
 */
#ifndef BH_GATEWAY_REVALIDATE_H
#define BH_GATEWAY_REVALIDATE_H

#include <stdbool.h>
#include <stdint.h>

#define REVALIDATE_SOON_NS 1000000000ull
#define REVALIDATE_SETTLE_NS 1100000000ull

/* Writes of this host to the volume: ended read before begun. */
struct revalidate_writes {
  uint64_t ended, begun;
};

struct revalidate {
  uint64_t interval_ns; /* 0: V5 */
  uint64_t next_ns;     /* when to ask */
  bool asked;
  uint64_t asked_ns;
  struct revalidate_writes at_ask;
  bool known; /* there is an answer that counted: */
  uint64_t change, size, begun;
  bool settling; /* V3 */
  uint64_t settled_ns;
};

/* The first answer is what was found when the volume was opened; change 0: not
 * known.
 */
void revalidate_init (struct revalidate *r, uint64_t interval_ns,
                      uint64_t change, uint64_t size,
                      const struct revalidate_writes *w, uint64_t now_ns);
/* True if the server is to be asked now. */
bool revalidate_due (const struct revalidate *r,
                     const struct revalidate_writes *w, uint64_t now_ns);
void revalidate_ask (struct revalidate *r, const struct revalidate_writes *w,
                     uint64_t now_ns);
/* Nobody will answer: ask again, at once (of a new session). */
void revalidate_lost (struct revalidate *r, uint64_t now_ns);
/* Only after revalidate_ask. True: what is cached must go. */
bool revalidate_answer (struct revalidate *r, uint64_t change, uint64_t size,
                        const struct revalidate_writes *w, uint64_t now_ns);

/* What a new session has found; lost: the writes counted when the one before
 * was lost. True: what is cached must go.
 */
bool revalidate_session (struct revalidate *r, uint64_t change, uint64_t size,
                         const struct revalidate_writes *lost,
                         const struct revalidate_writes *w, uint64_t now_ns);

#endif
