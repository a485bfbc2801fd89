"""The entropy model gives the same integers on every machine and engine and under every setting."""

import json
import os
import platform
import subprocess
import sys
import threading
from itertools import product

import exact_worker
import numpy as np
import pytest
import torch
from exact_worker import BARE, BATCH, BOUND, LEVEL, WORST, bare_tensors
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec import weights
from aecodec.codec import Codec
from aecodec.engines import numpy as numpy_engine
from aecodec.engines.numpy import NumpyEngine
from aecodec.engines.torch import TorchEngine
from aecodec.networks.photo import exact, integer, latents
from aecodec.networks.photo.architecture import Architecture
from aecodec.networks.photo.entropy import LayerSpec, parameters
from aecodec.networks.photo.exact import Entropy
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.networks.photo.integer import adversarial_input, exact_on, layer_on, layers_on, reach

X86 = platform.machine() in ("x86_64", "AMD64")
SETTINGS = {  # of a processor; elsewhere than on x86 they say nothing and do no harm
    "as it is": {"OMP_NUM_THREADS": "1"},
    "oldest": {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_CORETYPE": "Nehalem",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
    "AVX2": {
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "bfloat16": {"OMP_NUM_THREADS": "2", "ONEDNN_DEFAULT_FPMATH_MODE": "BF16"},
}


class Worker:
    """exact_worker.py in a process of its own, with these variables in its environment."""

    def __init__(self, variables: dict[str, str]) -> None:
        passive = {"OMP_WAIT_POLICY": "passive"}  # threads that spin starve each other on few cores
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", exact_worker.__file__],
            env=os.environ | passive | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, *request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def workers():
    started = {name: Worker(variables) for name, variables in SETTINGS.items()}
    yield started
    for worker in started.values():
        worker.process.stdin.close()
    for worker in started.values():
        worker.process.stdout.close()
        worker.process.wait(timeout=20)


# The reference


class Int64Layer:
    """What an integer layer says, in integers."""

    def __init__(self, spec: LayerSpec, tensors: dict[str, np.ndarray]) -> None:
        self.spec = spec
        parts = (tensors[f"{spec.name}.{part}"] for part in ("weight", "bias", "shift"))
        self.weight, self.bias, self.shift = (part.astype(np.int64) for part in parts)

    def sums(self, x: np.ndarray, level: int) -> np.ndarray:
        if self.spec.kind == "pointwise":
            sums = np.einsum("bhwi,oi->bhwo", x, self.weight)
        else:
            rows, columns = x.shape[1:3]
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            sums = sum(
                padded[:, a : a + rows, b : b + columns] * self.weight[:, 0, a, b]
                for a, b in product(range(3), repeat=2)
            )
        return sums + self.bias[level if len(self.bias) > 1 else 0]

    def __call__(self, x: np.ndarray, level: int) -> np.ndarray:
        return (self.sums(x, level) >> self.shift).clip(self.spec.low, self.spec.high)


def int64_layers(a: Architecture, tensors) -> dict[str, Int64Layer]:
    return {spec.name: Int64Layer(spec, tensors) for spec in integer.layer_specs(a)}


@pytest.fixture(scope="module")
def reference() -> dict[str, list[str]]:
    """Hashes of the whole batch, from int64 arithmetic alone."""
    results = {}
    for name, entropy in exact_worker.entropies().items():
        z = exact_worker.hyper_latents(entropy.architecture).transpose(0, 2, 3, 1)
        layers = int64_layers(entropy.architecture, entropy.tensors)
        found = (x.transpose(0, 3, 1, 2) for x in parameters(NumpyEngine(), layers, z, LEVEL, 10, 13))
        digests = [exact_worker.digest(*each) for each in zip(*found, strict=True)]
        for batch in (1, BATCH):
            results[f"{name}, {batch} at a time"] = digests[:batch]
    tensors = bare_tensors()
    for spec, size in product(BARE, exact_worker.SIZES):
        x = exact_worker.bare_input(spec, tensors[f"{spec.name}.weight"], *size)
        sums = Int64Layer(spec, tensors).sums(x, LEVEL)
        results[f"layer {spec.name}, {size}"] = [exact_worker.digest(each) for each in sums]
    return results


def compare(found: dict[str, dict[str, list[str]]], reference: dict[str, list[str]]) -> None:
    assert found.keys() == reference.keys()
    wrong = [
        (name, setting)
        for name, results in found.items()
        for setting, hashes in results.items()
        if hashes != reference[name]
    ]
    assert not wrong


# Across machines


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_engine_computes_exactly_what_integers_would(workers, reference, setting):
    """mu and scale indexes of random weights right at the bound, of the test model and of all models
    installed, and the bare sums of layers; under every setting that a caller may make in the process."""
    compare(workers[setting].ask("hashes"), reference)


def test_the_settings_are_those_of_different_processors(workers):
    facts = {name: worker.ask("facts") for name, worker in workers.items()}
    assert [fact["threads"] for fact in facts.values()] == [1, 1, 2, 2]
    if X86:
        assert facts["oldest"]["capability"] == "DEFAULT" and facts["AVX2"]["capability"] == "AVX2"
        assert facts["oldest"]["BLAS"] == ["Nehalem"] and facts["AVX2"]["BLAS"] == ["Haswell"]
    for fact in facts.values():
        assert "NumPy" in fact["arithmetic"] and "float32" in fact["arithmetic"]


def test_streams_of_every_processor_decode_on_every_other(workers):
    made = {name: worker.ask("make") for name, worker in workers.items()}
    streams = {f"{maker}/{name}": (name, words) for maker, of in made.items() for name, words in of.items()}
    assert len(streams) == len(SETTINGS) * (2 + 2 * len(exact_worker.installed()))
    decoded = {}
    for worker in workers.values():
        for maker, of in made.items():
            for name, found in worker.ask("decode", of).items():
                decoded.setdefault(f"{maker}/{name}", set()).update(found)
    assert decoded.keys() == streams.keys()
    assert all(len(found) == 1 for found in decoded.values()), decoded
    for model in ("worst", "narrow"):  # from the same latents every processor makes the same words
        assert len({words for name, words in streams.values() if name.startswith(model)}) == 1


@pytest.fixture
def tf32():
    """Turn TF32 on or off; it is left as PyTorch has it when it starts."""

    def turn(on: bool) -> None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = on

    yield turn
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = False, True


@pytest.mark.gpu
def test_a_gpu_computes_exactly_what_integers_would(reference, tf32):
    tf32(True)
    compare(exact_worker.hashes((TorchEngine("cuda", torch.float64),)), reference)


@pytest.mark.gpu
def test_streams_of_a_gpu_decode_on_the_cpu_and_the_other_way_round(tiny_model, photo, tf32):
    gpu, cpu = Codec(tiny_model, "cuda"), Codec(tiny_model, "cpu")
    for on, maker, quality in product((True, False), (gpu, cpu), (0, 50, 100)):
        tf32(on)
        data = maker.encode(photo, quality)
        there, here = (codec.decode(data, to="numpy").astype(int) for codec in (gpu, cpu))
        assert np.abs(there - here).max() <= (3 if on else 1)  # who allows TF32 trades pixels for speed


# What callers do to the process, or to a thread


@pytest.fixture(scope="module")
def codec(tiny_model) -> Codec:
    return Codec(tiny_model, "cpu")


def arithmetic(codec: Codec) -> str:
    (loaded,) = codec._loaded.values()
    return loaded.entropy.layers()["hyper.enter"].engine.name.rpartition(" ")[2]


@pytest.fixture(scope="module")
def torch_model(tiny_model) -> Hyperprior:
    """All of it on PyTorch, as on a GPU."""
    model = Hyperprior(weights.open_weights(tiny_model), TorchEngine())
    model.entropy.engines = [TorchEngine("cpu", torch.float64)]
    return model


def both(model: Hyperprior, pixels: np.ndarray) -> tuple[bytes, np.ndarray]:
    (coded,) = model.encode(model.analyse(pixels[None]), 150)
    return coded.words, model.synthesise(model.scaled(coded.y_hat, 150)[None], 150, 3)


@pytest.mark.parametrize(
    "around",
    [
        torch.no_grad,
        torch.inference_mode,
        torch.enable_grad,
        lambda: torch.autocast("cpu", torch.bfloat16),
        lambda: torch.autocast("cpu", torch.float16),
        lambda: torch.device("meta"),
    ],
    ids=["no_grad", "inference_mode", "enable_grad", "bfloat16", "float16", "device"],
)
def test_what_a_caller_of_pytorch_has_set_changes_nothing(torch_model, around):
    pixels = exact_worker.noise(50).pixels[:80, :128]
    words, drawn = both(torch_model, pixels)
    with around():
        assert both(torch_model, pixels)[0] == words and np.array_equal(both(torch_model, pixels)[1], drawn)
    found = []
    thread = threading.Thread(target=lambda: found.append(both(torch_model, pixels)[0]))
    with around():
        thread.start()
        thread.join()
    assert found == [words]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_neither_does_the_default_type(tiny_model, torch_model, dtype):
    pixels = exact_worker.noise(50).pixels[:80, :128]
    words, drawn = both(torch_model, pixels)
    torch.set_default_dtype(dtype)
    try:
        fresh = Hyperprior(weights.open_weights(tiny_model), TorchEngine())
        for model in (torch_model, fresh):
            assert both(model, pixels)[0] == words and np.array_equal(both(model, pixels)[1], drawn)
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_engines_code_alike(torch_model, tiny_model):
    """The same words from the same latents, the same latents from the same words, pixels within a level."""
    model = Hyperprior(weights.open_weights(tiny_model), NumpyEngine())
    y = model.analyse(exact_worker.noise(70).pixels[None, :80, :128])
    for level in (0, 100, 255):
        ours, theirs = (each.encode(y, level)[0] for each in (model, torch_model))
        (decoded,) = torch_model.decode([ours.words], ours.y_hat.shape, level)
        assert np.array_equal(decoded.y_hat, ours.y_hat)
        assert np.mean(ours.y_hat != theirs.y_hat) < 1e-3  # hyper-latents half-way between two integers
        drawn = [m.synthesise(m.scaled(ours.y_hat, level)[None], level, 3) for m in (model, torch_model)]
        assert np.abs(drawn[0].astype(int) - drawn[1]).max() <= 1


# Machines on which float32 is not exact


def bfloat16(operation):
    """An operation on a machine that is free to round what it multiplies."""

    def rounding(x, weight, *args):
        if x.dtype == np.float32:
            bits = (np.ascontiguousarray(array).view(np.uint32) & 0xFFFF0000 for array in (x, weight))
            x, weight = (array.view(np.float32) for array in bits)
        return operation(x, weight, *args)

    return rounding


def off_by_one(operation):
    """An operation by an algorithm that multiplies by fractions: here and there a unit is lost."""

    def losing(x, weight, *args):
        sums = operation(x, weight, *args)
        if x.dtype == np.float32:
            sums.reshape(-1)[::100] -= 1
        return sums

    return losing


def only(fault, where):
    """The fault, on a machine that takes another kernel for some inputs."""

    def with_that_fault(operation):
        faulty = fault(operation)
        return lambda x, *args: (faulty if where(x, args[0]) else operation)(x, *args)

    return with_that_fault


def spoil(monkeypatch, fault) -> None:
    """Nothing but the integer layers, whose inputs are whole numbers, meets the fault."""
    for name in ("_product", "_correlated"):
        operation = getattr(numpy_engine, name)
        faulty = only(fault, lambda x, weight: np.array_equal(x, np.rint(x)))(operation)
        monkeypatch.setattr(numpy_engine, name, faulty)


@pytest.fixture(params=[bfloat16, off_by_one])
def inexact_machine(request, monkeypatch):
    spoil(monkeypatch, request.param)


def test_an_inexact_machine_is_found_out_and_gives_the_same_bytes(
    tiny_model, codec, photo, inexact_machine, monkeypatch
):
    there = Codec(tiny_model, "cpu")
    data = there.encode(photo, 60)
    assert arithmetic(there) == "float64"
    monkeypatch.undo()
    assert codec.encode(photo, 60) == data
    assert arithmetic(codec) == "float32"
    assert np.array_equal(codec.decode(data, to="numpy"), there.decode(data, to="numpy"))


@pytest.mark.parametrize("inexact_machine", [bfloat16], indirect=True)
def test_without_the_self_test_an_inexact_machine_would_code_other_latents(
    tiny_model, photo, inexact_machine, monkeypatch
):
    """So the test above can fail."""
    monkeypatch.setattr(exact, "exact_on", lambda *args: [])
    there = Codec(tiny_model, "cpu")
    data = there.encode(photo, 60)
    assert arithmetic(there) == "float32"
    there.decode(data)  # it understands itself
    monkeypatch.undo()
    with pytest.raises(latents.LatentsMismatch):
        Codec(tiny_model, "cpu").decode(data)


def inexact(e, entropy: Entropy) -> list[str]:
    return exact_on(layers_on(e, entropy.architecture, entropy.tensors), entropy.tensors)


def test_every_layer_finds_an_inexact_machine_out_by_itself(inexact_machine):
    for entropy in exact_worker.entropies().values():
        names = [spec.name for spec in integer.layer_specs(entropy.architecture)]
        assert inexact(NumpyEngine(), entropy) == names
        assert inexact(NumpyEngine(np.float64), entropy) == []


@pytest.mark.parametrize("fault", [bfloat16, off_by_one])
@pytest.mark.parametrize(
    "where",
    [
        lambda x, weight: x.shape[0] * x.shape[1] == 1,
        lambda x, weight: x.shape[0] * x.shape[1] > 1 and len(x) * x.shape[1] * weight.size <= 10**6,
        lambda x, weight: len(x) * x.shape[1] * weight.size > 10**6,
    ],
    ids=["one position", "small", "large"],
)
def test_every_pointwise_layer_finds_out_a_single_inexact_kernel(monkeypatch, fault, where):
    """OpenBLAS has such kernels."""
    entropies = exact_worker.entropies() | {"narrow": exact_worker.worst_entropy(exact_worker.NARROW)}
    monkeypatch.setattr(numpy_engine, "_product", only(fault, where)(numpy_engine._product))
    for entropy in entropies.values():
        specs = integer.layer_specs(entropy.architecture)
        assert inexact(NumpyEngine(), entropy) == [spec.name for spec in specs if spec.kind == "pointwise"]


def test_a_fault_in_the_last_steps_of_a_layer_is_found_out(tiny_model, monkeypatch):
    requantise = NumpyEngine.requantise

    def faulty(self, x, scale, low, high):
        result = requantise(self, x, scale, low, high)
        return result + 1 if x.dtype == np.float32 and scale.min() < 1 else result

    entropy = Hyperprior(weights.open_weights(tiny_model), NumpyEngine()).entropy
    assert inexact(NumpyEngine(), entropy) == []
    monkeypatch.setattr(NumpyEngine, "requantise", faulty)
    assert inexact(NumpyEngine(), entropy)
    assert inexact(NumpyEngine(np.float64), entropy) == []


def test_engines_are_tried_in_their_order_and_each_once(tiny_model, photo, monkeypatch):
    asked = []

    def judged(layers, tensors):
        asked.append(layers["hyper.enter"].engine.name.rpartition(" ")[2])
        return ["hyper.enter"] if len(asked) < 2 else []

    monkeypatch.setattr(exact, "exact_on", judged)
    there = Codec(tiny_model, "cpu")
    for _ in range(3):
        there.decode(there.encode(photo))
    assert asked == ["float32", "float64"] and arithmetic(there) == "float64"


def test_on_a_gpu_pytorch_in_float64_comes_first_and_numpy_after_it():
    engines = exact.engines_beside(TorchEngine("cuda"))
    assert [(e.device, e.name.partition(" ")[0]) for e in engines] == [
        ("cuda", "PyTorch"),
        ("cpu", "NumPy"),
        ("cpu", "NumPy"),
    ]
    assert engines[0].dtype == torch.float64


# The bound


def test_the_worst_weights_reach_the_bound_and_no_further():
    """So that the tests above look where it matters."""
    tensors = bare_tensors()
    for spec in BARE:
        x = exact_worker.bare_input(spec, tensors[f"{spec.name}.weight"], 15, 17)
        sums = np.abs(Int64Layer(spec, tensors).sums(x, LEVEL))
        assert sums.max() == BOUND, spec.name
        assert (sums == BOUND).sum() >= spec.outputs / 4, spec.name


def test_beyond_the_bound_float32_is_not_exact():
    """So that the tests above can fail: they would see a single unit of difference in a sum."""
    tensors = bare_tensors(4 * BOUND)
    for spec in BARE:
        x = exact_worker.bare_input(spec, tensors[f"{spec.name}.weight"], 15, 17)
        wanted = [exact_worker.digest(sums) for sums in Int64Layer(spec, tensors).sums(x, LEVEL)]
        assert exact_worker.bare_sums(layer_on(NumpyEngine(), spec, tensors), x) != wanted, spec.name


def test_the_self_test_drives_sums_to_both_ends():
    """It comes within the bias of what the proof allows, in every channel of a small layer."""
    for spec in (
        LayerSpec("pointwise", "pointwise", 33, 8, 1023, -exact_worker.FAR, exact_worker.FAR),
        LayerSpec("depthwise", "depthwise", 12, 12, 511, -exact_worker.FAR, exact_worker.FAR),
    ):
        tensors = exact_worker.worst_tensors(spec, np.random.default_rng(9))
        weight, bias = tensors[f"{spec.name}.weight"], tensors[f"{spec.name}.bias"]
        x = adversarial_input(spec, weight, (9, 9), np.random.default_rng(1))
        assert np.abs(x).max() == spec.limit
        sums = Int64Layer(spec, tensors).sums(x.astype(np.int64), LEVEL) - bias[0]
        ends = np.abs(weight.astype(np.int64)).reshape(spec.outputs, -1).sum(1) * spec.limit
        assert np.array_equal(sums.max((0, 1, 2)), ends) and np.array_equal(sums.min((0, 1, 2)), -ends)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(-128, 127), min_size=1, max_size=4),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=3),
    st.integers(1, 1023),
)
def test_reach_is_the_largest_partial_sum_of_all(values, biases, limit):
    """Over all inputs at the ends of their range, all subsets of the products, with and without the bias."""
    largest = max(
        abs(sum(w * x for w, x in zip(values, inputs, strict=True)) + bias)
        for inputs in product((-limit, 0, limit), repeat=len(values))
        for bias in (0, *biases)
    )
    bias = np.array(biases, np.int64)[:, None].astype(np.int32)
    assert int(reach(np.array([values], np.int8), bias, limit)[0]) == largest


def test_reach_looks_at_every_channel_and_level():
    weight = np.array([[1, -2], [-128, 127], [0, 0]], np.int8)
    bias = np.array([[5, -6, 0], [-7, 2, -(2**31)]], np.int32)
    assert reach(weight, bias, 10).tolist() == [37, 2556, 2**31]
    kernels = np.arange(-9, 9, dtype=np.int16).reshape(2, 1, 3, 3)
    assert reach(kernels, np.array([[-1, 1]], np.int32), 2).tolist() == [91, 73]


def test_the_worst_model_codes_what_it_decodes():
    """Through the coder too, at both ends of the levels."""
    entropy: Entropy = exact_worker.worst_entropy()
    rng = np.random.default_rng(2)
    for level in (0, 255):
        y = rng.laplace(0, 100, (1, WORST.latent_channels, 5, 7)).astype(np.float32)
        z = rng.laplace(0, 60, (1, WORST.hyper_channels, 2, 2)).astype(np.float32)
        (coded,) = latents.encode(entropy, y, z, level)
        (decoded,) = latents.decode(entropy, [coded.words], 5, 7, level)
        assert np.array_equal(coded.y_hat, decoded.y_hat) and coded.latents_crc == decoded.latents_crc
