/* SPDX-License-Identifier: BSD-2-Clause */
/* The gateway's side of the shared cache: reads answered out of it, and fills
 * offered to the daemon.
 *
 * Thread rule: hot_read and hot_offer from any thread. hot_attach by one
 * thread, any time: a new daemon brings new objects; what readers may still be
 * using stays mapped until hot_fini (bounded: HOT_VIEWS daemons).
 *
 * hot_read makes no system call, takes no lock and wakes nobody.
 */
#ifndef BH_GATEWAY_HOT_H
#define BH_GATEWAY_HOT_H

#include <pthread.h>
#include <stdatomic.h>

#include "ipc/fill.h"

#define HOT_VIEWS 64

struct hot_view {
  struct page_map pages;
  struct ring fill_ring;
  uint8_t *fill_arena;
  int fill_wake; /* eventfd */
  struct {
    void *base;
    size_t bytes;
  } mapped[CACHE_FDS];
};

struct hot {
  /* The stripes stay over all daemons: one file. NULL file: none yet. */
  struct stripe_map stripes;
  size_t stripes_bytes;
  int stripes_fd; /* kept, to hand it to a new daemon */
  struct hot_view *_Atomic view; /* NULL: no cache */
  pthread_mutex_t fill_lock;
  struct hot_view *views[HOT_VIEWS]; /* all there ever were, for hot_fini */
  unsigned n_views;
  _Atomic uint64_t hits, misses, fills, dropped; /* pages */
};

void hot_init (struct hot *h);
void hot_fini (struct hot *h);

/* Maps what CONTROL_CACHE brought: fd[] stays the caller's. With cached
 * false only the stripes are used (cache=off), so that writes are seen by
 * those who cache. ERR_VERSION, ERR_NOMEM, ERR_PEER.
 */
enum err hot_attach (struct hot *h, const int fd[CACHE_FDS], uint32_t slots,
                     uint32_t stripes, bool cached);

/* Nothing is answered from the cache any more, nor offered to it. (A hot_read
 * that has begun may still end with what it found.)
 */
void hot_detach (struct hot *h);

/* Copies what is cached of [offset, offset + length_bytes) to buf, from the
 * front, up to the first page that is not. Returns how many bytes.
 */
uint32_t hot_read (struct hot *h, void *buf, uint32_t length_bytes,
                   uint64_t offset);

/* The versions of pages first … first + pages - 1 before they are read from
 * the server; PAGE_NONE where a write is under way.
 */
void hot_versions (const struct hot *h, uint64_t first, uint32_t pages,
                   uint64_t *ret_versions);
/* They have been read into bytes, memory of this process alone: offers those
 * that no write has raced with. May drop any of them.
 */
void hot_offer (struct hot *h, uint64_t first, uint32_t pages,
                const uint64_t *versions, const void *bytes);

#endif
