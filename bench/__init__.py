"""
What the fleet makes of this machine, each figure against the same work done without it, side by side in one run.

The life of a benchmark:

1. `__main__` reads what is wanted and walks over the measures, with a progress bar.
2. `models` builds Whispers of random weights in the general shapes: no download, and the same number of tokens always.
3. `stand` starts what is measured: a fleet as `whisper-fleet up` would, bare engine loops (`bare`), or simulated
   workers that only sleep (`sleepers`).
4. `ceiling`, `overhead`, `windows`, `crowd` and `live` measure; `load` calls over HTTP; both sides of a ratio take
   turns, so that what else the machine does meets both.
5. `bars` has what is required and decides; `report` writes BENCHMARKS.md, `plot` the picture.
"""
