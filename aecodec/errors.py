"""Every error a user can meet, one class each, with the exit code that `aec` ends with.

A message is one sentence that says what is wrong and what to do. Codes 0, 1 and 2 belong to success, to
unexpected faults and to wrong usage of the command line; the codes below never change their meaning.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class AecError(Exception):
    """Base of every error that aecodec raises on purpose."""

    exit_code: ClassVar[int] = 1


@contextmanager
def about(name: str) -> Iterator[None]:
    """Put the name of a file before the message of an AecError: what raises it does not know the name."""
    try:
        yield
    except AecError as error:
        raise type(error)(f"{name}: {error}") from error


# What came in


class InputMissing(AecError):
    """There is no such input file, or it is a folder."""

    exit_code = 3


class NotAnImage(AecError):
    """The input is no picture that Pillow can read."""

    exit_code = 4


class TruncatedImage(AecError):
    """The input picture is cut short or damaged."""

    exit_code = 5


class UnsupportedPicture(AecError):
    """The picture is of a mode or kind that is not supported."""

    exit_code = 6


class BadQuality(AecError):
    """The quality is not a number from 0 to 100."""

    exit_code = 7


class BadArgument(AecError):
    """A value that was given has the wrong type, shape or range."""

    exit_code = 8


class TooLarge(AecError):
    """The picture has more pixels than `max_pixels` allows."""

    exit_code = 9


# What an .aec file says: FORMAT.md decides which of these it is


class FormatError(AecError):
    """Base of the errors that lie in the bytes of an .aec file."""


class NotAec(FormatError):
    """The file is no .aec file."""

    exit_code = 10


class Truncated(FormatError):
    """The .aec file is cut short."""

    exit_code = 11


class Damaged(FormatError):
    """A checksum, length or value in the .aec file is wrong."""

    exit_code = 12


class UnsupportedVersion(FormatError):
    """The .aec file is of a format version that this program does not know."""

    exit_code = 13


class ReservedBits(FormatError):
    """The .aec file sets flags that this program does not know."""

    exit_code = 14


class UnknownSection(FormatError):
    """The .aec file needs something, a section or kind of tile, that this program does not know."""

    exit_code = 15


class TrailingBytes(FormatError):
    """Bytes follow the end of the .aec file."""

    exit_code = 16


class Incomplete(AecError):
    """The .aec file is damaged, and what is intact of it was written."""

    exit_code = 17


# Models and machines


class LatentsMismatch(AecError):
    """The file is intact, but this machine decodes other latents than were encoded."""

    exit_code = 20


class UnknownModel(AecError):
    """No weights are found for the model that was asked for by name or by a file's entropy id."""

    exit_code = 21


class SynthesisMismatch(AecError):
    """The weights found decode the latents but were made to draw another picture from them."""

    exit_code = 22


class BadWeights(AecError):
    """A weights file breaks the exactness bound, does not match its hash or is of another architecture."""

    exit_code = 23


class NoGpu(AecError):
    """The device that was asked for is not there."""

    exit_code = 24


class NoTorch(AecError):
    """What was asked for runs on PyTorch, which is not installed."""

    exit_code = 26


class TargetOutOfReach(AecError):
    """The model cannot make the picture as small, as large or as good as was asked for."""

    exit_code = 25


# What goes out


class OutputExists(AecError):
    """The output file exists and --force was not given."""

    exit_code = 30


class OutputUnwritable(AecError):
    """The output cannot be written: folder missing, no permission or disk full."""

    exit_code = 31


# Many files


class SomeFailed(AecError):
    """Of many files some failed, for reasons with different exit codes; the others are done."""

    exit_code = 35


# Training


class BadData(AecError):
    """A folder of training pictures is empty or unusable."""

    exit_code = 40


class BadRecipe(AecError):
    """A training recipe has an unknown key or a bad value."""

    exit_code = 41


class TrainingDiverged(AecError):
    """The training loss is no longer a number."""

    exit_code = 42
