"""Training: data, recipes, the linear start, the loop and its checkpoints, quantisation, export."""

import csv
import dataclasses
import io
import math
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from aecodec.cli import aec
from aecodec.engines.numpy import NumpyEngine
from aecodec.errors import (
    BadData,
    BadRecipe,
    BadWeights,
    InputMissing,
    OutputUnwritable,
    TrainingDiverged,
    UnknownModel,
)
from aecodec.networks.photo.architecture import Architecture
from aecodec.networks.photo.complexity import complexity
from aecodec.networks.photo.entropy import layer_specs, parameters
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.networks.photo.integer import BOUND, check, layers_on, reach
from aecodec.training.data import Patches, load_folders
from aecodec.training.distortion import mse
from aecodec.training.export import export, import_weights
from aecodec.training.objective import TrainedModel, gaussian_bits
from aecodec.training.output import append, forget
from aecodec.training.photo import PhotoTask
from aecodec.training.processes import Processes
from aecodec.training.quantise import Ranges, quantise
from aecodec.training.recipe import Recipe, read_recipe
from aecodec.training.run import Job, train
from aecodec.training.start import start_linear
from aecodec.training.trainer import LONGEST_STEP, Budget, Trainer
from aecodec.weights import open_weights

PHOTO = Path(__file__).parent.parent / "examples" / "photo.png"
SMALL = Architecture(
    latent_channels=24,
    width=192,
    analysis_blocks=(1, 1),
    synthesis_blocks=(1, 1),
    hyper_channels=4,
    hyper_width=16,
    quarter_width=8,
    quarter_blocks=1,
)
RECIPE = Recipe("small", patch=64, late_patch=128, batch=4, architecture=SMALL)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two photographs as files, one of them withheld, two in a tar file, a graphic, and a broken file."""
    root = tmp_path_factory.mktemp("pictures")
    photo = Image.open(PHOTO).convert("RGB")
    crops = [photo.crop((x, y, x + 160, y + 144)) for x, y in ((0, 0), (100, 50), (150, 100), (60, 20))]
    crops[0].save(root / "one.png")
    crops[1].save(root / "two.png")
    crops[2].resize((40, 40)).save(root / "small.png")
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    with tarfile.open(root / "photos-0.tar", "w") as shard:
        add(shard, "three.png", crops[2])
    with tarfile.open(root / "graphics-0.tar", "w") as shard:
        add(shard, "drawing.png", crops[3])
    rows = [
        {"shard": "", "file": "two.png", "release": "no"},
        {"shard": "", "file": "one.png", "release": "yes"},
    ]
    with (root / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return root


def add(shard, name, image):
    file = io.BytesIO()
    image.save(file, "PNG")
    member = tarfile.TarInfo(name)
    member.size = file.tell()
    shard.addfile(member, io.BytesIO(file.getvalue()))


def patches(folder, seed=0):
    return Patches(load_folders([folder], 64), CPU, seed, 0.25)


def trainer(folder, out, steps, recipe=RECIPE):
    torch.manual_seed(0)
    out.mkdir(exist_ok=True)
    return Trainer(PhotoTask(recipe, patches(folder), CPU), Budget(steps=steps), out, CPU)


def ignore(*_):
    pass


# Data


def test_withheld_unreadable_and_small_pictures_are_left_out_and_the_last_two_are_named(folder):
    loaded = load_folders([folder], 64)
    assert sorted(loaded.names) == ["drawing.png", "one.png", "three.png"]
    assert sorted(loaded.skipped) == ["broken.png", "small.png"]
    assert [loaded.names[i] for i in np.flatnonzero(loaded.graphic)] == ["drawing.png"]


def test_an_empty_or_missing_folder_is_refused_by_name(tmp_path):
    with pytest.raises(BadData, match="no usable picture"):
        load_folders([tmp_path], 64)
    with pytest.raises(BadData, match="nowhere is not a folder"):
        load_folders([tmp_path / "nowhere"], 64)


def test_patches_are_cut_from_the_pictures_flipped_and_turned(folder):
    loaded = load_folders([folder], 64)
    loaded.pixels, loaded.graphic = [loaded.pixels[0]], [True]  # graphics are never scaled
    source = loaded.pixels[0].astype(np.float32)
    batch = Patches(loaded, CPU, 3, 1.0).batch(12, 64).permute(0, 2, 3, 1).numpy() * 255
    seen = set()
    for patch in batch:
        found = [o for o in range(8) if locate(source, orient(patch, o))]
        assert found
        seen.update(found)
    assert len(seen) > 3


def orient(patch, number):
    turned = np.rot90(patch, number % 4)
    return turned[::-1] if number >= 4 else turned


def locate(source, patch):
    windows = np.lib.stride_tricks.sliding_window_view(source, (8, 8, 3))[:, :, 0]
    corners = np.abs(windows - patch[:8, :8]).max((2, 3, 4)) < 0.01
    return any(
        np.allclose(source[y : y + 64, x : x + 64], patch, atol=0.01)
        for y, x in zip(*np.nonzero(corners), strict=True)
        if y + 64 <= source.shape[0] and x + 64 <= source.shape[1]
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("shard.tar", b"junk" * 300, "shard.tar cannot be read"),
        ("index.csv", b"name,release\nx.png,no\n", "index.csv cannot be read.*columns file and release"),
        ("index.csv", b"file,release\n\xff.png,no\n", "index.csv cannot be read"),
    ],
)
def test_a_damaged_shard_or_index_is_refused_by_name(tmp_path, name, content, said):
    Image.new("RGB", (64, 64)).save(tmp_path / "one.png")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadData, match=said):
        load_folders([tmp_path], 64)


def test_what_cannot_be_learnt_as_it_is_is_left_out_and_named_and_grey_becomes_colour(tmp_path):
    Image.fromarray(np.full((64, 64), 40000, np.uint16)).save(tmp_path / "16-bit.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    Image.open(PHOTO).crop((0, 0, 64, 64)).save(tmp_path / "flipped.png")
    data = bytearray((tmp_path / "flipped.png").read_bytes())
    data[data.index(b"IDAT") - 1] ^= 0x80  # a wrong length: Pillow raises SyntaxError
    (tmp_path / "flipped.png").write_bytes(data)
    Image.new("L", (64, 64), 7).save(tmp_path / "grey.png")
    loaded = load_folders([tmp_path], 64)
    assert loaded.names == ["grey.png"] and loaded.pixels[0].shape == (64, 64, 3)
    assert loaded.skipped == ["16-bit.png", "dangling.png", "flipped.png", "folder.png"]


# Recipes


def test_the_shipped_recipe_is_read_and_describes_the_default_architecture():
    recipe = read_recipe(PHOTO.parent.parent / "recipes" / "photo.toml")
    assert recipe.name == "photo" and recipe.architecture == Architecture()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'x'\nlearning = 1", "unknown key 'learning'"),
        ("name = 'x'\n[architecture]\ndepth = 3", "depth"),
        ("patch = 64", "name"),
        ("name = 'x'\npatch = 100", "multiples of 64"),
        ("name = 'x'\npatch = 0", "patch = 0"),
        ("name = 'x'\npatch = 'x'", "patch = 'x': give a whole number"),
        ("name = 'x'\nbatch = 0", "batch = 0"),
        ("name = 'x'\nlambdas = [0.4, 0.001]", "larger one last"),
        ("name = 'x'\nlambdas = [0.4]", "highest"),
        ("name = 'x'\nlate_share = -0.1", "late_share"),
        ("name = 'x'\nflat_share = 1.0", "flat_share"),
        ("name = 'x'\nmatrix_rate = 0", "matrix_rate"),
        ("name = 'x'\nother_rate = 'high'", "other_rate = 'high'"),
        ("name = 'x'\naverage = 1.0", "average"),
        ("name = 'x'\nclip = 0", "clip"),
        ("name = 'a/b'", "part of a file's"),
        ("name = 'x'\nversion = 1.5", "version"),
        ("name = 'x'\n[architecture]\nwidth = 0", "width = 0"),
        ("name = 'x'\n[architecture]\nanalysis_blocks = [1]", "two whole numbers"),
        ("name = 'x'\n[distortion]\nlpips = { share = 1, lowest = 1, highest = 2 }", "no 'lpips'"),
        (
            "name = 'x'\n[distortion]\nmse = { share = 1, lowest = 2, highest = 1 }",
            "larger one",
        ),
        ("name = 'x'\n[distortion]\nmse = { share = 1 }", "distortion.mse: .*lowest"),
        ("name = 'x'\n[distortion]\nmse = { share = 0, lowest = 1, highest = 2 }", "no part with a share"),
        ("name =", "not a TOML file"),
    ],
)
def test_a_wrong_recipe_is_refused_and_the_fault_named(tmp_path, text, said):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(BadRecipe, match=said):
        read_recipe(path)
    with pytest.raises(InputMissing):
        read_recipe(tmp_path / "none.toml")


# Objective and start


def test_bits_of_rounded_symbols_sum_to_a_probability_of_one():
    x = torch.arange(-40.0, 41.0)
    for scale in (0.2, 1.0, 5.0):
        bits = gaussian_bits(x, torch.tensor(scale))
        likely = bits < 26  # beyond, the tail is linear on purpose
        assert abs(float((2.0 ** -bits[likely]).sum()) - 1) < 1e-3


def test_the_tail_of_the_bits_keeps_a_gradient():
    x = torch.tensor([80.0], requires_grad=True)
    gaussian_bits(x, torch.tensor(0.5)).backward()
    assert x.grad > 1


def test_the_untrained_network_is_a_linear_transform_that_keeps_what_its_components_can(folder):
    model = TrainedModel(SMALL)
    x = patches(folder).batch(16, 128)
    start_linear(model, x, RECIPE.lambdas)
    with torch.no_grad():
        kept = model.synthesis(model.analysis(x), torch.zeros(16))
    blocks = torch.nn.functional.pixel_unshuffle(x - x.mean((0, 2, 3), keepdim=True), 16)
    rows = blocks.permute(0, 2, 3, 1).reshape(-1, 768).double()
    energies = torch.linalg.eigvalsh(rows.T @ rows).flip(0)
    best = float(energies[24:].sum()) / rows.numel()
    assert float((kept - x).square().mean()) == pytest.approx(best, rel=0.05)


# The loop


def test_a_killed_run_resumes_bit_for_bit(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("aecodec.training.trainer.CHECKPOINT_EVERY", 0.0)
    whole = trainer(folder, tmp_path / "whole", 14)
    whole.start()
    whole.run(ignore, ignore)
    killed = trainer(folder, tmp_path / "killed", 14)
    killed.start()
    update = killed._update
    monkeypatch.setattr(
        killed, "_update", lambda n, x, p: update(n, x, p) if killed.step < 8 else interrupt()
    )
    with pytest.raises(KeyboardInterrupt):
        killed.run(ignore, ignore)
    resumed = trainer(folder, tmp_path / "killed", 14)
    resumed.resume()
    assert resumed.step == 8
    resumed.run(ignore, ignore)
    for (name, a), b in zip(
        whole.averaged.state_dict().items(), resumed.averaged.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


def interrupt():
    raise KeyboardInterrupt


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(folder, tmp_path, monkeypatch):
    run = trainer(folder, tmp_path, 4)
    run.save()
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def full(state, path):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputUnwritable, match="No space left.*intact.*--resume"):
        run.save()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_resume_without_a_checkpoint_is_refused(folder, tmp_path):
    with pytest.raises(BadData, match="no checkpoint"):
        trainer(folder, tmp_path, 4).resume()


def test_a_run_that_diverges_keeps_the_last_good_checkpoint_and_says_whether_there_is_one(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("aecodec.training.trainer.CHECKPOINT_EVERY", 0.0)
    for bad, said in ((3, "are in .*go on from them with --resume"), (0, "start again, no good weights")):
        run = trainer(folder, tmp_path / str(bad), 5)
        run.start()
        poison_at(run, bad, monkeypatch)
        with pytest.raises(TrainingDiverged, match=f"a weight is not finite at step {bad + 1}: .*{said}"):
            run.run(ignore, ignore)
        assert (run.out / "checkpoint.pt").exists() == bool(bad)
    assert torch.load(tmp_path / "3" / "checkpoint.pt", weights_only=True)["step"] == 3


def poison_at(run, step, monkeypatch):
    update = run._update

    def poisoned(*arguments):
        measured = update(*arguments)
        if run.step == step:
            next(run.task.model.parameters()).data.fill_(math.nan)
        return measured

    monkeypatch.setattr(run, "_update", poisoned)


def test_weights_that_are_not_finite_at_the_end_are_not_saved(folder, tmp_path, monkeypatch):
    run = trainer(folder, tmp_path, 2)
    run.start()
    poison_at(run, 1, monkeypatch)
    with pytest.raises(TrainingDiverged, match="not finite at step 2"):
        run.run(ignore, ignore)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_resumed_run_takes_the_learning_rates_of_its_recipe(folder, tmp_path):
    run = trainer(folder, tmp_path, 4)
    run.start()
    run._update(run.task.model, run.task.patches.batch(4, 64), 0.5)
    run.save()
    resumed = trainer(folder, tmp_path, 4, dataclasses.replace(RECIPE, matrix_rate=1e-5))
    resumed.resume()
    resumed.warm = 1000
    resumed._update(resumed.task.model, resumed.task.patches.batch(4, 64), 0.5)
    assert resumed.task.optimizers["matrix"].param_groups[0]["lr"] == pytest.approx(1e-5)


def test_logs_belong_to_the_run_and_end_at_its_checkpoint(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("aecodec.training.trainer.LOG_EVERY", 1)

    def steps():
        with (tmp_path / "log.csv").open(newline="") as file:
            return [int(row["step"]) for row in csv.DictReader(file)]

    run = trainer(folder, tmp_path, 2)
    run.start()
    run.run(ignore, ignore)
    run.step = 3
    run._log(torch.ones(4), 1.0, 0.5, ignore)  # as if killed after a row and before the next checkpoint
    with (tmp_path / "log.csv").open("a") as file:
        file.write("3,0.1")
    resumed = trainer(folder, tmp_path, 3)
    resumed.resume()
    resumed.run(ignore, ignore)
    assert steps() == [1, 2, 3]
    fresh = trainer(folder, tmp_path, 1)
    fresh.start()
    assert not (tmp_path / "checkpoint.pt").exists() and not (tmp_path / "log.csv").exists()


@pytest.mark.parametrize("content", ["", "epoch,loss\n", "epoch,loss\n3,0.5\n"])
def test_a_log_without_rows_up_to_the_checkpoint_is_begun_anew(tmp_path, content):
    log = tmp_path / "epochs.csv"
    log.write_text(content)
    forget(log, 2)
    append(log, {"epoch": 3, "loss": 0.25})
    assert log.read_text().split() == ["epoch,loss", "3,0.25"]


def test_other_processes_draw_what_none_has_drawn_before(folder, tmp_path):
    run = trainer(folder, tmp_path, 2)
    run.save()
    other = trainer(folder, tmp_path, 2)
    other.processes = Processes(1, 2)
    before = torch.get_rng_state(), other.task.patches.random.bit_generator.state
    other.resume()
    assert not torch.equal(torch.get_rng_state(), before[0])
    assert other.task.patches.random.bit_generator.state != before[1]


@pytest.mark.parametrize("damage", [b"", b"junk", None])
def test_a_damaged_checkpoint_is_refused(folder, tmp_path, damage):
    run = trainer(folder, tmp_path, 2)
    run.save()
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:5000] if damage is None else damage)
    with pytest.raises(BadData, match="cannot be read.*start without --resume"):
        run.resume()


def test_a_checkpoint_of_another_architecture_is_refused(folder, tmp_path):
    trainer(folder, tmp_path, 2).save()
    other = dataclasses.replace(RECIPE, architecture=dataclasses.replace(SMALL, hyper_width=32))
    with pytest.raises(BadRecipe, match="another architecture"):
        trainer(folder, tmp_path, 2, other).resume()


def test_time_in_which_the_process_was_stopped_is_no_training(folder, tmp_path):
    run = trainer(folder, tmp_path, 2)
    run.clock = iter(range(0, 10**7, 10**4)).__next__
    run.run(ignore, ignore)
    assert run.seconds == 2 * LONGEST_STEP


@pytest.mark.gpu
def test_a_run_on_a_gpu_ends_in_weights(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("aecodec.training.run.CALIBRATION_PATCHES", 9)
    job = Job(RECIPE, [folder], None, tmp_path, Budget(steps=2), torch.device("cuda"))
    assert train(job, ignore, ignore).suffix == ".safetensors"


@pytest.mark.parametrize(
    ("progress", "parts"),
    [
        (0.0, {"masters", "hyper_analysis"}),  # first the entropy model alone
        (0.5, {"analysis", "synthesis", "masters", "hyper_analysis", "log_gain"}),
        (0.99, {"synthesis", "masters", "hyper_analysis"}),  # at last the analysis is frozen
    ],
)
def test_each_phase_moves_its_networks_and_no_other(folder, tmp_path, progress, parts):
    run = trainer(folder, tmp_path, 4)
    run.start()
    before = {k: v.clone() for k, v in run.task.model.state_dict().items()}
    run._update(run.task.model, run.task.patches.batch(4, 64), progress)
    moved = {k.split(".")[0] for k, v in run.task.model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == parts


# Quantisation and export


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    recipe = dataclasses.replace(RECIPE, entropy_share=0.7)  # else bits far in the tail wreck the start
    run = trainer(folder, tmp_path_factory.mktemp("run"), 60, recipe)
    run.start()
    run.run(ignore, ignore)
    return run.averaged


def calibration(folder):
    source = patches(folder, seed=1)
    return [source.batch(1, 128) for _ in range(9)]


def test_quantised_layers_fill_the_bound_and_stay_close_to_their_masters(folder, trained):
    ranges = Ranges(trained.masters)
    with torch.no_grad():
        for x in calibration(folder):
            trained(x, torch.tensor([128.0]), "round")
    ranges.close()
    tensors = quantise(trained.masters, ranges.largest)
    check(SMALL, tensors)
    for spec in layer_specs(SMALL):
        worst = reach(tensors[f"{spec.name}.weight"], tensors[f"{spec.name}.bias"], spec.limit)
        assert int(worst.max()) <= BOUND and np.median(worst) > BOUND / 8, spec.name
    x, level = calibration(folder)[4], torch.tensor([128.0])
    with torch.no_grad():
        z = trained.hyper_analysis(trained.analysis(x) * trained.gain(level), level).round()
        mu, index = (x.permute(0, 2, 3, 1).numpy() for x in trained.masters(z, level, 8, 8))
    e = NumpyEngine()
    planes = z.permute(0, 2, 3, 1).contiguous().numpy()
    mu_exact, index_exact = parameters(e, layers_on(e, SMALL, tensors), planes, 128, 8, 8)
    assert np.abs(mu_exact / 16 - mu).mean() < 0.05
    assert np.abs(index_exact - index.clip(0, SMALL.scales - 1)).mean() < 0.5


def test_an_exported_model_codes_and_goes_on_training_where_it_was(folder, trained, tmp_path):
    path = export(trained, calibration(folder), tmp_path, "small", 3, {"note": "test"})
    weights = open_weights(path)
    assert (weights.name, weights.version, weights.card) == ("small", 3, {"note": "test"})
    assert weights.entropy_id.hex() in path.name
    Hyperprior(weights, NumpyEngine())
    again = TrainedModel(SMALL)
    import_weights(path, again)
    x, level = patches(folder).batch(4, 128), torch.tensor([0.0, 80.0, 160.0, 255.0])
    with torch.no_grad(), torch.random.fork_rng():
        before, after = (torch.manual_seed(0) and model(x, level) for model in (trained, again))
    assert torch.allclose(before.bpp, after.bpp, rtol=0.02)
    assert torch.allclose(mse(before.x_hat, x), mse(after.x_hat, x), rtol=0.02)


def test_weights_of_another_architecture_are_refused(folder, trained, tmp_path):
    path = export(trained, calibration(folder), tmp_path, "small", 1, {})
    with pytest.raises(BadWeights, match="another architecture"):
        import_weights(path, TrainedModel(dataclasses.replace(SMALL, hyper_width=32)))
    with pytest.raises(UnknownModel, match="there is no weights file"):
        import_weights(tmp_path / "none.safetensors", TrainedModel(SMALL))


# The command


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--steps", "0"], 2, "'--steps'"),
        (["--minutes", "0"], 2, "0 minutes cannot be"),
        (["--minutes", "nan"], 2, "nan minutes cannot be"),
        (["--steps", "1", "--out", "FILE"], 31, "FILE cannot be written"),
        (["--steps", "1", "--out", "/proc/nowhere"], 31, "/proc/nowhere cannot be written"),
        (["--steps", "1", "--out", "fresh", "--resume"], 40, "no checkpoint"),
    ],
)
def test_wrong_commands_end_in_a_sentence_and_leave_nothing(
    folder, tmp_path, monkeypatch, arguments, code, said
):
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text("")
    Path("small.toml").write_text(SMALL_TOML.format(batch=4))
    result = CliRunner().invoke(aec, ["train", "small.toml", "--data", str(folder), *arguments])
    assert result.exit_code == code and said in result.stderr
    assert sorted(os.listdir()) == ["FILE", "small.toml"]


def test_a_full_disk_under_the_log_is_told_by_the_folder(folder, tmp_path, monkeypatch):
    def full(log, row):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aecodec.training.trainer.append", full)
    monkeypatch.setattr("aecodec.training.trainer.LOG_EVERY", 1)
    with pytest.raises(OutputUnwritable, match=f"{tmp_path} cannot be written.*No space left"):
        train(Job(RECIPE, [folder], None, tmp_path, Budget(steps=1), CPU), ignore, ignore)


# Several processes

SMALL_TOML = """
name = "small"
patch = 64
late_patch = 64
batch = {batch}
graphics_share = 0.25
[architecture]
latent_channels = 24
width = 192
analysis_blocks = [1, 1]
synthesis_blocks = [1, 1]
hyper_channels = 4
hyper_width = 16
quarter_width = 8
quarter_blocks = 1
"""


def aec_train(folder, out, batch, *arguments, launcher=()):
    out.mkdir()
    (out / "small.toml").write_text(SMALL_TOML.format(batch=batch))
    command = [sys.executable, *launcher, "-m", "aecodec", "train", str(out / "small.toml"), *arguments]
    return subprocess.run(
        [*command, "--data", str(folder), "--out", str(out)],
        text=True,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def test_two_processes_learn_as_one_with_twice_the_batch(folder, tmp_path):
    runs = {"one": ((), 8), "two": (TORCHRUN, 4)}
    losses = {}
    for name, (launcher, batch) in runs.items():
        run = aec_train(folder, tmp_path / name, batch, "--steps", "200", launcher=launcher)
        assert run.returncode == 0, run.stderr
        with (tmp_path / name / "log.csv").open() as file:
            losses[name] = [float(row["loss"]) for row in csv.DictReader(file)]
        assert len(list((tmp_path / name).glob("small-*.safetensors"))) == 1
    assert len(losses["one"]) == len(losses["two"]) == 2
    assert losses["two"] == pytest.approx(losses["one"], rel=0.1)


def test_minutes_are_refused_where_processes_could_not_agree_on_them(folder, tmp_path):
    run = aec_train(folder, tmp_path / "out", 4, "--minutes", "1", launcher=TORCHRUN)
    assert run.returncode != 0 and "give --steps under torchrun" in run.stderr


def test_a_run_leaves_what_a_person_wants_to_see(folder, tmp_path):
    run = aec_train(folder, tmp_path / "out", 4, "--steps", "100", "--val", str(folder))
    assert run.returncode == 0, run.stderr
    assert "2 held-back pictures left out (unreadable, of other kinds or too small): " in run.stderr
    made = {path.suffix for path in (tmp_path / "out").iterdir()}
    assert {".pt", ".csv", ".png", ".safetensors", ".0"} <= made  # .0: TensorBoard's events
    assert "photographs, held back: level, bpp (estimated), PSNR in dB" in run.stderr
    assert run.stdout.strip().endswith(".safetensors")


def test_multiply_accumulates_are_counted_as_by_hand_and_below_their_limits():
    coarse = 6 * 320**2 + 9 * 320  # a block at 1/16: 1x1 to C, depthwise 3x3, 1x1 to C, 2 C and C
    fine = 6 * 192**2 + 9 * 192
    quarter = 6 * 64**2 + 9 * 64
    by_hand = (2 * coarse + 320 * 768) / 16**2 + (4 * fine + 192 * (192 + 256)) / 8**2
    by_hand += (2 * quarter + 64 * 48) / 4**2
    counted = complexity(Architecture())
    assert counted.synthesis == pytest.approx(by_hand / 1000)
    assert counted.decode <= 30 and counted.encode <= 60
