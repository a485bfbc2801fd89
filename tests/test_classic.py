"""The classic autoencoders and how they are trained: networks, recipes, techniques, the loop, the command."""

import csv
import dataclasses
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision_operators
from classic_samples import CPU, TINY, pictures, recipe, trained
from PIL import Image
from safetensors.torch import save_file
from test_training import interrupt

from aecodec.errors import BadArgument, BadData, BadRecipe, BadWeights, InputMissing, TrainingDiverged
from aecodec.networks.classic.autoencoder import KINDS, RESIZABLE, ClassicArchitecture, build, weights_of
from aecodec.training.classic.classifier import Classifier
from aecodec.training.classic.data import Pictures
from aecodec.training.classic.losses import FeatureLoss, make_loss
from aecodec.training.classic.optim import factor
from aecodec.training.classic.rates import find_rate, suggested
from aecodec.training.classic.recipe import read_recipe
from aecodec.training.classic.run import train
from aecodec.training.classic.task import ClassicTask, take_encoder
from aecodec.training.trainer import Budget, Trainer
from aecodec.weights import open_weights

torchvision_operators.declare()
PARENT = Path(__file__).parent.parent / "recipes" / "classic"
RECIPES = sorted(PARENT.glob("*.toml"))


def count(module):
    return sum(p.numel() for p in module.parameters())


# Networks


def test_stl10_has_the_parameters_of_the_original():
    network = build(ClassicArchitecture("stl10"))
    assert (count(network.encoder), count(network.decoder)) == (13_695_608, 13_750_323)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"dropout": 0.3, "normalize": True}])
def test_every_kind_turns_pictures_into_latents_and_back(kind, options):
    a = dataclasses.replace(TINY[kind], **options)
    network = build(a).eval()
    x = torch.rand(3, a.channels, a.side, a.side)
    with torch.no_grad():
        y = network.encode(x)
        x_hat = network.decode(y)
    assert y.shape == (3, a.latents) and y.dtype == torch.float32
    assert x_hat.shape == x.shape and float(x_hat.min()) >= 0 and float(x_hat.max()) <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_weights_do_not_depend_on_dropout(kind):
    names = [list(weights_of(build(dataclasses.replace(TINY[kind], dropout=d)))) for d in (0.0, 0.2)]
    assert names[0] == names[1]


@pytest.mark.parametrize("kind", RESIZABLE)
def test_the_resizable_kinds_take_other_sides(kind):
    a = TINY[kind]
    small = torch.rand(2, a.channels, 16, 16)
    assert build(a)(small).shape == small.shape


def test_dropout_is_there_in_training_alone():
    network = build(dataclasses.replace(TINY["stl10"], dropout=0.5))
    x = torch.rand(2, 3, 16, 16)
    network.train()
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "vgg"}, "kind 'vgg' is not known: give dense"),
        ({"kind": "dense", "channels": 2}, "channels = 2"),
        ({"kind": "stl10", "side": 90}, "multiple of 8"),
        ({"kind": "dense", "side": 127}, "multiple of 8"),
        ({"kind": "baseline32", "latents": 1001}, "multiple of 4"),
        ({"kind": "baseline32", "width": 9}, "width = 9"),
        ({"kind": "baseline32", "width": 2.5}, "whole number"),
        ({"kind": "dense", "latents": -1}, "whole number"),
        ({"kind": "dense", "dropout": 1.0}, "dropout"),
        ({"kind": "dense", "normalize": 1}, "true or false"),
    ],
)
def test_an_architecture_that_cannot_be_built_is_refused(values, said):
    with pytest.raises(BadArgument, match=said):
        ClassicArchitecture(**values)


# Recipes


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_read_and_carries_its_own_name(path):
    made = read_recipe(path)
    assert made.name == path.stem and made.epochs >= 15


def test_there_is_a_recipe_for_every_kind():
    assert {read_recipe(path).architecture.kind for path in RECIPES} == set(KINDS)


