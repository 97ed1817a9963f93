"""A device by the errors of its calls."""

import pytest

from worker.device import device_watched
from worker.window import EngineBroken, EngineFull


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (RuntimeError("CUDA failed with error out of memory"), EngineFull),  # which a smaller call may not need
        (RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"), EngineFull),
        (RuntimeError("CUDA failed with error an illegal memory access was encountered"), EngineBroken),
        (RuntimeError("cuDNN failed with status CUDNN_STATUS_EXECUTION_FAILED"), EngineBroken),
        (RuntimeError("something else"), RuntimeError),
        (ValueError("CUDA is no word of this one's"), ValueError),
    ],
)
def test_a_full_and_a_lost_device_are_told_from_other_errors(error, meant):
    """The one is the call's fault, the other ends the process, and what is neither stays what it is."""
    with pytest.raises(meant) as told, device_watched():
        raise error
    assert type(told.value) is meant
    assert told.value is error or told.value.__cause__ is error
