"""Tests of the package that reads annotation files and joins them with images."""
