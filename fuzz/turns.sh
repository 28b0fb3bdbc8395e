#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# usage: fuzz/turns.sh SOURCE BUILD LEDGER [TARGET…]
# Lets the targets of run.sh's build run in turn, $FUZZ_JOBS (1) at a time, with
# the time that nobody else wants (SCHED_IDLE), and keeps account in LEDGER: of
# each target the seconds of its own processor time so far, and its runs.
# Whoever has had least is next, for $FUZZ_TURN (60) seconds of processor time;
# a second counts for as many runs as README.md wants in it, so that who has
# made an hour's runs in minutes lets the slow ones go first.
# It ends after $FUZZ_SECONDS (3600) on the clock, when each has had $FUZZ_GOAL
# (3600), or when the file BUILD/stop appears. A fuzzer's pid is in
# BUILD/TARGET.pid, so that it can be stopped and continued meanwhile; that
# costs it nothing, since only processor time counts, also for what hangs. A
# target with a finding has no further turn; the exit status is 1 then.
set -eu
src=$(cd "$1" && pwd) build=$2
case $3 in /*) ledger=$3 ;; *) ledger=$PWD/$3 ;; esac
shift 3
turn=${FUZZ_TURN:-60} goal=${FUZZ_GOAL:-3600}
end=$(($(date +%s) + ${FUZZ_SECONDS:-3600}))
[ $# -gt 0 ] || set -- $(cd "$src/fuzz/corpus" && echo *)
cd "$build"
mkdir -p findings
[ -e "$ledger" ] || printf '# target seconds runs\n' >"$ledger"
export ASAN_OPTIONS="${ASAN_OPTIONS:-quarantine_size_mb=8}"
hertz=$(getconf CLK_TCK)

# Seconds of processor time of process $1.
spent () {
  sed 's/.*) //' "/proc/$1/stat" 2>/dev/null \
    | awk -v hz="$hertz" '{ print int (($12 + $13) / hz) }'
}

over () {
  [ -e stop ] || [ "$(date +%s)" -ge "$end" ]
}

found () {
  find findings -name "$1-*" | wc -l
}

# Who has had least, and not enough, and is not at it; the first of those on the
# command line.
next () {
  for t; do
    [ -x "fuzz/$t" ] && [ ! -e "$t.pid" ] && [ "$(found "$t")" = 0 ] && echo "$t"
  done | awk -v ledger="$ledger" -v goal="$goal" '
    BEGIN { while ((getline line < ledger) > 0) {
              split (line, f, " "); had[f[1]] = f[2]; ran[f[1]] = f[3] } }
    { wanted = /_engine$|^scsi_layer$/ ? 1000 : 10000
      score = ran[$1] / wanted > had[$1] + 0 ? ran[$1] / wanted : had[$1] + 0 }
    had[$1] + 0 < goal && (who == "" || score < least) {
      who = $1; least = score }
    END { print who }'
}

# The same, and nobody else gets it until its pid file is gone.
claim () {
  (
    flock 9
    t=$(next "$@")
    [ -z "$t" ] || : >"$t.pid"
    echo "$t"
  ) 9>turns.lock
}

account () {
  (
    flock 9
    awk -v t="$1" -v s="$2" -v r="$3" '
      $1 == t { $2 += s; $3 += r; seen = 1 }
      { print }
      END { if (!seen) print t, s, r }' "$ledger" >"$ledger.new"
    mv "$ledger.new" "$ledger"
    rm -f "$1.pid"
  ) 9>turns.lock
}

turn () {
  t=$1 dict=$src/fuzz/dict/$1.dict
  mkdir -p "corpus/$t"
  chrt -i 0 "fuzz/$t" -timeout=0 -report_slow_units=1000000 \
    -max_len="${FUZZ_BYTES:-8192}" -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="findings/$t-" \
    $([ ! -f "$dict" ] || printf -- '-dict=%s' "$dict") \
    "corpus/$t" "$src/fuzz/corpus/$t" >"$t.turn.log" 2>&1 &
  pid=$! had=0
  echo $pid >"$t.pid"
  while sleep 1 && now=$(spent $pid) && [ -n "$now" ]; do
    had=$now
    # libFuzzer ends by this signal, with its numbers, after the input that it
    # is at; if it does not come to that end, it writes that input down.
    if [ "$had" -ge "$turn" ] || over; then kill -USR1 $pid || :; fi
    if [ "$had" -ge $((turn + 30)) ]; then kill -ABRT $pid || :; fi
    case $(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) in Z*|'') break ;; esac
  done
  wait $pid || :
  runs=$(awk '/number_of_executed_units/ { r = $NF } END { print r + 0 }' \
    "$t.turn.log")
  account "$t" "$had" "$runs"
  n=$(found "$t")
  printf '%s %-16s %4d s %9d runs %s\n' "$(date +%T)" "$t" "$had" "$runs" \
    "$([ "$n" = 0 ] || echo "$n findings")"
}

# One of the jobs: turns until the end, or until nobody is left who wants one.
job () {
  while ! over; do
    t=$(claim "$@")
    if [ -n "$t" ]; then
      turn "$t"
    else
      [ -n "$(find . -maxdepth 1 -name '*.pid')" ] || break
      sleep 5
    fi
  done
}

rm -f stop ./*.pid
for _ in $(seq "${FUZZ_JOBS:-1}"); do
  job "$@" &
done
wait
[ -z "$(ls findings)" ]