KIND = "[architecture]\nkind = 'baseline32'"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"name = 'x'\nlearning = 1\n{KIND}", "unknown key 'learning'"),
        (f"name = 'x'\n{KIND}\ndepth = 3", "unknown key 'depth'"),
        ("name = 'x'", "kind is missing"),
        (KIND, "name"),
        ("name = 'x'\n[architecture]\nkind = 'vgg'", "'vgg'"),
        (f"name = 'x'\nloss = 'ssim'\n{KIND}", "loss = 'ssim': give mse, mae, feature"),
        (f"name = 'x'\nloss = 'feature'\n{KIND}", "needs a classifier"),
        (f"name = 'x'\noptimizer = 'muon'\n{KIND}", "optimizer"),
        (f"name = 'x'\nschedule = 'linear'\n{KIND}", "schedule"),
        (f"name = 'x'\nrate = 'high'\n{KIND}", "rate = 'high': give a number"),
        (f"name = 'x'\nepochs = 1.5\n{KIND}", "whole number"),
        (f"name = 'x'\nepochs = true\n{KIND}", "whole number"),
        (f"name = 'x'\nclip = 0\n{KIND}", "clip"),
        (f"name = 'x'\nfreeze = 0.5\n{KIND}", "freeze"),
        (f"name = 'x'\nencoder = 3\n{KIND}", "path of a file"),
        (f"name = 'x'\nprogressive = [16]\n{KIND}", "the last of them 32"),
        (f"name = 'x'\nprogressive = [20, 32]\n{KIND}", "multiples of 16"),
        (f"name = 'x'\nprogressive = 32\n{KIND}", "iterable"),
        ("name = 'x'\nprogressive = [14, 28]\n[architecture]\nkind = 'dense'", "takes one side alone"),
        ("name = 'x'\narchitecture = 'dense'", "architecture"),
    ],
)
def test_a_wrong_recipe_is_refused_and_the_fault_named(tmp_path, text, said):
    path = tmp_path / "recipe.toml"
    path.write_text(f"family = 'classic'\n{text}")
    with pytest.raises(BadRecipe, match=f"recipe.toml.*{said}"):
        read_recipe(path)


def test_recipes_of_other_families_and_missing_ones_are_told_apart(tmp_path):
    with pytest.raises(BadRecipe, match="no recipe of a classic"):
        read_recipe(PARENT.parent / "photo.toml")
    with pytest.raises(InputMissing):
        read_recipe(tmp_path / "none.toml")


# Losses, schedules, optimizers


def test_losses_are_what_they_are_called():
    x_hat, x = torch.full((1, 3, 8, 8), 0.5), torch.full((1, 3, 8, 8), 0.25)
    assert float(make_loss(recipe("baseline32"), CPU)(x_hat, x)) == pytest.approx(1 / 16)
    assert float(make_loss(recipe("baseline32", loss="mae"), CPU)(x_hat, x)) == pytest.approx(1 / 4)


def test_the_feature_loss_adds_early_features_with_falling_weights(tmp_path):
    Classifier(3, 10, 8).save(tmp_path / "classifier.safetensors")
    made = recipe("baseline32", loss="feature", classifier=str(tmp_path / "classifier.safetensors"))
    loss, x = make_loss(made, CPU), torch.rand(2, 3, 32, 32)
    assert float(loss(x, x)) == 0
    one = torch.ones(1, 1, 2, 2)
    layers = FeatureLoss(lambda x: [0 * one + x.mean(), one])  # the first sees the mean, the second nothing
    pixels = float(FeatureLoss(lambda x: [])(2 * one, one))
    assert float(layers(2 * one, one)) == pytest.approx(pixels * 1.5)
    x_hat = x.clone().requires_grad_()
    loss(x_hat * 0.9, x).backward()
    assert x_hat.grad is not None and float(x_hat.grad.abs().max()) > 0


def test_a_file_that_is_no_classifier_is_refused_by_name(tmp_path):
    (tmp_path / "none.safetensors").write_bytes(b"no")
    with pytest.raises(BadData, match=r"none\.safetensors"):
        make_loss(recipe("baseline32", loss="feature", classifier=str(tmp_path / "none.safetensors")), CPU)


