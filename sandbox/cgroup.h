/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits by the cgroup (version 2) of the daemon, if that is the daemon's to
 * divide: systemd says so (Delegate=yes), or nobody else is in it.
 *
 *   <own>/daemon          the daemon itself, as processes and controllers may
 *                         not be in the same cgroup
 *   <own>/worker-<pid>    a worker: memory.max, memory.swap.max, pids.max,
 *                         cpu.weight, as far as there are controllers
 *
 * An optional layer. Owner: the daemon; one thread. Linux 4.5.
 */
#ifndef BH_SANDBOX_CGROUP_H
#define BH_SANDBOX_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Its address space is bounded too; pages of shared memory count for who
 * touches them first.
 */
#define SBX_CGROUP_MEMORY_MIB 768

struct sbx_cgroup;

/* Takes the own cgroup over. NULL if there is none to be had, or no controller
 * in it; why is told in words, also which controllers there are. Nothing is
 * changed then.
 */
struct sbx_cgroup *sbx_cgroup_open (char *why, size_t why_bytes);

/* One that is the caller's already, by its directory: taken over. ERR_NOMEM:
 * NULL.
 */
struct sbx_cgroup *sbx_cgroup_at (int dir);

/* Puts a process that was just started into a cgroup of its own. False if no
 * limit holds. What dead ones have left is removed, once they are reaped.
 */
bool sbx_cgroup_put (struct sbx_cgroup *c, pid_t pid);

/* Of a process that was put there and is dead: whether the kernel ended it as
 * it wanted more memory than its own limit allows. Not so if others, or the
 * whole machine, were short of it. To be asked before the next one is put.
 */
bool sbx_cgroup_was_short (const struct sbx_cgroup *c, pid_t pid);

/* Takes the controllers back, so that whoever starts the next daemon may put it
 * where this one was; workers that live lose their limits until then. NULL is
 * allowed.
 */
void sbx_cgroup_close (struct sbx_cgroup *c);

#endif
