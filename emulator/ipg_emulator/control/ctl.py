"""`ipg-emulator ctl`: has a running device do something, over its control channel. Its words are the operations."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from inspect import getdoc
from typing import Any

import msgspec

from ipg_emulator.control.beside import Beside, path_beside, read_beside
from ipg_emulator.control.client import ControlUnreachable, RemoteControl
from ipg_emulator.control.flags import Flag, assemble, flags_of
from ipg_emulator.control.operation import Operation, OperationError
from ipg_emulator.control.operations import OPERATIONS
from ipg_emulator.control.text import lines_of
from ipg_emulator.control.token import read_token

PROGRAM = "ipg-emulator ctl"
EXIT_CODES = "exit codes: 0 done, 1 the device cannot do it, 2 wrong usage, 3 the control channel cannot be reached or refuses"
LIST = "list"
LIST_WORDS = "show what can be asked, and of which fields it takes the value"
_SHOWN_CHOICES = 6


def main(words: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    options = build_parser().parse_args(words)
    if options.name == LIST:
        print("\n".join(_listed(name, kind) for name, kind in OPERATIONS.items()))
        return 0
    try:
        answered = _remote(options).ask_for_json(_operation(options))
    except OperationError as error:
        return _complain(error, 1)
    except ValueError as error:
        return _complain(error, 2)
    except ControlUnreachable as error:
        return _complain(error, 3)
    shown = [answered.decode()] if vars(options).get("json") else lines_of(msgspec.json.decode(answered))
    print("\n".join(shown), end="\n" if shown else "")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The command line, which every operation is a word of."""
    where = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    _add_where(where)
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [--link PATH | --url URL --token FILE] [--device N] [--json] NAME [--FIELD VALUE ...]",
        description="Ask a running device that was started with --control.",
        epilog=EXIT_CODES,
        parents=[where],
    )
    names = parser.add_subparsers(prog=PROGRAM, metavar="NAME", dest="name", required=True)
    names.add_parser(LIST, help=LIST_WORDS)
    for name, kind in OPERATIONS.items():
        words, usage = getdoc(kind) or "", f"{PROGRAM} [WHERE] {name} {_fields_of(kind)}"
        asking = names.add_parser(
            name, usage=usage, help=words.partition("\n")[0], description=words, parents=[where], epilog=EXIT_CODES
        )
        for flag in flags_of(kind).values():
            _add_flag(asking, flag)
    return parser


def _add_where(parser: argparse.ArgumentParser) -> None:
    """The options of every word; they may stand before it or behind."""
    parser.add_argument("--link", metavar="PATH", help="the link that the device was given by `run --link PATH --control PORT`")
    parser.add_argument("--url", metavar="URL", help="the URL that `run` printed behind CONTROL")
    parser.add_argument("--token", metavar="FILE", help="the token file that it printed behind the URL")
    parser.add_argument("--device", type=int, metavar="N", help="number of the device, where there are several (default 0)")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def _add_flag(parser: argparse.ArgumentParser, flag: Flag) -> None:
    choices = flag.choices
    shown = "|".join(choices) if 0 < len(choices) <= _SHOWN_CHOICES else flag.path[-1].upper()
    words = flag.words.replace("%", "%%")
    if len(choices) > _SHOWN_CHOICES:
        words = f"{words} ({', '.join(choices)})".lstrip()
    parser.add_argument(
        flag.name, dest=flag.name, type=partial(_read, flag), required=flag.is_required, metavar=shown, help=words, default=None
    )


def _read(flag: Flag, text: str) -> Any:
    try:
        return flag.read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _listed(name: str, kind: type[Operation[Any]]) -> str:
    return f"{name} {_fields_of(kind)}".rstrip() + f"\n    {(getdoc(kind) or '').partition(chr(10))[0]}"


def _fields_of(kind: type[Operation[Any]]) -> str:
    """The fields that an operation takes; those inside of them are in its help."""
    names = [flag.name if flag.is_required else f"[{flag.name}]" for flag in flags_of(kind).values() if len(flag.path) == 1]
    return " ".join(names)


def _operation(options: argparse.Namespace) -> Operation[Any]:
    """What was asked for.

    Raises:
        ValueError: a value is not allowed.
    """
    kind = OPERATIONS[options.name]
    given = [(flag, value) for name, flag in flags_of(kind).items() if (value := getattr(options, name)) is not None]
    try:
        operation: Operation[Any] = msgspec.convert(assemble(given), kind)
    except msgspec.ValidationError as error:
        raise ValueError(_as_of_option(error)) from None
    return operation


def _as_of_option(error: msgspec.ValidationError) -> str:
    """What is wrong with a value, by the option that it was given to."""
    what, _, field = str(error).partition(" - at `$.")
    return f"--{field.rstrip('`').replace('_', '-')}: {what}" if field else what


def _remote(options: argparse.Namespace) -> RemoteControl:
    """Where it is asked.

    Raises:
        ValueError: that was not said, or in two ways; or the token file holds none.
        ControlUnreachable: what was said leads to no control channel.
    """
    said = vars(options)
    if said.keys() & {"link", "url", "token"} == {"link"} and "device" not in said:
        where = _found_beside(said["link"])
    elif said.keys() & {"link", "url", "token"} == {"url", "token"}:
        where = Beside(said["url"], said["token"], said.get("device", 0))
    else:
        raise ValueError("say which device: --link PATH, or --url URL and --token FILE, and --device N where there are several")
    try:
        return RemoteControl(where.url, read_token(where.token_file), where.device)
    except OSError as error:
        raise ControlUnreachable(f"--token {where.token_file}: {error.strerror}") from None


def _found_beside(link: str) -> Beside:
    try:
        return read_beside(link)
    except (OSError, msgspec.DecodeError):
        hint = f"there is no control channel to it, as {path_beside(link)} is missing; start the device with --control"
        raise ControlUnreachable(f"--link {link}: {hint}") from None


def _complain(error: Exception, code: int) -> int:
    print(f"{PROGRAM}: {error}", file=sys.stderr)
    return code
