"""What is said of many files: lines for each, a progress bar on a terminal, a summary at the end."""

import json
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

from aecodec.cli import streams
from aecodec.cli.faults import Failure, exit_code
from aecodec.cli.many.plan import Plan, listed

BAR = "{percentage:3.0f} %|{bar}| {n_fmt} of {total_fmt} files, {postfix}{rate_noinv_fmt}, {remaining} left"


@dataclass
class Outcome:
    """What has become of one file; what is not known is None. `final`: no other file would fare better."""

    file: str
    output: str | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    width: int | None = None
    height: int | None = None
    bpp: float | None = None
    seconds: float | None = None
    quality: float | None = None
    level: int | None = None
    warnings: list[str] = field(default_factory=list)
    failure: Failure | None = None
    verdict: str | None = None  # a line for standard output
    details: str | None = None  # a line for --verbose
    final: bool = False
    start: float = field(default_factory=time.perf_counter)

    def describe(self, data: bytes) -> None:
        """Take from an .aec file what it says of the picture."""
        from aecodec.file import container

        header, _ = container.read_header(data)
        self.width, self.height, self.level = header.width, header.height, header.level
        self.bpp = round(8 * len(data) / (header.width * header.height), 6)

    def fail(self, failure: Failure) -> None:
        """Note why it failed, under the name of the file that it is about."""
        names = tuple(f"{name}: " for name in (self.file, self.output) if name)
        if not failure.message.startswith(names):
            failure = Failure(failure.kind, failure.exit_code, f"{self.file}: {failure.message}")
        self.failure = failure

    def as_json(self) -> str:
        """One line for a program."""
        record: dict[str, Any] = asdict(self)
        for name in ("failure", "verdict", "details", "final", "start"):
            del record[name]
        error = self.failure
        record["error"] = error and {
            "class": error.kind,
            "exit_code": error.exit_code,
            "message": error.message,
        }
        return json.dumps(record)


class Report(AbstractContextManager["Report"]):
    """Tells of each outcome as it comes, and of all of them when it is left."""

    def __init__(self, plan: Plan, done: str, as_json: bool) -> None:
        """`done` says in the summary what has been done with the files, as in "compressed"."""
        self.plan, self.done, self.json = plan, done, as_json
        self.start = time.perf_counter()
        self.count = self.bytes_in = self.bytes_out = 0
        self.failures: list[Failure] = []
        self.stopped = False
        self.bar: Any = None
        if plan.many and sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(
                total=len(plan.jobs), file=sys.stderr, bar_format=BAR, dynamic_ncols=True, unit=" files"
            )

    def add(self, outcome: Outcome) -> None:
        """Say what there is to say of one file."""
        if outcome.failure:
            self.failures.append(outcome.failure)
            self.stopped = outcome.final
        else:
            self.count += 1
            self.bytes_in += outcome.bytes_in or 0
            self.bytes_out += outcome.bytes_out or 0
        for line in (*outcome.warnings, outcome.details, outcome.failure and outcome.failure.message):
            if line:
                self._say(f"aec: {line}")
        if self.json:
            self._say(outcome.as_json(), err=False)
        elif outcome.verdict:
            self._say(outcome.verdict, err=False)
        if self.bar is not None:
            self.bar.set_postfix_str(self._sizes(), refresh=False)
            self.bar.update()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Sum up, also when it has been interrupted."""
        if self.bar is not None:
            self.bar.close()
        if self.plan.many:
            streams.say(f"aec: {self._summary()}")

    @property
    def exit_code(self) -> int:
        """0 if all went well, else that of all failures if they are of one kind, or of what ended the run."""
        if self.stopped:
            return self.failures[-1].exit_code
        return exit_code({failure.exit_code for failure in self.failures})

    def _say(self, line: str, err: bool = True) -> None:
        with self.bar.external_write_mode(file=sys.stderr) if self.bar is not None else nullcontext():
            streams.say(line, err)

    def _sizes(self) -> str:
        sizes = f"{self.bytes_in / 1e6:.2f} MB"
        if self.bytes_out:
            sizes += f" to {self.bytes_out / 1e6:.2f} MB, ratio {self.bytes_in / self.bytes_out:.2f}"
        return sizes

    def _summary(self) -> str:
        total, seconds = len(self.plan.jobs), time.perf_counter() - self.start
        left = total - self.count - len(self.failures)
        parts = [
            f"{self.count} of {total} files {self.done}",
            f"{self._sizes()}, {seconds:.1f} s, {self.count / seconds:.2f} files a second"
            if self.count
            else "",
            f"{len(self.failures)} failed" if self.failures else "",
            f"{left} not done" if left else "",
            f"{self.plan.skipped} skipped, their outputs exist" if self.plan.skipped else "",
            f"passed by: {listed(self.plan.passed_by)}" if self.plan.passed_by else "",
        ]
        return "; ".join(part for part in parts if part)
