"""Every command a manual names exists, takes what it is given, and ends as the README says."""

from __future__ import annotations

import copy
import getpass
import re
import shlex

import click
import pytest
from click.testing import CliRunner

from stagewarden.cli import main
from stagewarden.cli.examples import EXITS
from stagewarden.cli.init import TEMPLATES
from stagewarden.identity.keys import key_id
from stagewarden.identity.passwords import parse
from stagewarden.identity.tokens import is_token
from tests.unit.shipping.manuals import MANUALS, OPERATORS, README, ROOT, Command, codes, commands, lines, table

COMMANDS = commands()


def problems(words: tuple[str, ...]) -> str | None:
    """Why the command line would not be understood; None where it would. Nothing is run, no file is looked for."""
    command, context = main, click.Context(main, info_name="stagewarden")
    rest = [*words]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        found = command.get_command(context, name)
        if found is None:
            return f"no command {name}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    try:
        given, left, _ = command.make_parser(context).parse_args(args=[*rest])
        if isinstance(command, click.Group) or not rest:
            return None  # a group or a bare command is spoken of, not typed
        if left:
            return f"{left} is too much"
        for parameter in map(copy.copy, command.params):
            if isinstance(parameter.type, click.Path):
                parameter.type = click.STRING
            if not parameter.is_eager:
                parameter.handle_parse_result(context, given, [])
    except click.UsageError as failure:
        return failure.format_message()
    return None


def _named(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    """A command and those below it, each by all of its words."""
    if not isinstance(command, click.Group):
        return [(name, command)]
    inner = [(one, command.get_command(click.Context(command), one)) for one in command.list_commands(click.Context(command))]
    return [(name, command), *(each for one, found in inner if found is not None for each in _named(found, f"{name} {one}"))]


@pytest.mark.parametrize("command", dict.fromkeys(COMMANDS), ids=str)
def test_a_manuals_command_is_understood(command: Command) -> None:
    """Commands, options, choices and required arguments are as written."""
    assert problems(command.words) is None


def test_the_check_finds_what_is_wrong() -> None:
    """The check above is not blind."""
    wrong = (("serv",), ("serve", "--confg", "x"), ("holds", "reject", "h", "--reason", "tired"), ("holds", "approve", "--note", "x"))
    assert all(problems(words) for words in wrong)
    assert len(COMMANDS) > 40
    assert {command.manual for command in COMMANDS} >= {"README.md", "deploy/README.md", "tests/README.md", "rego/README.md"}


@pytest.mark.parametrize("command", sorted({command.words[:count] for command in COMMANDS for count in (1, 2) if len(command.words) >= count}))
def test_help_of_every_command_named(command: tuple[str, ...]) -> None:
    """`--help` answers, where the words are commands."""
    group = main.get_command(click.Context(main), command[0])
    if len(command) == 2 and not (isinstance(group, click.Group) and command[1] in group.commands):
        return
    assert CliRunner().invoke(main, [*command, "--help"]).exit_code == 0


def test_the_readme_lists_every_command() -> None:
    """Top-level commands of the README's table and of the program, and the groups' own."""
    rows = table(README, "command", "does")
    listed = {name.removeprefix("stagewarden ") for first, _ in rows for name in codes(first)}
    assert listed == set(main.list_commands(click.Context(main)))
    for first, does in rows:
        group = main.get_command(click.Context(main), codes(first)[0].removeprefix("stagewarden "))
        if isinstance(group, click.Group):
            assert {name for name in codes(does) if not name.startswith("-")} == set(group.commands), first


def test_options_in_sentences_are_options() -> None:
    """An option spoken of alone, such as `--once`, belongs to a command of ours."""
    known = {option for _, command in _named(main, "stagewarden") for parameter in command.params for option in parameter.opts}
    assert {code for text in (README, OPERATORS) for code in codes(text) if re.fullmatch(r"--[a-z-]+", code)} <= known


LEAVES = {name: command for name, command in _named(main, "stagewarden") if not isinstance(command, click.Group)}


@pytest.mark.parametrize("name", LEAVES)
def test_help_ends_with_lines_that_work(name: str) -> None:
    """Each command shows how it is typed, itself first, in lines it understands; and how it exits."""
    shown = CliRunner().invoke(main, [*name.split()[1:], "--help"], terminal_width=100).output
    typed = shown.partition("Examples:\n")[2].partition("\n\n")[0].replace("\\\n", " ")
    lines = [line.strip() for line in typed.splitlines()]
    assert lines
    assert lines[0].startswith(name)
    for line in lines:
        assert problems(tuple(shlex.split(line)[1:])) is None, line
    assert EXITS in " ".join(shown.split())


@pytest.mark.parametrize(("name", "command"), _named(main, "stagewarden")[1:], ids=str)
def test_a_summary_fits_its_line(name: str, command: click.Command) -> None:
    """What a list of commands says of each is a whole sentence, in 80 columns, of fewer than 64 letters."""
    said = command.get_short_help_str(limit=1000)
    assert said.endswith(".")
    assert len(said) < 64, name


def test_one_option_says_one_thing() -> None:
    """Where the sidecar is, whose token and how much of a list are asked for the same way everywhere; every option says what it is."""
    forms: dict[str, set[str]] = {}
    for _, command in _named(main, "stagewarden"):
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, (command.name, option.name)
                forms.setdefault(option.opts[0], set()).add("flag" if option.is_flag else option.metavar or option.type.name)
    shared = ("--config", "--url", "--token", "--json", "--limit", "--all", "--directory")
    assert {name: len(forms[name]) for name in shared} == dict.fromkeys(shared, 1)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--version"], 0),
        (["check", "--config", "{broken}"], 1),
        (["nonsense"], 2),
        (["serve"], 2),
        (["holds", "list", "--url", "http://127.0.0.1:1"], 3),
    ],
    ids=["fine", "finding", "usage", "usage-lacking", "unreachable"],
)
def test_exit_codes(words: list[str], code: int, tmp_path) -> None:
    """0 fine, 1 a finding or a refusal, 2 usage, 3 not reachable: as the README says."""
    assert "Exit codes: 0 fine, 1 a finding or a refusal, 2 usage, 3 not reachable." in README
    broken = tmp_path / "stagewarden.yaml"
    broken.write_text("version: 2\n")
    result = CliRunner(env={"STAGEWARDEN_TOKEN": "swp_x"}).invoke(main, [word.format(broken=broken) for word in words])
    assert result.exit_code == code


