/**
 * Completion scripts. All three ask `naru __complete -- WORDS…`: lines "word<TAB>description", and a
 * last line ":files" when file names fit too. The command table itself answers, so a script never
 * grows old.
 */

export const bashScript = `# bash completion for naru
_naru() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" out line
  local IFS=$'\\n'
  # bash splits words at ":" and "=": join them again
  if declare -F _get_comp_words_by_ref >/dev/null; then
    local words cword
    _get_comp_words_by_ref -n : cur words cword
    out=$(naru __complete -- "\${words[@]:1:cword}" 2>/dev/null)
  else
    out=$(naru __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  fi
  COMPREPLY=()
  for line in $out; do
    if [[ $line == ":files" ]]; then
      COMPREPLY+=($(compgen -f -- "$cur"))
      compopt -o filenames 2>/dev/null
    else
      COMPREPLY+=("\${line%%$'\\t'*}")
    fi
  done
  declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
  return 0
}
complete -F _naru naru
`;

export const zshScript = `#compdef naru
_naru() {
  local -a answers shown
  local line files=0
  answers=("\${(@f)$(naru __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $answers; do
    if [[ $line == ":files" ]]; then files=1; continue; fi
    [[ -z $line ]] && continue
    local name="\${line%%$'\\t'*}" text="\${line#*$'\\t'}"
    shown+=("\${name//:/\\\\:}:$text")
  done
  (( \${#shown} )) && _describe 'naru' shown
  (( files )) && _files
}
if [ "$funcstack[1]" = "_naru" ]; then _naru "$@"; else compdef _naru naru; fi
`;

export const fishScript = `# fish completion for naru
function __naru_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in (naru __complete -- $words[2..-1] 2>/dev/null)
    if test "$line" = ":files"
      __fish_complete_path (commandline -ct)
    else
      echo $line
    end
  end
end
complete -c naru -f -a '(__naru_complete)'
`;
