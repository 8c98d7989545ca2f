"""The formats of annotation files: one row each, with the function that reads it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from planbalance.annotations.boxes_csv import read_boxes_csv
from planbalance.annotations.coco import read_coco
from planbalance.annotations.fastmri_plus import read_fastmri_plus
from planbalance.annotations.mdai import read_mdai
from planbalance.annotations.mdai_frame import read_mdai_frame
from planbalance.annotations.source import AnnotationSource, FormatOptions, SourceFile
from planbalance.annotations.voc import read_voc
from planbalance.annotations.xray_tables import read_deeplesion, read_retinanet, read_rsna, read_vinbigdata
from planbalance.import_model import FormatName

Read = Callable[[Sequence[SourceFile], FormatOptions], AnnotationSource]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format.

    Attributes:
        name: as in `--format`.
        title: what it is, in a few words.
        reads: what the files hold.
        read: reads the files of a source. Raises InputError for a file that is not of this format, and UsageError for
            an option that is missing. A row that cannot be read is an annotation of kind `unreadable`.
        takes: whether `--annotations` is a file, or a folder whose files with `suffix` are all read (sorted by path).
        suffix: of these files, with its dot.
        needs: options that must be given.
        takes_also: options that may be given.
        list_beside: ending of the name of a file that is read if it lies beside the annotation file, such as
            `_file_list.csv` for `knee_file_list.csv` beside `knee.csv`; "" for none.
        reviewed: what `--reviewed auto` takes as reviewed.
        joined_by: by what an annotation finds its image.
        flips_up_down: whether boxes refer to the picture flipped up-down, so that the picture must be flipped.
        zero_value: the stored value of 16-bit pictures that stands for 0 (Hounsfield units); 0 for most formats.
        has_readers: whether annotations name who made them.
        has_label_groups: whether labels are in groups.
        one_class: whether it knows one finding only, which `--classes NAME` names.
    """

    name: FormatName
    title: str
    reads: str
    read: Read
    takes: Literal["file", "folder"] = "file"
    suffix: str
    needs: tuple[str, ...] = ()
    takes_also: tuple[str, ...] = ()
    list_beside: str = ""
    reviewed: str
    joined_by: str
    flips_up_down: bool = False
    zero_value: int = 0
    has_readers: bool = False
    has_label_groups: bool = False
    one_class: bool = False


_ROWS: Final = (
    Format(
        name="fastmri-plus",
        title="fastMRI+ (Zhao et al. 2022)",
        reads="CSV: file, slice (from 0), study_level, x, y, width, height, label",
        read=read_fastmri_plus,
        suffix=".csv",
        list_beside="_file_list.csv",
        reviewed="the volumes of the file list beside the CSV",
        joined_by="name of the volume's file, and slice",
        flips_up_down=True,
    ),
    Format(
        name="mdai",
        title="MD.ai export",
        reads="JSON: labelGroups, and datasets with annotations",
        read=read_mdai,
        suffix=".json",
        takes_also=("--frame-base", "--reader", "--label-group"),
        reviewed="studies with any annotation of the chosen readers",
        joined_by="SOPInstanceUID in the header of the image, never its file name",
        has_readers=True,
        has_label_groups=True,
    ),
    Format(
        name="mdai-frame",
        title="MD.ai export as a data frame, with a key",
        reads="CSV: TBreconID, SOPInstanceUID_anon, labelName, data; and a key CSV: tbrecon_id, SOPInstanceUID_anon, "
        "InstanceNumber",
        read=read_mdai_frame,
        suffix=".csv",
        needs=("--key",),
        takes_also=("--reader", "--label-group"),
        reviewed="the images of the key",
        joined_by="folder (TBreconID) and InstanceNumber, which the key has for each SOPInstanceUID_anon",
        has_readers=True,
        has_label_groups=True,
    ),
    Format(
        name="coco",
        title="COCO",
        reads="JSON: images, categories, annotations with bbox, polygons or run lengths",
        read=read_coco,
        suffix=".json",
        reviewed="every image of `images`",
        joined_by="file_name",
    ),
    Format(
        name="voc",
        title="Pascal VOC",
        reads="one XML file for each image: object, bndbox with xmin, ymin, xmax, ymax",
        read=read_voc,
        takes="folder",
        suffix=".xml",
        takes_also=("--origin",),
        reviewed="images that have an XML file",
        joined_by="name of the XML file, which must be that of the image",
    ),
    Format(
        name="rsna",
        title="RSNA Pneumonia Detection Challenge",
        reads="CSV: patientId, x, y, width, height, Target",
        read=read_rsna,
        suffix=".csv",
        needs=("--classes",),
        reviewed="every patientId of the CSV",
        joined_by="patientId, which is the name of the image",
        one_class=True,
    ),
    Format(
        name="retinanet",
        title="keras-retinanet",
        reads="CSV without a header: path, x1, y1, x2, y2, class; a line with a path only is an image without "
        "a finding",
        read=read_retinanet,
        suffix=".csv",
        reviewed="every path of the CSV",
        joined_by="path",
    ),
    Format(
        name="vinbigdata",
        title="VinBigData Chest X-ray",
        reads="CSV: image_id, class_name, rad_id, x_min, y_min, x_max, y_max",
        read=read_vinbigdata,
        suffix=".csv",
        takes_also=("--reader",),
        reviewed="images with a line of the chosen readers",
        joined_by="image_id, which is the name of the image",
        has_readers=True,
    ),
    Format(
        name="deeplesion",
        title="DeepLesion (DL_info.csv)",
        reads="CSV: File_name, Key_slice_index, Bounding_boxes",
        read=read_deeplesion,
        suffix=".csv",
        needs=("--classes",),
        reviewed="key slices only",
        joined_by="File_name: folder and number of the slice",
        zero_value=32768,
        one_class=True,
    ),
    Format(
        name="boxes-csv",
        title="any CSV with a box in each line",
        reads="CSV with the columns that --columns names",
        read=read_boxes_csv,
        suffix=".csv",
        needs=("--columns", "--box", "--origin"),
        takes_also=("--slice-base", "--reader"),
        reviewed="images or slices with a line of the chosen readers",
        joined_by="path of the image, or volume and slice",
        has_readers=True,
    ),
)
FORMATS: Final[Mapping[str, Format]] = {row.name: row for row in _ROWS}


def read_annotations(name: FormatName, files: Sequence[SourceFile], options: FormatOptions) -> AnnotationSource:
    """Return what the annotation files of a source say.

    Args:
        name: of the format.
        files: one file, or those of a folder, sorted by name (`Format.takes`).
        options: how they are read.

    Raises:
        InputError: a file is not of this format (kind `bad-annotations`; the message names the nearest format), or it
            leaves open what only an option can decide.
        UsageError: `--key`, `--columns` or `--box` is missing (kind `option-missing`), or columns do not fit (kind
            `bad-columns`).
    """
    return FORMATS[name].read(files, options)
