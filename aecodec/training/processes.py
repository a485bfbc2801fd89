"""Several processes, one a GPU, that train one model together; started by torchrun."""

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True, slots=True)
class Processes:
    """Which of how many processes this is; rank 0 writes and speaks."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def share(self, model: nn.Module) -> nn.Module:
        """The model, its gradients averaged over all processes."""
        if self.count == 1:
            return model
        # In the first phase only the entropy model has gradients, in the last all but the analysis.
        return DistributedDataParallel(model, find_unused_parameters=True)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over all processes."""
        if self.count > 1:
            dist.all_reduce(value)
        return value / self.count


def join(device: torch.device) -> tuple[Processes, torch.device]:
    """Join the group that torchrun has started, if it has; with the GPU that is ours in it."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes(), device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Processes(dist.get_rank(), count), device


def leave() -> None:
    """End the group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()
