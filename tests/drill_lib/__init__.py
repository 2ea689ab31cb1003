"""The parts of scripts/drill."""
