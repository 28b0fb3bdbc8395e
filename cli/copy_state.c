/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/copy_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/evp.h>

#include "cli/files.h"
#include "common/cleanup.h"
#include "common/wire.h"

#define MAGIC "bulkhead copy 1\n"
#define FILE_BYTES_MAX (8u << 20)

enum err
copy_state_init (struct copy_state *s, struct end *source,
                 struct end *destination, struct fault *f)
{
  memset (s, 0, sizeof *s);
  s->size = source->size;
  s->chunk_bytes = COPY_CHUNK_MIN;
  while (s->size / s->chunk_bytes >= COPY_CHUNKS_MAX
         && s->chunk_bytes < 1u << 30)
    s->chunk_bytes *= 2;
  if (s->size / s->chunk_bytes >= COPY_CHUNKS_MAX)
    return fault_set (f, ERR_LIMIT, "%s is too large", source->name);
  s->chunks = (uint32_t)((s->size + s->chunk_bytes - 1) / s->chunk_bytes);
  snprintf (s->source, sizeof s->source, "%s\n%s\n%s", source->name,
            source->identity, source->changed);
  snprintf (s->destination, sizeof s->destination, "%s\n%s\n%llu",
            destination->name, destination->identity,
            (unsigned long long)destination->size);
  s->done = calloc (s->chunks + 1, 1);
  s->digest = calloc (s->chunks + 1, sizeof *s->digest);
  if (s->done && s->digest)
    return ERR_OK;
  copy_state_fini (s);
  return fault_set (f, ERR_NOMEM, "out of memory");
}

void
copy_state_forget (struct copy_state *s)
{
  memset (s->done, 0, s->chunks);
  s->done_chunks = 0;
}

void
copy_state_fini (struct copy_state *s)
{
  free (s->done);
  free (s->digest);
  s->done = NULL;
  s->digest = NULL;
}

enum err
copy_state_snapshot (const struct copy_state *s, struct copy_state *ret)
{
  struct copy_state n = *s;

  n.done = malloc (s->chunks + 1);
  n.digest = malloc ((s->chunks + 1) * sizeof *n.digest);
  if (!n.done || !n.digest) {
    copy_state_fini (&n);
    return ERR_NOMEM;
  }
  memcpy (n.done, s->done, s->chunks + 1);
  memcpy (n.digest, s->digest, (s->chunks + 1) * sizeof *n.digest);
  *ret = n;
  return ERR_OK;
}

/* The file */

static bool
sha256 (const void *bytes, size_t n, uint8_t ret[COPY_DIGEST_BYTES])
{
  return EVP_Digest (bytes, n, ret, NULL, EVP_sha256 (), NULL) == 1;
}

static enum err
make_folder (const char *path, struct fault *f)
{
  char part[512];

  for (const char *slash = strchr (path + 1, '/');; slash = strchr (slash + 1,
                                                                    '/')) {
    size_t n = slash ? (size_t)(slash - path) : strlen (path);

    if (n >= sizeof part)
      return fault_set (f, ERR_LIMIT, "the path of the state is too long");
    memcpy (part, path, n);
    part[n] = 0;
    if (mkdir (part, 0700) < 0 && errno != EEXIST) {
      fault_set (f, err_from_errno (errno), "cannot make %s: %s", part,
                 strerrordesc_np (errno));
      fault_hint (f, "name another place for the copy's notes: --state=FILE");
      return f->code;
    }
    if (!slash)
      return ERR_OK;
  }
}

enum err
copy_state_path (const char *source, const char *destination, char *dst,
                 size_t dst_bytes, struct fault *f)
{
  const char *xdg = getenv ("XDG_STATE_HOME");
  char home[400], folder[440], both[1300];
  uint8_t digest[COPY_DIGEST_BYTES];
  int n;
  enum err e;

  if (xdg && xdg[0] == '/')
    n = snprintf (folder, sizeof folder, "%s/bulkhead", xdg);
  else {
    if (files_home (home, sizeof home))
      return fault_set (f, ERR_NOENT, "there is no home directory for the "
                                      "copy's state; use --state=FILE");
    n = snprintf (folder, sizeof folder, "%s/.local/state/bulkhead", home);
  }
  if (n < 0 || n >= (int)sizeof folder)
    return fault_set (f, ERR_LIMIT, "the path of the state is too long");
  if ((e = make_folder (folder, f)))
    return e;
  n = snprintf (both, sizeof both, "%s\n%s", source, destination);
  if (!sha256 (both, (size_t)n, digest))
    return fault_set (f, ERR_NOMEM, "out of memory");
  snprintf (dst, dst_bytes, "%s/copy-%02x%02x%02x%02x%02x%02x%02x%02x", folder,
            digest[0], digest[1], digest[2], digest[3], digest[4], digest[5],
            digest[6], digest[7]);
  return ERR_OK;
}

static size_t
file_bytes (const struct copy_state *s)
{
  return 4096 + (size_t)s->chunks * (1 + COPY_DIGEST_BYTES);
}

