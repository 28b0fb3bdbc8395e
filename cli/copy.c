/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead copy: threads that each read a chunk and write it, while this one
 * draws the bar and saves what is done.
 *
 * Invariants
 *   Y1  A chunk is done when its write was answered; the file says so only
 * after a flush that came later (copy_state.h). Y2  The copy has succeeded only
 * after a last flush; with --checksum, only if all was read back and is what
 * was read from the source.
 */
#include "config.h"
#include "cli/commands.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "cli/copy_state.h"
#include "cli/end.h"
#include "cli/output.h"
#include "common/cleanup.h"
#include "common/clock.h"

#define THREADS_MAX 64u
#define SAVE_NS 3000000000ull
#define LOOK_NS 100000000ll

struct copy {
  const struct cli *c;
  struct end source, destination;
  char path[700]; /* of the state */
  bool checksum;
  unsigned threads;
  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t changed;
  struct copy_state state;
  uint32_t next; /* chunk to look at */
  unsigned running;
  uint64_t bytes; /* done */
  bool stop;
  struct fault fault; /* the first; code 0: none */
  /* --checksum: the second pass, which goes through all chunks in order */
  bool verifying;
  uint32_t hashed;
  EVP_MD_CTX *all;
};

struct thread {
  struct copy *copy;
  pthread_t thread;
  unsigned index;
};

static void
fail (struct copy *k, enum err e, const char *verb, const struct end *end,
      uint64_t at, int error)
{
  pthread_mutex_lock (&k->lock);
  if (!k->fault.code)
    fault_set (&k->fault, e, "cannot %s %.200s at %llu: %s", verb, end->name,
               (unsigned long long)at, strerrordesc_np (error));
  k->stop = true;
  pthread_cond_broadcast (&k->changed);
  pthread_mutex_unlock (&k->lock);
}

static bool
all_zero (const uint8_t *p, size_t n)
{
  return n == 0 || (p[0] == 0 && memcmp (p, p + 1, n - 1) == 0);
}

/* The chunk of this thread, or false: nothing is left for it. */
static bool
take_chunk (struct copy *k, uint32_t *ret)
{
  bool found;

  pthread_mutex_lock (&k->lock);
  while (!k->verifying && k->next < k->state.chunks
         && k->state.done[k->next])
    k->next++;
  found = !k->stop && k->next < k->state.chunks;
  *ret = k->next;
  k->next += found;
  pthread_mutex_unlock (&k->lock);
  return found;
}

/* What is written: whole blocks of the destination, zeroes behind the end. */
static uint32_t
padded (const struct copy *k, uint32_t n, uint64_t at)
{
  uint32_t block = k->destination.block_min;
  uint32_t m = (n + block - 1) / block * block;

  return at + m <= k->destination.size ? m : n;
}

static bool
copy_chunk (struct copy *k, unsigned thread, uint32_t chunk, uint8_t *buf)
{
  uint64_t at = copy_state_at (&k->state, chunk);
  uint32_t n = copy_state_bytes (&k->state, chunk), m = padded (k, n, at);
  uint8_t digest[COPY_DIGEST_BYTES];
  int error = end_read (&k->source, thread, buf, n, at);

  if (error) {
    fail (k, ERR_IO, "read", &k->source, at, error);
    return false;
  }
  memset (buf + n, 0, m - n);
  EVP_Digest (buf, n, digest, NULL, EVP_sha256 (), NULL);
  error = all_zero (buf, m) ? end_zero (&k->destination, thread, m, at)
                            : EOPNOTSUPP;
  if (error == EOPNOTSUPP)
    error = end_write (&k->destination, thread, buf, m, at);
  if (error) {
    fail (k, error == ENOSPC ? ERR_NOSPC : ERR_IO, "write", &k->destination,
          at, error);
    return false;
  }
  pthread_mutex_lock (&k->lock);
  k->state.done[chunk] = 1; /* Y1 */
  k->state.done_chunks++;
  memcpy (k->state.digest[chunk], digest, sizeof digest);
  k->bytes += n;
  pthread_mutex_unlock (&k->lock);
  return true;
}

