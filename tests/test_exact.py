"""The entropy model gives the same integers on every machine and under every setting: those of int64."""

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
from exact_worker import BATCH, BOUND, CPU, LEVEL, WORST, switches
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.codec import Codec
from aecodec.file import container
from aecodec.networks.photo import exact, integer, latents
from aecodec.networks.photo.entropy import EntropyModel, LayerSpec
from aecodec.networks.photo.exact import Entropy
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.networks.photo.integer import (
    adversarial_input,
    exact_depthwise,
    exact_on,
    exact_pointwise,
    reach,
)
from aecodec.weights import open_weights

X86 = platform.machine() in ("x86_64", "AMD64")
SETTINGS = {  # of a processor; elsewhere than on x86 they say nothing and do no harm
    "as it is": {"OMP_NUM_THREADS": "1"},
    "oldest": {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "AVX2": {"OMP_NUM_THREADS": "2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
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

    def __init__(self, layer: integer.IntegerLayer) -> None:
        self.spec = layer.spec
        self.weight, self.bias = layer.weight.long().numpy(), layer.bias.long().numpy()
        self.shift = -torch.log2(layer.scale.double()).long().numpy()

    def __call__(self, x: torch.Tensor, level: int) -> torch.Tensor:
        x = x.numpy()
        if self.spec.kind == "pointwise":
            sums = np.tensordot(x, self.weight, (1, 1)).transpose(0, 3, 1, 2)
        else:
            rows, columns = x.shape[2:]
            padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
            sums = sum(
                padded[:, :, a : a + rows, b : b + columns] * self.weight[:, 0, a, b, None, None]
                for a, b in product(range(3), repeat=2)
            )
        sums = sums + self.bias[level if len(self.bias) > 1 else 0][:, None, None]
        return torch.from_numpy((sums >> self.shift[:, None, None]).clip(self.spec.low, self.spec.high))


@pytest.fixture(scope="module")
def reference() -> dict[str, list[str]]:
    """Hashes of the whole batch, from int64 arithmetic alone."""
    results = {}
    for name, entropy in exact_worker.entropies().items():
        network = EntropyModel(entropy.architecture, {n: Int64Layer(x) for n, x in entropy.layers.items()})
        like = torch.zeros(0, dtype=torch.int64)
        results[name] = exact_worker.latents_of(
            entropy, network, like, torch.contiguous_format, slice(0, BATCH)
        )
    for name, layer in exact_worker.bare_layers().items():
        x = exact_worker.bare_input(layer)
        results[f"layer {name}"] = exact_worker.bare_sums(Int64Layer(layer), x)
    return results


def compare(found: dict[str, dict[str, list[str]]], reference: dict[str, list[str]]) -> None:
    """A batch of one has the hash of the first element of a batch of four."""
    assert found.keys() == reference.keys()
    wrong = [
        (name, setting)
        for name, results in found.items()
        for setting, hashes in results.items()
        if not hashes or hashes != reference[name][: len(hashes)]
    ]
    assert not wrong


# Across machines


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_processor_computes_exactly_what_integers_would(workers, reference, setting):
    """mu, scale indexes and y_hat of random weights right at the bound, of the test model and of all models
    installed, and the bare sums of layers; under every setting that a caller may make in the process."""
    compare(workers[setting].ask("hashes"), reference)


def test_the_settings_are_those_of_different_processors(workers):
    facts = {name: worker.ask("facts") for name, worker in workers.items()}
    assert [fact["threads"] for fact in facts.values()] == [1, 1, 2, 2]
    if X86:
        assert facts["oldest"]["capability"] == "DEFAULT" and facts["AVX2"]["capability"] == "AVX2"
        for fact in facts.values():  # where float64 were taken, nothing would be shown
            assert fact["arithmetic"] == "torch.float32"


def test_streams_of_every_processor_decode_on_every_other(workers):
    made = {name: worker.ask("make") for name, worker in workers.items()}
    streams = {f"{maker}/{name}": (name, words) for maker, of in made.items() for name, words in of.items()}
    assert len(streams) == len(SETTINGS) * (2 + 2 * len(exact_worker.installed()))
    decoded = {}
    for worker in workers.values():
        for maker, of in made.items():
            for name, found in worker.ask("decode", of).items():
                decoded.setdefault(f"{maker}/{name}", set()).add(found)
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
    compare(exact_worker.all_hashes(torch.device("cuda")), reference)


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


def latents_in(data: bytes, entropy: Entropy) -> np.ndarray:
    file = container.read(data)
    shape = file.header.latent_height, file.header.latent_width
    (coded,) = latents.decode(entropy, [file.tiles[0].payload], *shape, file.header.level)
    return coded.y_hat


def arithmetic(codec: Codec) -> torch.dtype:
    (loaded,) = codec._loaded.values()
    return loaded.entropy.arithmetic()[1]


@pytest.mark.parametrize("name", switches())
def test_a_switch_that_allows_fewer_bits_is_met_with_float64_at_once(codec, photo, name):
    before = codec.encode(photo, 60)
    assert arithmetic(codec) == torch.float32
    (loaded,) = codec._loaded.values()
    y_hat = latents_in(before, loaded.entropy)
    with exact_worker.switched(switches()[name]):
        assert arithmetic(codec) == torch.float64
        assert np.array_equal(latents_in(before, loaded.entropy), y_hat)
        codec.decode(before)  # raises LatentsMismatch if they differ
        between = codec.encode(photo, 60)
    assert arithmetic(codec) == torch.float32
    assert codec.encode(photo, 60) == before
    codec.decode(between)


def test_a_switch_flipped_by_another_thread_is_seen(codec, photo):
    data = codec.encode(photo)
    try:
        flip(switches()["oneDNN bf16"])
        assert arithmetic(codec) == torch.float64
        codec.decode(data)
    finally:
        flip(exact_worker.all_ieee)
    assert arithmetic(codec) == torch.float32


def flip(switch) -> None:
    thread = threading.Thread(target=switch)
    thread.start()
    thread.join()


def test_autocast_of_the_caller_changes_nothing(codec, photo):
    plain = codec.encode(photo, 60), codec.decode(codec.encode(photo, 60), to="numpy")

    def both():
        data = codec.encode(photo, 60)
        return data == plain[0] and np.array_equal(codec.decode(data, to="numpy"), plain[1])

    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype=dtype):
            assert both()
            assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == dtype  # it is back for the caller
        assert both()
    results = []

    def elsewhere():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            results.append(both())

    flip(elsewhere)
    assert results == [True]


def test_autocast_while_the_model_is_loaded_changes_nothing(tiny_model, codec, photo):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert Codec(tiny_model, "cpu").encode(photo, 60) == codec.encode(photo, 60)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_neither_do_default_type_and_device(tiny_model, codec, photo, dtype):
    data = codec.encode(photo, 60)
    pixels = codec.decode(data, to="numpy")
    torch.set_default_dtype(dtype)
    torch.set_default_device("meta")
    try:
        for other in (codec, Codec(tiny_model, "cpu")):
            assert other.encode(photo, 60) == data
            assert np.array_equal(other.decode(data, to="numpy"), pixels)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)


def test_a_batch_in_inference_or_with_gradients_is_the_same(codec, photo):
    data = codec.encode(photo, 60)
    with torch.inference_mode():
        assert codec.encode(photo, 60) == data
    with torch.enable_grad():
        assert codec.encode(photo, 60) == data
        assert not codec.decode(data, to="torch").requires_grad


# Machines on which float32 is not exact


def bfloat16(operation):
    """An operation on a machine that is free to round what it multiplies."""

    def rounding(x, weight, bias):
        if x.dtype == torch.float32:
            x, weight = x.bfloat16().float(), weight.bfloat16().float()
        return operation(x, weight, bias)

    return rounding


def off_by_one(operation):
    """An operation by an algorithm that multiplies by fractions: here and there a unit is lost."""

    def losing(x, weight, bias):
        sums = operation(x, weight, bias)
        if x.dtype == torch.float32:
            sums.view(-1)[::100] -= 1
        return sums

    return losing


def only(fault, where):
    """The fault, on a machine that takes another kernel for some inputs."""

    def with_that_fault(operation):
        faulty = fault(operation)
        return lambda x, *parameters: (faulty if where(x) else operation)(x, *parameters)

    return with_that_fault


def spoil(monkeypatch, fault) -> None:
    monkeypatch.setattr(integer, "exact_pointwise", fault(exact_pointwise))
    monkeypatch.setattr(integer, "exact_depthwise", fault(exact_depthwise))


@pytest.fixture(params=[bfloat16, off_by_one])
def inexact_machine(request, monkeypatch):
    """float32 is not exact in the integer layers; that of the transforms is."""
    spoil(monkeypatch, request.param)


def test_an_inexact_machine_is_found_out_and_gives_the_same_bytes(
    tiny_model, codec, photo, inexact_machine, monkeypatch
):
    there = Codec(tiny_model, "cpu")
    data = there.encode(photo, 60)
    assert arithmetic(there) == torch.float64
    monkeypatch.undo()
    assert arithmetic(codec) == torch.float32
    assert codec.encode(photo, 60) == data
    assert np.array_equal(codec.decode(data, to="numpy"), there.decode(data, to="numpy"))


@pytest.mark.parametrize("inexact_machine", [bfloat16], indirect=True)
def test_without_the_self_test_an_inexact_machine_would_code_other_latents(
    tiny_model, photo, inexact_machine, monkeypatch
):
    """So the test above can fail."""
    monkeypatch.setattr(exact, "exact_on", lambda *args: True)
    there = Codec(tiny_model, "cpu")
    data = there.encode(photo, 60)
    assert arithmetic(there) == torch.float32
    there.decode(data)  # it understands itself
    monkeypatch.undo()
    with pytest.raises(latents.LatentsMismatch):
        Codec(tiny_model, "cpu").decode(data)


def test_every_layer_finds_an_inexact_machine_out_by_itself(tiny_model, inexact_machine):
    entropy = Hyperprior(open_weights(tiny_model), CPU).entropy
    for name, layer in (entropy.layers | exact_worker.bare_layers()).items():
        assert not exact_on({name: layer}, CPU, torch.float32), name
        assert exact_on({name: layer}, CPU, torch.float64), name


@pytest.mark.parametrize("fault", [bfloat16, off_by_one])
@pytest.mark.parametrize(
    "where",
    [
        lambda x: x[0, 0].numel() == 1,
        lambda x: 1 < x[0, 0].numel() <= 100 and len(x) == 1,
        lambda x: x[0, 0].numel() > 100,
        lambda x: len(x) > 1,
    ],
    ids=["one position", "some positions", "many positions", "a batch"],
)
def test_every_layer_finds_out_a_single_inexact_kernel(tiny_model, monkeypatch, fault, where):
    spoil(monkeypatch, only(fault, where))
    layers = Hyperprior(open_weights(tiny_model), CPU).entropy.layers
    for name, layer in (layers | exact_worker.bare_layers()).items():
        assert not exact_on({name: layer}, CPU, torch.float32), name


def test_a_fault_in_the_last_steps_of_a_layer_is_found_out(tiny_model, monkeypatch):
    call = integer.IntegerLayer.__call__

    def faulty(self, x, level):
        result = call(self, x, level)
        return result + 1 if x.dtype == torch.float32 and self.scale.min() < 1 else result

    layers = Hyperprior(open_weights(tiny_model), CPU).entropy.layers
    assert exact_on(layers, CPU, torch.float32)
    monkeypatch.setattr(integer.IntegerLayer, "__call__", faulty)
    assert not exact_on(layers, CPU, torch.float32) and exact_on(layers, CPU, torch.float64)


def test_a_failed_self_test_means_float64(tiny_model, codec, photo, monkeypatch):
    monkeypatch.setattr(exact, "exact_on", lambda layers, device, dtype: dtype == torch.float64)
    there = Codec(tiny_model, "cpu")
    assert there.encode(photo, 60) == codec.encode(photo, 60)
    assert arithmetic(there) == torch.float64


@pytest.mark.parametrize(
    ("exact_type", "wanted"), [(torch.float64, ("cuda", torch.float64)), (None, ("cpu", torch.float64))]
)
def test_a_gpu_computes_in_float64_and_hands_over_to_the_cpu_where_that_fails(
    monkeypatch, exact_type, wanted
):
    entropy = exact_worker.worst_entropy()
    entropy.device = torch.device("cuda")
    monkeypatch.setattr(exact, "exact_on", lambda layers, device, dtype: dtype == exact_type)
    device, dtype = entropy.arithmetic()
    assert (device.type, dtype) == wanted


def test_the_self_test_runs_once_for_each_type(tiny_model, photo, monkeypatch):
    asked = []
    monkeypatch.setattr(exact, "exact_on", lambda *args: asked.append(args[2]) or exact_on(*args))
    there = Codec(tiny_model, "cpu")
    for _ in range(3):
        there.decode(there.encode(photo))
    assert asked == [torch.float32]


# The bound


def test_the_worst_weights_reach_the_bound_and_no_further():
    """So that the tests above look where it matters."""
    for name, layer in exact_worker.bare_layers().items():
        sums = Int64Layer(layer)(exact_worker.bare_input(layer), LEVEL)
        assert int(sums.abs().max()) == BOUND, name
        assert int((sums.abs() == BOUND).sum()) >= layer.spec.outputs / 4, name


def test_beyond_the_bound_float32_is_not_exact():
    """So that the tests above can fail: they would see a single unit of difference in a sum."""
    for name, layer in exact_worker.bare_layers(4 * BOUND).items():
        x = exact_worker.bare_input(layer)
        assert exact_worker.bare_sums(layer, x.float()) != exact_worker.bare_sums(Int64Layer(layer), x), name
        assert not exact_on({name: layer}, CPU, torch.float32), name


def test_the_self_test_drives_sums_to_both_ends():
    """It comes within the bias of what the proof allows, in every channel of a small layer."""
    generator = torch.Generator().manual_seed(1)
    for spec in (
        LayerSpec("pointwise", "pointwise", 33, 8, 1023, -exact_worker.FAR, exact_worker.FAR),
        LayerSpec("depthwise", "depthwise", 12, 12, 511, -exact_worker.FAR, exact_worker.FAR),
    ):
        layer = exact_worker.layer_of(spec, exact_worker.worst_tensors(spec, np.random.default_rng(9)))
        x = adversarial_input(layer, generator)
        assert x.abs().max() == spec.limit
        sums = Int64Layer(layer)(x.long(), LEVEL) - layer.bias[0].long()[:, None, None]
        ends = layer.weight.long().abs().flatten(1).sum(1) * spec.limit
        assert torch.equal(sums.amax((0, 2, 3)), ends) and torch.equal(sums.amin((0, 2, 3)), -ends)


SMALL = st.integers(-3, 3)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(-128, 127), min_size=1, max_size=4),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=3),
    st.integers(1, 1023),
)
def test_reach_is_the_largest_partial_sum_of_all(weights, biases, limit):
    """Over all inputs at the ends of their range, all subsets of the products, with and without the bias."""
    largest = max(
        abs(sum(w * x for w, x in zip(weights, inputs, strict=True)) + bias)
        for inputs in product((-limit, 0, limit), repeat=len(weights))
        for bias in (0, *biases)
    )
    weight = torch.tensor([weights], dtype=torch.int8)
    bias = torch.tensor(biases, dtype=torch.int64)[:, None].to(torch.int32)
    assert int(reach(weight, bias, limit)) == largest


