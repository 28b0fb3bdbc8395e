/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/notes.h"

enum notes_verdict
notes_judge (struct notes *n, uint64_t now_ns, unsigned *ret_hidden)
{
  if (now_ns - n->since_ns >= NOTES_WINDOW_NS) {
    n->since_ns = now_ns;
    n->heard = 0;
  }
  n->heard++;
  if (n->heard > NOTES_FLOOD)
    return NOTES_DISTRUST;
  if (n->heard > NOTES_LOGGED) {
    n->hidden++;
    return NOTES_HIDE;
  }
  *ret_hidden = n->hidden;
  n->hidden = 0;
  return NOTES_LOG;
}
