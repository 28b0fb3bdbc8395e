/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/hot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/copy.h"
#include "ipc/shm.h"

void
hot_init (struct hot *h)
{
  memset (h, 0, sizeof *h);
  h->stripes_fd = -1;
  pthread_mutex_init (&h->fill_lock, NULL);
}

static void
view_free (struct hot_view *v)
{
  if (!v)
    return;
  for (int i = 0; i < CACHE_FDS; i++)
    shm_unmap (v->mapped[i].base, v->mapped[i].bytes);
  if (v->fill_wake >= 0)
    close (v->fill_wake);
  free (v);
}

static void
cleanup_view (struct hot_view **v)
{
  view_free (*v);
}

void
hot_fini (struct hot *h)
{
  for (unsigned i = 0; i < h->n_views; i++)
    view_free (h->views[i]);
  shm_unmap (h->stripes.file, h->stripes_bytes);
  if (h->stripes_fd >= 0)
    close (h->stripes_fd);
  pthread_mutex_destroy (&h->fill_lock);
}

/* tmpfs has no seals: the size is checked, and nobody has a reason to cut the
 * file; a gateway of the same uid is guarded against bugs, not malice.
 */
static enum err
attach_stripes (struct hot *h, int fd, uint32_t count)
{
  size_t bytes = stripes_bytes (count);
  struct stripe_map m;
  struct stat st, had;
  void *base;
  int own;

  if (fstat (fd, &st) < 0 || st.st_size != (off_t)bytes)
    return ERR_VERSION;
  if (h->stripes.file) /* another daemon: it must be the same file */
    return fstat (h->stripes_fd, &had) == 0 && had.st_ino == st.st_ino
               && had.st_dev == st.st_dev
             ? ERR_OK
             : ERR_PEER;
  own = fcntl (fd, F_DUPFD_CLOEXEC, 0); /* for the next daemon */
  if (own < 0)
    return err_from_errno (errno);
  base = mmap (NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) {
    enum err e = err_from_errno (errno);

    close (own);
    return e;
  }
  if (stripes_open (base, bytes, &m)) {
    munmap (base, bytes);
    close (own);
    return ERR_VERSION;
  }
  h->stripes_fd = own;
  h->stripes = m;
  h->stripes_bytes = bytes;
  return ERR_OK;
}

static enum err
map_object (struct hot_view *v, enum cache_object object, int fd,
            size_t bytes, bool writable)
{
  enum err e = shm_map (fd, bytes, writable, &v->mapped[object].base);

  if (!e)
    v->mapped[object].bytes = bytes;
  return e;
}

static enum err
view_map (struct hot_view *v, const int fd[CACHE_FDS], uint32_t slots)
{
  size_t index_bytes = pages_index_bytes (slots);
  size_t data_bytes = (size_t)slots * PAGE_BYTES;
  struct ring_object *mine;
  enum err e;

  v->fill_wake = -1;
  if ((e = map_object (v, CACHE_INDEX, fd[CACHE_INDEX], index_bytes, false))
      || (e = map_object (v, CACHE_PAGES, fd[CACHE_PAGES], data_bytes, false))
      || (e = map_object (v, CACHE_FILL_RING, fd[CACHE_FILL_RING],
                          CHANNEL_RING_BYTES, true))
      || (e = map_object (v, CACHE_FILL_ARENA, fd[CACHE_FILL_ARENA],
                          FILL_ARENA_BYTES, true))
      || (e = map_object (v, CACHE_FILL_ANSWERS, fd[CACHE_FILL_ANSWERS],
                          CHANNEL_RING_BYTES, false))
      || (e = pages_open (v->mapped[CACHE_INDEX].base, index_bytes,
                          v->mapped[CACHE_PAGES].base, data_bytes,
                          &v->pages)))
    return e;
  mine = v->mapped[CACHE_FILL_RING].base;
  ring_object_reset (mine, FILL_EPOCH);
  ring_init (&v->fill_ring, mine, v->mapped[CACHE_FILL_ANSWERS].base);
  v->fill_arena = v->mapped[CACHE_FILL_ARENA].base;
  v->fill_wake = fcntl (fd[CACHE_FILL_WAKE], F_DUPFD_CLOEXEC, 0);
  return v->fill_wake < 0 ? err_from_errno (errno) : ERR_OK;
}