def test_schedules_fall_as_they_are_called():
    assert [factor("flat", p) for p in (0, 0.5, 1)] == [1, 1, 1]
    assert [factor("step", p) for p in (0, 0.49, 0.5, 0.75)] == pytest.approx([1, 1, 0.1, 0.01])
    cosine = [factor("cosine", p) for p in (0, 0.5, 1)]
    assert cosine[0] == 1 and cosine[1] == pytest.approx(0.505) and cosine[2] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("optimizer", "rate"), [("adamw", 3e-3), ("adam", 3e-3), ("lion", 1e-3), ("sgd", 0.3)]
)
def test_every_optimizer_learns(tmp_path, optimizer, rate):
    losses = []
    made = recipe("baseline32", optimizer=optimizer, rate=rate)
    run(made, tmp_path, 24, on_epoch=lambda epoch: losses.append(epoch.train_loss))
    assert losses[-1] < 0.6 * losses[0]


def test_without_lion_another_optimizer_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "lion_pytorch", None)
    with pytest.raises(BadArgument, match="lion-pytorch"):
        ClassicTask(recipe("dense", optimizer="lion"), pictures(TINY["dense"]), CPU)


def test_without_torchvision_resnet_says_what_to_install(monkeypatch):
    for module in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(BadArgument, match="torchvision.*in one command from one index"):
        build(TINY["resnet32"])


# The loop


def run(made, out, steps, test=None, **options):
    return train(made, pictures(made.architecture), test, out, Budget(steps=steps), CPU, **options)


def test_epochs_visit_every_picture_in_an_order_of_their_own():
    a = TINY["dense"]
    numbered = np.broadcast_to(np.arange(48, dtype=np.uint8)[:, None, None, None], (48, 16, 16, 1)).copy()
    task = ClassicTask(recipe("dense"), Pictures(numbered, None, "numbers"), CPU)
    orders = [
        [int(v) for step in range(3) for v in task.batch(3 * epoch + step, 0.0)[:, 0, 0, 0] * 255 + 0.5]
        for epoch in range(2)
    ]
    assert a.side == 16 and orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(48))


def test_a_killed_run_resumes_bit_for_bit(tmp_path, monkeypatch):
    """Dropout draws random numbers; the epochs file tells each epoch once."""
    made = recipe("stl10", architecture=dataclasses.replace(TINY["stl10"], dropout=0.2))
    whole = run(made, tmp_path / "whole", 20)
    monkeypatch.setattr("aecodec.training.trainer.CHECKPOINT_EVERY", 0.0)
    update = Trainer._update

    def stop(self, *arguments):
        return update(self, *arguments) if self.step < 13 else interrupt()

    monkeypatch.setattr(Trainer, "_update", stop)
    with pytest.raises(KeyboardInterrupt):
        run(made, tmp_path / "killed", 20)
    monkeypatch.setattr(Trainer, "_update", update)
    resumed = run(made, tmp_path / "killed", 20, resume=True)
    assert whole.name == resumed.name
    assert open_weights(whole).synthesis_id == open_weights(resumed).synthesis_id
    logs = [list(csv.reader((tmp_path / name / "epochs.csv").open())) for name in ("whole", "killed")]
    assert [row[:2] for row in logs[0]] == [row[:2] for row in logs[1]]


def test_epochs_are_told_and_written_and_the_recipe_says_how_many(tmp_path):
    made = recipe("dense", epochs=3)
    told = []
    some = pictures(made.architecture)
    path = train(made, some, some, tmp_path, None, CPU, on_epoch=told.append)
    with (tmp_path / "epochs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [epoch.epoch for epoch in told] == [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert (
        told[2].test_mse == pytest.approx(float(rows[2]["test_mse"]))
        and told[2].test_loss < told[0].test_loss
    )
    card = open_weights(path).card
    assert card["recipe"]["epochs"] == 3 and card["data"] == "cut-outs, 128 pictures" and card["steps"] == 24


