"""Tests of `study.report.page`."""