enum err
hot_attach (struct hot *h, const int fd[CACHE_FDS], uint32_t slots,
            uint32_t stripes, bool cached)
{
  __attribute__ ((cleanup (cleanup_view))) struct hot_view *v = NULL;
  enum err e;

  if (stripes == 0 || stripes > 1u << 28 || slots > 1u << 28)
    return ERR_VERSION;
  if ((e = attach_stripes (h, fd[CACHE_STRIPES], stripes)))
    return e;
  atomic_store (&h->view, NULL);
  if (!cached || slots == 0 || h->n_views == HOT_VIEWS)
    return ERR_OK;
  v = calloc (1, sizeof *v);
  if (!v)
    return ERR_NOMEM;
  if ((e = view_map (v, fd, slots)))
    return e;
  pthread_mutex_lock (&h->fill_lock);
  h->views[h->n_views++] = v;
  atomic_store (&h->view, v);
  v = NULL;
  pthread_mutex_unlock (&h->fill_lock);
  return ERR_OK;
}

void
hot_detach (struct hot *h)
{
  pthread_mutex_lock (&h->fill_lock);
  atomic_store (&h->view, NULL);
  pthread_mutex_unlock (&h->fill_lock);
}

uint32_t
hot_read (struct hot *h, void *buf, uint32_t length_bytes, uint64_t offset)
{
  struct hot_view *v = atomic_load_explicit (&h->view, memory_order_acquire);
  uint32_t done = 0;
  uint32_t pages = 0;

  if (!v)
    return 0;
  while (done < length_bytes) {
    uint64_t page = (offset + done) / PAGE_BYTES;
    uint32_t at = (uint32_t)((offset + done) % PAGE_BYTES);
    uint32_t n = PAGE_BYTES - at;

    if (n > length_bytes - done)
      n = length_bytes - done;
    if (!pages_lookup (&v->pages, &h->stripes, page, at, n,
                       (uint8_t *)buf + done)) {
      atomic_fetch_add_explicit (&h->misses, 1, memory_order_relaxed);
      break;
    }
    done += n;
    pages++;
  }
  atomic_fetch_add_explicit (&h->hits, pages, memory_order_relaxed);
  return done;
}

void
hot_versions (const struct hot *h, uint64_t first, uint32_t pages,
              uint64_t *ret_versions)
{
  for (uint32_t i = 0; i < pages; i++)
    if (!stripes_quiet (&h->stripes, first + i, &ret_versions[i]))
      ret_versions[i] = PAGE_NONE;
}

/* Fills the chunk of the ring's next place. Returns how many pages count. */
static uint32_t
fill_chunk (const struct hot *h, uint8_t *chunk, uint64_t first,
            uint32_t pages, const uint64_t *versions, const void *bytes)
{
  uint32_t good = 0;

  for (uint32_t i = 0; i < pages; i++) {
    uint64_t version = versions[i];

    if (version != PAGE_NONE && !stripes_same (&h->stripes, first + i, version))
      version = PAGE_NONE;
    fill_set_version (chunk, i, version);
    if (version == PAGE_NONE)
      continue;
    copy_bytes (fill_page (chunk, i),
                (const uint8_t *)bytes + (size_t)i * PAGE_BYTES, PAGE_BYTES);
    good++;
  }
  return good;
}

/* At most FILL_PAGES of them. Returns how many count. */
static uint32_t
offer_part (struct hot *h, struct hot_view *v, uint64_t first, uint32_t pages,
            const uint64_t *versions, const uint8_t *bytes, bool *wake)
{
  uint8_t *chunk = fill_room (&v->fill_ring, v->fill_arena);
  uint32_t good = 0;

  if (chunk)
    good = fill_chunk (h, chunk, first, pages, versions, bytes);
  if (good && fill_offer (&v->fill_ring, first, pages))
    *wake = true;
  return good;
}

void
hot_offer (struct hot *h, uint64_t first, uint32_t pages,
           const uint64_t *versions, const void *bytes)
{
  struct hot_view *v;
  uint32_t good = 0;
  bool wake = false;

  pthread_mutex_lock (&h->fill_lock);
  v = atomic_load_explicit (&h->view, memory_order_relaxed);
  for (uint32_t at = 0, n; v && at < pages; at += n) {
    n = pages - at < FILL_PAGES ? pages - at : FILL_PAGES;
    good += offer_part (h, v, first + at, n, versions + at,
                        (const uint8_t *)bytes + (size_t)at * PAGE_BYTES,
                        &wake);
  }
  if (wake) {
    uint64_t one = 1;
    ssize_t ignored = write (v->fill_wake, &one, sizeof one);

    (void)ignored;
  }
  pthread_mutex_unlock (&h->fill_lock);
  atomic_fetch_add_explicit (&h->fills, good, memory_order_relaxed);
  atomic_fetch_add_explicit (&h->dropped, pages - good,
                             memory_order_relaxed);
}
