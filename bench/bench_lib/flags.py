"""Kinds of values that a flag of bench/run takes."""

import argparse


def share(most):
    """A share above 0, as 0.3, not a percentage."""
    def parse(text):
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is no number; say a share, like 0.3") from None
        if not 0 < value <= most:  # nor nan
            raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most {most}; "
                                             "it is a share, not a percentage: 0.3 means 30%")
        return value
    return parse
