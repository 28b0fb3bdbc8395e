/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/ring.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define EPOCH 7

/* Both ends in one process; objects as in shared memory. */
struct pair {
  struct ring_object object[2];
  struct ring side[2];
};

static struct pair *
pair_new (uint32_t start)
{
  struct pair *p = calloc (1, sizeof *p);

  if (!p)
    abort ();
  for (int i = 0; i < 2; i++)
    ring_object_reset (&p->object[i], EPOCH);
  for (int i = 0; i < 2; i++) {
    ring_init (&p->side[i], &p->object[i], &p->object[1 - i]);
    /* As after `start` entries each way. */
    p->side[i].tail = p->side[i].head = start;
    atomic_store (&p->object[i].tail, start);
    atomic_store (&p->object[i].head, start);
  }
  return p;
}

static enum err
push (struct ring *r, uint64_t id)
{
  return ring_push (r, &(union ring_entry){.request = {.id = id}});
}

static uint64_t
pop (struct ring *r)
{
  union ring_entry e;

  return ring_pop (r, &e) ? UINT64_MAX : e.request.id;
}

static void
first_in_first_out (void)
{
  struct pair *p = pair_new (0);

  CU_ASSERT_EQUAL (ring_pop (&p->side[1], &(union ring_entry){0}), ERR_AGAIN);
  CU_ASSERT (!ring_has_input (&p->side[1]));
  for (uint64_t i = 0; i < RING_ENTRIES; i++)
    CU_ASSERT_EQUAL (push (&p->side[0], i), ERR_OK);
  CU_ASSERT_EQUAL (push (&p->side[0], 999), ERR_LIMIT);
  CU_ASSERT (ring_has_input (&p->side[1]));
  for (uint64_t i = 0; i < RING_ENTRIES; i++)
    CU_ASSERT_EQUAL (pop (&p->side[1]), i);
  CU_ASSERT_EQUAL (ring_pop (&p->side[1], &(union ring_entry){0}), ERR_AGAIN);
  CU_ASSERT_EQUAL (push (&p->side[0], 5), ERR_OK);
  CU_ASSERT_EQUAL (pop (&p->side[1]), 5);
  free (p);
}

/* Every start around 2^32, full and empty at every place. */
static void
indices_wrap_around (void)
{
  for (uint32_t back = 0; back <= 2 * RING_ENTRIES; back++) {
    struct pair *p = pair_new (0u - back);

    for (unsigned round = 0; round < 3; round++) {
      for (uint64_t i = 0; i < RING_ENTRIES; i++)
        if (push (&p->side[1], i))
          CU_FAIL ("an honest push failed");
      if (push (&p->side[1], 0) != ERR_LIMIT)
        CU_FAIL ("a full ring took one more");
      for (uint64_t i = 0; i < RING_ENTRIES; i++)
        if (pop (&p->side[0]) != i)
          CU_FAIL ("lost or out of order");
      if (ring_has_input (&p->side[0]))
        CU_FAIL ("an empty ring has input");
    }
    free (p);
  }
  CU_PASS ("all starts");
}

static void
an_impossible_tail_is_an_error (void)
{
  struct pair *p = pair_new (0);
  static const uint32_t lies[] = {RING_ENTRIES + 1, 1u << 31, UINT32_MAX,
                                  UINT32_MAX - 7, 5000};
  union ring_entry e = {.request = {.id = 42}};

  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    atomic_store (&p->object[1].tail, lies[i]);
    CU_ASSERT_EQUAL (ring_pop (&p->side[0], &e), ERR_PEER);
    CU_ASSERT_EQUAL (e.request.id, 42);
    CU_ASSERT_EQUAL (p->side[0].head, 0);
  }
  /* a whole ring of entries that were never written is possible: garbage,
   * not an overrun */
  atomic_store (&p->object[1].tail, RING_ENTRIES);
  for (unsigned i = 0; i < RING_ENTRIES; i++)
    CU_ASSERT_EQUAL (ring_pop (&p->side[0], &e), ERR_OK);
  CU_ASSERT_EQUAL (ring_pop (&p->side[0], &e), ERR_AGAIN);
  free (p);
}

static void
an_impossible_head_is_an_error (void)
{
  struct pair *p = pair_new (10);
  static const uint32_t lies[] = {11, 1u << 31, 5000,
                                  10 - RING_ENTRIES - 1};

  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    atomic_store (&p->object[1].head, lies[i]);
    CU_ASSERT_EQUAL (push (&p->side[0], 1), ERR_PEER);
    CU_ASSERT_EQUAL (p->side[0].tail, 10);
    CU_ASSERT_EQUAL (atomic_load (&p->object[0].tail), 10);
  }
  free (p);
}

