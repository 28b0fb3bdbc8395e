/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/fake/disk.h"

#include <stdlib.h>
#include <string.h>

void
disk_init (struct disk *d, uint64_t size)
{
  *d = (struct disk){.size = size, .seed = 1, .token = "first"};
  d->bytes = calloc (1, size);
  d->stable = calloc (1, size);
  d->dirty = calloc (size / DISK_PAGE, sizeof *d->dirty);
  d->hole = malloc (size / DISK_PAGE * sizeof *d->hole);
  if (!d->bytes || !d->stable || !d->dirty || !d->hole)
    abort ();
  memset (d->hole, true, size / DISK_PAGE * sizeof *d->hole);
}

void
disk_fini (struct disk *d)
{
  free (d->bytes);
  free (d->stable);
  free (d->dirty);
  free (d->hole);
}

static void
touch (struct disk *d, uint64_t offset, uint64_t n)
{
  for (uint64_t page = offset / DISK_PAGE; page * DISK_PAGE < offset + n;
       page++) {
    d->n_dirty += !d->dirty[page];
    d->dirty[page] = true;
    d->hole[page] = false;
  }
}

void
disk_write (struct disk *d, uint64_t offset, const void *bytes, uint64_t n)
{
  memcpy (d->bytes + offset, bytes, n);
  touch (d, offset, n);
}

void
disk_zero (struct disk *d, uint64_t offset, uint64_t n, bool keep)
{
  uint64_t first = offset / DISK_PAGE, last = (offset + n - 1) / DISK_PAGE;
  bool first_was = d->hole[first], last_was = d->hole[last];

  memset (d->bytes + offset, 0, n);
  touch (d, offset, n);
  if (keep)
    return;
  for (uint64_t page = first; page <= last; page++)
    d->hole[page] = true;
  /* A hole of which a part is zeroed is one still; others are none. */
  if (offset % DISK_PAGE || (first == last && n < DISK_PAGE))
    d->hole[first] = first_was;
  if ((offset + n) % DISK_PAGE)
    d->hole[last] = last_was;
}

void
disk_sync (struct disk *d, uint64_t offset, uint64_t n)
{
  for (uint64_t page = offset / DISK_PAGE; page * DISK_PAGE < offset + n;
       page++) {
    if (!d->n_dirty)
      return;
    if (d->dirty[page]) {
      memcpy (d->stable + page * DISK_PAGE, d->bytes + page * DISK_PAGE,
              DISK_PAGE);
      d->dirty[page] = false;
      d->n_dirty--;
    }
  }
}

void
disk_drop (struct disk *d)
{
  for (uint64_t page = 0; page < d->size / DISK_PAGE; page++)
    if (d->dirty[page] && rand_r (&d->seed) % 2) {
      memcpy (d->bytes + page * DISK_PAGE, d->stable + page * DISK_PAGE,
              DISK_PAGE);
      d->dirty[page] = false;
      d->n_dirty--;
      d->hole[page] = false;
      d->lost++;
    }
}

void
disk_restart (struct disk *d)
{
  disk_drop (d);
  disk_sync (d, 0, d->size); /* what it had written back before */
  for (unsigned i = 0; i < IO_TOKEN_BYTES; i++)
    d->token[i] = (uint8_t)(1 + rand_r (&d->seed) % 255);
}

uint32_t
disk_status (const struct disk *d, uint64_t offset, uint64_t n,
             struct io_extent *ret)
{
  uint64_t end = offset + n;
  uint32_t extents = 0;

  while (offset < end && extents < IO_EXTENTS_MAX) {
    bool hole = d->hole[offset / DISK_PAGE];
    uint64_t at = offset;

    while (at < end && d->hole[at / DISK_PAGE] == hole)
      at += DISK_PAGE - at % DISK_PAGE;
    if (at > end)
      at = end;
    ret[extents++] = (struct io_extent){
      .length = at - offset,
      .flags = hole ? IO_EXTENT_HOLE | IO_EXTENT_ZERO : 0};
    offset = at;
  }
  return extents;
}