def test_reach_looks_at_every_channel_and_level():
    weight = torch.tensor([[1, -2], [-128, 127], [0, 0]], dtype=torch.int8)
    bias = torch.tensor([[5, -6, 0], [-7, 2, -(2**31)]], dtype=torch.int32)
    assert reach(weight, bias, 10).tolist() == [37, 2556, 2**31]
    kernels = torch.arange(-9, 9, dtype=torch.int16).reshape(2, 1, 3, 3)
    assert reach(kernels, torch.tensor([[-1, 1]], dtype=torch.int32), 2).tolist() == [91, 73]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_exact_depthwise_is_the_convolution(batch, channels, height, width, seed):
    rng = np.random.default_rng(seed)
    spec = LayerSpec("depthwise", "depthwise", channels, channels, 511, -exact_worker.FAR, exact_worker.FAR)
    tensors = exact_worker.worst_tensors(spec, rng)
    x = torch.from_numpy(rng.integers(-511, 512, (batch, channels, height, width)))
    wanted = Int64Layer(exact_worker.layer_of(spec, tensors))(x, 0)
    for dtype in (torch.float32, torch.float64):
        weight, bias = tensors["weight"].to(dtype), tensors["bias"][0].to(dtype)
        sums = exact_depthwise(x.to(dtype), weight, bias)
        assert torch.equal(sums.double(), wanted.double())


def test_the_worst_model_codes_what_it_decodes():
    """Through the coder too, at both ends of the levels."""
    entropy = exact_worker.worst_entropy()
    rng = np.random.default_rng(2)
    for level in (0, 255):
        y = torch.from_numpy(rng.laplace(0, 100, (WORST.latent_channels, 5, 7))).float()
        z = torch.from_numpy(rng.laplace(0, 60, (WORST.hyper_channels, 2, 2))).float()
        (coded,) = latents.encode(entropy, y[None], z[None], level)
        (decoded,) = latents.decode(entropy, [coded.words], 5, 7, level)
        assert np.array_equal(coded.y_hat, decoded.y_hat) and coded.latents_crc == decoded.latents_crc
