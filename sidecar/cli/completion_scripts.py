"""What a shell runs to have `sidecar` completed.

Each function asks the command itself: `_SIDECAR_COMPLETE` names the shell and `_SIDECAR_LINE` holds the command line as
typed, up to the cursor. It answers with a line `words` and a candidate on each further one, or with the line
`files`: then the shell offers file names in its own way. What a candidate looks like is the shell's own form.
"""

from __future__ import annotations

BASH = r"""# Completion of sidecar for bash. In ~/.bashrc:
#   eval "$(sidecar completion bash)"

_sidecar_completion() {
    local answer line program=${1/#\~/$HOME}
    COMPREPLY=()
    answer=$(_SIDECAR_COMPLETE=bash _SIDECAR_LINE="${COMP_LINE:0:COMP_POINT}" "$program" 2>/dev/null) || return 0
    if [ "$answer" = files ]; then
        type compopt >/dev/null 2>&1 && compopt -o default
        return 0
    fi
    while IFS= read -r line; do
        [ "$line" = words ] || [ -z "$line" ] || COMPREPLY+=("$line")
    done <<< "$answer"
}

if type compopt >/dev/null 2>&1; then
    complete -F _sidecar_completion sidecar
else
    complete -o default -F _sidecar_completion sidecar    # bash 3, as macOS has it: file names wherever nothing else is
fi
"""

ZSH = r"""#compdef sidecar
# Completion of sidecar for zsh. As a file _sidecar in a folder of $fpath, or in ~/.zshrc behind compinit:
#   eval "$(sidecar completion zsh)"

_sidecar() {
    local -a answer
    answer=("${(@f)$(_SIDECAR_COMPLETE=zsh _SIDECAR_LINE="${(j: :)words[1,CURRENT]}" ${words[1]} 2>/dev/null)}")
    if [[ ${answer[1]} == files ]]; then
        compset -P '-*='
        _files
    elif (( ${#answer} > 1 )); then
        answer=("${(@)answer[2,-1]}")
        _describe sidecar answer
    fi
}

if [[ ${funcstack[1]} == _sidecar ]]; then
    _sidecar "$@"
else
    compdef _sidecar sidecar
fi
"""

FISH = r"""# Completion of sidecar for fish. In ~/.config/fish/completions/sidecar.fish, or:
#   sidecar completion fish | source

function __sidecar_completion
    set -l program (commandline -opc)[1]
    set -l answer (env _SIDECAR_COMPLETE=fish _SIDECAR_LINE=(commandline -cp | string collect) $program 2>/dev/null)
    if test "$answer[1]" = files
        set -l token (commandline -ct)
        set -l option (string match --regex -- '^-[^=]*=' $token)
        for file in (__fish_complete_path (string replace --regex -- '^-[^=]*=' '' $token))
            printf '%s\n' "$option$file"
        end
    else
        printf '%s\n' $answer[2..-1]
    end
end

complete --command sidecar --no-files --arguments '(__sidecar_completion)'
"""

POWERSHELL = r"""# Completion of sidecar for PowerShell. In $PROFILE:
#   sidecar completion powershell | Out-String | Invoke-Expression

Register-ArgumentCompleter -Native -CommandName sidecar -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $length = $cursorPosition - $commandAst.Extent.StartOffset
    $Env:_SIDECAR_COMPLETE = 'powershell'
    $Env:_SIDECAR_LINE = $commandAst.ToString().PadRight($length).Substring(0, $length)
    $answer = @(& $commandAst.CommandElements[0].Value 2>$null)
    Remove-Item Env:_SIDECAR_COMPLETE, Env:_SIDECAR_LINE
    # Of nothing, PowerShell makes file names.
    $answer | Select-Object -Skip 1 | ForEach-Object {
        $value, $help = $_ -split "`t", 2
        if (-not $help) { $help = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
    }
}
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH, "powershell": POWERSHELL}