/* With the lock held; waits for the chunks before this one. */
static void
hash_in_order (struct copy *k, uint32_t chunk, const uint8_t *buf, uint32_t n)
{
  while (k->hashed != chunk && !k->stop)
    pthread_cond_wait (&k->changed, &k->lock);
  if (k->stop)
    return;
  EVP_DigestUpdate (k->all, buf, n);
  k->hashed++;
  k->bytes += n;
  pthread_cond_broadcast (&k->changed);
}

static bool
verify_chunk (struct copy *k, unsigned thread, uint32_t chunk, uint8_t *buf)
{
  uint64_t at = copy_state_at (&k->state, chunk);
  uint32_t n = copy_state_bytes (&k->state, chunk);
  uint8_t digest[COPY_DIGEST_BYTES];
  int error = end_read (&k->destination, thread, buf, n, at);

  if (error) {
    fail (k, ERR_IO, "read back", &k->destination, at, error);
    return false;
  }
  EVP_Digest (buf, n, digest, NULL, EVP_sha256 (), NULL);
  pthread_mutex_lock (&k->lock);
  if (memcmp (digest, k->state.digest[chunk], sizeof digest) == 0)
    hash_in_order (k, chunk, buf, n);
  else {
    if (!k->fault.code)
      fault_set (&k->fault, ERR_RANGE,
                 "%.200s is not what was written to it, within %u bytes at "
                 "%llu",
                 k->destination.name, n, (unsigned long long)at);
    k->stop = true;
    pthread_cond_broadcast (&k->changed);
  }
  pthread_mutex_unlock (&k->lock);
  return true;
}

static void *
thread_main (void *arg)
{
  struct thread *t = arg;
  struct copy *k = t->copy;
  CLEANUP_FREE uint8_t *buf = malloc (k->state.chunk_bytes + 65536);
  uint32_t chunk;
  bool ok = buf != NULL;

  if (!buf)
    fail (k, ERR_NOMEM, "copy to", &k->destination, 0, ENOMEM);
  while (ok && take_chunk (k, &chunk))
    ok = k->verifying ? verify_chunk (k, t->index, chunk, buf)
                      : copy_chunk (k, t->index, chunk, buf);
  pthread_mutex_lock (&k->lock);
  k->running--;
  pthread_cond_broadcast (&k->changed);
  pthread_mutex_unlock (&k->lock);
  return NULL;
}

/* Y1. Without the lock. */
static enum err
save (struct copy *k, struct fault *f)
{
  struct copy_state s;
  enum err e;
  int error;

  pthread_mutex_lock (&k->lock);
  e = copy_state_snapshot (&k->state, &s);
  pthread_mutex_unlock (&k->lock);
  if (e)
    return fault_set (f, e, "out of memory");
  if ((error = end_flush (&k->destination)))
    e = fault_set (f, ERR_IO, "cannot flush %.200s: %s", k->destination.name,
                   strerrordesc_np (error));
  else
    e = copy_state_save (&s, k->path, f);
  copy_state_fini (&s);
  return e;
}

