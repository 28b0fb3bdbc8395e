/* SPDX-License-Identifier: BSD-2-Clause */
/* The write lease: one gateway process at a time may write to a volume, so
 * that the order of overlapping writes is defined. It is fetched by the first
 * write and stays until another process wants it; then the writes under way
 * end, what they wrote is flushed, and it goes back to the daemon.
 *
 * Where several processes write all the time, the daemon's REVOKE comes right
 * behind its GRANT: whoever waited for the grant has its turn all the same,
 * else the lease would go round and nobody write.
 *
 * The keeper, a thread of each link, gives it back, and does what nobody asks
 * for: it proves the log of retained writes (proof.h).
 */
#include "config.h"
#include "gateway/link_private.h"

#include <string.h>
#include <time.h>

#include "common/clock.h"

/* For how long after REVOKE a failing server is tried again; the daemon waits
 * for LEASE_REVOKE_NS (cache/lease.h).
 */
#define GIVE_BACK_NS 6000000000ull
#define RETRY_NS 500000000ull

static bool
drained (const struct link *l)
{
  return l->lease == LEASE_REVOKED && !l->lease_users && !l->lease_turns
         && !l->proof.replaying;
}

/* Its turn is taken, or given up. */
static void
end_wait (struct link *l, bool *waits)
{
  if (!*waits)
    return;
  *waits = false;
  l->lease_waiting--;
  if (l->lease_turns)
    l->lease_turns--;
}

bool
lease_enter (struct link *l, bool *waits)
{
  if (l->lease == LEASE_HELD
      || (l->lease == LEASE_REVOKED && *waits && l->lease_turns)) {
    end_wait (l, waits);
    l->lease_users++;
    return true;
  }
  l->lease_waiting += !*waits;
  *waits = true;
  /* Without a daemon: asked again when one has adopted us. */
  if (l->lease == LEASE_NONE && link_tell (l, CONTROL_LEASE_WANT) == ERR_OK)
    l->lease = LEASE_WANTED;
  return false;
}

void
lease_leave (struct link *l, bool entered, bool *waits)
{
  l->lease_users -= entered;
  end_wait (l, waits);
  if (drained (l))
    pthread_cond_signal (&l->lease_drained);
}

void
lease_message (struct link *l, enum control_type type)
{
  if (type == CONTROL_LEASE_GRANT) {
    if (l->lease == LEASE_WANTED) {
      l->lease = LEASE_HELD;
      l->settles = stripes_settles (&l->hot.stripes);
      l->lease_turns = l->lease_waiting;
    } else
      link_tell (l, CONTROL_LEASE_RETURN);
    link_wake_all (l);
    return;
  }
  if (l->lease == LEASE_HELD) {
    l->lease = LEASE_REVOKED;
    l->revoked_ns = clock_now_ns ();
    pthread_cond_signal (&l->lease_drained);
  }
}

static void
keeper_wait (struct link *l, uint64_t until_ns)
{
  struct timespec ts = {.tv_sec = (time_t)(until_ns / 1000000000ull),
                        .tv_nsec = (long)(until_ns % 1000000000ull)};

  if (until_ns == UINT64_MAX)
    pthread_cond_wait (&l->lease_drained, &l->lock);
  else
    pthread_cond_clockwait (&l->lease_drained, &l->lock, CLOCK_MONOTONIC,
                            &ts);
}

/* Nobody writes any more; whether what was written is over, too: writes that
 * nobody waits for any longer, and those of a dead session that the server may
 * still execute. Waits, once, if not.
 */
static bool
settled (struct link *l)
{
  uint64_t over_ns = inflight_writes_over_ns (&l->inflight);
  uint64_t now = clock_now_ns ();

  if (over_ns <= now)
    return true;
  /* An abandoned write tells nobody. */
  keeper_wait (l, over_ns == UINT64_MAX ? now + LINK_SLICE_NS : over_ns);
  return false;
}

/* Another process may write from now on: what the log still holds must never be
 * sent again. The next FLUSH that a client asks for gets the error.
 */
static void
give_up_log (struct link *l, int error)
{
  l->owed_error = error;
  log_write (l->log, LOG_LEVEL_ERROR,
             "%s: flushing before another process may write: %s; %u "
             "acknowledged writes may be lost",
             l->name, strerror (error), l->proof.log.entries);
  retained_clear (&l->proof.log);
}

/* Drained: all that was written is made stable, and the lease goes back. Does
 * nothing if something has come in between.
 */
static void
give_back (struct link *l)
{
  int error = 0;
  uint64_t now;

  /* Nobody executes any more what was left unanswered, and nobody else may
   * write yet.
   */
  link_settle (l);
  if (l->info.caps & VOLUME_CAN_FLUSH) {
    pthread_mutex_unlock (&l->lock);
    error = link_prove (l, true);
    pthread_mutex_lock (&l->lock);
  }
  now = clock_now_ns ();
  if (error && l->proof.log.entries && !l->stopping && !l->inflight.failed
      && now - l->revoked_ns < GIVE_BACK_NS) {
    keeper_wait (l, now + RETRY_NS);
    return;
  }
  /* Also a client's FLUSH sends again what is in doubt. */
  if (!drained (l) || inflight_writes_over_ns (&l->inflight) > now)
    return;
  if (error && !l->stopping)
    give_up_log (l, error);
  /* Proven, or given up and to be told by our next FLUSH. */
  stripes_set_unproven (&l->hot.stripes, false);
  l->lease = LEASE_NONE;
  link_tell (l, CONTROL_LEASE_RETURN);
  link_wake_all (l);
}

void *
lease_main (void *link)
{
  struct link *l = link;

  pthread_mutex_lock (&l->lock);
  while (!l->stopping) {
    uint64_t again_ns;

    if (drained (l)) {
      if (settled (l))
        give_back (l);
    } else if (proof_due (l, &again_ns))
      proof_round (l);
    else
      keeper_wait (l, again_ns);
  }
  pthread_mutex_unlock (&l->lock);
  return NULL;
}
