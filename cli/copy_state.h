/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done of a copy, and of which ends: in memory, and in a file that
 * outlives an interrupted one. The file never says more than what the
 * destination has flushed: who saves takes a snapshot, flushes, then writes it.
 * It ends with its own SHA-256, and is replaced whole.
 *
 * Pure but for copy_state_load, copy_state_save, copy_state_path. One thread at
 * a time.
 */
#ifndef BH_CLI_COPY_STATE_H
#define BH_CLI_COPY_STATE_H

#include "cli/end.h"

#define COPY_CHUNK_MIN (1u << 20)
#define COPY_CHUNKS_MAX 65536u
#define COPY_DIGEST_BYTES 32u /* SHA-256 */

struct copy_state {
  uint64_t size;
  uint32_t chunk_bytes; /* a power of two */
  uint32_t chunks, done_chunks;
  char source[1200], destination[1200]; /* names and identities */
  uint8_t *done;                        /* a byte for each chunk */
  uint8_t (*digest)[COPY_DIGEST_BYTES]; /* of what was read from the source */
};

/* Of opened ends. ERR_NOMEM. */
enum err copy_state_init (struct copy_state *s, struct end *source,
                          struct end *destination, struct fault *f);
void copy_state_fini (struct copy_state *s);
/* Nothing is done. */
void copy_state_forget (struct copy_state *s);
/* A copy of it. */
enum err copy_state_snapshot (const struct copy_state *s,
                              struct copy_state *ret);

static inline uint64_t
copy_state_at (const struct copy_state *s, uint32_t chunk)
{
  return (uint64_t)chunk * s->chunk_bytes;
}
static inline uint32_t
copy_state_bytes (const struct copy_state *s, uint32_t chunk)
{
  uint64_t left = s->size - copy_state_at (s, chunk);

  return left < s->chunk_bytes ? (uint32_t)left : s->chunk_bytes;
}

/* Where the state of this copy is kept, unless the user says so: in
 * $XDG_STATE_HOME/bulkhead, else ~/.local/state/bulkhead, which is made.
 */
enum err copy_state_path (const char *source, const char *destination,
                          char *dst, size_t dst_bytes, struct fault *f);
/* Takes over what is done, if the file is there and is of the same copy. ERR_OK
 * too if there is none. ERR_PEER: it is damaged; ERR_INVAL: it is of other
 * ends, or the source has changed since: f says so.
 */
enum err copy_state_load (struct copy_state *s, const char *path,
                          struct fault *f);
enum err copy_state_save (const struct copy_state *s, const char *path,
                          struct fault *f);

#endif