/* Until all threads have ended: draws, saves, looks for a signal. */
static void
attend (struct copy *k, struct progress *p)
{
  uint64_t saved_ns = clock_now_ns ();

  pthread_mutex_lock (&k->lock);
  while (k->running) {
    struct timespec until;
    uint64_t bytes = k->bytes;
    struct fault f = {0};

    clock_gettime (CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_NS;
    if (until.tv_nsec >= 1000000000) {
      until.tv_nsec -= 1000000000;
      until.tv_sec++;
    }
    pthread_cond_clockwait (&k->changed, &k->lock, CLOCK_MONOTONIC,
                            &until);
    if (session_interrupted () && !k->stop) {
      k->stop = true;
      pthread_cond_broadcast (&k->changed);
    }
    pthread_mutex_unlock (&k->lock);
    progress_update (p, bytes);
    if (!k->verifying && clock_now_ns () - saved_ns >= SAVE_NS) {
      save (k, &f);
      saved_ns = clock_now_ns ();
    }
    pthread_mutex_lock (&k->lock);
    if (f.code && !k->fault.code) {
      k->fault = f;
      k->stop = true;
    }
  }
  pthread_mutex_unlock (&k->lock);
}

/* One pass by all threads. */
static enum err
pass (struct copy *k, const char *what, uint64_t first, struct fault *f)
{
  struct thread t[THREADS_MAX];
  struct progress p;
  unsigned started = 0;

  k->next = 0;
  k->bytes = first;
  k->running = k->threads;
  progress_begin (&p, k->c, what, first, k->state.size);
  for (; started < k->threads; started++) {
    t[started] = (struct thread){.copy = k, .index = started};
    if (pthread_create (&t[started].thread, NULL, thread_main, &t[started]))
      break;
  }
  pthread_mutex_lock (&k->lock);
  k->running -= k->threads - started;
  if (!started)
    fault_set (&k->fault, ERR_NOMEM, "cannot start a thread");
  pthread_mutex_unlock (&k->lock);
  attend (k, &p);
  for (unsigned i = 0; i < started; i++)
    pthread_join (t[i].thread, NULL);
  progress_end (&p, k->bytes);
  if (k->fault.code) {
    *f = k->fault;
    return f->code;
  }
  return session_interrupted ()
             ? fault_set (f, ERR_SHUTDOWN, "interrupted at %llu of %llu bytes",
                          (unsigned long long)k->bytes,
                          (unsigned long long)k->state.size)
             : ERR_OK;
}

static uint64_t
bytes_done (const struct copy_state *s)
{
  uint64_t n = 0;

  for (uint32_t i = 0; i < s->chunks; i++)
    if (s->done[i])
      n += copy_state_bytes (s, i);
  return n;
}

static enum err
copy_all (struct copy *k, struct fault *f)
{
  uint64_t first = bytes_done (&k->state);
  struct fault saving = {0};
  int error;
  enum err e;

  if (first)
    cli_note (k->c, "goes on: %u of %u parts are there already",
              k->state.done_chunks, k->state.chunks);
  if ((e = pass (k, "copy", first, f))) {
    /* What was done is not to be done again. */
    if (k->state.done_chunks && !save (k, &saving))
      fault_hint (f, "the same command goes on from there");
    return e;
  }
  if ((error = end_flush (&k->destination))) /* Y2 */
    return fault_set (f, ERR_IO, "cannot flush %.200s: %s",
                      k->destination.name, strerrordesc_np (error));
  return ERR_OK;
}

static enum err
verify_all (struct copy *k, char text[2 * COPY_DIGEST_BYTES + 1],
            struct fault *f)
{
  uint8_t digest[EVP_MAX_MD_SIZE];
  enum err e;

  k->all = EVP_MD_CTX_new ();
  k->verifying = true;
  if (!k->all || EVP_DigestInit_ex (k->all, EVP_sha256 (), NULL) != 1)
    e = fault_set (f, ERR_NOMEM, "out of memory");
  else
    e = pass (k, "check", 0, f);
  if (!e && EVP_DigestFinal_ex (k->all, digest, NULL) != 1)
    e = fault_set (f, ERR_NOMEM, "out of memory");
  for (unsigned i = 0; !e && i < COPY_DIGEST_BYTES; i++)
    snprintf (text + 2 * i, 3, "%02x", digest[i]);
  EVP_MD_CTX_free (k->all);
  return e;
}

static enum err
open_ends (struct copy *k, struct fault *f)
{
  char have[32], want[32];
  enum err e;

  if ((e = end_open (&k->source, 0, f))
      || (e = end_open (&k->destination, k->source.size, f)))
    return e;
  if (k->source.kind == k->destination.kind
      && (k->source.kind == END_FILE
              ? strcmp (k->source.identity, k->destination.identity)
              : strcmp (k->source.name, k->destination.name))
             == 0)
    return fault_set (f, ERR_INVAL, "%.150s and %.150s are the same",
                      k->source.name, k->destination.name);
  if (k->destination.size < k->source.size) {
    cli_bytes (have, sizeof have, k->destination.size);
    cli_bytes (want, sizeof want, k->source.size);
    return fault_set (f, ERR_NOSPC, "%.200s has %s, and %s are needed",
                      k->destination.name, have, want);
  }
  return ERR_OK;
}

static enum err
prepare (struct copy *k, struct fault *f)
{
  const struct cli *c = k->c;
  const char *state = cli_value (c, "state");
  unsigned long threads;
  unsigned next;
  enum err e;

  if ((e = cli_number (c, "requests", 1, THREADS_MAX, 16, &threads, f))
      || (e = end_take (&k->source, c, 0, false, &next, f)))
    return e;
  k->threads = (unsigned)threads;
  k->checksum = cli_has (c, "checksum");
  if (next >= c->args) {
    fault_set (f, ERR_INVAL, "copy: the destination is missing");
    fault_hint (f, "bulkhead copy %s", c->command->synopsis);
    return ERR_INVAL;
  }
  if ((e = end_take (&k->destination, c, next, true, &next, f)))
    return e;
  if (next < c->args)
    return fault_set (f, ERR_INVAL, "copy: \"%s\" is too much", c->arg[next]);
  if ((e = open_ends (k, f))
      || (e = copy_state_init (&k->state, &k->source, &k->destination, f)))
    return e;
  if (state)
    snprintf (k->path, sizeof k->path, "%.690s", state);
  else if ((e = copy_state_path (k->source.name, k->destination.name, k->path,
                                 sizeof k->path, f)))
    return e;
  if (cli_has (c, "restart"))
    return ERR_OK;
  e = copy_state_load (&k->state, k->path, f);
  /* What was interrupted had made room for all. A file that has lost that has
   * lost what is noted of it, though it may have the same inode.
   */
  if (!e && k->destination.has_grown) {
    copy_state_forget (&k->state);
    unlink (k->path);
  }
  return e;
}

static enum cli_status
tell (const struct copy *k, const char *digest)
{
  char text[32];

  if (k->c->json)
    return cli_json (k->c,
                     json_pack ("{s:I, s:o}", "bytes",
                                (json_int_t)k->state.size, "sha256",
                                digest ? json_string (digest) : json_null ()));
  if (digest && !k->c->quiet)
    printf ("%s  %s\n", digest, k->destination.name);
  cli_bytes (text, sizeof text, k->state.size);
  cli_note (k->c, "%s copied%s", text,
            digest ? ", read back and the same" : "");
  return cli_flush (k->c);
}

static enum cli_status
run (struct cli *c)
{
  CLEANUP_FREE struct copy *k = calloc (1, sizeof *k);
  char digest[2 * COPY_DIGEST_BYTES + 1];
  enum cli_status status;
  struct fault f = {0};
  enum err e;

  if (!k) {
    fault_set (&f, ERR_NOMEM, "out of memory");
    return cli_fault (c, &f);
  }
  k->c = c;
  k->source.fd = k->destination.fd = -1;
  pthread_mutex_init (&k->lock, NULL);
  pthread_cond_init (&k->changed, NULL);
  session_catch_signals ();
  if (!(e = prepare (k, &f)))
    e = copy_all (k, &f);
  if (!e && k->checksum)
    e = verify_all (k, digest, &f);
  /* What is damaged is copied anew the next time. */
  if (!e || f.code == ERR_RANGE)
    unlink (k->path);
  if (!e)
    status = tell (k, k->checksum ? digest : NULL);
  else {
    status = cli_fault (c, &f);
    if (f.code == ERR_RANGE)
      status = CLI_DIFFERS;
  }
  copy_state_fini (&k->state);
  end_close (&k->source);
  end_close (&k->destination);
  return status;
}

static const struct cli_option options[] = {
    {"checksum", 'c', NULL, CLI_WORD,
     "read it back, compare, and print its SHA-256"},
    {"requests", 'r', "N", CLI_WORD,
     "work on so many parts at once (default: "
     "16)"},
    {"restart", 0, NULL, CLI_WORD,
     "begin anew, even if a copy was interrupted"},
    {"state", 0, "FILE", CLI_FILE, "where to note what is done"},
    {0},
};

const struct command command_copy = {
    .name = "copy",
    .summary = "copy a volume, a file or an NBD server to another",
    .synopsis = "SRC [KEY=VALUE]... DST [KEY=VALUE]...",
    .description =
        "Each of SRC and DST is a volume's URL or name, a file or block "
        "device\n"
        "(with a slash in it), or an nbd:// URI. An interrupted copy goes on\n"
        "where it was if the same command is given again.",
    .flags = COMMAND_JSON | COMMAND_PARAMETERS | COMMAND_LOOKS,
    .args_min = 1,
    .args_max = 2 * OPTIONS_PAIRS,
    .args = {CLI_VOLUME, CLI_VOLUME},
    .options = options,
    .run = run,
};
