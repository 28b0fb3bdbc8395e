/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon (peer.c) and its workers (peer_worker.c) share. */
#ifndef BH_TESTS_FAKE_PEER_PRIVATE_H
#define BH_TESTS_FAKE_PEER_PRIVATE_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/fake/peer.h"

/* A fault of the test itself. */
#define MUST(cond)                                                            \
  do {                                                                        \
    if (!(cond)) {                                                            \
      fprintf (stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);             \
      abort ();                                                               \
    }                                                                         \
  } while (0)

static inline enum peer_mischief
mischief_of (const struct peer_path *w)
{
  const struct peer *p = w->gateway->peer;

  return p->bad_paths & 1u << w->index ? p->mischief : PEER_HONEST;
}

/* A thread; its argument is a struct peer_path. */
void *peer_worker_main (void *arg);

#endif
