/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/doubt.h"

#include <fcntl.h>

#include "common/clock.h"
#include "gateway/link_private.h"

/* Sent by who may write: its own log tells (proof.h). */
#define SEEN_OURS UINT32_MAX
#define TELL_NS 2000000000ull

static bool
may_write (const struct link *l)
{
  return l->lease == LEASE_HELD || l->lease == LEASE_REVOKED;
}

static uint32_t
proof_word (const struct link *l)
{
  return l->hot.stripes.file ? stripes_proof (&l->hot.stripes) : 0;
}

static bool
in_doubt (const struct link *l)
{
  return stripes_state (proof_word (l)) == STRIPES_DOUBT;
}

/* Whether any other process may write; if the kernel does not say, yes. */
static bool
somebody_writes (const struct link *l)
{
  struct flock k = {.l_type = F_WRLCK,
                    .l_whence = SEEK_SET,
                    .l_start = STRIPES_LOCK_LEASE,
                    .l_len = 1};

  return fcntl (l->hot.stripes_fd, F_OFD_GETLK, &k) < 0 || k.l_type != F_UNLCK;
}

void
doubt_session (struct link *l)
{
  if (!may_write (l) && stripes_state (proof_word (l)) != STRIPES_PROVEN
      && somebody_writes (l))
    stripes_raise_doubt (&l->hot.stripes);
}

void
doubt_own (struct link *l)
{
  if (may_write (l))
    stripes_raise_doubt (&l->hot.stripes);
}

bool
doubt_elsewhere (const struct link *l)
{
  return in_doubt (l) && !may_write (l) && !l->inflight.failed;
}

bool
doubt_asked (const struct link *l)
{
  return in_doubt (l) && may_write (l) && l->info.caps & VOLUME_CAN_FLUSH;
}

uint32_t
doubt_begin_proof (const struct link *l)
{
  return proof_word (l);
}

void
doubt_end_proof (struct link *l, uint32_t begun)
{
  if (may_write (l) && !l->proof.log.doubts && l->hot.stripes.file)
    stripes_end_doubt (&l->hot.stripes, begun);
}

static void
others_tick (struct link *l, uint32_t word)
{
  uint64_t now = clock_now_ns ();

  if (doubt_elsewhere (l) && !somebody_writes (l))
    stripes_end_doubt (&l->hot.stripes, word);
  if (!doubt_elsewhere (l)) {
    if (!l->doubt.since_ns)
      return;
    if (l->doubt.told)
      log_write (l->log, LOG_LEVEL_WARN, "%s: reads go on", l->name);
    l->doubt.since_ns = 0;
    l->doubt.told = false;
    link_wake_blocked (l);
    return;
  }
  if (!l->doubt.since_ns)
    l->doubt.since_ns = now;
  if (l->doubt.told || now - l->doubt.since_ns < TELL_NS)
    return;
  l->doubt.told = true;
  log_write (l->log, LOG_LEVEL_WARN,
             "%s: the server may have lost what another process has written; "
             "until that one has sent it again, only cached reads are answered",
             l->name);
}

void
doubt_tick (struct link *l)
{
  uint32_t word = proof_word (l); /* once: another one may be raised now */

  if (!l->hot.stripes.file || l->inflight.failed)
    return;
  if (may_write (l) && stripes_state (word) == STRIPES_DOUBT) {
    if (l->info.caps & VOLUME_CAN_FLUSH)
      pthread_cond_signal (&l->lease_drained); /* proof_due */
    else /* nothing can ever be proven */
      stripes_end_doubt (&l->hot.stripes, word);
  }
  others_tick (l, word);
}

int
doubt_tick_ms (const struct link *l, int idle_ms)
{
  return stripes_state (proof_word (l)) == STRIPES_PROVEN ? idle_ms
                                                          : DOUBT_TICK_MS;
}

bool
doubt_lasts (const struct link *l)
{
  uint64_t fail_ns = l->options.outage_fail_ns;

  if (fail_ns == UINT64_MAX || !l->doubt.since_ns || !doubt_elsewhere (l))
    return false;
  return clock_now_ns () - l->doubt.since_ns
         >= (fail_ns > DOUBT_FAIL_NS ? fail_ns : DOUBT_FAIL_NS);
}

void
doubt_read_sent (struct link *l, uint32_t slot)
{
  l->proof.stale[slot] = false;
  l->doubt.seen[slot] =
      may_write (l) ? SEEN_OURS : stripes_doubts (proof_word (l));
}

bool
doubt_read_stale (const struct link *l, uint32_t slot)
{
  return l->proof.stale[slot]
         || (l->doubt.seen[slot] != SEEN_OURS
             && l->doubt.seen[slot] != stripes_doubts (proof_word (l)));
}
