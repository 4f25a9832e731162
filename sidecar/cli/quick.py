"""Commands that start at once: texts and flags are taken as they were typed.

typer 0.29 has pydantic turn text into text and flags into flags, `--help` of every
command among them. To import that is a third of the time in which a small command
starts (50 of 150 ms). Where typer knows nothing of the name that is set here,
nothing changes: `tests/cli/test_commands_live.py` tells when it is called otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup, TyperOption

if TYPE_CHECKING:
    import typer


class _AsTyped:
    def coerce(self, value: Any, **_: object) -> Any:
        return value


class QuickCommand(TyperCommand):
    """For a command whose arguments and options are `str` and `bool`; those of other types cost what they cost."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        for param in self.params:
            described = getattr(param, "type_descriptor", None)
            if described is not None and described.annotation is str and param.nargs == 1 and not param.multiple:
                _take_as_typed(param)

    def get_help_option(self, ctx: typer.Context) -> TyperOption | None:  # type: ignore[override] # a Context is one
        option = super().get_help_option(ctx)
        _take_as_typed(option)
        return option


class QuickGroup(TyperGroup):
    """What the commands belong to."""

    def get_help_option(self, ctx: typer.Context) -> TyperOption | None:  # type: ignore[override] # a Context is one
        option = super().get_help_option(ctx)
        _take_as_typed(option)
        return option


def _take_as_typed(param: Any) -> None:
    if param is not None:
        param._runtime_param = _AsTyped()  # noqa: SLF001 - typer has no door for it
