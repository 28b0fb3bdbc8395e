/* SPDX-License-Identifier: BSD-2-Clause */
/* find-bytes PID HEX: how often these bytes stand in the memory of a process
 * that may read and write there, and in what its sockets have received and it
 * has not read; for tests that look for secrets. Exit status 0 and a number on
 * stdout, or 2 if that cannot be looked at.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEEDLE_BYTES 4096
#define WINDOW_BYTES (1u << 20)
/* A sanitizer's shadow: terabytes, and no copy of anything. */
#define MAPPING_BYTES_MAX (1ull << 30)

static uint8_t needle[NEEDLE_BYTES];
static size_t needle_bytes;
static uint8_t window[WINDOW_BYTES + NEEDLE_BYTES];

static void
take_needle (const char *hex)
{
  for (; hex[0] && hex[1] && needle_bytes < NEEDLE_BYTES; hex += 2) {
    char pair[3] = {hex[0], hex[1], 0};

    needle[needle_bytes++] = (uint8_t)strtoul (pair, NULL, 16);
  }
}

static unsigned long
count (const uint8_t *base, size_t n)
{
  unsigned long found = 0;
  const uint8_t *p;

  while (n >= needle_bytes
         && (p = memmem (base, n, needle, needle_bytes))) {
    found++;
    n -= (size_t)(p + 1 - base);
    base = p + 1;
  }
  return found;
}

/* One mapping; windows overlap by a needle less a byte. What cannot be read
 * (a guard, a hole) is passed over.
 */
static unsigned long
search (int mem, uint64_t start, uint64_t end, uint64_t *ret_read)
{
  unsigned long found = 0;
  size_t kept = 0;

  while (start < end) {
    size_t want = end - start < WINDOW_BYTES ? end - start : WINDOW_BYTES;
    ssize_t n = pread (mem, window + kept, want, (off_t)start);

    if (n <= 0) {
      start += 4096;
      kept = 0;
      continue;
    }
    found += count (window, kept + (size_t)n);
    *ret_read += (uint64_t)n;
    start += (uint64_t)n;
    n += (ssize_t)kept;
    kept = (size_t)n < needle_bytes - 1 ? (size_t)n : needle_bytes - 1;
    memmove (window, window + n - kept, kept);
  }
  return found;
}

/* A worker has streams, or messages of which the first has to do. */
static unsigned long
search_socket (int fd)
{
  ssize_t n = recv (fd, window, sizeof window, MSG_PEEK | MSG_DONTWAIT);

  return n > 0 ? count (window, (size_t)n) : 0;
}

/* False: its descriptors cannot be had. */
static bool
search_queues (const char *pid, unsigned long *found)
{
  char path[64], target[64];
  int pidfd = (int)syscall (SYS_pidfd_open, atoi (pid), 0);
  struct dirent *e;
  DIR *dir;

  snprintf (path, sizeof path, "/proc/%s/fd", pid);
  dir = opendir (path);
  if (pidfd < 0 || !dir)
    return false;
  while ((e = readdir (dir))) {
    ssize_t n = readlinkat (dirfd (dir), e->d_name, target, sizeof target);
    int fd;

    if (n < 7 || strncmp (target, "socket:", 7) != 0)
      continue;
    fd = (int)syscall (SYS_pidfd_getfd, pidfd, atoi (e->d_name), 0);
    if (fd < 0)
      return false;
    *found += search_socket (fd);
    close (fd);
  }
  closedir (dir);
  close (pidfd);
  return true;
}

int
main (int argc, char **argv)
{
  char path[64], line[512];
  unsigned long found = 0;
  uint64_t bytes_read = 0;
  FILE *maps;
  int mem;

  if (argc != 3) {
    fprintf (stderr, "usage: %s PID HEX\n", argv[0]);
    return 2;
  }
  take_needle (argv[2]);
  snprintf (path, sizeof path, "/proc/%s/maps", argv[1]);
  maps = fopen (path, "r");
  snprintf (path, sizeof path, "/proc/%s/mem", argv[1]);
  mem = open (path, O_RDONLY);
  if (!maps || mem < 0 || needle_bytes < 8) {
    fprintf (stderr, "%s: %s\n", path, strerror (errno));
    return 2;
  }
  while (fgets (line, sizeof line, maps)) {
    unsigned long long start, end;
    char rights[5];

    if (sscanf (line, "%llx-%llx %4s", &start, &end, rights) == 3
        && rights[0] == 'r' && end - start < MAPPING_BYTES_MAX
        && !strstr (line, "[vvar]"))
      found += search (mem, start, end, &bytes_read);
  }
  if (!bytes_read || !search_queues (argv[1], &found)) {
    fprintf (stderr, "%s: nothing could be read\n", path);
    return 2;
  }
  printf ("%lu\n", found);
  return 0;
}
