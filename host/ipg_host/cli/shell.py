"""`ipg-host shell`: the same commands at a prompt, over one connection. Without a terminal, commands are read as lines."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipg_host.cli.main import JSON_HELP, Parser, add_verbs, exit_code, hold, in_full, present
from ipg_host.cli.verbs import VERBS
from ipg_host.client import Client
from ipg_host.errors import InputError, IpgError

if TYPE_CHECKING:
    from prompt_toolkit.history import History

_LEAVE = ("exit", "quit")


def shell(client: Client, options: argparse.Namespace) -> int:
    """Run commands until the input ends or says `exit`; without a terminal, return the exit code of the first that failed.

    Raises:
        LinkError: the link is gone for good.
        KeyboardInterrupt: without a terminal.
    """
    prompting = sys.stdin.isatty()
    parser = Parser(prog="")
    parser.add_argument("--json", action="store_true", default=options.json, help=JSON_HELP)
    add_verbs(parser, required=True)
    first_failure = 0
    for line in _prompted() if prompting else sys.stdin:
        if line.strip() in _LEAVE:
            break
        try:
            code = _run_guarded(client, parser, line, options)
            first_failure = first_failure or code
        except KeyboardInterrupt:
            if not prompting:
                raise
            print("interrupted", file=sys.stderr)
    return 0 if prompting else first_failure


def _run_line(client: Client, parser: Parser, line: str, shell: argparse.Namespace) -> None:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise InputError(f"{line.strip()!r}: {error}") from error
    if words == ["help"]:
        print("commands: " + ", ".join(" ".join(verb.path) for verb in VERBS) + ", exit")
    elif words:
        _run_words(client, parser, words, shell)


def _run_words(client: Client, parser: Parser, words: Sequence[str], shell: argparse.Namespace) -> None:
    options = parser.parse_args(words, argparse.Namespace(**vars(shell)))
    present(options.verb, hold(client, options.verb, options), as_json=options.json)


def _run_guarded(client: Client, parser: Parser, line: str, shell: argparse.Namespace) -> int:
    """Report what went wrong and go on, with its exit code; only a lost link ends the shell."""
    try:
        _run_line(client, parser, line, shell)
    except IpgError as error:
        if client.lost:
            raise
        print(in_full(error), file=sys.stderr)
        return exit_code(error)
    except SystemExit:  # `--help`
        return 0
    return 0


def _prompted() -> Iterator[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import NestedCompleter

    words: dict[str, Any] = dict.fromkeys(("help", *_LEAVE))
    for verb in VERBS:
        below = words
        for word in verb.path:
            below[word] = below.get(word) or {}
            below = below[word]
    completer = NestedCompleter.from_nested_dict(words)
    prompt: PromptSession[str] = PromptSession(history=_history(), completer=completer)
    while True:
        try:
            yield prompt.prompt("ipg> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def _history() -> History:
    """What was typed before; where nothing can be stored, in memory only."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    folder = state / "ipg-host"
    file = folder / "history"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.open("ab").close()
    except OSError:
        return InMemoryHistory()
    return FileHistory(file)