/* False with errno, also on a disk that takes a part only. */
static bool
write_all (int fd, const uint8_t *bytes, size_t n)
{
  for (size_t at = 0; at < n;) {
    ssize_t written = write (fd, bytes + at, n - at);

    if (written == 0)
      errno = ENOSPC;
    if (written <= 0 && !(written < 0 && errno == EINTR))
      return false;
    at += written > 0 ? (size_t)written : 0;
  }
  return true;
}

enum err
copy_state_save (const struct copy_state *s, const char *path,
                 struct fault *f)
{
  size_t max = file_bytes (s);
  CLEANUP_FREE uint8_t *bytes = malloc (max);
  struct wirebuf b = wirebuf_init (bytes, max);
  uint8_t digest[COPY_DIGEST_BYTES];
  CLEANUP_CLOSE int fd = -1;
  char new_path[700];

  if (!bytes)
    return fault_set (f, ERR_NOMEM, "out of memory");
  wirebuf_bytes (&b, MAGIC, strlen (MAGIC));
  wirebuf_cstring (&b, s->source);
  wirebuf_cstring (&b, s->destination);
  wirebuf_u64 (&b, s->size);
  wirebuf_u32 (&b, s->chunk_bytes);
  wirebuf_bytes (&b, s->done, s->chunks);
  wirebuf_bytes (&b, s->digest, (size_t)s->chunks * COPY_DIGEST_BYTES);
  if (b.err || !sha256 (bytes, b.used_bytes, digest))
    return fault_set (f, ERR_LIMIT, "the copy's state is too large");
  wirebuf_bytes (&b, digest, sizeof digest);
  snprintf (new_path, sizeof new_path, "%.690s.new", path);
  fd = open (new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
             0600);
  if (b.err || fd < 0 || !write_all (fd, bytes, b.used_bytes) || fsync (fd) < 0
      || rename (new_path, path) < 0) {
    fault_set (f, err_from_errno (errno),
               "cannot write the copy's state %.200s: %s", path,
               strerrordesc_np (errno));
    unlink (new_path);
    return f->code;
  }
  return ERR_OK;
}

static enum err
damaged (const char *path, struct fault *f)
{
  fault_set (f, ERR_PEER, "the copy's state %.200s is damaged", path);
  fault_hint (f, "--restart copies everything");
  return ERR_PEER;
}

static enum err
take (struct copy_state *s, const uint8_t *bytes, size_t n, const char *path,
      struct fault *f)
{
  struct wire w = wire_init (bytes, n);
  char source[sizeof s->source], destination[sizeof s->destination];
  const uint8_t *magic = wire_bytes (&w, strlen (MAGIC)), *done, *digests;
  uint64_t size;
  uint32_t chunk_bytes;

  if (!magic || memcmp (magic, MAGIC, strlen (MAGIC)) != 0)
    return damaged (path, f);
  wire_cstring (&w, source, sizeof source);
  wire_cstring (&w, destination, sizeof destination);
  size = wire_u64 (&w);
  chunk_bytes = wire_u32 (&w);
  if (w.err)
    return damaged (path, f);
  if (strcmp (source, s->source) != 0 || size != s->size
      || chunk_bytes != s->chunk_bytes) {
    fault_set (f, ERR_INVAL,
               "the source is another one, or has changed, since this copy "
               "was interrupted");
    fault_hint (f, "--restart copies everything");
    return ERR_INVAL;
  }
  if (strcmp (destination, s->destination) != 0) {
    fault_set (f, ERR_INVAL,
               "the destination is another one since this copy was "
               "interrupted");
    fault_hint (f, "--restart copies everything");
    return ERR_INVAL;
  }
  done = wire_bytes (&w, s->chunks);
  digests = wire_bytes (&w, (size_t)s->chunks * COPY_DIGEST_BYTES);
  if (wire_end (&w))
    return damaged (path, f);
  for (uint32_t i = 0; i < s->chunks; i++) {
    s->done[i] = done[i] == 1;
    s->done_chunks += s->done[i];
  }
  memcpy (s->digest, digests, (size_t)s->chunks * COPY_DIGEST_BYTES);
  return ERR_OK;
}

enum err
copy_state_load (struct copy_state *s, const char *path, struct fault *f)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  CLEANUP_FREE uint8_t *bytes = NULL;
  uint8_t digest[COPY_DIGEST_BYTES];
  struct stat st;
  size_t n;

  if (fd < 0 && errno == ENOENT)
    return ERR_OK;
  if (fd < 0 || fstat (fd, &st) < 0)
    return fault_set (f, err_from_errno (errno),
                      "cannot read the copy's state %.200s: %s", path,
                      strerrordesc_np (errno));
  if (st.st_size < (off_t)sizeof digest || st.st_size > (off_t)FILE_BYTES_MAX)
    return damaged (path, f);
  n = (size_t)st.st_size - sizeof digest;
  if (!(bytes = malloc (n + sizeof digest)))
    return fault_set (f, ERR_NOMEM, "out of memory");
  if (read (fd, bytes, n + sizeof digest) != (ssize_t)(n + sizeof digest)
      || !sha256 (bytes, n, digest)
      || memcmp (digest, bytes + n, sizeof digest) != 0)
    return damaged (path, f);
  return take (s, bytes, n, path, f);
}
