/* SPDX-License-Identifier: BSD-2-Clause */
/* Secrets that come late and keys that are decrypted, with real children. */
#include "config.h"
#include "cache/credentials.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#include "tests/unit/cache/locked_vectors.h"

static struct daemon d;
static struct log quiet;
static struct login_config login;
static struct credentials *credentials;
static unsigned calls;
static struct fault last; /* code 0: complete */
static unsigned ticks;

static void
nothing (void *ctx, enum log_level level, const char *line)
{
  (void)ctx;
  (void)level;
  (void)line;
}

static void
on_done (void *ctx, const struct fault *f)
{
  (void)ctx;
  calls++;
  credentials = NULL;
  last = f ? *f : (struct fault){0};
}

static void
on_tick (struct ev_loop *loop, ev_timer *w, int events)
{
  (void)loop;
  (void)w;
  (void)events;
  ticks++;
}

static int
file_with (const char *text)
{
  int fd = memfd_create ("secret", MFD_CLOEXEC);

  CU_ASSERT_FATAL (
      fd >= 0 && write (fd, text, strlen (text)) == (ssize_t)strlen (text));
  return fd;
}

static int target_password_fd = -1;

/* keys: the first so many of the vectors, all encrypted. */
static void
begin (unsigned keys, int password_fd, int passphrase_fd)
{
  int fd[CREDENTIALS_SECRETS] = {
    [CREDENTIALS_PASSWORD] = password_fd,
    [CREDENTIALS_TARGET_PASSWORD] = target_password_fd,
    [CREDENTIALS_PASSPHRASE] = passphrase_fd};

  quiet = (struct log){LOG_LEVEL_ERROR, nothing, NULL};
  d.log = &quiet;
  d.loop = ev_loop_new (EVFLAG_NOENV);
  calls = ticks = 0;
  login_config_init (&login);
  login.keys = keys;
  for (unsigned i = 0; i < keys; i++) {
    login.key[i].name = strdup ("/key");
    login.key[i].locked = strdup (locked_vectors[i].text);
    login.key[i].locked_bytes = strlen (locked_vectors[i].text);
    fault_set (&login.key[i].fault, ERR_AUTH, "it is encrypted");
  }
  CU_ASSERT_EQUAL_FATAL (
      credentials_start (&d, &login, fd, on_done, NULL, &credentials, NULL),
      ERR_OK);
  for (unsigned i = 0; i < CREDENTIALS_SECRETS; i++)
    CU_ASSERT_EQUAL (fd[i], -1);
  CU_ASSERT_EQUAL (calls, 0);
}

static void
turn_until_done (void)
{
  time_t end = time (NULL) + 20;

  while (!calls && time (NULL) < end)
    ev_run (d.loop, EVRUN_ONCE);
}

/* No child is left once the loop has turned. */
static void
end (void)
{
  time_t give_up = time (NULL) + 5;

  credentials_cancel (credentials);
  credentials = NULL;
  while (waitid (P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) == 0
         && time (NULL) < give_up)
    ev_run (d.loop, EVRUN_ONCE);
  CU_ASSERT (waitpid (-1, NULL, WNOHANG) == -1);
  login_config_fini (&login);
  ev_loop_destroy (d.loop);
}

static void
nothing_to_wait_for (void)
{
  begin (1, -1, -1);
  turn_until_done ();
  CU_ASSERT_EQUAL (calls, 1);
  CU_ASSERT_EQUAL (last.code, ERR_OK);
  CU_ASSERT_PTR_NULL (login.key[0].key);
  CU_ASSERT_STRING_EQUAL (login.key[0].fault.text, "it is encrypted");
  CU_ASSERT (!login.has_password);
  end ();
}

/* The loop goes on meanwhile; the next daemon can read the files again. */
static void
keys_are_decrypted_beside_the_loop (void)
{
  ev_timer tick;
  int password = file_with ("secret\r\n");
  int again = dup (password);
  char text[16];

  begin (3, password, file_with (LOCKED_PASSPHRASE "\n"));
  ev_timer_init (&tick, on_tick, 0.001, 0.001);
  ev_timer_start (d.loop, &tick);
  turn_until_done ();
  ev_timer_stop (d.loop, &tick);
  CU_ASSERT_EQUAL (last.code, ERR_OK);
  CU_ASSERT (login.has_password);
  CU_ASSERT_STRING_EQUAL (login.password, "secret");
  for (unsigned i = 0; i < 3; i++) {
    CU_ASSERT_PTR_NOT_NULL_FATAL (login.key[i].key);
    CU_ASSERT_STRING_EQUAL (ssh_key_fingerprint (login.key[i].key),
                            locked_vectors[i].fingerprint);
  }
  CU_ASSERT (ticks > 10);
  CU_ASSERT_EQUAL (lseek (again, 0, SEEK_CUR), 8);
  CU_ASSERT_EQUAL (pread (again, text, sizeof text, 0), 8);
  close (again);
  end ();
}

static void
a_wrong_passphrase_is_the_keys_fault (void)
{
  begin (2, -1, file_with ("wrong"));
  turn_until_done ();
  CU_ASSERT_EQUAL (calls, 1);
  CU_ASSERT_EQUAL (last.code, ERR_OK);
  for (unsigned i = 0; i < 2; i++) {
    CU_ASSERT_PTR_NULL (login.key[i].key);
    CU_ASSERT_STRING_EQUAL (login.key[i].fault.text, "wrong passphrase");
  }
  end ();
}

