"""What the commands say: first the document that scripts read, then the text for people, made from that document."""

from planbalance.report.apply import apply_document, apply_text
from planbalance.report.diff import diff_text
from planbalance.report.footprint import Footprint, footprint
from planbalance.report.moved import clean_text, relocate_text
from planbalance.report.plan import plan_document, plan_text
from planbalance.report.scan import scan_document, scan_text
from planbalance.report.show import volume_document, volume_text, volumes_csv
from planbalance.report.verify import verify_document, verify_markdown, verify_text

__all__ = (
    "Footprint",
    "apply_document",
    "apply_text",
    "clean_text",
    "diff_text",
    "footprint",
    "plan_document",
    "plan_text",
    "relocate_text",
    "scan_document",
    "scan_text",
    "verify_document",
    "verify_markdown",
    "verify_text",
    "volume_document",
    "volume_text",
    "volumes_csv",
)
