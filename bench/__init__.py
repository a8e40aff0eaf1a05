"""Measurements, as ratios within one run where there are peers; never tests."""
