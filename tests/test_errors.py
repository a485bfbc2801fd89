from aecodec import errors
from aecodec.errors import AecError, FormatError


def every_error(base=AecError):
    for error in base.__subclasses__():
        yield error
        yield from every_error(error)


def test_every_error_has_an_exit_code_of_its_own_and_a_sentence():
    raised = [error for error in every_error() if error is not FormatError]
    assert all(error.__module__ == errors.__name__ for error in raised)
    codes = [error.exit_code for error in raised]
    assert len(set(codes)) == len(codes)
    assert all(3 <= code < 126 for code in codes)
    assert all(error.__doc__.endswith(".") and "\n" not in error.__doc__ for error in raised)


def test_errors_of_the_format_are_format_errors():
    names = {error.__name__ for error in every_error(FormatError)}
    assert names == {
        "NotAec",
        "Truncated",
        "Damaged",
        "UnsupportedVersion",
        "ReservedBits",
        "UnknownSection",
        "TrailingBytes",
    }