def test_what_the_epoch_raises_ends_the_run(tmp_path):
    class Enough(Exception): ...

    def enough(epoch):
        raise Enough

    with pytest.raises(Enough):
        run(recipe("dense"), tmp_path, 40, on_epoch=enough)


def test_progressive_resizing_begins_with_small_pictures():
    task = ClassicTask(recipe("baseline32", progressive=(16, 32)), pictures(TINY["baseline32"]), CPU)
    assert [task.batch(0, p).shape[-1] for p in (0.0, 0.49, 0.5, 0.99)] == [16, 16, 32, 32]


def test_progressive_resizing_trains_to_the_end(tmp_path):
    losses = []
    run(
        recipe("resattention", progressive=(8, 24)),
        tmp_path,
        24,
        on_epoch=lambda e: losses.append(e.train_loss),
    )
    assert losses[-1] < losses[0]


def test_training_goes_on_from_a_weights_file(tmp_path):
    first = trained("dense", tmp_path / "first")
    losses = []
    run(recipe("dense"), tmp_path / "second", 8, init=first, on_epoch=lambda e: losses.append(e.train_loss))
    fresh = []
    run(recipe("dense"), tmp_path / "third", 8, on_epoch=lambda e: fresh.append(e.train_loss))
    assert losses[0] < fresh[0] / 2
    with pytest.raises(BadWeights, match="another architecture"):
        run(recipe("stl10"), tmp_path / "fourth", 8, init=first)


@pytest.mark.parametrize("prefix", ["encoder.", ""])
def test_an_encoder_is_taken_from_any_file_with_its_tensors(tmp_path, prefix):
    source, target = build(TINY["baseline32"]), build(dataclasses.replace(TINY["baseline32"], latents=64))
    tensors = {f"{prefix}{k}": t.clone() for k, t in weights_of(source.encoder).items()}
    save_file(tensors | {"head.weight": torch.zeros(3)}, tmp_path / "classifier.safetensors")
    torch.save(tensors, tmp_path / "classifier.pth")
    for file in ("classifier.safetensors", "classifier.pth"):
        taken = take_encoder(tmp_path / file, target.encoder)
        assert taken == len(weights_of(target.encoder)) - 2  # the last layer has another number of outputs
    assert torch.equal(weights_of(target.encoder)["0.weight"], weights_of(source.encoder)["0.weight"])


def test_the_encoder_of_a_weights_file_is_frozen_as_long_as_the_recipe_says(tmp_path):
    made = recipe("baseline32", encoder=str(trained("baseline32", tmp_path)), freeze=0.5)
    task = ClassicTask(made, pictures(made.architecture), CPU)
    task.start()
    trainer = Trainer(task, Budget(steps=10), tmp_path, CPU)
    before = {k: t.clone() for k, t in weights_of(task.model).items()}

    def moved(progress):
        trainer._update(task.model, task.batch(0, progress), progress)
        return {k.split(".")[0] for k, t in weights_of(task.model).items() if not torch.equal(t, before[k])}

    assert moved(0.2) == {"decoder"}
    assert moved(0.6) == {"encoder", "decoder"}


def test_files_without_an_encoder_are_refused(tmp_path):
    encoder = build(TINY["baseline32"]).encoder
    save_file({"a": torch.zeros(3)}, tmp_path / "other.safetensors")
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    for name, said in (
        ("other.safetensors", "no tensor fits"),
        ("broken.pth", "cannot be read"),
        ("none", "none"),
    ):
        with pytest.raises(BadWeights, match=said):
            take_encoder(tmp_path / name, encoder)


def test_pictures_of_another_size_are_refused():
    with pytest.raises(BadData, match="is in colour, the network grey"):
        ClassicTask(recipe("dense"), pictures(TINY["stl10"]), CPU)