static void
a_passphrase_may_be_typed_late (void)
{
  int fd[2];

  CU_ASSERT_EQUAL_FATAL (pipe2 (fd, O_CLOEXEC), 0);
  begin (1, -1, fd[0]);
  for (int i = 0; i < 10; i++)
    ev_run (d.loop, EVRUN_NOWAIT);
  CU_ASSERT_EQUAL (calls, 0);
  CU_ASSERT_EQUAL (write (fd[1], LOCKED_PASSPHRASE, 5), 5);
  for (int i = 0; i < 10; i++)
    ev_run (d.loop, EVRUN_NOWAIT);
  CU_ASSERT_EQUAL (calls, 0);
  CU_ASSERT (write (fd[1], LOCKED_PASSPHRASE + 5, sizeof LOCKED_PASSPHRASE - 6)
             > 0);
  close (fd[1]);
  turn_until_done ();
  CU_ASSERT_EQUAL (last.code, ERR_OK);
  CU_ASSERT_PTR_NOT_NULL (login.key[0].key);
  end ();
}

static void
odd_secrets_are_named (void)
{
  static char much[LOGIN_PASSWORD_BYTES + 1];
  int fd;

  begin (0, file_with ("\n"), -1);
  turn_until_done ();
  CU_ASSERT_EQUAL (last.code, ERR_INVAL);
  CU_ASSERT_STRING_EQUAL (last.text, "the password is empty");
  end ();
  memset (much, 'x', LOGIN_PASSWORD_BYTES);
  begin (0, -1, file_with (much));
  turn_until_done ();
  CU_ASSERT_STRING_EQUAL (last.text, "the passphrase is too long");
  end ();
  fd = file_with ("ab");
  CU_ASSERT_EQUAL (pwrite (fd, "", 1, 1), 1);
  begin (0, -1, fd);
  turn_until_done ();
  CU_ASSERT_STRING_EQUAL (last.text, "the passphrase has a NUL in it");
  end ();
  begin (0, open ("/", O_RDONLY | O_CLOEXEC), -1);
  turn_until_done ();
  CU_ASSERT_STRING_EQUAL (last.text, "the password is neither file nor pipe");
  end ();
}

static void
mutual_chap_has_two_secrets (void)
{
  target_password_fd = file_with ("the target's secret\n");
  begin (0, file_with ("our own secret"), -1);
  turn_until_done ();
  CU_ASSERT_EQUAL (last.code, ERR_OK);
  CU_ASSERT (login.has_password && login.has_target_password);
  CU_ASSERT_STRING_EQUAL (login.password, "our own secret");
  CU_ASSERT_STRING_EQUAL (login.target_password, "the target's secret");
  end ();
  CU_ASSERT_STRING_EQUAL (login.target_password, "");
  target_password_fd = file_with ("our own secret\n");
  begin (0, file_with ("our own secret"), -1);
  turn_until_done ();
  CU_ASSERT_EQUAL (last.code, ERR_INVAL);
  CU_ASSERT_PTR_NOT_NULL (strstr (last.text, "are the same"));
  end ();
  target_password_fd = -1;
}

static void
cancelled_at_any_point (void)
{
  for (int turns = 0; turns < 12; turns++) {
    begin (2, file_with ("secret"), file_with (LOCKED_PASSPHRASE));
    for (int i = 0; i < turns && !calls; i++)
      ev_run (d.loop, EVRUN_NOWAIT);
    end ();
  }
}

static int shared_end, other_end;
static unsigned polls;

/* Between the poll that finds a byte there, the second one, and the read. */
static void
on_polled (struct ev_loop *loop, ev_check *w, int events)
{
  char byte;

  (void)events;
  if (++polls < 2)
    return;
  CU_ASSERT_EQUAL (recv (shared_end, &byte, 1, MSG_DONTWAIT), 1);
  ev_check_stop (loop, w);
  ticks++;
}

static void
on_stolen (struct ev_loop *loop, ev_timer *w, int events)
{
  (void)events;
  if (!ticks)
    return;
  ev_timer_stop (loop, w);
  CU_ASSERT_EQUAL (write (other_end, "secret", 6), 6);
  shutdown (other_end, SHUT_WR);
}

/* Who sends a socket has it still: the daemon of a host waits for nobody. */
static void
a_socket_that_somebody_else_reads_holds_nothing_up (void)
{
  ev_check polled;
  ev_timer stolen;
  int pair[2];

  CU_ASSERT_EQUAL_FATAL (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), 0);
  shared_end = dup (pair[0]);
  other_end = pair[1];
  polls = 0;
  begin (0, pair[0], -1);
  ev_check_init (&polled, on_polled);
  ev_set_priority (&polled, EV_MAXPRI);
  ev_check_start (d.loop, &polled);
  ev_timer_init (&stolen, on_stolen, 0.01, 0.01);
  ev_timer_start (d.loop, &stolen);
  CU_ASSERT_EQUAL (write (other_end, "x", 1), 1);
  alarm (10);
  turn_until_done ();
  alarm (0);
  CU_ASSERT_EQUAL (ticks, 1);
  CU_ASSERT_EQUAL (last.code, ERR_OK);
  CU_ASSERT_STRING_EQUAL (login.password, "secret");
  ev_check_stop (d.loop, &polled);
  ev_timer_stop (d.loop, &stolen);
  close (shared_end);
  close (other_end);
  end ();
}

UNIT_MAIN ("credentials", UNIT_TEST (nothing_to_wait_for),
           UNIT_TEST (keys_are_decrypted_beside_the_loop),
           UNIT_TEST (a_wrong_passphrase_is_the_keys_fault),
           UNIT_TEST (a_passphrase_may_be_typed_late),
           UNIT_TEST (a_socket_that_somebody_else_reads_holds_nothing_up),
           UNIT_TEST (odd_secrets_are_named),
           UNIT_TEST (mutual_chap_has_two_secrets),
           UNIT_TEST (cancelled_at_any_point))
