"""A dataset in one file: where each byte of a SquashFS image or a tar goes, and reading such files without mounting.

`squashfs_layout` and `tar_layout` are arithmetic on names and sizes; `reader` reads what any tool wrote.
"""
