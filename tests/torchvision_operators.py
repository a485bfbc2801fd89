"""Operators that torchvision wants to find at its import, for a wheel that was built for another PyTorch.

torchvision's wheel on PyPI needs CUDA's libraries; beside PyTorch for the CPU its own library is not loaded,
and without these two names the import fails. They are declared, not defined: what the tests use (ResNet-18,
the data sets) never calls them.
"""

import sys

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_kept: list[torch.library.Library] = []  # a library that is collected takes its operators along


def declare() -> None:
    """Make `import torchvision` work where it is installed and does not by itself."""
    if _kept:
        return
    try:
        import torchvision  # noqa: F401
    except ImportError:
        return
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for schema in SCHEMAS:
            library.define(schema)
        _kept.append(library)
