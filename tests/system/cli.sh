#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The bulkhead command as such: its help, what it says of wrong arguments, its
# exit status, the completion of shells, and that its manual pages know all of it.
. "$(dirname "$0")/lib.sh"

docs=$lib_dir/../../docs
bulkhead () {
  "$run" bulkhead "$@"
}

# says STATUS REGEX ARGUMENT…: one or two lines on stderr, and that status.
says () {
  local want=$1 regex=$2 status=0
  shift 2
  bulkhead "$@" >said.out 2>said.err </dev/null || status=$?
  [ "$status" = "$want" ] || die "bulkhead $*: status $status: $(cat said.err)"
  [ ! -s said.out ] || die "bulkhead $*: says $(cat said.out)"
  [ "$(wc -l <said.err)" -le 2 ] || die "bulkhead $*: $(cat said.err)"
  grep -Eq -- "$regex" said.err || die "bulkhead $*: $(cat said.err)"
}

# --------------------------------------------------------------------- help

commands=$(bulkhead --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ -n "$commands" ] || die "--help names no command"
bulkhead --version | grep -Eq '^bulkhead [0-9.]+$' || die "no version"
for command in $commands; do
  page=$docs/bulkhead-$command.pod
  [ -s "$page" ] || die "$command has no manual page"
  grep -q "L<bulkhead-$command(1)>" "$docs/bulkhead.pod" \
    || die "bulkhead(1) does not know $command"
  bulkhead "$command" --help >help
  bulkhead help "$command" | cmp - help || die "help $command is another one"
  head -n 1 help | grep -q "^Usage: bulkhead $command " \
    || die "the usage of $command: $(head -n 1 help)"
  for option in $(grep -oE -- '(^  | )-[-a-zA-Z]+' help | sort -u); do
    grep -q -- "B<$option[>=]" "$page" \
      || die "the manual page of $command does not know $option"
  done
  awk 'length > 79 || / $/ { exit 1 }' help || die "wide lines: $(cat help)"
done
ok "each command has a help and a manual page that knows its options"

bulkhead --help | sed -n 's/^  \([0-9]\)  \(.*\)/\1 \2/p' >statuses
sed -n '/^=head1 EXIT STATUS/,/^=back/p' "$docs/bulkhead.pod" \
  | sed -n 's/^=item B<\([0-9]\)>$/\1/p; /^[a-z]/p' | paste -d' ' - - \
  | cmp - statuses || die "bulkhead(1) has other exit statuses"
ok "bulkhead(1) has the exit statuses of --help"

# ------------------------------------------------------------------- errors

says 2 'no command'
says 2 'did you mean bulkhead completion' completoin
says 2 'no command "frobnicate"' frobnicate
says 2 'did you mean --help' completion --hepl
says 2 'no option -Z' completion -Z bash
says 2 'takes no value' completion --quiet=1 bash
says 2 'needs a value' completion bash --color
says 2 'none of auto' completion --color=blue bash
says 2 'missing' completion
says 2 '"two" is too much' completion one two
if bulkhead --help >/dev/full 2>said.err; then
  die "a full disk is not noticed"
fi
grep -q 'cannot be written' said.err || die "a full disk: $(cat said.err)"
ok "wrong arguments are told in one or two lines"

bulkhead completion --color=always tcsh 2>said.err || :
grep -q $'\e\[31m' said.err || die "no colour with --color=always"
bulkhead completion tcsh 2>said.err || :
! grep -q $'\e' said.err || die "colours in a file"
ok "colours only where they are wanted"

# --------------------------------------------------------------- completion

for shell in bash zsh fish; do
  command -v $shell >/dev/null || skip "no $shell"
  bulkhead completion $shell >script.$shell
  $shell -n script.$shell || die "$shell cannot parse its script"
  $shell -c ". ./script.$shell" 2>said.err || [ $shell = zsh ]
  [ ! -s said.err ] || [ $shell = zsh ] || die "$shell: $(cat said.err)"
done

# bash_completes WORD…: what bash offers for the last one
bash_completes () {
  bash -c '. ./script.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    compopt () { :; }; _bulkhead; echo "${COMPREPLY[*]}"' sh "$@"
}
PATH=$BULKHEAD_BUILDDIR:$PATH
[ "$(bash_completes bulkhead compl)" = completion ] || die "bash: no command"
[ "$(bash_completes bulkhead completion --qu)" = --quiet ] \
  || die "bash: no option"
[ "$(bash_completes bulkhead completion --color = al)" = always ] \
  || die "bash: no value"
[ "$(bash_completes bulkhead completion z)" = zsh ] || die "bash: no argument"
mkdir -p home/.config/bulkhead
printf 'volumes:\n  mydisk:\n    url: nfs://host/x\n' \
  >home/.config/bulkhead/bulkhead.conf
[ "$(bash_completes bulkhead serve myd)" = mydisk ] || die "bash: no volume"
[ "$(bash_completes bulkhead serve mydisk ident)" = identity= ] \
  || die "bash: no parameter"
# Each option of --help, and no other: by each shell, for each command.
for command in $commands; do
  bulkhead "$command" --help | grep -oE -- '--[a-z][-a-z]+' | sort -u >options
  [ -s options ] || die "$command has no options"
  bash_completes bulkhead "$command" -- | tr -s ' =' '\n\n' | grep . \
    | sort -u | cmp - options || die "bash: other options of $command"
  fish -c "source script.fish; complete -C 'bulkhead $command --'" \
    | cut -f 1 | tr -d = | sort -u | cmp - options \
    || die "fish: other options of $command"
  sed -n "/^    $command)/,/^      ;;/p" script.zsh \
    | grep -oE -- "[{'',]--[a-z][-a-z]+" | grep -oE -- '--.*' | sort -u \
    | cmp - options || die "zsh: other options of $command"
done
# What a command takes behind a URL: each parameter of each protocol.
for parameter in $("$run" nbdkit bulkhead --help | sed -n 's/^ *\([a-z-]*\)=.*/\1/p'); do
  [ "$parameter" = url ] || grep -q "[ ']$parameter= " script.bash \
    || die "bash: no parameter $parameter"
done
fish -c 'source script.fish; complete -C "bulkhead serve myd"' \
  | grep -q '^mydisk' || die "fish: no volume"
fish -c 'source script.fish; complete -C "bulkhead comple"' \
  | grep -q '^completion' || die "fish: no command"
fish -c 'source script.fish; complete -C "bulkhead completion --qu"' \
  | grep -q '^--quiet' || die "fish: no option"
zsh -f -c 'autoload -Uz compinit && compinit -D -u && . ./script.zsh \
  && [[ $_comps[bulkhead] = _bulkhead ]]' || die "zsh does not take its script"
ok "bash, zsh and fish complete"
