"""Measurements of speed and quality, as ratios within one run. Run by ``make bench``; not part of the tests."""