def test_the_two_commands() -> None:
    """The README's two commands, and CI runs the second one from there."""
    typed = README.split("## Beside")[0]
    assert "\npip install . && stagewarden demo\n" in typed
    assert "\npip install '.[test]' && pytest\n" in typed
    assert "README.md)" in (ROOT / ".ci" / "run").read_text()


def test_templates_are_the_ones_there_are() -> None:
    """`init` knows the templates the manuals name, and no other."""
    assert all(f"`{name}`" in README and (ROOT / "src" / "stagewarden" / "templates" / name).is_dir() for name in TEMPLATES)


def test_the_lines_that_make_credentials(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each `python -c` of the operators' manual prints what it says: a key and its hash, a token and its hash, a password's hash."""
    monkeypatch.setattr(getpass, "getpass", lambda: "correct horse battery")
    made = [found[1] for line in lines(OPERATORS) if (found := re.fullmatch(r"python -c '(.+)'", line))]
    assert len(made) == 3
    for line in made:
        exec(line, {})  # the manual's own text
    key, key_hash, token, token_hash, password = capsys.readouterr().out.split("\n")[:5]
    assert key_id(key) == "drafter"
    assert is_token(token)
    assert len(key_hash) == len(token_hash) == 64
    assert parse(password) is not None


def test_modules_that_are_run_exist() -> None:
    """`python -m NAME` of the manuals and templates."""
    texts = [*MANUALS.values(), *(path.read_text() for path in (ROOT / "src" / "stagewarden" / "templates").rglob("*.yaml"))]
    names = {name for text in texts for name in re.findall(r"python -m ([\w.]+)", text)}
    assert names >= {"tests.bench", "stagewarden.cli.newsroom"}
    for name in names - {"stagewarden"}:
        path = ROOT / ("src" if name.startswith("stagewarden") else "") / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name