/* What the last worker left in its object does not count (R4). */
static void
another_epoch_does_not_count (void)
{
  struct pair *p = pair_new (0);
  union ring_entry e;

  for (int i = 0; i < 100; i++)
    push (&p->side[1], 1);
  CU_ASSERT (ring_sleep (&p->side[1]));
  ring_object_reset (&p->object[0], EPOCH + 1);
  ring_init (&p->side[0], &p->object[0], &p->object[1]);
  CU_ASSERT (!ring_has_input (&p->side[0]));
  CU_ASSERT_EQUAL (ring_pop (&p->side[0], &e), ERR_AGAIN);
  CU_ASSERT_EQUAL (push (&p->side[0], 77), ERR_OK);
  CU_ASSERT (!ring_wake_needed (&p->side[0]));
  /* the next worker begins, and finds what was pushed before it did */
  ring_object_reset (&p->object[1], EPOCH + 1);
  ring_init (&p->side[1], &p->object[1], &p->object[0]);
  CU_ASSERT (!ring_sleep (&p->side[1]));
  CU_ASSERT_EQUAL (pop (&p->side[1]), 77);
  free (p);
}

static void
only_a_sleeper_is_woken_and_once (void)
{
  struct pair *p = pair_new (0);

  push (&p->side[0], 1);
  CU_ASSERT (!ring_wake_needed (&p->side[0]));
  CU_ASSERT (!ring_sleep (&p->side[1])); /* there is input */
  CU_ASSERT (!ring_wake_needed (&p->side[0]));
  pop (&p->side[1]);
  CU_ASSERT (ring_sleep (&p->side[1]));
  push (&p->side[0], 2);
  CU_ASSERT (ring_wake_needed (&p->side[0]));
  push (&p->side[0], 3);
  CU_ASSERT (!ring_wake_needed (&p->side[0]));
  ring_awake (&p->side[1]);
  CU_ASSERT (!ring_wake_needed (&p->side[0]));
  pop (&p->side[1]);
  pop (&p->side[1]);
  /* another sleep is another wake-up */
  CU_ASSERT (ring_sleep (&p->side[1]));
  push (&p->side[0], 4);
  CU_ASSERT (ring_wake_needed (&p->side[0]));
  free (p);
}

static void
an_entry_is_a_copy (void)
{
  struct pair *p = pair_new (0);
  union ring_entry e;

  push (&p->side[1], 11);
  CU_ASSERT_EQUAL (ring_pop (&p->side[0], &e), ERR_OK);
  memset (p->object[1].entry, 0xff, sizeof p->object[1].entry);
  CU_ASSERT_EQUAL (e.request.id, 11);
  free (p);
}

/* Lost wake-ups: both sides sleep whenever they can; a sleep that lasts for
 * the deadline although there is input is one. */
#define ROUNDS 30000u
#define DEADLINE_MS 10000

struct player {
  struct ring *ring;
  int wake_me, wake_peer;
  unsigned lost;
  unsigned seen;
};

static void
wait_for_input (struct player *p)
{
  struct pollfd in = {.fd = p->wake_me, .events = POLLIN};
  uint64_t count;

  if (!ring_sleep (p->ring))
    return;
  if (poll (&in, 1, DEADLINE_MS) != 1)
    p->lost++;
  else if (read (p->wake_me, &count, sizeof count) < 0)
    p->lost++;
  ring_awake (p->ring);
}

static void
send_one (struct player *p, uint64_t id)
{
  uint64_t one = 1;

  if (push (p->ring, id) || !ring_wake_needed (p->ring))
    return;
  if (write (p->wake_peer, &one, sizeof one) < 0)
    p->lost++;
}

/* Answers each entry; the other one starts with a few in flight. */
static void *
play (void *arg)
{
  struct player *p = arg;
  union ring_entry e;

  while (p->seen < ROUNDS && !p->lost) {
    if (ring_pop (p->ring, &e) == ERR_OK) {
      p->seen++;
      send_one (p, e.request.id + 1);
    } else
      wait_for_input (p);
  }
  return NULL;
}

static void
no_wake_up_is_lost (void)
{
  for (unsigned in_flight = 1; in_flight <= 3; in_flight += 2) {
    struct pair *pair = pair_new (0u - 100);
    int a = eventfd (0, EFD_NONBLOCK), b = eventfd (0, EFD_NONBLOCK);
    struct player one = {&pair->side[0], a, b, 0, 0};
    struct player two = {&pair->side[1], b, a, 0, 0};
    pthread_t t;

    for (unsigned i = 0; i < in_flight; i++)
      send_one (&one, 0);
    CU_ASSERT_EQUAL_FATAL (pthread_create (&t, NULL, play, &two), 0);
    play (&one);
    pthread_join (t, NULL);
    CU_ASSERT_EQUAL (one.lost, 0);
    CU_ASSERT_EQUAL (two.lost, 0);
    CU_ASSERT_EQUAL (one.seen, ROUNDS);
    CU_ASSERT_EQUAL (two.seen, ROUNDS);
    close (a);
    close (b);
    free (pair);
  }
}

UNIT_MAIN ("ring", UNIT_TEST (first_in_first_out),
           UNIT_TEST (indices_wrap_around),
           UNIT_TEST (an_impossible_tail_is_an_error),
           UNIT_TEST (an_impossible_head_is_an_error),
           UNIT_TEST (another_epoch_does_not_count),
           UNIT_TEST (only_a_sleeper_is_woken_and_once),
           UNIT_TEST (an_entry_is_a_copy), UNIT_TEST (no_wake_up_is_lost))
