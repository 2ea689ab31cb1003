"""The parts of bench/run: a module for each bench (add_options, measure), and what they share."""
