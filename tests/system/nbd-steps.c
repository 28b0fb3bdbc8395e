/* SPDX-License-Identifier: BSD-2-Clause */
/* Single steps at several NBD servers, one after the other, each timed.
 *
 *   nbd-steps URI… -- STEP…
 *
 *   K:write:PAGE:LETTER  server K: 4 KiB of that letter
 *   K:read:PAGE:LETTER   must be answered with just that within a second
 *   K:waits:PAGE         a read that is not answered within a second; it stays
 *                        on its way
 *   K:fails:PAGE         a read that fails with EIO
 *   K:loop:PAGE:COUNT    so many reads, one after the other
 *   K:becomes:PAGE:LETTER reads until it is answered with that, for at most
 *                        half a minute
 *   K:flush
 *   K:noflush            a FLUSH that fails with EIO
 *   K:rest:0:MS          does nothing for so long
 *   K:drop               leaves without a word
 *   0:tell:0:FILE        makes FILE
 *   0:await:0:FILE       waits for FILE, for at most half a minute
 *
 * Prints how long each took. Exit status 1 at the first that is not so.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libnbd.h>

#define SERVERS_MAX 4
#define PAGE 4096u
#define ANSWER_MS 1000
#define FAIL_MS 20000
#define PATIENCE_MS 30000

static struct nbd_handle *nbd[SERVERS_MAX];
static uint8_t buf[PAGE];

static void __attribute__ ((noreturn, format (printf, 1, 2)))
die (const char *fmt, ...)
{
  va_list ap;

  va_start (ap, fmt);
  fputs ("nbd-steps: ", stderr);
  vfprintf (stderr, fmt, ap);
  fputc ('\n', stderr);
  va_end (ap);
  exit (EXIT_FAILURE);
}

static double
now_ms (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* A read, for at most limit_ms: 1: answered, 0: not yet, -1: *ret_errno. */
static int
try_read (struct nbd_handle *h, uint64_t page, double limit_ms,
          int *ret_errno)
{
  double until = now_ms () + limit_ms;
  int64_t cookie
    = nbd_aio_pread (h, buf, PAGE, page * PAGE, NBD_NULL_COMPLETION, 0);
  int r = 0;

  if (cookie == -1)
    die ("%s", nbd_get_error ());
  while (r == 0 && now_ms () < until) {
    if (nbd_poll (h, (int)(until - now_ms ()) + 1) == -1)
      die ("%s", nbd_get_error ());
    r = nbd_aio_command_completed (h, (uint64_t)cookie);
  }
  if (r == -1)
    *ret_errno = nbd_get_errno ();
  return r;
}

static void
expect (const char *step, struct nbd_handle *h, uint64_t page, char letter)
{
  int error;
  int r = try_read (h, page, ANSWER_MS, &error);

  if (r != 1)
    die ("%s: %s", step, r ? strerror (error) : "no answer within a second");
  for (unsigned i = 0; i < PAGE; i++)
    if (buf[i] != (uint8_t)letter)
      die ("%s: byte %u is 0x%02x", step, i, buf[i]);
}

static void
becomes (const char *step, struct nbd_handle *h, uint64_t page, char letter)
{
  double until = now_ms () + PATIENCE_MS;

  for (;;) {
    if (nbd_pread (h, buf, PAGE, page * PAGE, 0) == -1)
      die ("%s: %s", step, nbd_get_error ());
    if (buf[0] == (uint8_t)letter && buf[PAGE - 1] == (uint8_t)letter)
      return;
    if (now_ms () > until)
      die ("%s: it does not", step);
    usleep (20000);
  }
}

static void
tell (const char *name)
{
  FILE *file = fopen (name, "w");

  if (!file || fclose (file))
    die ("%s: %s", name, strerror (errno));
}

static void
await (const char *name)
{
  double until = now_ms () + PATIENCE_MS;

  while (access (name, F_OK) != 0) {
    if (now_ms () > until)
      die ("nobody makes %s", name);
    usleep (20000);
  }
}

static void
do_step (const char *step)
{
  unsigned k;
  char verb[16] = "", letter[32] = "";
  uint64_t page = 0;
  int error = 0;
  struct nbd_handle *h;

  if (sscanf (step, "%u:%15[a-z]:%" SCNu64 ":%31s", &k, verb, &page, letter)
        < 2
      || k >= SERVERS_MAX || !(h = nbd[k]))
    die ("what is %s?", step);
  if (strcmp (verb, "write") == 0) {
    memset (buf, letter[0], PAGE);
    if (nbd_pwrite (h, buf, PAGE, page * PAGE, 0) == -1)
      die ("%s: %s", step, nbd_get_error ());
  } else if (strcmp (verb, "read") == 0) {
    expect (step, h, page, letter[0]);
  } else if (strcmp (verb, "waits") == 0) {
    if (try_read (h, page, ANSWER_MS, &error) != 0)
      die ("%s: it does not", step);
  } else if (strcmp (verb, "fails") == 0) {
    if (try_read (h, page, FAIL_MS, &error) != -1 || error != EIO)
      die ("%s: it does not", step);
  } else if (strcmp (verb, "loop") == 0) {
    for (unsigned long n = strtoul (letter, NULL, 10); n; n--)
      if (nbd_pread (h, buf, PAGE, page * PAGE, 0) == -1)
        die ("%s: %s", step, nbd_get_error ());
  } else if (strcmp (verb, "becomes") == 0) {
    becomes (step, h, page, letter[0]);
  } else if (strcmp (verb, "flush") == 0) {
    if (nbd_flush (h, 0) == -1)
      die ("%s: %s", step, nbd_get_error ());
  } else if (strcmp (verb, "noflush") == 0) {
    if (nbd_flush (h, 0) != -1 || nbd_get_errno () != EIO)
      die ("%s: it succeeds", step);
  } else if (strcmp (verb, "rest") == 0) {
    usleep ((useconds_t)strtoul (letter, NULL, 10) * 1000);
  } else if (strcmp (verb, "tell") == 0) {
    tell (letter);
  } else if (strcmp (verb, "await") == 0) {
    await (letter);
  } else if (strcmp (verb, "drop") == 0) {
    nbd_close (h);
    nbd[k] = NULL;
  } else
    die ("what is %s?", step);
}

int
main (int argc, char **argv)
{
  int i = 1;

  for (; i < argc && strcmp (argv[i], "--") != 0; i++) {
    if (i > SERVERS_MAX)
      die ("too many servers");
    nbd[i - 1] = nbd_create ();
    if (!nbd[i - 1] || nbd_connect_uri (nbd[i - 1], argv[i]) == -1)
      die ("%s", nbd_get_error ());
  }
  while (++i < argc) {
    double begun = now_ms ();

    do_step (argv[i]);
    printf ("%s %.2f ms\n", argv[i], now_ms () - begun);
    fflush (stdout);
  }
  for (unsigned k = 0; k < SERVERS_MAX; k++)
    nbd_close (nbd[k]);
  return EXIT_SUCCESS;
}