def test_smaller_pictures_are_padded_from_the_first_step_to_the_export(tmp_path):
    some = pictures(TINY["dense"])
    smaller = dataclasses.replace(some, pixels=some.pixels[:, 1:-1, 1:-1])
    train(recipe("dense"), smaller, smaller, tmp_path, Budget(steps=2), CPU)


def test_a_run_that_diverges_names_the_rate(tmp_path):
    made = recipe("dense", optimizer="sgd", rate=1e3, clip=1e9)
    some = pictures(made.architecture)
    with pytest.raises(TrainingDiverged, match="lower rate in the recipe"):
        train(made, some, None, tmp_path, Budget(steps=400), CPU)


def test_one_process_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadArgument, match="without torchrun"):
        run(recipe("dense"), tmp_path, 2)


def test_the_rate_finder_finds_a_rate_that_learns():
    made = recipe("baseline32")
    rows = find_rate(made, pictures(made.architecture), CPU, steps=60)
    rates = [rate for rate, _ in rows]
    assert rates == sorted(rates) and rates[0] == pytest.approx(1e-6)
    assert all(math.isfinite(loss) for _, loss in rows)
    assert 1e-4 < suggested(rows) < 1e-1


# The command


def aec(*arguments):
    command = [sys.executable, "-m", "aecodec", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, text=True, capture_output=True, env=environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of 32 x 32 in two classes, and a recipe for them."""
    root = tmp_path_factory.mktemp("small")
    for number, pixels in enumerate(pictures(TINY["baseline32"], 60).pixels):
        place = root / "pictures" / ("even", "odd")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.png")
    lines = ["family = 'classic'", "name = 'small'", "epochs = 2", "batch = 8", "[architecture]"]
    lines += ["kind = 'baseline32'", "latents = 32", "width = 8"]
    (root / "small.toml").write_text("\n".join(lines))
    return root


def test_aec_train_makes_a_codec_and_figures_from_a_folder(folder, tmp_path):
    done = aec("train", folder / "small.toml", "--data", folder / "pictures", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "epoch 2: train" in done.stderr
    weights = done.stdout.strip().splitlines()[-1]
    assert weights.endswith(".safetensors")
    picture = next((folder / "pictures").rglob("*.png"))
    coded = aec("compress", "--model", weights, picture, "-o", tmp_path / "one.aec")
    assert coded.returncode == 0, coded.stderr
    assert list((tmp_path / "figures").glob("*.png"))
    again = aec("train", folder / "small.toml", "--data", folder / "pictures", "--out", tmp_path, "--resume")
    assert again.returncode == 0, again.stderr


def test_aec_train_finds_a_rate_and_draws_it(folder, tmp_path):
    done = aec(
        "train", folder / "small.toml", "--data", folder / "pictures", "--out", tmp_path, "--find-rate"
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0
    with Image.open(tmp_path / "rates.png") as plot:
        assert plot.size[0] > 300


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--data", "PICTURES", "--data", "PICTURES"], 8, "give --data once"),
        (["--data", "nowhere"], 40, "nowhere"),
        (["--data", "PICTURES", "--minutes", "1", "--steps", "1"], 8, "only one of them"),
        (["--data", "PICTURES", "--init", "x", "--resume"], 8, "only one of them"),
        (["--data", "PICTURES", "--resume", "--out", "fresh"], 40, "no checkpoint"),
        (["--data", "PICTURES", "--init", "none.safetensors"], 21, "no weights file none.safetensors"),
        (["--data", "PICTURES", "--out", "/proc/nowhere"], 31, "/proc/nowhere cannot be written"),
    ],
)
def test_wrong_commands_end_in_a_sentence(folder, tmp_path, monkeypatch, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    given = [folder / "pictures" if word == "PICTURES" else word for word in arguments]
    done = aec("train", folder / "small.toml", *given)
    assert done.returncode == code and said in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_a_photo_recipe_has_no_single_rate_to_find(tmp_path):
    done = aec("train", PARENT.parent / "photo.toml", "--data", tmp_path, "--find-rate")
    assert done.returncode == 8 and "--find-rate is for classic" in done.stderr
