# SPDX-License-Identifier: MIT
# bash completion for greenlua

_greenlua_names() { # a colon would split the word, and a dot does as well
  "$1" doc --names 2> /dev/null | tr : .
}

_greenlua() {
  local greenlua=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local options="-e -i -l -v -E -W --listen --cert --key --run --grace --console --max-memory --no-libc --dev --shake --version --help" script= word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case $word in
      -e | -l | --cert | --key | --grace | --console | --max-memory) ((i++)) ;;
      --listen) # an address is several words to bash
        ((i++))
        while [[ ${COMP_WORDS[i + 1]-} == :* || ${COMP_WORDS[i]} == *: ]] && ((i + 1 < COMP_CWORD)); do ((i++)); done
        ;;
      --)
        script=${COMP_WORDS[i + 1]-}
        [[ $script == doc || $script == attach || $script == db || $script == jobs || $script == migrate ]] && script=./$script
        break
        ;;
      -*) ;;
      *)
        script=$word
        break
        ;;
    esac
  done
  if [[ $script == doc ]]; then
    ((i + 1 == COMP_CWORD)) && COMPREPLY=($(compgen -W "--names --help $(_greenlua_names "$greenlua")" -- "$current"))
  elif [[ $script == attach && $current == -* ]]; then
    COMPREPLY=($(compgen -W "-e" -- "$current"))
  elif [[ $script == migrate ]] && ((i + 2 == COMP_CWORD)); then
    COMPREPLY=($(compgen -W "up down status new mark" -- "$current"))
  elif [[ $script == jobs ]] && ((i + 2 == COMP_CWORD)); then
    COMPREPLY=($(compgen -W "list count show retry drop cron work" -- "$current"))
  elif [[ -n $script ]]; then
    COMPREPLY=($(compgen -f -- "$current"))
  elif [[ $previous == -l ]]; then
    COMPREPLY=($(compgen -W "$(_greenlua_names "$greenlua" | grep '^green\.')" -- "$current"))
  elif [[ $previous == --console || $previous == --cert || $previous == --key ]]; then
    COMPREPLY=($(compgen -f -- "$current"))
  elif [[ $previous == -e || $previous == --grace || $previous == --max-memory || $previous == --listen ]]; then
    :
  elif [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  else
    COMPREPLY=($(compgen -W "attach db doc jobs migrate" -- "$current") $(compgen -f -X '!*.lua' -- "$current") $(compgen -d -- "$current"))
  fi
}

complete -o filenames -F _greenlua greenlua
