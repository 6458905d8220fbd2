"""The parser of every command: wrong usage ends as one line, where jsonargparse prints pages about types."""

import re
import sys
from typing import Any, NoReturn

import jsonargparse

_KEY = re.compile(r'Parser key "([^"]+)"')
_EXPECTED = re.compile(r"Expected an? (?!Union|List|list\b)(.+?)(?:\. Got value: .*)?$", re.MULTILINE)
_VALUE = re.compile(r"(?:Got|Given) value: (.*)")
_NESTED = re.compile(r"NestedArg\(key='([^']+)', val=(.*)\)")
_WORDS = {"NoneType": "null", "str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}


class OneLine:
    """Mixed into a parser: `error: WHAT; PROG --help lists what it takes`, exit code 2."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the line and leave; where the parser is asked to raise, it raises as before."""
        if not self.exit_on_error:  # type: ignore[attr-defined]
            super().error(message, ex)  # type: ignore[misc]
        if type(ex) is KeyError and (raised := ex.__traceback__) is not None:
            # Of an unknown option in the config of a sub-subcommand jsonargparse says no more than the subcommand's name.
            while raised.tb_next is not None:
                raised = raised.tb_next
            message = f"there is no option {raised.tb_frame.f_locals.get('key', message)}"
        parser: Any = getattr(ex, "subcommand_parser", None) or self
        prog = parser.prog.replace(" [options]", "")
        print(f"error: {in_one_line(message)}; `{prog} --help` lists what it takes", file=sys.stderr)
        sys.exit(2)


class ArgumentParser(OneLine, jsonargparse.ArgumentParser):
    """jsonargparse's parser with errors of one line."""


def in_one_line(message: str) -> str:
    """A message of jsonargparse: option, value and what was expected where it says these, else without its line breaks."""
    key, value = _KEY.findall(message), _VALUE.findall(message)
    if key and value:
        name, given = key[-1], value[0]
        if (nested := _NESTED.search(message)) is not None:
            name, given = nested[1], nested[2].strip("'")
        reason = [line.strip() for line in message.splitlines() if "No module named" in line or "are required" in line]
        expected = list(dict.fromkeys(_plain(kind) for kind in _EXPECTED.findall(message)))
        if "list" in expected:
            return f"--{name} {given}: write a list, such as --{name} {_as_list(given)}"
        told = reason[0] if reason else f"expected {' or '.join(expected)}" if expected else ""
        return f"--{name} {given}: {told}" if told else f"--{name} {given} does not fit"
    return " ".join(message.split())


def _as_list(given: str) -> str:
    """What was given with commas or alone, as a shell takes a list."""
    values = [value.strip().strip("'") for value in given.split(",")]
    return '"' + str([int(value) if value.isdecimal() else value for value in values if value]) + '"'


def _plain(kind: str) -> str:
    found = re.fullmatch(r"<class '(?:.*\.)?(\w+)'>\.?", kind.strip())
    if found is not None:
        return _WORDS.get(found[1], found[1])
    return kind.strip().removeprefix("typing.").replace("Literal[", "one of [").rstrip(".")
