import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import aecodec
from aecodec import errors
from aecodec.cli import COMMANDS, aec

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its two first lines."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in table[2:]]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def every_error(base=errors.AecError):
    for error in base.__subclasses__():
        yield error
        yield from every_error(error)


def test_exit_codes_are_those_of_the_errors():
    documented = {(code, name.strip("`"), meaning) for code, name, meaning in rows("Exit codes") if name}
    assert documented == {
        (str(error.exit_code), error.__name__, error.__doc__.splitlines()[0])
        for error in every_error()
        if error.__module__ == errors.__name__ and error is not errors.FormatError
    }
    numbers = [int(code.split(",")[0]) for code, _, _ in rows("Exit codes")]
    assert numbers == sorted(numbers)


def test_every_command_is_documented():
    documented = [re.match(r"`aec (\w+)", cells[0]).group(1) for cells in rows("Commands")]
    assert sorted(documented) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_ends_with_an_example_and_names_no_unknown_option(command):
    text = CliRunner().invoke(aec, [command, "--help"]).stdout
    example = " ".join(text.split("\n\n")[-1].split())
    assert example.startswith(f"Example: aec {command}")
    usage = next(cells[0] for cells in rows("Commands") if cells[0].startswith(f"`aec {command}"))
    for option in re.findall(r"--?\w+", usage):
        assert option in text
    for option in re.findall(r"(?<=\s)--?[a-z]+\b", example):
        assert option in text


def test_the_first_two_blocks_install_compress_and_test():
    first, second = blocks("sh")[:2]
    assert re.findall(r"^```(.*)", README, re.MULTILINE)[:4] == ["sh", "", "sh", ""]  # .ci/run counts them
    assert "\naec compress examples/photo.png -o photo.aec\naec decompress photo.aec\n" in first
    assert second.splitlines()[-1] == "pytest"


def test_files_that_are_linked_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_python_example_runs(tmp_path, monkeypatch, tiny_model):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aecodec.weights.DEFAULT_MODEL", "tiny")
    monkeypatch.setenv("AECODEC_MODELS", str(tiny_model.parent))
    (tmp_path / "photo.png").write_bytes((ROOT / "examples" / "photo.png").read_bytes())
    names = {}
    exec(blocks("python")[0], names)
    assert names["image"].size == (531, 379) and names["pixels"].shape == (379, 531, 3)
    assert names["facts"]["model"] == "tiny"


def test_the_version_is_in_the_changelog():
    assert f"\n## {aecodec.__version__} " in (ROOT / "CHANGELOG.md").read_text()
