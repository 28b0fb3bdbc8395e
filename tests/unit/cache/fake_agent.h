/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's end of a connection, played by a test that also turns the
 * daemon's loop. One key, "mine", and signatures that nobody checks.
 */
#ifndef BH_TESTS_FAKE_AGENT_H
#define BH_TESTS_FAKE_AGENT_H

#include <ev.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cache/agent.h"
#include "common/wire.h"
#include "tests/unit/unit.h"

/* The type of the next question; 0: none comes. */
static uint8_t
agent_hears (struct ev_loop *loop, int agent)
{
  uint8_t question[AGENT_QUESTION_BYTES];

  for (int i = 0; i < 50000; i++) {
    ssize_t n = recv (agent, question, sizeof question, MSG_DONTWAIT);

    if (n > 4)
      return question[4];
    if (n == 0)
      break;
    ev_run (loop, EVRUN_NOWAIT);
    usleep (100);
  }
  return 0;
}

static void
agent_says (int agent, const uint8_t *answer, size_t answer_bytes)
{
  uint8_t length[4] = {0, 0, (uint8_t)(answer_bytes >> 8),
                       (uint8_t)answer_bytes};

  CU_ASSERT_EQUAL (write (agent, length, 4), 4);
  CU_ASSERT_EQUAL (write (agent, answer, answer_bytes), (ssize_t)answer_bytes);
}

static void
agent_has_a_key (struct ev_loop *loop, int agent)
{
  uint8_t list[200];
  struct wirebuf l = wirebuf_init (list, sizeof list);

  wirebuf_u8 (&l, 12);
  wirebuf_u32 (&l, 1);
  wirebuf_string (&l, "\0\0\0\013ssh-ed25519\0\0\0\1k", 20);
  wirebuf_cstring (&l, "mine");
  CU_ASSERT_EQUAL (agent_hears (loop, agent), 11);
  agent_says (agent, list, l.used_bytes);
}

static void
agent_signs (struct ev_loop *loop, int agent)
{
  static const char signature[] =
      "\016\0\0\0\027\0\0\0\013ssh-ed25519\0\0\0\4sign";

  CU_ASSERT_EQUAL (agent_hears (loop, agent), 13);
  agent_says (agent, (const uint8_t *)signature, sizeof signature - 1);
}

#endif
