"""The search for recipes with Optuna."""

import dataclasses
import sqlite3
import sys

import numpy as np
import pytest
from classic_samples import CPU, TINY, pictures, recipe
from click.testing import CliRunner
from PIL import Image

from aecodec.cli import aec
from aecodec.errors import BadArgument, TrainingDiverged
from aecodec.training.classic import tune
from aecodec.training.classic.recipe import read_recipe
from aecodec.training.classic.run import Epoch

RECIPE = recipe("dense", epochs=2)


@pytest.fixture(scope="module")
def sets():
    """Cut-outs to train on and to test with."""
    found = pictures(TINY["dense"], 80)
    return found.where(slice(60)), found.where(slice(60, None))


def search(sets, out, **changes):
    return tune.Search(dataclasses.replace(RECIPE, **changes), *sets, 24.0, out, CPU)


def outcomes(out):
    """Number and state of the trials in a study's file."""
    with sqlite3.connect(out / "study.db") as file:
        return file.execute("select number, state from trials order by number").fetchall()


def test_a_study_finds_a_recipe_draws_plots_and_goes_on_where_it_was(sets, tmp_path):
    said = []
    search(sets, tmp_path).run(2, said.append)
    assert outcomes(tmp_path) == [(0, "COMPLETE"), (1, "COMPLETE")]
    best = search(sets, tmp_path).run(3, said.append)
    assert [number for number, _ in outcomes(tmp_path)] == [0, 1, 2]  # one more, not three
    assert [line.split(":")[0] for line in said] == [
        "trial 0 of 2",
        "trial 1 of 2",
        "best",
        "trial 2 of 3",
        "best",
    ]
    found = read_recipe(best)
    assert found.architecture.kind == "dense" and 3 <= found.architecture.latents <= 24
    assert RECIPE.rate / 10 <= found.rate <= RECIPE.rate * 10
    for name in tune.PLOTS:
        with Image.open(tmp_path / f"tune-{name}.png") as image:
            assert min(image.size) > 300 and len(image.convert("RGB").getcolors(2**24)) > 20
    assert not list(tmp_path.glob("trial-*/checkpoint.pt"))
    assert len(list(tmp_path.glob("trial-*/*.safetensors"))) >= 2


def test_the_value_of_a_trial_is_the_error_at_the_bytes_that_were_asked_for(sets, tmp_path, monkeypatch):
    asked = []

    def mse_at(points, size):
        asked.append((len(points), size))
        return 0.25

    monkeypatch.setattr(tune, "mse_at", mse_at)
    said = []
    search(sets, tmp_path).run(1, said.append)
    assert asked == [(9, 24.0)] and "MSE 0.250000" in said[-1]


def test_the_study_of_another_recipe_is_refused(sets, tmp_path):
    search(sets, tmp_path)._study()
    with pytest.raises(BadArgument, match="another recipe"):
        search(sets, tmp_path, rate=1e-3)._study()
    with pytest.raises(BadArgument, match="another recipe"):
        search(sets, tmp_path, name="other")._study()


def test_bad_trials_are_cut_short_and_those_that_diverge_do_not_end_the_study(sets, tmp_path, monkeypatch):
    """Five good trials; then one whose error stays high, and one that diverges."""
    ran = []

    def train(recipe, pictures, test, out, budget, device, *, on_epoch):
        number = len(ran)
        ran.append(0)
        if number == 6:
            raise TrainingDiverged("the loss is not finite")
        for epoch in range(1, 5):
            ran[-1] = epoch
            error = 0.5 if number == 5 else 0.1 / epoch
            on_epoch(Epoch(epoch, error, error, error, 0.0))
        return out

    monkeypatch.setattr(tune, "train", train)
    monkeypatch.setattr(tune, "Aec", lambda weights, device: None)
    monkeypatch.setattr(tune, "curve", lambda codec, test: [])
    monkeypatch.setattr(tune, "mse_at", lambda points, size: 0.01)
    monkeypatch.setattr(tune, "draw", lambda study, out: None)
    search(sets, tmp_path).run(7, lambda line: None)
    assert [state for _, state in outcomes(tmp_path)] == ["COMPLETE"] * 5 + ["PRUNED"] * 2
    assert ran[:5] == [4] * 5 and ran[5] < 4


def test_a_recipe_is_written_as_it_is_read(tmp_path):
    made = recipe("baseline32", progressive=(16, 32), encoder='a "b".safetensors', freeze=0.5, loss="mae")
    (tmp_path / "recipe.toml").write_text(tune.toml(made))
    assert read_recipe(tmp_path / "recipe.toml") == made


@pytest.mark.parametrize("kind", sorted(TINY))
def test_every_choice_can_be_built(kind):
    class Extreme:
        """A trial that takes the first or the last of everything."""

        def __init__(self, last):
            self.last = last

        def suggest_categorical(self, name, choices):
            return choices[-1 if self.last else 0]

        def suggest_float(self, name, low, high, log):
            return high if self.last else low

        suggest_int = suggest_float

    small, large = (tune.suggest(Extreme(last), recipe(kind)) for last in (False, True))
    assert small.architecture.latents < large.architecture.latents == TINY[kind].latents
    assert small.architecture.width <= TINY[kind].width < large.architecture.width


# The command


@pytest.fixture
def folder(sets, tmp_path):
    (tmp_path / "pictures").mkdir()
    for number, pixels in enumerate(np.concatenate([part.pixels for part in sets])):
        Image.fromarray(pixels[:, :, 0]).save(tmp_path / "pictures" / f"{number:02}.png")
    (tmp_path / "recipe.toml").write_text(tune.toml(RECIPE))
    return tmp_path


def command(folder, *options):
    arguments = ["tune", str(folder / "recipe.toml"), "--data", str(folder / "pictures"), *options]
    return CliRunner().invoke(aec, [*arguments, "--out", str(folder / "study")])


def test_aec_tune_ends_with_the_path_of_a_recipe_to_train(folder):
    result = command(folder, "--trials", "1")
    assert result.exit_code == 0, result.stderr
    assert read_recipe(folder / "study" / "best.toml").epochs == 2
    assert result.stdout.split() == [str(folder / "study" / "best.toml")]
    assert "trial 0 of 1: latents a position" in result.stderr


def test_without_optuna_a_sentence_says_what_to_install(folder, monkeypatch):
    monkeypatch.delitem(sys.modules, "aecodec.training.classic.tune")
    monkeypatch.setitem(sys.modules, "optuna", None)
    result = command(folder)
    assert (
        result.exit_code == 8 and "optuna is not installed: pip install 'aecodec[classic]'" in result.stderr
    )
    assert not (folder / "study").exists()


def test_a_size_that_no_trial_can_reach_is_a_sentence(folder):
    result = command(folder, "--trials", "1", "--bytes", "0.01")
    assert result.exit_code == 8 and "0.01 bytes" in result.stderr
