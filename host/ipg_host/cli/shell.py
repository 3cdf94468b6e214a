"""`ipg-host shell`: the same commands at a prompt, over one connection. Without a terminal, commands are read as lines."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ipg_host.cli.main import Parser, add_verbs, hold, present
from ipg_host.cli.verbs import VERBS
from ipg_host.client import Client
from ipg_host.errors import InputError, IpgError, LinkLost

_LEAVE = ("exit", "quit")


def shell(client: Client, options: argparse.Namespace) -> None:
    """Run commands until the input ends or says `exit`.

    Raises:
        LinkLost: the device is gone.
    """
    parser = Parser(prog="")
    parser.add_argument("--json", action="store_true", default=options.json)
    add_verbs(parser)
    for line in _prompted() if sys.stdin.isatty() else _piped():
        if line.strip() in _LEAVE:
            return
        _run_guarded(client, parser, line, options.role)


def _run_line(client: Client, parser: Parser, line: str, role: str | None) -> None:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise InputError(f"{line.strip()!r}: {error}") from error
    if words == ["help"]:
        print("commands: " + ", ".join(" ".join(verb.path) for verb in VERBS) + ", exit")
    elif words:
        _run_words(client, parser, words, role)


def _run_words(client: Client, parser: Parser, words: Sequence[str], role: str | None) -> None:
    options = parser.parse_args(words, argparse.Namespace(role=role))
    present(options.verb, hold(client, options.verb, options), as_json=options.json)


def _run_guarded(client: Client, parser: Parser, line: str, role: str | None) -> None:
    """Report what went wrong and go on; only a lost link ends the shell."""
    try:
        _run_line(client, parser, line, role)
    except LinkLost:
        raise
    except IpgError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    except SystemExit:
        return


def _piped() -> Iterator[str]:
    yield from sys.stdin


def _prompted() -> Iterator[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import NestedCompleter
    from prompt_toolkit.history import FileHistory

    words: dict[str, Any] = dict.fromkeys(("help", *_LEAVE))
    for verb in VERBS:
        below = words
        for word in verb.path:
            below[word] = below.get(word) or {}
            below = below[word]
    completer = NestedCompleter.from_nested_dict(words)
    prompt: PromptSession[str] = PromptSession(history=FileHistory(str(_history_file())), completer=completer)
    while True:
        try:
            yield prompt.prompt("ipg> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def _history_file() -> Path:
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    folder = state / "ipg-host"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "history"
