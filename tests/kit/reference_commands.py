"""Writes docs/reference-commands.md: every command, from the command line itself.

What a command cannot say of itself, its exit codes, stands here in `EXITS`.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Any

import typer
import typer.main

import sidecar.cli.app  # noqa: F401 - declares the commands
from sidecar.cli.program import PANELS, app

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEAD = """\
# sidecar

Written by `make reference` from the command line itself: do not edit this page.

## NAME

`sidecar` - {about}

## SYNOPSIS

```
sidecar [--version] [--help] COMMAND …
```

## EXIT STATUS

- **0**: fine
- **1**: the thing asked about is not well
- **2**: bad usage, or a mistake in the policy file
- **130**: Ctrl-C
- **141**: nobody read the output any more

Results go to stdout, complaints to stderr. Where stdout is no terminal, output is plain text.

## COMMANDS
"""

GENERAL = {"0": "fine", "1": "the listener cannot be asked", "2": "bad usage, or the listener refuses it"}
"""Where `EXITS` says nothing else."""
PROVIDER = {"0": "answered", "1": "not answered, or nobody listens", "2": "bad usage, or nothing leads to UPSTREAM"}
EXITS: Mapping[str, Mapping[str, str]] = {
    "run": {
        "0": "ended by SIGTERM or SIGINT, after draining",
        "2": "no policy file, mistakes in it, or a listener that cannot be opened",
    },
    "exec": {
        "that of COMMAND": "128 + N where signal N ended it",
        "126": "COMMAND cannot be executed",
        "127": "there is no COMMAND",
        "2": "bad usage, or a mistake in the policy file; COMMAND was not started",
    },
    "demo": {"0": "ended by Ctrl-C, or after `--seconds`"},
    "init": {"0": "written", "2": "not written: a file is there already, or it cannot be"},
    "check": {
        "0": "no mistake",
        "1": "`--live`: it is not what runs, or nobody can be asked",
        "2": "mistakes, or no file",
    },
    "diff": {"0": "both files are right, whether or not they differ", "2": "mistakes in one of them"},
    "explain": {
        "0": "the call would be served",
        "1": "it would be refused",
        "2": "bad usage, no such request, or mistakes in the policy file",
    },
    "schema": {"0": "always"},
    "completion": {"0": "printed", "2": "a shell that is not known"},
    "status": {**GENERAL, "1": "it is unhealthy, or cannot be asked"},
    "health": {**GENERAL, "0": "healthy or degraded", "1": "it is unhealthy, or cannot be asked"},
    "reset": {**GENERAL, "2": "bad usage, or no such breaker"},
    "reload": {**GENERAL, "0": "taken", "2": "refused: mistakes in the policy file, which are printed"},
    "trace": {**GENERAL, "0": "the call is remembered, however it ended", "1": "it is not, or nobody can be asked"},
    "send": PROVIDER,
    "chat": PROVIDER,
    "models": {**PROVIDER, "0": "listed"},
}
"""What each exit code means, by command."""

_DEFAULT_FILE = "./sidecar.toml"


def commands_page() -> str:
    """The page's text, panel by panel."""
    group: Any = typer.main.get_command(app)
    about = str(group.help).split(".", maxsplit=1)[0]
    panels: dict[str, list[Any]] = {panel: [] for panel in PANELS}
    for command in group.commands.values():
        if not command.hidden:
            panels[command.rich_help_panel].append(command)
    told = [HEAD.format(about=about[0].lower() + about[1:])]
    for panel, commands in panels.items():
        if not commands:
            continue
        told.append(f"\n### {panel}\n")
        told += [f"\n{_section(command)}" for command in commands]
    return "".join(told)


def _section(command: Any) -> str:
    first, *paragraphs = [_prose(text) for text in inspect.cleandoc(command.help).split("\n\n")]
    name, *rest = re.split(r"(?<=\.) ", first, maxsplit=1)
    described = [*rest, *paragraphs]
    lines = [f"#### sidecar {command.name}", "", "**NAME**", ""]
    lines += [_wrapped(f"`sidecar {command.name}` - {name[0].lower() + name[1:].removesuffix('.')}"), ""]
    lines += ["**SYNOPSIS**", "", f"```\n{_synopsis(command)}\n```", ""]
    if described:
        lines += ["**DESCRIPTION**", "", "\n\n".join(_wrapped(text) for text in described), ""]
    lines += _list("ARGUMENTS", (_entry(_called(each), each) for each in _params(command, "argument")))
    lines += _list("OPTIONS", (_entry(_names(command, each), each) for each in _params(command, "option")))
    exits = EXITS.get(command.name, GENERAL)
    lines += _list("EXIT STATUS", (f"**{code}**: {meaning}" for code, meaning in exits.items()))
    lines += _list("ENVIRONMENT", _variables(command))
    lines += _list("FILES", _files(command))
    return "\n".join(lines).rstrip("\n") + "\n"


def _list(title: str, entries: Iterator[str]) -> list[str]:
    told = [_wrapped(f"- {entry}", hanging="  ") for entry in entries]
    return [f"**{title}**", "", *told, ""] if told else []


def _params(command: Any, kind: str) -> Iterator[Any]:
    return (each for each in command.params if each.param_type_name == kind and not getattr(each, "hidden", False))


def _synopsis(command: Any) -> str:
    words = [f"sidecar {command.name}"]
    words += [f"[{_shortest(each)}{_value_of(command, each)}]" for each in _params(command, "option")]
    for argument in _params(command, "argument"):
        name = _called(argument)
        words.append(name if argument.required else f"[{name}]")
    indent = " " * (len(words[0]) + 1)
    whole = " ".join(word.replace(" ", "\0") for word in words)  # a word with a blank inside is not to be broken
    text = textwrap.fill(whole, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return text.replace("\0", " ")


def _shortest(option: Any) -> str:
    return str(min(option.opts, key=len))


def _called(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper()) + ("..." if argument.nargs != 1 else "")


def _value_of(command: Any, option: Any) -> str:
    """What stands behind its name."""
    if option.is_flag or option.count:
        return ""
    choices = [str(each.value) for each in option.shell_complete(typer.Context(command), "")]
    return f" {'|'.join(choices) or option.metavar or option.name.upper()}"


def _names(command: Any, option: Any) -> str:
    return ", ".join([*option.opts, *option.secondary_opts]) + _value_of(command, option)


def _entry(name: str, param: Any) -> str:
    default = getattr(param.default, "value", param.default)
    told = "" if default is None or isinstance(default, bool) or callable(default) else f" Default: `{default}`."
    return f"`{name}`: {_prose(param.help or '')}{told}"


def _variables(command: Any) -> Iterator[str]:
    """Those that the help of its parameters names, and what they stand for."""
    for param in command.params:
        for variable in re.findall(r"\$([A-Z][A-Z_]+)", param.help or ""):
            yield f"`{variable}`: {_stands_for(param)}"


def _stands_for(param: Any) -> str:
    name = max(param.opts, key=len) if param.param_type_name == "option" else _called(param)
    return f"read where `{name}` is not given"


def _files(command: Any) -> Iterator[str]:
    if any(_DEFAULT_FILE in (param.help or "") for param in command.params):
        yield f"`{_DEFAULT_FILE}`: the [policy file](reference-policy-file.md)"


def _prose(text: str) -> str:
    """On one line; what Markdown would take for its own is escaped, but not in code."""
    return re.sub(
        r"`[^`]*`|[*<>]", lambda found: found[0] if found[0][0] == "`" else f"\\{found[0]}", " ".join(text.split())
    )


def _wrapped(text: str, hanging: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)
