"""Clips and the forms that they are sent in."""

import io
import wave

from bench import clips
from fleet.form import FormReader


def test_clips_have_the_wanted_length():
    """Five seconds are 160 KB; without a length they are as they were recorded."""
    for clip in clips.clips(5):
        with wave.open(io.BytesIO(clip)) as opened:
            assert (opened.getnframes(), opened.getframerate()) == (80_000, 16_000)
    assert all(2.8 < (len(clip) - 44) / 32_000 < 4.5 for clip in clips.trimmed())


def test_a_form_holds_its_clip():
    """The project's own strict parser reads it back."""
    clip, read = clips.trimmed()[0], bytearray()
    form = clips.form(clip)
    reader = FormReader(form.content_type, on_file=read.extend, body_bytes_max=1 << 20)
    reader.feed(form.body)
    assert reader.finish().fields == [("model", "whisper-1")]
    assert read == clip
