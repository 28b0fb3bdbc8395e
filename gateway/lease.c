/* SPDX-License-Identifier: BSD-2-Clause */
/* The write lease: one gateway process at a time may write to a volume, so
 * that the order of overlapping writes is defined. It is fetched by the first
 * write and stays until another process wants it; then the writes under way
 * end, what they wrote is flushed, and it goes back to the daemon.
 */
#include "config.h"
#include "gateway/link_private.h"

#include <string.h>

bool
lease_enter (struct link *l)
{
  if (l->lease == LEASE_HELD) {
    l->lease_users++;
    return true;
  }
  /* Without a daemon: asked again when one has adopted us. */
  if (l->lease == LEASE_NONE && link_tell (l, CONTROL_LEASE_WANT) == ERR_OK)
    l->lease = LEASE_WANTED;
  return false;
}

void
lease_leave (struct link *l)
{
  l->lease_users--;
  if (l->lease == LEASE_REVOKED && !l->lease_users)
    pthread_cond_signal (&l->lease_drained);
}

void
lease_message (struct link *l, enum control_type type)
{
  if (type == CONTROL_LEASE_GRANT) {
    if (l->lease == LEASE_WANTED)
      l->lease = LEASE_HELD;
    else
      link_tell (l, CONTROL_LEASE_RETURN);
    link_wake_all (l);
    return;
  }
  if (l->lease == LEASE_HELD) {
    l->lease = LEASE_REVOKED;
    pthread_cond_signal (&l->lease_drained);
  }
}

/* Drained: flush, and give it back. A flush that fails is not lost: the next
 * FLUSH that a client asks for gets the error.
 */
static void
give_back (struct link *l)
{
  int error = 0;

  if (l->info.caps & VOLUME_CAN_FLUSH) {
    pthread_mutex_unlock (&l->lock);
    error = link_flush_internal (l);
    pthread_mutex_lock (&l->lock);
  }
  if (error && !l->stopping) {
    l->owed_error = error;
    log_write (l->log, LOG_LEVEL_ERROR,
               "%s: flushing before another process may write: %s", l->name,
               strerror (error));
  }
  if (l->lease == LEASE_REVOKED) {
    l->lease = LEASE_NONE;
    link_tell (l, CONTROL_LEASE_RETURN);
  }
  link_wake_all (l);
}

void *
lease_main (void *link)
{
  struct link *l = link;

  pthread_mutex_lock (&l->lock);
  while (!l->stopping) {
    if (l->lease == LEASE_REVOKED && !l->lease_users)
      give_back (l);
    else
      pthread_cond_wait (&l->lease_drained, &l->lock);
  }
  pthread_mutex_unlock (&l->lock);
  return NULL;
}
