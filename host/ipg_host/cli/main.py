"""`ipg-host`'s command line: from arguments to a conversation, its result, and an exit code."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import re
import sys
from collections import deque
from collections.abc import Sequence
from typing import Any, NoReturn

from ipg_protocol import Message, Role

from ipg_host.cli import show
from ipg_host.cli.connection import connection
from ipg_host.cli.decode import add_decode
from ipg_host.cli.verb import Verb
from ipg_host.cli.verbs import VERBS
from ipg_host.client import DEFAULT_TIMEOUT_SECONDS, Client
from ipg_host.errors import InputError, IpgError, LinkError, NoAnswer, OutcomeUnknown, PortError

EXIT_CODES: tuple[tuple[type[IpgError], int], ...] = (
    (InputError, 2),
    (PortError, 3),
    (NoAnswer, 4),
    (OutcomeUnknown, 5),
    (LinkError, 4),
    (IpgError, 1),
)
"""The first class that fits decides."""

_OUTPUT_FAILED = 1
_INTERRUPTED = 130

_EVENTS_KEPT = 1024

JSON_HELP = "print the result as JSON"

_EPILOG = """\
exit codes:
  0    done
  1    refused by the device, a program that does not fit, a measurement that was stopped, or output that cannot be written
  2    wrong usage, or an input file that cannot be used
  3    the port cannot be opened, or is in use
  4    no answer, garbage instead of answers, or the device vanished
  5    a request was sent, and whether it was carried out is not known
  130  interrupted by Ctrl-C
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are exceptions, so that a shell survives them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # `-1mA` is a quantity to be told about, not an option.
        self._negative_number_matcher = re.compile(r"-\d.*")

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {f'{self.prog} --help'.strip()}")


class _PrintCompletion(argparse.Action):
    """Print a completion script; shtab is imported only then."""

    def __call__(self, parser: argparse.ArgumentParser, _namespace: Any, values: Any, _option: str | None = None) -> NoReturn:
        import shtab

        print(shtab.complete(parser, values))
        parser.exit()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.001 <= seconds <= 3600:
        raise InputError(f"--timeout must be a number of seconds from 0.001 to 3600, got {text!r}")
    return seconds


def add_verbs(parser: Parser, **options: Any) -> Any:
    """Add all commands, each under its path, and return what holds them; `options` go to the outer group."""
    outer = parser.add_subparsers(metavar="COMMAND", **options)
    groups: dict[str, Any] = {}
    for verb in VERBS:
        *above, name = verb.path
        if above:
            if above[0] not in groups:
                own = any(other.path == (above[0],) for other in VERBS)
                group = outer.choices[above[0]] if own else outer.add_parser(above[0], help=f"{above[0]} commands")
                groups[above[0]] = group.add_subparsers(metavar="COMMAND", required=not own)
            added = groups[above[0]].add_parser(name, help=verb.help, description=verb.help)
        else:
            added = outer.add_parser(name, help=verb.help, description=verb.help)
        added.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=JSON_HELP)
        for add_argument in verb.arguments:
            add_argument(added)
        added.set_defaults(verb=verb)
    return outer


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog="ipg-host",
        description="Talk to an implantable pulse generator over a serial port.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", default=os.environ.get("IPG_PORT"), help="a device path or pyserial URL (default: $IPG_PORT)")
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    parser.add_argument("--role", type=str.upper, choices=list(Role.__members__), help="default: the lowest that may")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=DEFAULT_TIMEOUT_SECONDS,
        metavar="S",
        help=f"give up on a request after about S seconds, on asking what became of a change after four times that "
        f"(default {DEFAULT_TIMEOUT_SECONDS:g})",
    )
    parser.add_argument("--verbose", action="store_true", help="log every frame, decoded, on stderr")
    parser.add_argument(
        "--print-completion", action=_PrintCompletion, choices=("bash", "zsh"), help="print a completion script"
    )
    outer = add_verbs(parser, required=True)
    parser.set_defaults(without_port=None)
    add_decode(outer)
    outer.add_parser("shell", help="an interactive prompt", description="an interactive prompt").set_defaults(verb=None)
    return parser


def hold(client: Client, verb: Verb, options: argparse.Namespace) -> Any:
    """Hold a command's conversation, in a session if it needs one."""
    role = Role[options.role] if options.role else verb.role
    if role is not None and (client.session is None or client.session.role < role):
        client.open_session(role)
    return client.run(verb.converse(options))


def present(verb: Verb, result: Any, *, as_json: bool) -> None:
    """Print a command's result, if it has one."""
    if verb.show is None:
        return
    if as_json:
        print(show.as_json(result, verb.rows))
    else:
        verb.show(result)


def _run(options: argparse.Namespace) -> int:
    if options.without_port is not None:
        options.without_port(options)
        return 0
    if not options.port:
        raise InputError("no port: give --port PORT or set IPG_PORT")
    heard: deque[Message] = deque(maxlen=_EVENTS_KEPT)
    options.heard = heard
    with connection(options.port, options.timeout, heard.append) as client:
        if options.verb is None:
            from ipg_host.cli.shell import shell

            return shell(client, options)
        result = hold(client, options.verb, options)
    present(options.verb, result, as_json=options.json)
    return 0


def in_full(error: IpgError) -> str:
    """An error after its notes, such as the other device that it happened on."""
    return ": ".join((*getattr(error, "__notes__", ()), str(error)))


def exit_code(error: IpgError) -> int:
    """The documented exit code for an error."""
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        options = build_parser().parse_args(arguments)
        if options.verbose:
            logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format="%(relativeCreated)9.3f ms %(message)s")
        code = _run(options)
        _flush_output()
    except IpgError as error:
        print(f"ipg-host: {in_full(error)}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        print("ipg-host: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:  # whoever read the output has seen enough
        _drop_output()
        return 0
    except OSError as error:
        _drop_output()
        print(f"ipg-host: the output cannot be written: {error.strerror}", file=sys.stderr)
        return _OUTPUT_FAILED
    return code


def _flush_output() -> None:
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    sys.stdout.flush()


def _drop_output() -> None:
    """What is left unwritten goes nowhere, so that the interpreter does not try again at its end."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
