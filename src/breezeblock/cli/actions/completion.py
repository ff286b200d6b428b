# SPDX-License-Identifier: Apache-2.0
"""What `breezeblock completion SHELL` does: prints a few lines for the shell that ask this command for candidates. So a shell knows
every option of the version that is installed, and the names of volumes, without a second list of them anywhere."""

from __future__ import annotations

from collections.abc import Sequence

from breezeblock.cli.session import Session

_SCRIPTS = {
    "bash": """\
# breezeblock completion for bash:  source <(breezeblock completion bash)
_breezeblock() {
    local IFS=$'\\n'
    COMPREPLY=($(breezeblock complete-words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    if [ ${#COMPREPLY[@]} -eq 0 ]; then compopt -o default; fi
}
complete -F _breezeblock breezeblock
""",
    "zsh": """\
#compdef breezeblock
# breezeblock completion for zsh:  source <(breezeblock completion zsh)
_breezeblock() {
    local -a found
    found=("${(@f)$(breezeblock complete-words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[*]}" ]]; then compadd -a found; else _files; fi
}
compdef _breezeblock breezeblock
""",
    "fish": """\
# breezeblock completion for fish:  breezeblock completion fish | source
function __breezeblock_words
    set -l words (commandline -opc) (commandline -ct)
    breezeblock complete-words -- $words[2..-1] 2>/dev/null
end
complete -c breezeblock -f -a '(__breezeblock_words)'
for noun in import export
    complete -c breezeblock -F -n "__fish_seen_subcommand_from $noun"
end
""",
}


def completion(session: Session, *, shell: str) -> None:
    session.show({"shell": shell, "script": _SCRIPTS[shell]}, _SCRIPTS[shell].rstrip("\n"))


def complete_words(session: Session, *, words: Sequence[str]) -> None:
    """Candidates for the last word, one a line. Says nothing at all when anything goes wrong: this runs at every Tab."""
    from breezeblock.cli.complete import candidates

    print("\n".join(candidates(session, list(words))))
