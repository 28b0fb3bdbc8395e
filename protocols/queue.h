/* SPDX-License-Identifier: BSD-2-Clause */
/* First in, first out: entries of a table, which are linked by their indices.
 * For engines that keep requests and parts of them in tables of their own.
 *
 * Invariants
 *   Q1  An entry is in at most one queue at a time: it has one member, next.
 *   Q2  head == QUEUE_NONE: empty, and tail means nothing.
 */
#ifndef BH_PROTOCOLS_QUEUE_H
#define BH_PROTOCOLS_QUEUE_H

#include <stdint.h>

#define QUEUE_NONE UINT16_MAX

struct queue {
  uint16_t head, tail; /* QUEUE_NONE: empty */
};

static const struct queue queue_empty = {QUEUE_NONE, QUEUE_NONE};

/* Defines NAME_push and NAME_pop for the queues of a table, an array that is a
 * member of owner. pop returns QUEUE_NONE if there is none.
 */
#define QUEUE_OF(name, owner, table)                                           \
  static void name##_push (owner *t, struct queue *q, uint16_t i)              \
  {                                                                            \
    t->table[i].next = QUEUE_NONE;                                             \
    if (q->head == QUEUE_NONE)                                                 \
      q->head = i;                                                             \
    else                                                                       \
      t->table[q->tail].next = i;                                              \
    q->tail = i;                                                               \
  }                                                                            \
  static uint16_t name##_pop (owner *t, struct queue *q)                       \
  {                                                                            \
    uint16_t i = q->head;                                                      \
                                                                               \
    if (i != QUEUE_NONE)                                                       \
      q->head = t->table[i].next;                                              \
    return i;                                                                  \
  }

#endif
