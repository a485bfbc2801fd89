"""The stress set, with the released model: every kind of picture goes in, and comes out as what it was."""

import picture_report
import pytest
import stress

from aecodec.codec import Codec
from aecodec.errors import UnsupportedPicture
from aecodec.picture import pictures

CASES = stress.files()


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(device="cpu")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_comes_back_and_is_never_larger_than_its_png(case, codec):
    row = picture_report.row(case, codec)
    assert (row.mode_out, row.same_size, row.same_alpha, row.same_metadata) == (case.mode, True, True, True)
    assert row.psnr >= case.least
    assert row.aec <= row.png + 64
    assert row.psnr == float("inf") or not row.lossless


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_read_is_what_it_shows_and_what_was_changed_is_said(case):
    picture = pictures.load(case.data, frame=case.frame)
    assert pictures.to_pil(picture).mode == case.mode
    assert ", ".join(picture.converted) == case.converted
    for field in case.metadata:
        assert getattr(picture, field) is not None, field
    if case.samples is not None:
        apart = abs(picture.samples.squeeze().astype(int) - case.samples)
        assert apart.max() <= case.apart


@pytest.mark.parametrize("case", [case for case in CASES if case.converted], ids=lambda case: case.name)
def test_strict_refuses_it(case):
    with pytest.raises(UnsupportedPicture, match="would be changed.*(bits a channel|RGB).*without strict"):
        pictures.load(case.data, strict=True)


def test_there_are_enough_of_every_kind():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 60
    assert {case.mode for case in CASES} == {"L", "LA", "RGB", "RGBA"}
    assert sum(case.drawn for case in CASES) > 30
