/* SPDX-License-Identifier: BSD-2-Clause */
/* Random operations on a file, compared with a model in memory, in the manner
 * of fsx: writes, reads, writes and reads through a map, truncation, holes,
 * zeroes, fsync, and dropping what the kernel has cached.
 *
 *   file-model FILE MAX_BYTES SEED SECONDS
 *
 * At the end it writes the file's pages back, drops them, and compares all of
 * it once more. Exit status 0 if everything was as it should be.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 65536u

struct model {
  int fd;
  size_t size, max;
  uint8_t *want, *got;
  uint64_t random;
  unsigned long operations;
};

/* xorshift64* */
static uint64_t
draw (struct model *m, uint64_t below)
{
  m->random ^= m->random >> 12;
  m->random ^= m->random << 25;
  m->random ^= m->random >> 27;
  return (m->random * 2685821657736338717ull >> 16) % below;
}

static void __attribute__ ((noreturn))
wrong (const struct model *m, const char *what, size_t offset)
{
  printf ("file-model: operation %lu: %s at %zu: %s\n", m->operations, what,
          offset, errno ? strerror (errno) : "other data");
  exit (1);
}

static void
compare (struct model *m, size_t offset, size_t n, const char *what)
{
  errno = 0;
  for (size_t i = 0; i < n; i++)
    if (m->got[i] != m->want[offset + i])
      wrong (m, what, offset + i);
}

static void
do_read (struct model *m, size_t offset, size_t n)
{
  ssize_t r = pread (m->fd, m->got, n, (off_t)offset);
  size_t there = offset >= m->size ? 0 : m->size - offset;

  if (r < 0 || (size_t)r != (n < there ? n : there))
    wrong (m, "read", offset);
  compare (m, offset, (size_t)r, "read");
}

static void
do_write (struct model *m, size_t offset, size_t n)
{
  for (size_t i = 0; i < n; i++)
    m->want[offset + i] = (uint8_t)draw (m, 256);
  if (pwrite (m->fd, m->want + offset, n, (off_t)offset) != (ssize_t)n)
    wrong (m, "write", offset);
  if (offset + n > m->size)
    m->size = offset + n;
}

static void
do_map (struct model *m, size_t offset, size_t n, int writes)
{
  size_t page = (size_t)sysconf (_SC_PAGESIZE), base = offset / page * page;
  uint8_t *map;

  if (offset >= m->size)
    return;
  if (n > m->size - offset)
    n = m->size - offset;
  map = mmap (NULL, offset - base + n, PROT_READ | PROT_WRITE, MAP_SHARED,
              m->fd, (off_t)base);
  if (map == MAP_FAILED)
    wrong (m, "mmap", offset);
  if (writes) {
    for (size_t i = 0; i < n; i++)
      m->want[offset + i] = (uint8_t)draw (m, 256);
    memcpy (map + (offset - base), m->want + offset, n);
  }
  memcpy (m->got, map + (offset - base), n);
  munmap (map, offset - base + n);
  compare (m, offset, n, "mapped");
}

static void
do_truncate (struct model *m, size_t size)
{
  if (ftruncate (m->fd, (off_t)size) < 0)
    wrong (m, "truncate", size);
  if (size < m->size)
    memset (m->want + size, 0, m->size - size);
  m->size = size;
}

static void
do_hole (struct model *m, size_t offset, size_t n, int mode)
{
  if (fallocate (m->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)n)
      < 0)
    wrong (m, "fallocate", offset);
  if (offset < m->size)
    memset (m->want + offset, 0, n < m->size - offset ? n : m->size - offset);
}

static void
do_drop (struct model *m)
{
  if (fsync (m->fd) < 0)
    wrong (m, "fsync", 0);
  posix_fadvise (m->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void
operate (struct model *m)
{
  size_t offset = (size_t)draw (m, m->max - CHUNK);
  size_t n = 1 + (size_t)draw (m, CHUNK);

  m->operations++;
  switch (draw (m, 16)) {
  case 0:
    do_truncate (m, offset);
    break;
  case 1:
    do_hole (m, offset, n, FALLOC_FL_PUNCH_HOLE);
    break;
  case 2:
    do_hole (m, offset, n, FALLOC_FL_ZERO_RANGE);
    break;
  case 3:
    do_drop (m);
    break;
  case 4:
  case 5:
    do_map (m, offset, n, 1);
    break;
  case 6:
    do_map (m, offset, n, 0);
    break;
  case 7:
  case 8:
  case 9:
  case 10:
    do_read (m, offset, n);
    break;
  default:
    do_write (m, offset, n);
  }
}

int
main (int argc, char **argv)
{
  struct model m = {.fd = -1};
  time_t end;

  if (argc != 5)
    return 2;
  m.max = strtoul (argv[2], NULL, 10);
  m.random = strtoull (argv[3], NULL, 10) * 2 + 88172645463325252ull;
  m.want = calloc (1, m.max);
  m.got = calloc (1, m.max);
  m.fd = open (argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (m.max <= CHUNK || !m.want || !m.got || m.fd < 0)
    return 2;
  end = time (NULL) + atoi (argv[4]);
  do
    operate (&m);
  while (time (NULL) < end);
  do_drop (&m);
  for (size_t at = 0; at < m.size; at += CHUNK)
    do_read (&m, at, CHUNK);
  printf ("file-model: %lu operations as they should be\n", m.operations);
  return 0;
}
