"""Resolve what the user names as inputs: roots with image folders, label folders, splits and class names.

A yaml is read as the trainers read it, a folder by the one yaml in it that names splits, else by its layout. Only a few
folders, yaml files and image lists are looked at here; the scan reads the images.
"""

from planbalance.inputs.agreement import common_keys, common_names, names_disagree
from planbalance.inputs.draft import FoundInput, absolute
from planbalance.inputs.from_folder import not_found
from planbalance.inputs.from_yaml import empty_split
from planbalance.inputs.layout import label_folder
from planbalance.inputs.resolve import resolve_input, resolve_inputs

__all__ = (
    "FoundInput",
    "absolute",
    "common_keys",
    "common_names",
    "empty_split",
    "label_folder",
    "names_disagree",
    "not_found",
    "resolve_input",
    "resolve_inputs",
)
