"""A number as people read it, in tables beside others like it."""

DIGITS = 3


def figure(value: float) -> str:
    """
    Three significant digits, zeros included: 0.602 and 0.600, 1540 and 0.

    With the zeros left out, 0.602 beside 0.6 looks as if one of them had been measured worse.
    """
    if value == 0:
        return "0"
    shown = f"{value:#.{DIGITS}g}"
    return shown.removesuffix(".") if "e+" not in shown else f"{value:.0f}"
